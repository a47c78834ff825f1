/*
 * command_genkey - poolctl genkey: a DKIM key and its DNS record.
 */
#include "core/domain.h"
#include "ctl/command.h"
#include "io/keygen.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define STRING_MAX_OCTETS 255 /* of a character-string in a TXT record, RFC 1035 3.3 */

struct options {
	char domain[DOMAIN_SIZE];
	char selector[DOMAIN_SIZE];
	const char *out;
	enum key_type type;
	unsigned bits;
};

static int
bad(const char *option, const char *value, const char *problem)
{
	return command_usage_error("genkey", "%s: \"%s\" %s", option, value, problem);
}

static int
take_option(struct options *o, int c)
{
	switch (c) {
	case 'd':
		return domain_normalise(optarg, strlen(optarg), o->domain)
			       ? EX_OK
			       : bad("--domain", optarg, "is no domain name");
	case 's':
		return domain_normalise(optarg, strlen(optarg), o->selector)
			       ? EX_OK
			       : bad("--selector", optarg, "is no selector (letters, digits, hyphens, dots)");
	case 'o':
		o->out = optarg;
		return EX_OK;
	case 't':
		if (strcmp(optarg, "rsa") != 0 && strcmp(optarg, "ed25519") != 0)
			return bad("--type", optarg, "is neither rsa nor ed25519");
		o->type = strcmp(optarg, "rsa") == 0 ? KEY_RSA : KEY_ED25519;
		return EX_OK;
	case 'b':
		if (strcmp(optarg, "2048") != 0 && strcmp(optarg, "4096") != 0)
			return bad("--bits", optarg, "is neither 2048 nor 4096");
		o->bits = strcmp(optarg, "2048") == 0 ? 2048 : 4096;
		return EX_OK;
	case 'h':
		return EX_OK;
	default:
		return command_usage_error("genkey", "unknown option");
	}
}

/* The record as a line of a zone file, in strings of at most 255 octets. */
static void
print_record(const struct options *o, const char *record, FILE *out)
{
	size_t len = strlen(record);

	fprintf(out, "%s._domainkey.%s. IN TXT (", o->selector, o->domain);
	for (size_t at = 0; at < len; at += STRING_MAX_OCTETS)
		fprintf(out, "%s\"%.*s\"", at > 0 ? "\n\t" : " ", STRING_MAX_OCTETS, record + at);
	fputs(" )\n", out);
}

static int
make(const struct options *o)
{
	bool to_stdout = strcmp(o->out, "-") == 0;
	char *why = NULL, *pem = NULL, *record = NULL;
	void *pkey = keygen_new(o->type, o->bits, &why);
	int status = EX_OK;

	if (pkey != NULL && ((pem = keygen_pem(pkey)) == NULL ||
			     (record = keygen_record(pkey, o->type)) == NULL))
		why = g_strdup("OpenSSL cannot write the key");
	if (why == NULL && to_stdout)
		fputs(pem, stdout);
	else if (why == NULL)
		(void)keygen_write(o->out, pem, &why);
	if (why == NULL) {
		print_record(o, record, to_stdout ? stderr : stdout);
	} else {
		fprintf(stderr, "poolctl genkey: %s\n", why);
		status = EX_CANTCREAT;
	}
	if (pem != NULL)
		memset(pem, 0, strlen(pem));
	keygen_free(pkey);
	g_free(pem);
	g_free(record);
	g_free(why);
	return status;
}

int
command_genkey(int argc, char **argv)
{
	static const struct option longs[] = {
		{"domain", required_argument, NULL, 'd'}, {"selector", required_argument, NULL, 's'},
		{"out", required_argument, NULL, 'o'},	  {"type", required_argument, NULL, 't'},
		{"bits", required_argument, NULL, 'b'},	  {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.type = KEY_RSA, .bits = 2048};
	int c, status;

	while ((c = getopt_long(argc, argv, "d:s:o:t:b:h", longs, NULL)) != -1) {
		if (c == 'h')
			return command_help("genkey");
		if ((status = take_option(&o, c)) != EX_OK)
			return status;
	}
	if (optind < argc)
		return command_usage_error("genkey", "unexpected argument \"%s\"", argv[optind]);
	if (*o.domain == '\0' || *o.selector == '\0' || o.out == NULL)
		return command_usage_error("genkey", "--domain, --selector and --out are needed");
	return make(&o);
}
