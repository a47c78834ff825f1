/*
 * postfix_rules_mail - what reaches poolmilter, and what changes mail after it; see
 * postfix_finding.h, and postfix_check.c for where Postfix changes mail.
 */
#include "ctl/postfix_finding.h"

#include "core/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOLS_MAX 1000  /* whose addresses are looked up in tables */
#define LINE_OCTETS 998 /* of a line without its end, RFC 5322 2.1.1 */

/* ---- on its way in ---- */

static void
rule_bare_newline(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		  const char *value)
{
	if (*value == '\0')
		postfix_finding_add(f, s, setting, "take a Postfix of 2024 or later",
				    "this Postfix cannot refuse lines that end in LF alone: mail "
				    "can be smuggled in");
	else if (strcmp(value, "no") == 0 || strcmp(value, "note") == 0)
		postfix_finding_add(f, s, setting, "smtpd_forbid_bare_newline = yes",
				    "lines that end in LF alone are taken: mail can be smuggled "
				    "in, and signed");
}

static void
rule_size(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	  const char *value)
{
	gint64 limit = g_ascii_strtoll(value, NULL, 10), ours = f->plan->settings->max_message_size;

	if (limit == 0 || limit > ours)
		postfix_finding_add(f, s, setting,
				    "lower it, or raise max_message_size in poolmilter.conf",
				    "mail above max_message_size (%" G_GINT64_FORMAT
				    ") is refused only after it has been sent",
				    (gint64)ours);
}

static void
rule_proxy(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	   const char *value)
{
	if (*value != '\0' &&
	    postfix_finding_is_asked(f, postfix_config_get(f->config, s, "smtpd_milters")))
		postfix_finding_add(
			f, s, setting,
			"name poolmilter in the service that takes mail back from the proxy",
			"the content goes to the proxy and poolmilter does not get it here");
}

/* ---- filters behind the queue ---- */

static bool
is_return(const struct postfix_service *s)
{
	const char *filter = g_hash_table_lookup(s->overrides, "content_filter");

	return g_strcmp0(s->command, "smtpd") == 0 && postfix_finding_is_local(s) &&
	       filter != NULL && *filter == '\0';
}

static bool
has_returns(const struct postfix_findings *f)
{
	for (guint i = 0; i < f->config->services->len; i++)
		if (is_return(f->config->services->pdata[i]))
			return true;
	return false;
}

static bool
any_set(const struct postfix_findings *f, const struct postfix_service *s, const char *const *names)
{
	for (; *names != NULL; names++) {
		const char *value = postfix_config_get(f->config, s, *names);

		if (value != NULL && *value != '\0')
			return true;
	}
	return false;
}

/* Mail that a filter gives back has been signed already, or is a stranger's and comes from
 * 127.0.0.1. */
static void
check_return(struct postfix_findings *f, const struct postfix_service *s)
{
	static const char setting[] = "receive_override_options";
	static const char *const checks[] = {"header_checks", "mime_header_checks",
					     "nested_header_checks", "body_checks", NULL};
	static const char *const addresses[] = {"canonical_maps", "sender_canonical_maps",
						"recipient_canonical_maps", "masquerade_domains",
						NULL};
	const char *options = postfix_config_get(f->config, s, setting);

	if (!postfix_config_has(options, "no_milters") &&
	    postfix_finding_is_asked(f, postfix_config_get(f->config, s, "smtpd_milters")))
		postfix_finding_add(f, s, setting, "-o receive_override_options=no_milters",
				    "what a filter gives back comes from a trusted address: mail "
				    "is treated twice, and forged mail "
				    "from outside signed");
	if (!postfix_config_has(options, "no_header_body_checks") && any_set(f, s, checks))
		postfix_finding_add(f, s, setting, "add no_header_body_checks",
				    "header_checks and their kin run once more, on signed mail");
	if (!postfix_config_has(options, "no_address_mappings") && any_set(f, s, addresses))
		postfix_finding_add(
			f, s, setting, "add no_address_mappings",
			"canonical addresses and masquerading run once more, on signed mail");
}

static void
rule_filter(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	    const char *value)
{
	if (s == NULL && *value != '\0' && !has_returns(f))
		postfix_finding_add(
			f, s, setting,
			"a service on 127.0.0.1 with -o content_filter= that takes mail back",
			"what the filter gives back goes to the filter again: a loop");
}

