/*
 * command_isps - poolctl isps: the ISP records in force, one of them, or which one a domain has.
 */
#include "core/message.h"
#include "core/setting_table.h"
#include "ctl/command.h"
#include "ctl/isp_report.h"
#include "ctl/report.h"
#include "io/conf_file.h"
#include "io/mx_resolver.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct options {
	const char *config;
	const char *name;   /* of one record; NULL: all */
	GPtrArray *domains; /* of char *: which record each has */
	bool json;
	bool help;
};

typedef const struct isp *taken_fn(const struct settings *s, const char *rule);

/* Calls f for custom records, then for shipped ones. */
static void
each_record(const struct settings *s, void (*f)(const struct isp *isp, void *context),
	    void *context)
{
	const GPtrArray *const lists[] = {s->isps, s->shipped_isps};

	for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++)
			f(lists[i]->pdata[k], context);
}

/* ---- text ---- */

static char *
header_words(const struct header_rules *r)
{
	const struct {
		const char *word;
		guint n;
	} counts[] = {{"delete", r->delete_headers->len},
		      {"set", r->set_headers->len},
		      {"add", r->add_headers->len}};
	GString *words = g_string_new(NULL);

	for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
		if (counts[i].n > 0)
			g_string_append_printf(words, "%s%s:%u", words->len > 0 ? "," : "",
					       counts[i].word, counts[i].n);
	if (words->len == 0)
		g_string_append_c(words, '-');
	return g_string_free(words, FALSE);
}

struct widths {
	int name, encoding, headers;
};

static void
widen(int *width, char *text)
{
	*width = MAX(*width, (int)strlen(text));
	g_free(text);
}

static void
measure(const struct isp *isp, void *context)
{
	struct widths *w = context;

	if (isp->replaced)
		return;
	widen(&w->name, g_strdup(isp->name));
	widen(&w->encoding, isp_report_encodings(isp));
	widen(&w->headers, header_words(&isp->headers));
}

static void
print_row(const struct isp *isp, void *context)
{
	const struct widths *w = context;
	char *encodings, *headers, *place;

	if (isp->replaced)
		return;
	encodings = isp_report_encodings(isp);
	headers = header_words(&isp->headers);
	place = isp_report_place(isp);
	printf("%-*s  %-8s  %7u  %3u  %-*s  %-*s  %s\n", w->name, isp->name, isp_report_source(isp),
	       isp->domains->len, isp->mx->len, w->encoding, encodings, w->headers, headers, place);
	g_free(encodings);
	g_free(headers);
	g_free(place);
}

static void
print_taken(const struct settings *s, const struct isp *isp, const GPtrArray *rules,
	    taken_fn *taken)
{
	for (guint i = 0; i < rules->len; i++) {
		const struct isp *by = taken(s, rules->pdata[i]);
		char *place, *by_place;

		if (by == NULL)
			continue;
		place = isp_report_place(isp);
		by_place = isp_report_place(by);
		printf("%s (%s): %s is taken by %s (%s)\n", isp->name, place,
		       (char *)rules->pdata[i], by->name, by_place);
		g_free(place);
		g_free(by_place);
	}
}

/* What a custom record has done to a shipped one. */
static void
print_loss(const struct isp *isp, void *context)
{
	const struct settings *s = context;

	if (isp->replaced) {
		const struct isp *by = isp_named(s, isp->name);
		char *place = isp_report_place(isp), *by_place = isp_report_place(by);

		printf("%s (%s): is replaced by %s (%s)\n", isp->name, place, by->name, by_place);
		g_free(place);
		g_free(by_place);
	} else if (isp->domains_taken > 0) {
		print_taken(s, isp, isp->domains, isp_domain_taken);
		print_taken(s, isp, isp->mx, isp_mx_taken);
	}
}

static void
note_loss(const struct isp *isp, void *context)
{
	bool *any = context;

	*any = *any || isp->replaced || isp->domains_taken > 0;
}

static void
print_all(const struct settings *s)
{
	struct widths w = {4, 8, 7};
	bool loss = false;

	each_record(s, measure, &w);
	printf("%-*s  %-8s  %s  %3s  %-*s  %-*s  %s\n", w.name, "NAME", "SOURCE", "DOMAINS", "MX",
	       w.encoding, "ENCODING", w.headers, "HEADERS", "PLACE");
	each_record(s, print_row, &w);
	each_record(s, note_loss, &loss);
	if (loss)
		putchar('\n');
	each_record(s, print_loss, (void *)s);
}

static void
print_line(const char **key, const char *text)
{
	printf("%-9s %s\n", *key, text);
	*key = "";
}

static void
print_rules(const struct settings *s, const struct isp *isp, const char *key,
	    const GPtrArray *rules, taken_fn *taken)
{
	for (guint i = 0; i < rules->len; i++) {
		const struct isp *by = isp->shipped ? taken(s, rules->pdata[i]) : NULL;
		char *place = by != NULL ? isp_report_place(by) : NULL;
		char *line = by != NULL ? g_strdup_printf("%s (taken by %s, %s)",
							  (char *)rules->pdata[i], by->name, place)
					: g_strdup(rules->pdata[i]);

		print_line(&key, line);
		g_free(line);
		g_free(place);
	}
}

