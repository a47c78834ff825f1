/*
 * token - the opaque part of a signed Return-Path; see token.h for its layout.
 */
#include "core/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_VERSION 0x10
#define FLAG_RCPT 0x01
#define FLAG_HASHED 0x02

#define MAC_SIZE 10
#define HASH_SIZE 6
#define RCPT_TAG_SIZE 4
#define HEAD_SIZE 7 /* version, day, pool tag */
#define TOKEN_MAX 40 /* octets: 64 characters of base32 */

#define SECONDS_PER_DAY 86400

struct octets {
	unsigned char data[TOKEN_MAX];
	size_t len;
};

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static size_t
base32_length(size_t octets)
{
	return (octets * 8 + 4) / 5;
}

static void
base32_encode(const struct octets *in, char *out)
{
	unsigned bits = 0, count = 0;

	for (size_t i = 0; i < in->len; i++) {
		bits = (bits << 8) | in->data[i];
		for (count += 8; count >= 5; count -= 5)
			*out++ = alphabet[(bits >> (count - 5)) & 31];
	}
	if (count > 0)
		*out++ = alphabet[(bits << (5 - count)) & 31];
	*out = '\0';
}

/* False for other characters, a wrong length, or bits set behind the end: one form for one token. */
static bool
base32_decode(const char *in, struct octets *out)
{
	unsigned bits = 0, count = 0;

	out->len = 0;
	for (; *in != '\0'; in++) {
		const char *at = strchr(alphabet, g_ascii_tolower(*in));

		if (at == NULL || out->len == sizeof out->data)
			return false;
		bits = (bits << 5) | (unsigned)(at - alphabet);
		count += 5;
		if (count >= 8) {
			count -= 8;
			out->data[out->len++] = (unsigned char)(bits >> count);
		}
	}
	return count < 5 && (bits & ((1u << count) - 1)) == 0;
}

static void
append(struct octets *o, const void *data, size_t len)
{
	g_assert(o->len + len <= sizeof o->data);
	if (len == 0)
		return;
	memcpy(o->data + o->len, data, len);
	o->len += len;
}

static void
hmac(const struct secret *secret, const char *label, const void *data, size_t len, const char *text,
     unsigned char out[32])
{
	GByteArray *input = g_byte_array_sized_new(128);
	char *lower = g_ascii_strdown(text, -1);
	unsigned int out_len = 32;

	g_byte_array_append(input, (const guint8 *)label, (guint)strlen(label) + 1);
	g_byte_array_append(input, data, (guint)len);
	g_byte_array_append(input, (const guint8 *)lower, (guint)strlen(lower));
	if (HMAC(EVP_sha256(), secret->octets, (int)secret->len, input->data, input->len, out,
		 &out_len) == NULL)
		g_error("HMAC-SHA256 failed"); /* only without memory or without SHA-256 */
	g_byte_array_free(input, TRUE);
	g_free(lower);
}

static void
mac(const struct secret *secret, const struct octets *payload, const char *domain,
    unsigned char out[32])
{
	hmac(secret, "poolmilter return-path 1", payload->data, payload->len, domain, out);
}

static void
rcpt_tag(const struct secret *secret, const char *rcpt, unsigned char out[32])
{
	hmac(secret, "poolmilter recipient 1", NULL, 0, rcpt, out);
}

static const struct secret *
secret_at(const struct settings *s, guint i)
{
	return &g_array_index(s->return_path.secrets, struct secret, i);
}

static void
append_head(struct octets *o, const struct pool *p, unsigned flags, time_t now)
{
	unsigned day = (unsigned)(now / SECONDS_PER_DAY);
	const unsigned char head[HEAD_SIZE] = {
		(unsigned char)(TOKEN_VERSION | flags),
		(unsigned char)(day >> 8),
		(unsigned char)day,
		(unsigned char)(p->tag >> 24),
		(unsigned char)(p->tag >> 16),
		(unsigned char)(p->tag >> 8),
		(unsigned char)p->tag,
	};

	append(o, head, sizeof head);
}

bool
token_encode(const struct settings *s, const struct pool *p, const char *rcpt,
	     const char *queue_id, time_t now, char out[LOCAL_PART_MAX + 1])
{
	const struct secret *secret;
	size_t room = LOCAL_PART_MAX - strlen(s->return_path.local_part) - 1;
	size_t id_len = queue_id != NULL ? strlen(queue_id) : 0;
	struct octets o = {.len = 0};
	unsigned char digest[32];
	unsigned flags = rcpt != NULL ? FLAG_RCPT : 0;
	size_t fixed = HEAD_SIZE + (rcpt != NULL ? RCPT_TAG_SIZE : 0) + MAC_SIZE;

	if (s->return_path.secrets->len == 0)
		return false;
	secret = secret_at(s, 0);
	if (base32_length(fixed + id_len) > room)
		flags |= FLAG_HASHED;
	append_head(&o, p, flags, now);
	if (rcpt != NULL) {
		rcpt_tag(secret, rcpt, digest);
		append(&o, digest, RCPT_TAG_SIZE);
	}
	if (flags & FLAG_HASHED) {
		SHA256((const unsigned char *)queue_id, id_len, digest);
		append(&o, digest, HASH_SIZE);
	} else {
		append(&o, queue_id, id_len);
	}
	mac(secret, &o, p->spf_domain, digest);
	append(&o, digest, MAC_SIZE);
	out += g_strlcpy(out, s->return_path.local_part, LOCAL_PART_MAX);
	*out++ = '+';
	base32_encode(&o, out);
	return true;
}

