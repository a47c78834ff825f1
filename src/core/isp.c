/*
 * isp - whose mailbox a recipient has; see isp.h and DESIGN, "ISP".
 *
 * Custom records are asked before shipped ones; within each the exact domain, then the nearest suffix.
 * MX rules come last, since they cost a look-up: all hosts of the domain must lead to the same record.
 */
#include "core/isp.h"
#include "core/domain.h"

#include <string.h>

/* The record of a name: exact, or by the nearest suffix above it. */
static struct isp *
lookup(GHashTable *exact, GHashTable *suffixes, const char *name, enum isp_how *how)
{
	struct isp *isp = g_hash_table_lookup(exact, name);

	*how = ISP_BY_DOMAIN;
	if (isp != NULL || g_hash_table_size(suffixes) == 0)
		return isp;
	*how = ISP_BY_SUFFIX;
	while (isp == NULL && (name = domain_parent(name)) != NULL)
		isp = g_hash_table_lookup(suffixes, name);
	return isp;
}

static struct isp *
by_domain(const struct settings *s, const char *domain, enum isp_how *how)
{
	struct isp *isp = NULL;

	for (guint i = 0; isp == NULL && i < G_N_ELEMENTS(s->isp_index); i++)
		isp = lookup(s->isp_index[i].domains, s->isp_index[i].suffixes, domain, how);
	return isp;
}

struct mx_search {
	const struct settings *settings;
	const struct isp *isp;
	bool differ; /* hosts of two records, or of none */
};

const struct isp *
isp_of_mx_host(const struct settings *s, const char *host)
{
	const struct isp *isp = NULL;
	enum isp_how how;

	for (guint i = 0; isp == NULL && i < G_N_ELEMENTS(s->isp_index); i++)
		isp = lookup(s->isp_index[i].mx_hosts, s->isp_index[i].mx_suffixes, host, &how);
	return isp;
}

static bool
match_host(const char *host, void *context)
{
	struct mx_search *search = context;
	const struct isp *isp = isp_of_mx_host(search->settings, host);

	search->differ = isp == NULL || (search->isp != NULL && search->isp != isp);
	search->isp = isp;
	return !search->differ;
}

static bool
mx_rules(const struct settings *s, const struct resolver *resolver)
{
	return resolver != NULL && s->isp_mx;
}

static struct isp_match
by_mx(const struct settings *s, const struct resolver *resolver, const char *domain, gint64 deadline)
{
	struct mx_search search = {s, NULL, false};
	struct isp_match match = {s->default_isp, ISP_DEFAULT, false};
	enum mx_answer answer =
		resolver->mx(resolver->context, domain, deadline, match_host, &search);

	match.failed = answer == MX_FAILED;
	if (answer == MX_FOUND && search.isp != NULL && !search.differ) {
		match.isp = search.isp;
		match.how = ISP_BY_MX;
	}
	return match;
}

struct isp_match
isp_find(const struct settings *s, const struct resolver *resolver, const char *domain,
	 gint64 deadline)
{
	struct isp_match match = {s->default_isp, ISP_DEFAULT, false};
	char normal[DOMAIN_SIZE];
	const struct isp *isp;
	enum isp_how how;

	if (domain == NULL || !domain_normalise(domain, strlen(domain), normal))
		return match;
	isp = by_domain(s, normal, &how);
	if (isp != NULL)
		return (struct isp_match){isp, how, false};
	return mx_rules(s, resolver) ? by_mx(s, resolver, normal, deadline) : match;
}

void
isp_prefetch(const struct settings *s, const struct resolver *resolver, const char *domain)
{
	char normal[DOMAIN_SIZE];
	enum isp_how how;

	if (mx_rules(s, resolver) && domain != NULL &&
	    domain_normalise(domain, strlen(domain), normal) && by_domain(s, normal, &how) == NULL)
		resolver->start(resolver->context, normal);
}

const struct isp *
isp_named(const struct settings *s, const char *name)
{
	const GPtrArray *const lists[] = {s->isps, s->shipped_isps};

	for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++) {
			const struct isp *isp = g_ptr_array_index(lists[i], k);

			if (!isp->replaced && g_ascii_strcasecmp(isp->name, name) == 0)
				return isp;
		}
	return NULL;
}

/* What is asked first for all names that a rule stands for. */
static const struct isp *
taken(GHashTable *exact, GHashTable *suffixes, const char *rule)
{
	enum isp_how how;

	if (!g_str_has_prefix(rule, "*."))
		return lookup(exact, suffixes, rule, &how);
	rule += 2;
	return lookup(suffixes, suffixes, rule, &how);
}

const struct isp *
isp_domain_taken(const struct settings *s, const char *rule)
{
	return taken(s->isp_index[0].domains, s->isp_index[0].suffixes, rule);
}

const struct isp *
isp_mx_taken(const struct settings *s, const char *rule)
{
	return taken(s->isp_index[0].mx_hosts, s->isp_index[0].mx_suffixes, rule);
}

void
isp_settle_encoding(struct isp *isp)
{
	if (isp->encoding.html == ENCODING_UNSET)
		isp->encoding.html = isp->encoding.global;
	if (isp->encoding.text == ENCODING_UNSET)
		isp->encoding.text = isp->encoding.global;
}

const char *
isp_how_word(enum isp_how how)
{
	static const char *const words[] = {"domain", "suffix", "mx", "default"};

	return words[how];
}