static void
print_values(const char **key, const char *what, const GPtrArray *values)
{
	for (guint i = 0; i < values->len; i++) {
		const struct header_value *h = values->pdata[i];
		char *line = g_strdup_printf("%s %s: %s", what, h->name, template_text(h->value));

		print_line(key, line);
		g_free(line);
	}
}

static void
print_headers(const struct header_rules *r)
{
	const char *key = "headers";

	for (guint i = 0; i < r->delete_headers->len; i++) {
		char *line = g_strdup_printf("delete %s", (char *)r->delete_headers->pdata[i]);

		print_line(&key, line);
		g_free(line);
	}
	print_values(&key, "set", r->set_headers);
	print_values(&key, "add", r->add_headers);
}

static void
print_limits(const struct isp *isp)
{
	const char *key = "limits";
	char *of_each = report_join(isp->limits.texts), *of_all = report_join(isp->total_limits.texts);
	char *line;

	if (isp->limits.texts->len > 0) {
		line = g_strdup_printf("%s (of each pool)", of_each);
		print_line(&key, line);
		g_free(line);
	}
	if (isp->total_limits.texts->len > 0) {
		line = g_strdup_printf("%s (of all pools together)", of_all);
		print_line(&key, line);
		g_free(line);
	}
	g_free(of_each);
	g_free(of_all);
}

static void
print_one(const struct settings *s, const struct isp *isp)
{
	char *place = isp_report_place(isp), *encodings = isp_report_encodings(isp);
	char *numbers = isp_report_numbers(isp);

	printf("%-9s %s\n%-9s %s\n%-9s %s\n", "name", isp->name, "source", isp_report_source(isp),
	       "place", place);
	for (guint i = 0; i < s->shipped_isps->len; i++) {
		const struct isp *other = s->shipped_isps->pdata[i];
		char *there = isp_report_place(other);

		if (other->replaced && g_ascii_strcasecmp(other->name, isp->name) == 0)
			printf("%-9s %s\n", "replaces", there);
		g_free(there);
	}
	print_rules(s, isp, "domains", isp->domains, isp_domain_taken);
	print_rules(s, isp, "mx", isp->mx, isp_mx_taken);
	printf("%-9s %s\n", "encoding", encodings);
	print_headers(&isp->headers);
	print_limits(isp);
	if (numbers != NULL)
		printf("%-9s %s (the MTA's to keep)\n", "numbers", numbers);
	g_free(numbers);
	g_free(encodings);
	g_free(place);
}

/* ---- JSON ---- */

static json_t *
values_json(const GPtrArray *values)
{
	json_t *list = json_array();

	for (guint i = 0; i < values->len; i++) {
		const struct header_value *h = values->pdata[i];

		json_array_append_new(list, json_pack("{ssss}", "name", h->name, "value",
						      template_text(h->value)));
	}
	return list;
}

static void
add_taken(json_t *list, const struct settings *s, const GPtrArray *rules, taken_fn *taken)
{
	for (guint i = 0; i < rules->len; i++) {
		const struct isp *by = taken(s, rules->pdata[i]);

		if (by != NULL)
			json_array_append_new(
				list, json_pack("{ssss}", "rule", rules->pdata[i], "by", by->name));
	}
}

static json_t *
record_json(const struct settings *s, const struct isp *isp)
{
	json_t *taken = json_array(), *j = json_object();

	if (isp->shipped && !isp->replaced && isp->domains_taken > 0) {
		add_taken(taken, s, isp->domains, isp_domain_taken);
		add_taken(taken, s, isp->mx, isp_mx_taken);
	}
	json_object_set_new(j, "name", json_string(isp->name));
	json_object_set_new(j, "source", json_string(isp_report_source(isp)));
	json_object_set_new(j, "file", report_text(isp->origin.file));
	json_object_set_new(j, "line", json_integer(isp->origin.line));
	json_object_set_new(j, "replaced", json_boolean(isp->replaced));
	json_object_set_new(j, "domains", report_texts(isp->domains));
	json_object_set_new(j, "mx", report_texts(isp->mx));
	json_object_set_new(j, "taken", taken);
	json_object_set_new(j, "encoding", isp_report_encodings_json(isp));
	json_object_set_new(j, "delete_headers", report_texts(isp->headers.delete_headers));
	json_object_set_new(j, "set_headers", values_json(isp->headers.set_headers));
	json_object_set_new(j, "add_headers", values_json(isp->headers.add_headers));
	json_object_set_new(j, "limits", report_texts(isp->limits.texts));
	json_object_set_new(j, "total_limits", report_texts(isp->total_limits.texts));
	json_object_set_new(j, "numbers", isp_report_numbers_json(isp));
	return j;
}