/* The secret that made the token, or NULL; always tries all of them. */
static const struct secret *
find_secret(const struct settings *s, const struct octets *payload, const unsigned char *given,
	    const char *domain)
{
	const struct secret *found = NULL;
	unsigned char digest[32];

	for (guint i = 0; i < s->return_path.secrets->len; i++) {
		mac(secret_at(s, i), payload, domain, digest);
		if (CRYPTO_memcmp(digest, given, MAC_SIZE) == 0)
			found = secret_at(s, i);
	}
	return found;
}

static void
read_queue_id(const unsigned char *data, size_t len, struct token *t)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		if (t->queue_id_hashed)
			at += (size_t)snprintf(t->queue_id + at, sizeof t->queue_id - at, "%02x", data[i]);
		else
			t->queue_id[at++] = (char)data[i];
	}
	t->queue_id[at] = '\0';
}

/* Takes the payload apart; false if it cannot be one of ours. */
static bool
read_payload(const struct octets *o, size_t len, struct token *t)
{
	const unsigned char *d = o->data;
	size_t at = HEAD_SIZE;

	if (len < HEAD_SIZE || (d[0] & 0xf0) != TOKEN_VERSION)
		return false;
	t->has_rcpt = (d[0] & FLAG_RCPT) != 0;
	t->queue_id_hashed = (d[0] & FLAG_HASHED) != 0;
	t->day = (unsigned)d[1] << 8 | d[2];
	t->pool_tag = (uint32_t)d[3] << 24 | (uint32_t)d[4] << 16 | (uint32_t)d[5] << 8 | d[6];
	if (t->has_rcpt) {
		if (len < at + RCPT_TAG_SIZE)
			return false;
		memcpy(t->rcpt_tag, d + at, RCPT_TAG_SIZE);
		at += RCPT_TAG_SIZE;
	}
	/* Nothing is verified yet: a hash of another length would not fit into queue_id. */
	if (t->queue_id_hashed && len - at != HASH_SIZE)
		return false;
	read_queue_id(d + at, len - at, t);
	return true;
}

/* Age of a token's day, -1 for tomorrow; makes the day whole. */
static int
token_age(struct token *t, time_t now)
{
	unsigned today = (unsigned)(now / SECONDS_PER_DAY);
	int age = (int)(uint16_t)(today - t->day);

	if (age > 0x7fff)
		age -= 0x10000;
	t->day = (unsigned)((int)today - age);
	return age;
}

const char *
token_text(const char *local_part, const char *local)
{
	size_t len = strlen(local_part);

	return g_ascii_strncasecmp(local, local_part, len) == 0 && local[len] == '+' ? local + len + 1
										      : NULL;
}

enum token_result
token_decode(const struct settings *s, const char *local, const char *domain, const char *rcpt,
	     time_t now, struct token *t)
{
	const char *text = token_text(s->return_path.local_part, local);
	const struct secret *secret;
	unsigned char digest[32];
	struct octets o, payload;
	int age;

	memset(t, 0, sizeof *t);
	if (text == NULL || !base32_decode(text, &o) || o.len < HEAD_SIZE + MAC_SIZE ||
	    !read_payload(&o, o.len - MAC_SIZE, t))
		return TOKEN_MALFORMED;
	payload = o;
	payload.len -= MAC_SIZE;
	secret = find_secret(s, &payload, o.data + payload.len, domain);
	if (secret == NULL)
		return TOKEN_FORGED;
	if (rcpt != NULL) {
		rcpt_tag(secret, rcpt, digest);
		if (!t->has_rcpt || CRYPTO_memcmp(digest, t->rcpt_tag, RCPT_TAG_SIZE) != 0)
			return TOKEN_FORGED;
	}
	age = token_age(t, now);
	if (age < -1) /* a day of grace for clocks and for the date line of midnight */
		return TOKEN_FUTURE;
	return age > s->return_path.expire_days ? TOKEN_EXPIRED : TOKEN_OK;
}

const char *
token_word(enum token_result r)
{
	static const char *const words[] = {"ok", "malformed", "forged", "expired", "future"};

	return words[r];
}
