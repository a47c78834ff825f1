/*
 * poolctl - the tool beside the daemon: one word chooses the command.
 */
#include "core/author.h"
#include "ctl/command.h"
#include "io/conf_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct command {
	const char *name;
	command_fn *run;
	const char *summary;
	const char *help;
};

#define CONFIG_HELP "  -c, --config FILE   configuration (default: " POOLMILTER_CONFIG ")\n"

static const struct command commands[] = {
	{"check", command_check, "check a configuration",
	 "Usage: poolctl check [-c FILE] [--keys]\n"
	 "\n"
	 "Checks the configuration and tells everything that is wrong with it, with file and line.\n"
	 "\n" CONFIG_HELP
	 "      --keys          parse every private key, however many there are\n"
	 "\n"
	 "Exit status: 0 good, 78 wrong.\n"},
	{"process", command_process, "treat a message as the daemon would",
	 "Usage: poolctl process [-c FILE] -f SENDER -r RCPT... [options] <in.eml >out.eml\n"
	 "\n"
	 "Runs the daemon's own pipeline on the message from standard input.  The message as the MTA\n"
	 "would hold it goes to standard output, with the line ends that it came with; the new envelope\n"
	 "and the decisions go to standard error.\n"
	 "\n" CONFIG_HELP
	 "  -f, --from SENDER   envelope sender; <> is the null reverse-path\n"
	 "  -r, --rcpt RCPT     envelope recipient; once for each\n"
	 "  -u, --user LOGIN    as this authenticated client\n"
	 "      --client IP     as a client with this address (default: local submission)\n"
	 "      --queue-id ID   queue ID of the message\n"
	 "      --time EPOCH    seconds since 1970 instead of now, for tokens and signatures\n"
	 "      --explain       tell each decision\n"
	 "      --json          envelope and decisions as JSON\n"
	 "\n"
	 "Exit status: 0 accepted or passed, 75 deferred, 77 rejected, 78 configuration, 64 usage.\n"},
	{"explain", command_explain, "tell what becomes of mail, without a message",
	 "Usage: poolctl explain [-c FILE] -f SENDER -r RCPT... [options]\n"
	 "\n"
	 "Tells what the daemon would do to mail whose From: is SENDER: the pool and why, the ISP record of\n"
	 "each recipient and why, encodings, header edits, Return-Path, signatures and what they cover.\n"
	 "\n" CONFIG_HELP
	 "  -f, --from SENDER   address in From: and envelope sender\n"
	 "  -r, --rcpt RCPT     envelope recipient; once for each\n"
	 "  -u, --user LOGIN    as this authenticated client\n"
	 "      --client IP     as a client with this address (default: local submission)\n"
	 "      --json          as JSON\n"
	 "\n"
	 "Exit status: 0 accepted or passed, 75 deferred, 77 rejected, 78 configuration, 64 usage.\n"},
	{"isps", command_isps, "list the ISP records, or tell which one a domain has",
	 "Usage: poolctl isps [-c FILE] [--json] [NAME]\n"
	 "       poolctl isps [-c FILE] [--json] --domain DOMAIN... | --rcpt RCPT...\n"
	 "\n"
	 "Lists the ISP records in force and where each comes from; with NAME all of one record; with\n"
	 "domains or recipients, which record each has and why.\n"
	 "\n" CONFIG_HELP
	 "  -d, --domain DOMAIN a recipient's domain; once for each\n"
	 "  -r, --rcpt RCPT     the same, taken from an address\n"
	 "      --json          as JSON\n"
	 "\n"
	 "Exit status: 0 done, 69 no such record, 78 configuration, 64 usage.\n"},
	{"limits", command_limits, "tell how much of each sending limit is used, or reset one",
	 "Usage: poolctl limits [-c FILE] [--pool POOL] [--isp ISP] [--all] [--json | --csv]\n"
	 "       poolctl limits reset [-c FILE] KEY\n"
	 "\n"
	 "Lists the sending limits in use, the full ones first: how much of each is used, when there is\n"
	 "room again, and the pools whose mail was over it in this and the last hour.  Asks Redis where the\n"
	 "configuration has it, else the daemon on this node.\n"
	 "reset forgets what is counted under a key, in all windows, for all nodes that count together.\n"
	 "\n" CONFIG_HELP
	 "  -p, --pool POOL     limits of this pool only\n"
	 "  -i, --isp ISP       limits to the ISP of this record only\n"
	 "  -a, --all           those of the configuration that are not in use, too\n"
	 "      --json          as JSON\n"
	 "      --csv           as CSV\n"
	 "\n"
	 "Exit status: 0 done, 1 nothing is counted under the key, 69 the counters cannot be read, or no such\n"
	 "pool or record, 78 configuration, 64 usage.\n"},
	{"locks", command_locks, "tell which pools may not send to an ISP now, set or release a lock",
	 "Usage: poolctl locks [-c FILE] [--json]\n"
	 "       poolctl locks set [-c FILE] POOL ISP --for TIME [--why TEXT]\n"
	 "       poolctl locks set [-c FILE] POOL ISP --rate RATE [--for TIME] [--step TIME --steps N]\n"
	 "                         [--why TEXT]\n"
	 "       poolctl locks release [-c FILE] POOL ISP | --all\n"
	 "\n"
	 "Lists the locks in force: pools whose mail to an ISP is paused, or slowed to a rate, since when, for\n"
	 "how long, and why.  Rules of ISP records set them, see locks in poolmilter.conf(5).  Asks Redis\n"
	 "where the configuration has it, else the daemon on this node.\n"
	 "set pauses or slows by hand, whatever lock is there; release ends a lock.\n"
	 "\n" CONFIG_HELP
	 "      --for TIME      how long it lasts: 30s, 15m, 2h, 1d\n"
	 "      --rate RATE     slow to this, such as 1/second; without: nothing is sent\n"
	 "      --step TIME     after each such time the rate is twice as high\n"
	 "      --steps N       so many steps, if --for does not tell how long it lasts\n"
	 "      --why TEXT      is listed with it\n"
	 "  -a, --all           release all\n"
	 "      --json          as JSON\n"
	 "\n"
	 "Exit status: 0 done, 1 there is no such lock, 69 the locks cannot be reached, or no such pool or\n"
	 "record, 78 configuration, 64 usage.\n"},
	{"events", command_events, "tell what became of the mail, and manage what waits to be told",
	 "Usage: poolctl events [-c FILE] [--pool POOL] [--type TYPE] [--since TIME] [--follow] [--json]\n"
	 "       poolctl events queue [-c FILE] [--json]\n"
	 "       poolctl events dead [-c FILE] [--json] [DESTINATION]\n"
	 "       poolctl events retry [-c FILE] [--dead] [DESTINATION]\n"
	 "       poolctl events drop [-c FILE] [--dead] DESTINATION | --all\n"
	 "\n"
	 "Shows events that poolevents keeps, see events.keep in poolmilter.conf(5).\n"
	 "queue lists the destinations: how many events wait for each, since when, how it does.  dead lists\n"
	 "events that a destination did not take in time or refused.  retry has a destination, or all, tried\n"
	 "again now; with --dead its dead events wait again.  drop forgets what waits, or what is dead.\n"
	 "\n" CONFIG_HELP
	 "  -p, --pool POOL     of this pool only\n"
	 "  -t, --type TYPE     of this type only: accepted, delivered, deferred, bounced, expired, held,\n"
	 "                      complaint, or several of them with commas\n"
	 "  -s, --since TIME    minutes, hours or days back, as 30m, 24h (default) or 7d, or a date, as\n"
	 "                      2026-11-01 or 2026-11-01T12:00:00\n"
	 "  -f, --follow        go on with those that come; without --since with those alone\n"
	 "      --json          as JSON, events as one object in a line\n"
	 "      --dead          what is dead\n"
	 "      --all           all destinations\n"
	 "\n"
	 "Exit status: 0 done, 69 the events cannot be read or written, or no such destination,\n"
	 "78 configuration, 64 usage.\n"},
	{"classify", command_classify, "tell the category of a server's reply",
	 "Usage: poolctl classify [-c FILE] [--isp ISP | --domain DOMAIN] [--json] [REPLY...]\n"
	 "\n"
	 "Tells of what category a reply is, and what says so: a pattern of bounces or shipped_bounces, the\n"
	 "enhanced status code, or the reply code.  Without REPLY each line of standard input is one.\n"
	 "\n" CONFIG_HELP
	 "  -i, --isp ISP       with the patterns for this ISP record\n"
	 "  -d, --domain DOMAIN with those for the record of this recipient's domain, without a look at its\n"
	 "                      MX hosts\n"
	 "      --json          as JSON\n"
	 "\n"
	 "Exit status: 0 done, 69 no such record, 78 configuration, 64 usage.\n"},
	{"genkey", command_genkey, "make a DKIM key and its DNS record",
	 "Usage: poolctl genkey --domain DOMAIN --selector SELECTOR --out FILE [options]\n"
	 "\n"
	 "Writes a new private key (PEM, mode 0600) and prints the TXT record for the DNS.\n"
	 "\n"
	 "  -d, --domain DOMAIN      signing domain (d=)\n"
	 "  -s, --selector SELECTOR  selector (s=)\n"
	 "  -o, --out FILE           the key's file, which must not exist; - writes the key to standard\n"
	 "                           output and the record to standard error\n"
	 "  -t, --type TYPE          rsa (default) or ed25519\n"
	 "  -b, --bits BITS          of an RSA key: 2048 (default) or 4096\n"},
	{"dns", command_dns, "print the DNS records that pools want, or check them",
	 "Usage: poolctl dns print [-c FILE] [--format bind | table | json] [--zone DOMAIN] [--legacy]\n"
	 "                         [POOL...]\n"
	 "       poolctl dns check [-c FILE] [--resolver ADDRESS[@PORT]] [--quiet] [--json] [POOL...]\n"
	 "\n"
	 "print tells the records of the pools, all without names: as a fragment of a zone file, to be\n"
	 "included or copied, as a table, or as JSON.  What the settings do not tell, and what no record\n"
	 "can mend, goes to standard error.\n"
	 "check looks them up, and tells what is wrong and how to mend it; see poolctl(1) for each finding.\n"
	 "\n" CONFIG_HELP
	 "      --format FORMAT bind (default), table or json\n"
	 "      --json          as JSON\n"
	 "      --zone DOMAIN   only records at this name and below\n"
	 "      --legacy        obsolete records too, that some guides ask for\n"
	 "      --resolver ADDRESS[@PORT]  ask this DNS server instead of the configured one\n"
	 "  -q, --quiet         of what is checked, only what is to be mended\n"
	 "\n"
	 "Exit status of print: 0 done, 69 no such pool, or a key cannot be read, 78 configuration, 64 usage.\n"
	 "Of check: 0 nothing, or notes only, 1 warnings, 2 errors, 75 none, but the DNS could not tell of all.\n"},
	{"keys", command_keys, "tell how DKIM keys stand, and change to the next one",
	 "Usage: poolctl keys status [-c FILE] [--no-dns] [--json] [POOL...]\n"
	 "       poolctl keys switch [-c FILE] [--force] POOL\n"
	 "       poolctl keys switch [-c FILE] --back [--force] POOL\n"
	 "\n"
	 "status lists the keys of the pools, all without names: type, age, which sign, which wait and for\n"
	 "what, whether their records are in the DNS, and from when on old ones may be removed.\n"
	 "switch makes a pool sign with its dkim_next, if its record is in the DNS, and has the daemon reload;\n"
	 "with --back it signs with dkim_key again.\n"
	 "\n" CONFIG_HELP
	 "      --no-dns        do not ask the DNS\n"
	 "      --json          as JSON\n"
	 "      --force         whatever the DNS says; not to dkim_next with require_dns\n"
	 "      --back          undo: sign with dkim_key\n"
	 "\n"
	 "Exit status: 0 done, 1 a record is missing or wrong, 75 the DNS could not tell or another switch is\n"
	 "under way, 69 no such pool, no dkim_next or the daemon cannot be told, 73 keys.state cannot be\n"
	 "written, 77 without the rights to, 78 configuration, 64 usage.\n"},
	{"bounce", command_bounce, "read a bounce, for pipe(8) of Postfix",
	 "Usage: poolctl bounce [-c FILE] --recipient ADDRESS [--sender ADDRESS] [--dry-run] [--json] <message\n"
	 "\n"
	 "Reads a mail that came to a Return-Path, and hands over as events what it says became of the\n"
	 "message: bounces and delays by RFC 3464 or as text, complaints by RFC 5965.  A Return-Path that is\n"
	 "forged or has expired, answers of automata and other mail make no events.\n"
	 "\n" CONFIG_HELP
	 "  -r, --recipient ADDRESS  the Return-Path that it came to\n"
	 "  -s, --sender ADDRESS     its envelope sender; empty: the null reverse-path\n"
	 "  -n, --dry-run       print the events as JSON lines and keep nothing\n"
	 "      --json          print the events as JSON lines\n"
	 "      --time EPOCH    seconds since 1970 instead of now\n"
	 "\n"
	 "Exit status, for pipe(8): 0 done, 67 no Return-Path of ours, 75 everything else: try again later.\n"},
	{"verp", command_verp, "make or read a Return-Path",
	 "Usage: poolctl verp encode [-c FILE] --pool POOL [--rcpt RCPT] [--queue-id ID] [--time EPOCH]\n"
	 "       poolctl verp decode [-c FILE] [--rcpt RCPT] [--time EPOCH] [--json] ADDRESS\n"
	 "\n"
	 "encode prints the Return-Path that a message of the pool would get; decode verifies one and\n"
	 "tells what stands in it.\n"
	 "\n" CONFIG_HELP
	 "  -p, --pool POOL     the pool's name\n"
	 "  -r, --rcpt RCPT     the message's only recipient; decode: it must be for this one\n"
	 "      --queue-id ID   queue ID of the message\n"
	 "      --time EPOCH    seconds since 1970 instead of now\n"
	 "      --json          as JSON\n"
	 "\n"
	 "Exit status of decode: 0 valid, 77 refused (malformed, forged, expired, future).\n"},
	{"postfix", command_postfix, "generate what the MTA needs, or check its settings",
	 "Usage: poolctl postfix [-c FILE] [--output DIR] [--bounces ADDRESS] [--any-address]\n"
	 "       poolctl postfix [-c FILE] --check [--config-dir DIR] [--json]\n"
	 "       poolctl postfix [-c FILE] --sendmail\n"
	 "\n"
	 "Prints what Postfix needs for this configuration, or writes it to DIR, with a script that applies\n"
	 "it: milter settings, a transport for each pool with its address and HELO name, relays, numbers of\n"
	 "ISP records.  --check names what endangers mail or signatures in a Postfix' settings.\n"
	 "\n" CONFIG_HELP
	 "  -o, --output DIR    write files to DIR, passwords too (mode 0600), instead of printing\n"
	 "      --bounces ADDRESS  deliver bounces, or what comes besides them, to this address\n"
	 "      --any-address   use all source_ips, also those that this host does not have\n"
	 "      --check         check the Postfix of this host\n"
	 "      --config-dir DIR   where its main.cf is (default: as postconf has it)\n"
	 "      --json          as JSON\n"
	 "      --sendmail      print what Sendmail needs\n"
	 "\n"
	 "Exit status: 0 done, nothing found; 1 something found; 66 a password cannot be read, 69 Postfix\n"
	 "cannot be asked, 73 a file cannot be written, 78 configuration, 64 usage.\n"},
	{"reload", command_reload, "make the daemons read their configuration again",
	 "Usage: poolctl reload [-c FILE]\n"
	 "\n"
	 "Checks the configuration and, if it is good, sends SIGHUP to the daemon that its pid_file\n"
	 "names.  No message is lost or delayed; messages in progress keep the old settings.\n"
	 "\n" CONFIG_HELP
	 "\n"
	 "Exit status: 0 the daemon was told, 69 it does not run, 78 the configuration is wrong.\n"},
	{"stats", command_stats, "tell what was done with mail, by pool, ISP and time",
	 "Usage: poolctl stats [-c FILE] [--pool POOL] [--isp ISP] [--since TIME] [--by WHAT]\n"
	 "                     [--json | --csv | --plot FILE.svg]\n"
	 "\n"
	 "Tells how many messages were accepted, deferred, held, rejected and so on.  Hours are counted\n"
	 "as a whole, in UTC.\n"
	 "\n" CONFIG_HELP
	 "  -p, --pool POOL     of this pool only; - is mail of no pool\n"
	 "  -i, --isp ISP       to recipients of this ISP record only\n"
	 "  -s, --since TIME    hours or days back, as 24h (default) or 7d, or a date, as 2026-11-01\n"
	 "  -b, --by WHAT       a line for each pool (default), isp, hour or day, or several of them\n"
	 "                      with commas, as pool,day\n"
	 "      --json          as JSON\n"
	 "      --csv           as CSV\n"
	 "      --plot FILE     draw messages over time with gnuplot, SVG\n"
	 "\n"
	 "Exit status: 0 done, 69 the numbers cannot be read or gnuplot is not installed,\n"
	 "73 FILE cannot be written, 78 configuration, 64 usage.\n"},
	{"settings", command_settings, "list all keys of the configuration",
	 "Usage: poolctl settings [--man]\n"
	 "\n"
	 "Prints all keys: path, type, default, range and meaning, with tabs between.\n"
	 "\n"
	 "      --man           as source of a man page instead\n"},
};

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
usage(FILE *out)
{
	fputs("Usage: poolctl COMMAND [options]\n\n", out);
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\n\"poolctl help COMMAND\" tells more; see also poolctl(1).\n", out);
}

