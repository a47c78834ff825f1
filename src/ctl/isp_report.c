/*
 * isp_report - an ISP record in words and as JSON; see isp_report.h.
 *
 * Which record a domain has is asked of core/isp.c; MX hosts are asked for once more only to be
 * shown, and come from the resolver's cache then.
 */
#include "ctl/isp_report.h"

#include "core/domain.h"
#include "core/setting_table.h"
#include "ctl/report.h"

#include <string.h>

static bool
collect_host(const char *host, void *context)
{
	g_ptr_array_add(context, g_strdup(host));
	return true;
}

/* The nearest suffix above the domain that the record has. */
static char *
matched_suffix(const struct settings *s, const struct isp *isp, const char *domain)
{
	GHashTable *suffixes = s->isp_index[isp->shipped ? 1 : 0].suffixes;

	while ((domain = domain_parent(domain)) != NULL)
		if (g_hash_table_lookup(suffixes, domain) == isp)
			return g_strconcat("*.", domain, NULL);
	return NULL;
}

struct isp_reason *
isp_reason_new(const struct settings *s, const struct resolver *resolver, const char *domain,
	       gint64 deadline)
{
	struct isp_reason *r = g_new0(struct isp_reason, 1);
	char normal[DOMAIN_SIZE];

	r->domain = g_strdup(domain != NULL ? domain : "");
	r->match = isp_find(s, resolver, domain, deadline);
	if (!domain_normalise(r->domain, strlen(r->domain), normal))
		return r;
	if (r->match.how == ISP_BY_SUFFIX) {
		r->suffix = matched_suffix(s, r->match.isp, normal);
	} else if (r->match.how != ISP_BY_DOMAIN && resolver != NULL && s->isp_mx) {
		r->hosts = g_ptr_array_new_with_free_func(g_free);
		r->answer =
			resolver->mx(resolver->context, normal, deadline, collect_host, r->hosts);
	}
	return r;
}

void
isp_reason_free(void *reason)
{
	struct isp_reason *r = reason;

	if (r == NULL)
		return;
	g_free(r->domain);
	g_free(r->suffix);
	if (r->hosts != NULL)
		g_ptr_array_free(r->hosts, TRUE);
	g_free(r);
}

static void
append_hosts(GString *words, const struct settings *s, const struct isp_reason *r)
{
	for (guint i = 0; i < r->hosts->len; i++) {
		const char *host = r->hosts->pdata[i];
		const struct isp *isp = isp_of_mx_host(s, host);

		g_string_append_printf(words, "%s%s (%s)", i == 0 ? " " : ", ", host,
				       isp != NULL ? isp->name : "no record");
	}
}

char *
isp_reason_words(const struct settings *s, const struct isp_reason *r)
{
	GString *words = g_string_new(isp_how_word(r->match.how));

	if (r->suffix != NULL)
		g_string_append_printf(words, " %s", r->suffix);
	if (r->match.how == ISP_BY_DOMAIN || r->match.how == ISP_BY_SUFFIX)
		return g_string_free(words, FALSE);
	if (r->match.failed)
		g_string_append(words, ": its MX hosts could not be learnt");
	else if (r->hosts == NULL)
		g_string_append(words, ": no record has the domain");
	else if (r->answer != MX_FOUND)
		g_string_append(words, ": no record has the domain, and it has no MX hosts");
	else
		g_string_append(words, ": MX hosts");
	if (r->hosts != NULL && r->answer == MX_FOUND && !r->match.failed)
		append_hosts(words, s, r);
	return g_string_free(words, FALSE);
}

static json_t *
hosts_json(const struct settings *s, const struct isp_reason *r)
{
	json_t *list;

	if (r->hosts == NULL || r->match.failed)
		return json_null();
	list = json_array();
	for (guint i = 0; i < r->hosts->len; i++) {
		const struct isp *isp = isp_of_mx_host(s, r->hosts->pdata[i]);

		json_array_append_new(list, json_pack("{soso}", "host",
						      report_text(r->hosts->pdata[i]), "isp",
						      report_text(isp != NULL ? isp->name : NULL)));
	}
	return list;
}

json_t *
isp_reason_json(const struct settings *s, const struct isp_reason *r)
{
	return json_pack("{sosssssososb}", "domain",
			 *r->domain != '\0' ? report_text(r->domain) : json_null(), "isp",
			 r->match.isp->name, "how", isp_how_word(r->match.how), "suffix",
			 report_text(r->suffix), "mx", hosts_json(s, r), "mx_failed",
			 r->match.failed);
}

const char *
isp_report_source(const struct isp *isp)
{
	if (isp->origin.file == NULL)
		return "built-in";
	return isp->shipped ? "shipped" : "custom";
}

char *
isp_report_place(const struct isp *isp)
{
	if (isp->origin.file == NULL)
		return g_strdup("-");
	return g_strdup_printf("%s:%u", isp->origin.file, isp->origin.line);
}

const char *
isp_report_encoding(int encoding)
{
	const struct setting *group = setting_find(&setting_table_isp, "encoding");
	const struct setting_choice *c = setting_find(group->members, "global")->choices;

	while (c->name != NULL && c->value != encoding)
		c++;
	return c->name;
}

char *
isp_report_encodings(const struct isp *isp)
{
	const int *of[] = {&isp->encoding.html, &isp->encoding.text, &isp->encoding.global};
	bool any = false;

	for (guint i = 0; i < G_N_ELEMENTS(of); i++)
		any = any || *of[i] != ENCODING_KEEP;
	if (!any)
		return g_strdup("-");
	return g_strdup_printf("html:%s,text:%s,other:%s", isp_report_encoding(isp->encoding.html),
			       isp_report_encoding(isp->encoding.text),
			       isp_report_encoding(isp->encoding.global));
}

json_t *
isp_report_encodings_json(const struct isp *isp)
{
	return json_pack("{ssssss}", "html", isp_report_encoding(isp->encoding.html), "text",
			 isp_report_encoding(isp->encoding.text), "other",
			 isp_report_encoding(isp->encoding.global));
}

static void
append_number(GString *words, const char *what, int64_t n)
{
	if (n > 0)
		g_string_append_printf(words, "%s%s: %" G_GINT64_FORMAT, words->len > 0 ? ", " : "",
				       what, (gint64)n);
}

char *
isp_report_numbers(const struct isp *isp)
{
	GString *words = g_string_new(NULL);

	append_number(words, "connections at a time", isp->connections);
	append_number(words, "messages in a connection", isp->messages_per_connection);
	append_number(words, "recipients of a message", isp->recipients_per_message);
	return g_string_free(words, words->len == 0);
}

static json_t *
number(int64_t n)
{
	return n > 0 ? json_integer(n) : json_null();
}

json_t *
isp_report_numbers_json(const struct isp *isp)
{
	return json_pack("{sososo}", "connections", number(isp->connections),
			 "messages_per_connection", number(isp->messages_per_connection),
			 "recipients_per_message", number(isp->recipients_per_message));
}
