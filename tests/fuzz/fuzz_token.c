/*
 * fuzz_token - Return-Path tokens and the readable form: nothing forged is taken, what we make
 * comes back.
 *
 * Input: one octet chooses what is done, one the clock, then lines.  A second reader of tokens,
 * written from the layout in token.h, says which are genuine: nothing else may pass, and of each
 * token there is one form only.
 */
#include "fuzz.h"

#include "core/return_path.h"
#include "core/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define NOW ((time_t)1700000000)
#define DAY 86400
#define MAC_SIZE 10
#define LABEL "poolmilter return-path 1"

static const char config[] =
	"pools = ("
	"{ name = \"signed\"; sender_domain = \"example.com\"; spf_domain = \"b.example.com\";"
	"  dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; },"
	"{ name = \"readable\"; sender_domain = \"example.org\"; spf_domain = \"b.example.org\";"
	"  return_path = \"verp\"; dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; },"
	"{ name = \"plain\"; sender_domain = \"example.net\"; spf_domain = \"b.example.net\";"
	"  return_path = \"plain\"; dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; } );";

static struct settings *settings;

static const struct pool *
pool_at(guint i)
{
	return settings->pools->pdata[i];
}

static const char *
make(const struct pool *p, const char *rcpt, const char *queue_id, time_t now)
{
	static char local[LOCAL_PART_MAX + 1];

	require(token_encode(settings, p, rcpt, queue_id, now, local));
	require_of(strlen(local) <= LOCAL_PART_MAX && fuzz_dot_atom(local, strlen(local)), local);
	return local;
}

/* ---- the second reader */

/* Base32 bit by bit; false if there is another way to write the same octets, but for case. */
static bool
read_base32(const char *text, GByteArray *octets)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	size_t bits = strlen(text) * 5;

	if (bits % 8 >= 5)
		return false;
	g_byte_array_set_size(octets, (guint)(bits / 8));
	memset(octets->data, 0, octets->len);
	for (size_t i = 0; i < bits; i++) {
		const char *at = strchr(alphabet, g_ascii_tolower(text[i / 5]));
		bool bit = at != NULL && ((at - alphabet) >> (4 - i % 5) & 1) != 0;

		if (at == NULL || (bit && i / 8 >= octets->len))
			return false;
		if (bit)
			octets->data[i / 8] |= (guint8)(0x80 >> i % 8);
	}
	return true;
}

/* True if the HMAC at the end is that of what stands before it and of the domain. */
static bool
hmac_fits(const GByteArray *octets, const char *domain)
{
	char *lower = g_ascii_strdown(domain, -1);
	GByteArray *input = g_byte_array_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	guint payload = octets->len - MAC_SIZE;
	bool fits;

	g_byte_array_append(input, (const guint8 *)LABEL, sizeof LABEL);
	g_byte_array_append(input, octets->data, payload);
	g_byte_array_append(input, (const guint8 *)lower, (guint)strlen(lower));
	require(HMAC(EVP_sha256(), FUZZ_SECRET, (int)strlen(FUZZ_SECRET), input->data, input->len,
		     digest, NULL) != NULL);
	fits = memcmp(digest, octets->data + payload, MAC_SIZE) == 0;
	g_byte_array_free(input, TRUE);
	g_free(lower);
	return fits;
}

static bool
genuine(const char *local, const char *domain)
{
	GByteArray *octets = g_byte_array_new();
	bool ok = g_ascii_strncasecmp(local, "b+", 2) == 0 && read_base32(local + 2, octets) &&
		  octets->len > MAC_SIZE && hmac_fits(octets, domain);

	g_byte_array_free(octets, TRUE);
	return ok;
}

static enum token_result
decode(const char *local, const char *domain, const char *rcpt, time_t now, struct token *t)
{
	enum token_result r = token_decode(settings, local, domain, rcpt, now, t);

	if (r != TOKEN_MALFORMED && r != TOKEN_FORGED)
		require_of(genuine(local, domain), local);
	require(token_word(r) != NULL);
	return r;
}

/* The same verdict as the milter's check at RCPT, which may do no more than tell. */
static void
check_bounce(const char *local, const char *domain, time_t now)
{
	char *rcpt = g_strdup_printf("%s@%s", local, domain);
	const char *why = NULL;
	enum bounce_check c = return_path_check(settings, rcpt, now, &why);

	require_of(c != BOUNCE_REFUSE || why != NULL, rcpt);
	g_free(rcpt);
}