static void
check_returns(struct postfix_findings *f)
{
	if (!postfix_finding_filters(f))
		return;
	for (guint i = 0; i < f->config->services->len; i++)
		if (is_return(f->config->services->pdata[i]))
			check_return(f, f->config->services->pdata[i]);
}

/* ---- the envelope sender that poolmilter sets ---- */

/* As cleanup_masquerade_external() does it: the first that matches decides. */
static const char *
masqueraded(const GPtrArray *domains, const char *domain)
{
	for (guint i = 0; i < domains->len; i++) {
		const char *item = domains->pdata[i], *parent = item + strspn(item, "!");
		bool exempt = (parent - item) % 2 == 1;
		char normal[DOMAIN_SIZE];

		if (!domain_normalise(parent, strlen(parent), normal) ||
		    !domain_at_or_below(domain, normal))
			continue;
		return exempt || strcmp(domain, normal) == 0 ? NULL : item;
	}
	return NULL;
}

static void
rule_masquerade(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		const char *value)
{
	const GPtrArray *pools = f->plan->settings->pools;
	GPtrArray *domains;
	const char *by = NULL;

	if (!postfix_config_has(postfix_config_get(f->config, s, "masquerade_classes"),
				"envelope_sender"))
		return;
	domains = postfix_config_list(value);
	for (guint i = 0; i < pools->len && by == NULL; i++) {
		const struct pool *p = pools->pdata[i];

		if (p->return_path != RETURN_PATH_KEEP &&
		    (by = masqueraded(domains, p->spf_domain)) != NULL)
			postfix_finding_add(
				f, s, setting,
				"put !SPF_DOMAIN in front, or masquerade_classes without "
				"envelope_sender",
				"the Return-Path at %s becomes one at %s: bounces get lost",
				p->spf_domain, by);
	}
	g_ptr_array_free(domains, TRUE);
}

/* Addresses as poolmilter writes them, in the forms that tables are asked for. */
static GPtrArray *
sample_addresses(const struct postfix_findings *f)
{
	const struct settings *s = f->plan->settings;
	GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < s->pools->len && i < POOLS_MAX; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (p->return_path == RETURN_PATH_KEEP)
			continue;
		g_ptr_array_add(keys, g_strdup_printf("@%s", p->spf_domain));
		g_ptr_array_add(keys,
				g_strdup_printf("%s@%s", s->return_path.local_part, p->spf_domain));
		g_ptr_array_add(keys, g_strdup_printf("%s+aaaaaaaaaaaaaaaaaaaaaaaa@%s",
						      s->return_path.local_part, p->spf_domain));
	}
	return keys;
}

static void
check_canonical(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		const char *value, const char *classes)
{
	GPtrArray *tables, *keys;

	if (!postfix_config_has(postfix_config_get(f->config, s, classes), "envelope_sender"))
		return;
	tables = postfix_config_list(value);
	keys = sample_addresses(f);
	for (guint i = 0; i < tables->len; i++) {
		GHashTable *found = postfix_config_query(f->config, tables->pdata[i], keys);
		GHashTableIter at;
		gpointer key, to;

		g_hash_table_iter_init(&at, found);
		if (g_hash_table_iter_next(&at, &key, &to))
			postfix_finding_add(f, s, setting,
					    "leave the pools' spf_domains out of it, or the class "
					    "envelope_sender",
					    "%s turns the Return-Path %s into %s: bounces get lost",
					    (char *)tables->pdata[i], (char *)key, (char *)to);
		g_hash_table_destroy(found);
	}
	g_ptr_array_free(keys, TRUE);
	g_ptr_array_free(tables, TRUE);
}

static void
rule_canonical(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	       const char *value)
{
	check_canonical(f, s, setting, value, "canonical_classes");
}

static void
rule_sender_canonical(struct postfix_findings *f, const struct postfix_service *s,
		      const char *setting, const char *value)
{
	check_canonical(f, s, setting, value, "sender_canonical_classes");
}

/* ---- on its way out ---- */

static void
rule_generic(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	     const char *value)
{
	if (*value != '\0')
		postfix_finding_add(f, s, setting,
				    "empty; write such addresses before, with canonical_maps",
				    "addresses in headers and envelope are changed after signing");
}

