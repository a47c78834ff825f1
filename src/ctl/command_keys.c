/*
 * command_keys - poolctl keys: how keys stand (status), and the change to the next one (switch).
 *
 * switch looks for the record in the DNS, writes keys.state and tells the daemon to reload, in this
 * order: whatever ends it in between, the daemon signs with a key whose record was seen.
 */
#include "core/rotation.h"
#include "ctl/command.h"
#include "ctl/daemon_pid.h"
#include "ctl/keys_report.h"
#include "ctl/zone_source.h"
#include "io/conf_file.h"
#include "io/key_look.h"
#include "io/key_state.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define LOCK_MS 10000 /* for another switch */

enum {
	EX_REFUSED = 1, /* the DNS says no */
};

struct options {
	const char *config;
	bool json, no_dns, force, back, help;
};

static int
parse_options(struct options *o, const char *action, int argc, char **argv)
{
	static const struct option status_longs[] = {{"config", required_argument, NULL, 'c'},
						     {"json", no_argument, NULL, 'j'},
						     {"no-dns", no_argument, NULL, 'n'},
						     {"help", no_argument, NULL, 'h'},
						     {NULL, 0, NULL, 0}};
	static const struct option switch_longs[] = {{"config", required_argument, NULL, 'c'},
						     {"force", no_argument, NULL, 'f'},
						     {"back", no_argument, NULL, 'b'},
						     {"help", no_argument, NULL, 'h'},
						     {NULL, 0, NULL, 0}};
	const struct option *longs = strcmp(action, "status") == 0 ? status_longs : switch_longs;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (c == '?')
			return command_usage_error("keys", "%s: unknown option", action);
		o->config = c == 'c' ? optarg : o->config;
		o->json |= c == 'j';
		o->no_dns |= c == 'n';
		o->force |= c == 'f';
		o->back |= c == 'b';
		o->help |= c == 'h';
	}
	return EX_OK;
}

static int64_t
now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

/* ---- status ---- */

static int
status(const struct options *o, struct settings *s, char *const *names, int count)
{
	GPtrArray *pools = zone_source_pools(s, "keys status", names, count), *entries;
	struct keys_report *report;
	char *why = NULL;
	int result;

	if (pools == NULL)
		return EX_UNAVAILABLE;
	entries = key_state_read(s->state_dir, &why); /* what is wrong with it was told already */
	report = keys_report_new(s, pools, entries, !o->no_dns, now_seconds());
	if (o->json)
		keys_report_json(report, stdout);
	else
		keys_report_text(report, stdout);
	result = keys_report_status(report);
	keys_report_free(report);
	g_ptr_array_unref(entries);
	g_ptr_array_unref(pools);
	g_free(why);
	return result;
}

/* ---- switch ---- */

/* Says why a switch ends here; takes why. */
static int
refuse(const struct pool *p, int exit_status, char *why)
{
	fprintf(stderr, "poolctl keys switch: %s: %s\n", p->name, why);
	g_free(why);
	return exit_status;
}

/* Looks for the record of the key that is to sign; EX_OK, or says why not. */
static int
check_dns(const struct options *o, const struct settings *s, const struct pool *p,
	  const struct signature *sig, bool *seen)
{
	struct key_look look = {.signature = sig};
	GPtrArray *looks = g_ptr_array_new();
	char *why;

	g_ptr_array_add(looks, &look);
	key_look_all(s, looks);
	g_ptr_array_unref(looks);
	*seen = look.state == KEY_DNS_PUBLISHED;
	if (*seen && look.why == NULL)
		return EX_OK;
	why = g_strdup_printf("%s._domainkey.%s is %s: %s", sig->selector, sig->domain,
			      key_dns_word(look.state),
			      look.why != NULL ? look.why : "no TXT record");
	g_free(look.why);
	if (*seen || (o->force && (!s->require_dns || o->back))) {
		fprintf(stderr, "warning: %s\n", why);
		g_free(why);
		return EX_OK;
	}
	if (o->force)
		fputs("poolctl keys switch: require_dns is set, so --force cannot help\n", stderr);
	return refuse(p, look.state == KEY_DNS_UNKNOWN ? EX_TEMPFAIL : EX_REFUSED, why);
}

/* Writes the mark down; EX_OK, or says why not. */
static int
write_mark(const struct settings *s, const struct pool *p, enum rotation_mark mark, bool seen,
	   int64_t now)
{
	char *why = NULL;
	struct key_state *ks = key_state_open(s->state_dir, LOCK_MS, &why);
	int error = errno;
	bool ok;

	if (ks == NULL && error == EWOULDBLOCK)
		return refuse(p, EX_TEMPFAIL, why);
	if (ks == NULL)
		return refuse(p, error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT, why);
	if (ks->damage != NULL)
		fprintf(stderr,
			"warning: %s: written anew, other pools have to be switched again\n",
			ks->damage);
	ok = key_state_mark(ks, p, mark, seen, now, &why) && key_state_write(ks, &why);
	key_state_close(ks);
	return ok ? EX_OK : refuse(p, EX_CANTCREAT, why);
}

