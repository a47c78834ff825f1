/*
 * org_domain - organizational domains; see org_domain.h.
 */
#include "io/org_domain.h"

#include <glib.h>
#include <libpsl.h>

void
org_domain_of(const char *domain, char out[DOMAIN_SIZE])
{
	const char *org = psl_registrable_domain(psl_builtin(), domain);

	g_strlcpy(out, org != NULL ? org : domain, DOMAIN_SIZE);
}