int
command_help(const char *command)
{
	const struct command *c = find(command);

	if (c == NULL)
		return command_usage_error(NULL, "no command \"%s\"", command);
	fputs(c->help, stdout);
	return EX_OK;
}

int
command_usage_error(const char *command, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "poolctl%s%s: ", command != NULL ? " " : "", command != NULL ? command : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nTry \"poolctl help%s%s\".\n", command != NULL ? " " : "",
		command != NULL ? command : "");
	return EX_USAGE;
}

struct settings *
command_load(const char *config, int flags)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(config, flags, errors);

	for (guint i = 0; i < errors->errors->len; i++)
		fprintf(stderr, "%s\n", (char *)g_ptr_array_index(errors->errors, i));
	for (guint i = 0; i < errors->warnings->len; i++)
		fprintf(stderr, "warning: %s\n", (char *)g_ptr_array_index(errors->warnings, i));
	errors_free(errors);
	return s;
}

bool
command_time(const char *text, time_t *t)
{
	guint64 seconds;

	if (!g_ascii_string_to_unsigned(text, 10, 0, 253402300799, &seconds, NULL))
		return false;
	*t = (time_t)seconds;
	return true;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *c;

	if (name == NULL) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("poolctl " PACKAGE_VERSION);
		return EX_OK;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		if (argc > 2)
			return command_help(argv[2]);
		usage(stdout);
		return EX_OK;
	}
	c = find(name);
	if (c == NULL)
		return command_usage_error(NULL, "no command \"%s\"", name);
	author_init();
	return c->run(argc - 1, argv + 1);
}
