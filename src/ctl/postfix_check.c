/*
 * postfix_check - poolctl postfix --check; see postfix_check.h.
 *
 * The rules stand in postfix_rules_*.c.  Where Postfix changes mail, by its source (3.7):
 * cleanup(8) does header_checks, canonical and masquerading, missing headers and
 * local_header_rewrite_clients as mail comes in, and shows poolmilter the outcome: they are not
 * faults.  After it come milter_header_checks, for headers that it adds; canonical and masquerading
 * once more, for the envelope sender that it sets; and in smtp(8) generic addresses,
 * smtp_header_checks and their kin, the conversion for servers without 8BITMIME, and the break of
 * long lines.
 */
#include "ctl/postfix_check.h"

#include "ctl/postfix_finding.h"
#include "ctl/report.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void
finding_free(void *finding)
{
	struct postfix_finding *x = finding;

	g_free(x->where);
	g_free(x->setting);
	g_free(x->value);
	g_free(x->problem);
	g_free(x);
}

/* True if it has been told already: main.cf is looked at for several programs. */
static bool
is_known(const struct postfix_findings *f, const struct postfix_finding *x)
{
	for (guint i = 0; i < f->list->len; i++) {
		const struct postfix_finding *other = f->list->pdata[i];

		if (strcmp(x->where, other->where) == 0 &&
		    strcmp(x->setting, other->setting) == 0 &&
		    strcmp(x->problem, other->problem) == 0)
			return true;
	}
	return false;
}

void
postfix_finding_add(struct postfix_findings *f, const struct postfix_service *s,
		    const char *setting, const char *mend, const char *format, ...)
{
	struct postfix_finding *x = g_new0(struct postfix_finding, 1);
	va_list ap;

	x->where = s != NULL ? g_strdup_printf("%s/%s", s->name, s->type) : g_strdup("main.cf");
	x->setting = g_strdup(setting);
	x->value = g_strdup(postfix_config_get(f->config, s, setting));
	x->mend = mend;
	va_start(ap, format);
	x->problem = g_strdup_vprintf(format, ap);
	va_end(ap);
	if (is_known(f, x))
		finding_free(x);
	else
		g_ptr_array_add(f->list, x);
}

void
postfix_finding_each(struct postfix_findings *f, const char *program, const char *setting,
		     postfix_rule *rule)
{
	const char *value = postfix_config_get(f->config, NULL, setting);

	rule(f, NULL, setting, value != NULL ? value : "");
	for (guint i = 0; i < f->config->services->len; i++) {
		const struct postfix_service *s = f->config->services->pdata[i];

		value = g_hash_table_lookup(s->overrides, setting);
		if (value != NULL && g_strcmp0(s->command, program) == 0)
			rule(f, s, setting, value);
	}
}

bool
postfix_finding_is_local(const struct postfix_service *s)
{
	return strcmp(s->type, "inet") == 0 &&
	       (g_str_has_prefix(s->name, "127.") || g_str_has_prefix(s->name, "localhost:") ||
		g_str_has_prefix(s->name, "[::1]:") || g_str_has_prefix(s->name, "::1:"));
}

bool
postfix_finding_filters(const struct postfix_findings *f)
{
	static const char *const names[] = {"content_filter", "smtpd_proxy_filter"};

	for (guint k = 0; k < G_N_ELEMENTS(names); k++) {
		const char *value = postfix_config_get(f->config, NULL, names[k]);

		for (guint i = 0; i < f->config->services->len && (value == NULL || *value == '\0');
		     i++) {
			const struct postfix_service *s = f->config->services->pdata[i];

			value = g_hash_table_lookup(s->overrides, names[k]);
		}
		if (value != NULL && *value != '\0')
			return true;
	}
	return false;
}

static void
print_text(const struct postfix_findings *f)
{
	for (guint i = 0; i < f->list->len; i++) {
		const struct postfix_finding *x = f->list->pdata[i];

		printf("%s: %s", x->where, x->setting);
		if (x->value != NULL)
			printf(" = %s", x->value);
		printf("\n\t%s\n\t-> %s\n", x->problem, x->mend);
	}
	if (f->list->len == 0)
		puts("nothing in these settings endangers mail");
}

static void
print_json(const struct postfix_findings *f)
{
	json_t *list = json_array();

	for (guint i = 0; i < f->list->len; i++) {
		const struct postfix_finding *x = f->list->pdata[i];

		json_array_append_new(
			list, json_pack("{sososososo}", "where", report_text(x->where), "setting",
					report_text(x->setting), "value", report_text(x->value),
					"problem", report_text(x->problem), "mend",
					report_text(x->mend)));
	}
	report_write(list, stdout);
}

int
postfix_check(const struct postfix_plan *p, const char *directory, bool json)
{
	char *why = NULL;
	struct postfix_config *config = postfix_config_read(directory, &why);
	struct postfix_findings f = {p, config, NULL};
	int status;

	if (config == NULL) {
		fprintf(stderr, "poolctl postfix: %s\n", why);
		g_free(why);
		return EX_UNAVAILABLE;
	}
	f.list = g_ptr_array_new_with_free_func(finding_free);
	postfix_rules_milter(&f);
	postfix_rules_mail(&f);
	postfix_rules_ways(&f);
	if (json)
		print_json(&f);
	else
		print_text(&f);
	status = f.list->len > 0 ? 1 : EX_OK;
	g_ptr_array_free(f.list, TRUE);
	postfix_config_free(config);
	return status;
}