/* The first line of a table's file that changes or takes away a header or line; g_free it, NULL:
 * none. */
static char *
changing_line(const char *text)
{
	static const char *const actions[] = {"REPLACE", "IGNORE", "STRIP"};
	char **lines = g_strsplit(text, "\n", -1), *found = NULL;

	for (guint i = 0; lines[i] != NULL && found == NULL; i++) {
		char **words = g_strsplit_set(lines[i], " \t", -1);

		for (guint k = 1; lines[i][0] != '#' && words[0] != NULL && words[k] != NULL; k++)
			for (guint a = 0; a < G_N_ELEMENTS(actions); a++)
				if (g_ascii_strcasecmp(words[k], actions[a]) == 0 && found == NULL)
					found = g_strdup(lines[i]);
		g_strfreev(words);
	}
	g_strfreev(lines);
	return found;
}

static void
check_table(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	    const char *table)
{
	const char *path = strchr(table, ':');
	char *text = NULL, *line;

	if (path == NULL || path[1] != '/' || !g_file_get_contents(path + 1, &text, NULL, NULL)) {
		postfix_finding_add(
			f, s, setting, "leave it empty, or see that nothing in it changes mail",
			"%s cannot be read here; it may change mail after signing", table);
		return;
	}
	line = changing_line(text);
	if (line != NULL)
		postfix_finding_add(f, s, setting,
				    "use header_checks instead, which come before the signature",
				    "changes mail after signing: %s", line);
	g_free(line);
	g_free(text);
}

static void
rule_checks(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	    const char *value)
{
	GPtrArray *tables = postfix_config_list(value);

	for (guint i = 0; i < tables->len; i++)
		check_table(f, s, setting, tables->pdata[i]);
	g_ptr_array_free(tables, TRUE);
}

static void
rule_line(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	  const char *value)
{
	int limit = atoi(value);

	if (limit > 0 && limit < LINE_OCTETS)
		postfix_finding_add(f, s, setting, "smtp_line_length_limit = 998",
				    "longer lines are broken after signing");
}

/* True if text may leave in eight bits. */
static bool
sends_8bit(const struct settings *s)
{
	const GPtrArray *const lists[] = {s->isps, s->shipped_isps};

	if (!s->safe_encoding)
		return true;
	for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++) {
			const struct isp *isp = lists[i]->pdata[k];

			if (!isp->replaced && (isp->encoding.global == ENCODING_8BIT ||
					       isp->encoding.html == ENCODING_8BIT ||
					       isp->encoding.text == ENCODING_8BIT))
				return true;
		}
	return false;
}

static void
rule_conversion(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		const char *value)
{
	if (strcmp(value, "yes") != 0 && sends_8bit(f->plan->settings))
		postfix_finding_add(
			f, s, setting,
			"safe_encoding = true and no encoding \"8bit\" in poolmilter.conf, or "
			"disable_mime_output_conversion = yes",
			"for servers without 8BITMIME, text is encoded after signing");
}

/* ---- all of them ---- */

void
postfix_rules_mail(struct postfix_findings *f)
{
	static const struct {
		const char *program, *setting;
		postfix_rule *rule;
	} rules[] = {
		{"smtpd", "smtpd_forbid_bare_newline", rule_bare_newline},
		{"smtpd", "message_size_limit", rule_size},
		{"cleanup", "message_size_limit", rule_size},
		{"smtpd", "smtpd_proxy_filter", rule_proxy},
		{"smtpd", "content_filter", rule_filter},
		{"cleanup", "masquerade_domains", rule_masquerade},
		{"cleanup", "canonical_maps", rule_canonical},
		{"cleanup", "sender_canonical_maps", rule_sender_canonical},
		{"cleanup", "milter_header_checks", rule_checks},
		{"smtp", "smtp_generic_maps", rule_generic},
		{"smtp", "smtp_header_checks", rule_checks},
		{"smtp", "smtp_mime_header_checks", rule_checks},
		{"smtp", "smtp_nested_header_checks", rule_checks},
		{"smtp", "smtp_body_checks", rule_checks},
		{"smtp", "smtp_line_length_limit", rule_line},
		{"smtp", "disable_mime_output_conversion", rule_conversion},
	};

	for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
		postfix_finding_each(f, rules[i].program, rules[i].setting, rules[i].rule);
	check_returns(f);
}