struct json_context {
	const struct settings *settings;
	json_t *list;
};

static void
append_record(const struct isp *isp, void *context)
{
	struct json_context *c = context;

	json_array_append_new(c->list, record_json(c->settings, isp));
}

static void
print_all_json(const struct settings *s)
{
	struct json_context c = {s, json_array()};

	each_record(s, append_record, &c);
	report_write(c.list, stdout);
}

/* ---- which record a domain has ---- */

static void
print_reason(const struct settings *s, const struct isp_reason *r)
{
	char *words = isp_reason_words(s, r), *place = isp_report_place(r->match.isp);

	printf("%s: %s (%s); %s %s\n", *r->domain != '\0' ? r->domain : "-", r->match.isp->name,
	       words, isp_report_source(r->match.isp), place);
	g_free(words);
	g_free(place);
}

static int
show_domains(const struct options *o, const struct settings *s)
{
	char *why = NULL;
	struct mx_resolver *mx = NULL;
	const struct resolver *resolver = NULL;
	gint64 deadline = g_get_monotonic_time() + s->dns.timeout_ms * 1000;
	json_t *list = json_array();

	if (s->isp_mx && (mx = mx_resolver_new(s->resolver, (guint)s->dns.cache_entries, &why)))
		resolver = mx_resolver_facade(mx);
	if (why != NULL)
		fprintf(stderr, "poolctl isps: no MX hosts: %s\n", why);
	for (guint i = 0; i < o->domains->len; i++)
		isp_prefetch(s, resolver, o->domains->pdata[i]);
	for (guint i = 0; i < o->domains->len; i++) {
		struct isp_reason *r = isp_reason_new(s, resolver, o->domains->pdata[i], deadline);

		if (o->json)
			json_array_append_new(list, isp_reason_json(s, r));
		else
			print_reason(s, r);
		isp_reason_free(r);
	}
	if (o->json)
		report_write(list, stdout);
	else
		json_decref(list);
	mx_resolver_free(mx);
	g_free(why);
	return why == NULL ? EX_OK : EX_SOFTWARE;
}

/* ---- the command ---- */

/* As setting_suggest(), among the names of records. */
static void
add_name(const struct isp *isp, void *context)
{
	struct setting row = {.name = isp->name};

	g_array_append_val((GArray *)context, row);
}

static int
unknown_record(const struct settings *s, const char *name)
{
	GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct setting));
	struct setting_table names = {0};
	const char *near;

	each_record(s, add_name, rows);
	names.settings = (const struct setting *)(void *)rows->data;
	names.count = rows->len;
	near = setting_suggest(&names, name);
	fprintf(stderr, "poolctl isps: no record \"%s\"", name);
	if (near != NULL)
		fprintf(stderr, ": did you mean \"%s\"?", near);
	fputc('\n', stderr);
	g_array_free(rows, TRUE);
	return EX_UNAVAILABLE;
}

static int
show(const struct options *o, const struct settings *s)
{
	const struct isp *isp;

	if (o->domains->len > 0)
		return show_domains(o, s);
	if (o->name == NULL) {
		if (o->json)
			print_all_json(s);
		else
			print_all(s);
		return EX_OK;
	}
	isp = isp_named(s, o->name);
	if (isp == NULL)
		return unknown_record(s, o->name);
	if (o->json)
		report_write(record_json(s, isp), stdout);
	else
		print_one(s, isp);
	return EX_OK;
}

static void
add_rcpt(struct options *o, const char *rcpt)
{
	char *address = address_of_path(rcpt);
	const char *domain = address_domain(address);

	g_ptr_array_add(o->domains, g_strdup(domain != NULL ? domain : ""));
	g_free(address);
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"domain", required_argument, NULL, 'd'},
		{"rcpt", required_argument, NULL, 'r'},   {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:d:r:h", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'd')
			g_ptr_array_add(o->domains, g_strdup(optarg));
		else if (c == 'r')
			add_rcpt(o, optarg);
		else if (c == 'j')
			o->json = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("isps", "unknown option");
	}
	if (optind < argc)
		o->name = argv[optind++];
	if (optind < argc)
		return command_usage_error("isps", "unexpected argument \"%s\"", argv[optind]);
	if (o->name != NULL && o->domains->len > 0)
		return command_usage_error("isps", "a record's name, or domains: not both");
	return EX_OK;
}

int
command_isps(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	struct settings *s;
	int status;

	o.domains = g_ptr_array_new_with_free_func(g_free);
	status = parse_options(&o, argc, argv);
	if (status == EX_OK && o.help) {
		status = command_help("isps");
	} else if (status == EX_OK) {
		s = command_load(o.config, CONF_FILE_NO_SECRET);
		status = s != NULL ? show(&o, s) : EX_CONFIG;
		settings_unref(s);
	}
	g_ptr_array_free(o.domains, TRUE);
	return status;
}
