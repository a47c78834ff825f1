/*
 * fuzz_config - configuration files of arbitrary text.
 *
 * Input: one octet chooses how it is loaded, the rest is the file.  Where the file is refused, the
 * reasons must name a file; where it is taken, the settings must be complete.  The file may include
 * others.conf, which is there, and itself.  Nothing makes files (no CONF_FILE_SECRET).
 */
#include "fuzz.h"

#include "core/domain.h"
#include "core/pool.h"
#include "io/conf_file.h"

#include <string.h>
#include <unistd.h>

static const char other[] = "# included\nno_pool = \"pass\";\n";

static void
check_errors(const struct errors *e)
{
	for (guint i = 0; i < e->errors->len; i++)
		require(strchr(e->errors->pdata[i], ':') != NULL);
	for (guint i = 0; i < e->warnings->len; i++)
		require(strchr(e->warnings->pdata[i], ':') != NULL);
}

static void
check_domain(const char *domain)
{
	char normal[DOMAIN_SIZE];

	require(domain != NULL);
	require_of(domain_normalise(domain, strlen(domain), normal), domain);
	require_of(strcmp(domain, normal) == 0, domain);
}

static void
check_signatures(const struct pool *p)
{
	require(p->signatures->len > 0);
	for (guint i = 0; i < p->signatures->len; i++) {
		const struct signature *sig = p->signatures->pdata[i];

		check_domain(sig->domain);
		require(sig->selector != NULL && sig->key != NULL);
	}
}

static void
check_headers(const GPtrArray *list)
{
	for (guint i = 0; i < list->len; i++) {
		const struct header_value *h = list->pdata[i];

		require(h->name != NULL && *h->name != '\0' && h->value != NULL);
		require_of(strpbrk(h->name, ": \t\r\n") == NULL, h->name);
	}
}

static void
check_settings(struct settings *s)
{
	require(s->listen->len > 0 && s->control_header != NULL && s->max_message_size > 0);
	require(fuzz_dot_atom(s->return_path.local_part, strlen(s->return_path.local_part)));
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		check_domain(p->sender_domain);
		require_of(pool_find(s, p->sender_domain) == p, p->name);
		if (p->return_path != RETURN_PATH_KEEP)
			check_domain(p->spf_domain);
		check_signatures(p);
		check_headers(p->headers.set_headers);
		check_headers(p->headers.add_headers);
	}
}

static void
prepare(void)
{
	struct settings *s =
		fuzz_settings("pools = ( { name = \"a\"; sender_domain = \"example.com\"; "
			      "return_path = \"keep\"; dkim_selector = \"s\"; "
			      "dkim_key = \"@D/key.pem\"; } );");

	settings_unref(s); /* that was for the key: relative names are ours */
	fuzz_write("other.conf", other, strlen(other));
	require(chdir(fuzz_directory()) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int flags[] = {0, CONF_FILE_KEYS, CONF_FILE_NO_SECRET, CONF_FILE_THROWAWAY};
	static bool prepared;
	struct input in = {data, size};
	int how = flags[input_choice(&in, G_N_ELEMENTS(flags))];
	struct errors *errors = errors_new();
	struct settings *s;

	if (!prepared)
		prepare();
	prepared = true;
	s = conf_file_load(fuzz_write("input.conf", in.data, in.len), how, errors);
	require((s != NULL) == !errors_any(errors));
	check_errors(errors);
	if (s != NULL)
		check_settings(s);
	settings_unref(s);
	errors_free(errors);
	return 0;
}