/* Whatever comes to one of our domains. */
static void
any_local_part(struct input *in, time_t now)
{
	const struct pool *p = pool_at(input_octet(in) % settings->pools->len);
	char *local = input_line(in), *rcpt = input_line(in), *readable;
	struct token t;

	decode(local, p->spf_domain, *rcpt != '\0' ? rcpt : NULL, now, &t);
	check_bounce(local, p->spf_domain, now);
	readable = verp_decode("b", local);
	g_free(readable);
	g_free(rcpt);
	g_free(local);
}

static void
check_queue_id(const struct token *t, const char *queue_id)
{
	if (!t->queue_id_hashed)
		require_of(strcmp(t->queue_id, queue_id) == 0, queue_id);
	else
		require_of(strlen(t->queue_id) == 12 && strlen(queue_id) > 12, queue_id);
}

/* Made, then read: at its domain and another, in its case and another, for its recipient and
 * another. */
static void
made_and_read(struct input *in, time_t now)
{
	bool single = input_choice(in, 2) == 0;
	char *rcpt = input_line(in), *queue_id = input_line(in), *upper;
	const struct pool *p = pool_at(0);
	const char *local = make(p, single ? rcpt : NULL, queue_id, NOW);
	struct token t;
	enum token_result r = decode(local, "b.example.com", NULL, now, &t);

	require_of(r == TOKEN_OK || now != NOW, local);
	require_of(r != TOKEN_MALFORMED && r != TOKEN_FORGED, local);
	require(t.pool_tag == p->tag && t.day == NOW / DAY && t.has_rcpt == single);
	check_queue_id(&t, queue_id);
	require(decode(local, "b.example.org", NULL, NOW, &t) == TOKEN_FORGED);
	require((decode(local, "b.example.com", rcpt, NOW, &t) == TOKEN_OK) == single);
	upper = g_ascii_strup(local, -1);
	require_of(decode(upper, "B.EXAMPLE.COM", NULL, NOW, &t) == TOKEN_OK, upper);
	g_free(upper);
	upper = g_strconcat(rcpt, "x", NULL);
	require(decode(local, "b.example.com", upper, NOW, &t) == TOKEN_FORGED);
	g_free(upper);
	g_free(queue_id);
	g_free(rcpt);
}

/* A token with changes: (place, octet) pairs. decode() tells whether it passes. */
static void
changed(struct input *in, time_t now)
{
	char local[LOCAL_PART_MAX + 1];
	struct token t;

	g_strlcpy(local, make(pool_at(0), "user@example.org", "4Q2F3h1Kz0", NOW), sizeof local);
	while (in->len >= 2) {
		size_t at = input_octet(in) % strlen(local);
		unsigned c = input_octet(in);

		local[at] = c != 0 ? (char)c : local[at];
	}
	decode(local, "b.example.com", NULL, now, &t);
	check_bounce(local, "b.example.com", now);
}

static void
readable_form(struct input *in)
{
	char *rcpt = input_line(in), *back, local[LOCAL_PART_MAX + 1];

	if (verp_encode("b", rcpt, local)) {
		require_of(strlen(local) <= LOCAL_PART_MAX && fuzz_dot_atom(local, strlen(local)),
			   local);
		back = verp_decode("b", local);
		require_of(back != NULL && strcmp(back, rcpt) == 0, rcpt);
		check_bounce(local, "b.example.org", NOW);
		g_free(back);
	}
	require(return_path_make(settings, pool_at(1), rcpt, "ID", NOW, local));
	require_of(strlen(local) <= LOCAL_PART_MAX && fuzz_dot_atom(local, strlen(local)), local);
	g_free(rcpt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const time_t clocks[] = {NOW, NOW + 30 * DAY, NOW - 30 * DAY, NOW + DAY};
	struct input in = {data, size};
	unsigned what = input_choice(&in, 4);
	time_t now = clocks[input_choice(&in, G_N_ELEMENTS(clocks))];

	if (settings == NULL)
		settings = fuzz_settings(config);
	if (what == 0)
		any_local_part(&in, now);
	else if (what == 1)
		made_and_read(&in, now);
	else if (what == 2)
		changed(&in, now);
	else
		readable_form(&in);
	return 0;
}