/* Makes the daemon take it: EX_OK also where none runs. */
static int
tell_daemon(const struct settings *s, const struct pool *p)
{
	char *why = NULL;
	enum daemon_told told = daemon_pid_reload(s, &why);

	if (told == DAEMON_TOLD)
		return EX_OK;
	if (told == DAEMON_ABSENT) {
		printf("%s: it will when it starts\n", why);
		g_free(why);
		return EX_OK;
	}
	fprintf(stderr,
		"poolctl keys switch: %s: it is written down, but the daemon does not know: %s\n",
		p->name, why);
	g_free(why);
	return told == DAEMON_DENIED ? EX_NOPERM : EX_UNAVAILABLE;
}

static void
print_switched(const struct pool *p, const char *before, const char *verb, int64_t since)
{
	const struct signature *next = p->rotation->next;
	char *day = keys_report_day(rotation_removal(since) + 86400 - 1);

	printf("%s %s with %s.\n", p->name, verb, next->selector);
	printf("The record %s._domainkey.%s may be removed from the DNS from %s on:\n"
	       "mail that it signed is under way until then.  Before, make %s dkim_selector and\n"
	       "%s dkim_key, and remove dkim_next.\n",
	       before, next->domain, day, next->selector, next->key_file);
	g_free(day);
}

static int
switch_forth(const struct options *o, const struct settings *s, const struct pool *p)
{
	const struct signature *own = p->signatures->pdata[0];
	const struct rotation *r = p->rotation;
	int64_t now = now_seconds();
	bool seen = false;
	int result;

	if (rotation_state(r, now) == ROTATION_SIGNS) {
		print_switched(p, own->selector, "signs already", rotation_since(r));
		return tell_daemon(s, p);
	}
	if ((result = check_dns(o, s, p, r->next, &seen)) != EX_OK ||
	    (result = write_mark(s, p, ROTATION_SWITCHED, seen, now)) != EX_OK)
		return result;
	print_switched(p, own->selector, "signs from now on", now);
	return tell_daemon(s, p);
}

static int
switch_back(const struct options *o, const struct settings *s, const struct pool *p)
{
	const struct signature *own = p->signatures->pdata[0];
	int64_t now = now_seconds();
	bool seen = false, signed_till_now = rotation_state(p->rotation, now) == ROTATION_SIGNS;
	int result;

	if ((result = check_dns(o, s, p, own, &seen)) != EX_OK ||
	    (result = write_mark(s, p, ROTATION_BACK, false, now)) != EX_OK)
		return result;
	printf("%s signs with %s, and not with %s before the next poolctl keys switch %s.\n",
	       p->name, own->selector, p->rotation->next->selector, p->name);
	if (signed_till_now)
		printf("Leave the record of %s in the DNS for %d days: its mail is under way.\n",
		       p->rotation->next->selector, ROTATION_KEEP_DAYS);
	return tell_daemon(s, p);
}

static int
switch_pool(const struct options *o, const struct settings *s, const char *name)
{
	const struct pool *p = g_hash_table_lookup(s->pool_by_name, name);

	if (p == NULL) {
		fprintf(stderr, "poolctl keys switch: no pool \"%s\"\n", name);
		return EX_UNAVAILABLE;
	}
	if (p->rotation == NULL)
		return refuse(p, EX_UNAVAILABLE,
			      g_strdup("has no dkim_next, the key to switch to"));
	return o->back ? switch_back(o, s, p) : switch_forth(o, s, p);
}

/* ---- the command ---- */

static int
run(const char *action, int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	bool switches = strcmp(action, "switch") == 0;
	struct settings *s;
	int result = parse_options(&o, action, argc, argv);

	if (result != EX_OK)
		return result;
	if (o.help)
		return command_help("keys");
	if (switches && argc - optind != 1)
		return command_usage_error("keys", "switch: expected the name of one pool");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	result = switches ? switch_pool(&o, s, argv[optind])
			  : status(&o, s, argv + optind, argc - optind);
	settings_unref(s);
	return result;
}

int
command_keys(int argc, char **argv)
{
	if (argc < 2)
		return command_usage_error("keys", "expected status or switch");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return command_help("keys");
	if (strcmp(argv[1], "status") != 0 && strcmp(argv[1], "switch") != 0)
		return command_usage_error("keys", "\"%s\" is neither status nor switch", argv[1]);
	return run(argv[1], argc - 1, argv + 1);
}
