/*
 * key_record - judges DKIM key records; see key_record.h.
 *
 * The first fault that makes the key unusable is told, and not what follows from it.
 */
#include "core/key_record.h"

#include "core/presence.h"
#include "core/tag_list.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#define SSH_BLOB \
	"AAAAB3NzaC1yc2" /* base64 of the length and the begin of "ssh-rsa", RFC 4253 6.6 */
#define BITS_MIN 1024    /* RFC 8301 3.2 */
#define BITS_ADVISED 2048
#define OCTETS_MAX 450 /* with name and header an answer has 512, RFC 1035 4.2.1 */
#define ED25519_SIZE 32

#define PUBLISH "publish the record that is wanted"

/* ---- the key in p= ---- */

/* The octets of a base64 text with blanks in it; NULL if it is none. g_free it. */
static unsigned char *
base64_octets(const char *text, size_t *len)
{
	char *packed = g_strdup(text), *to = packed;
	unsigned char *octets = NULL;
	int n = -1;

	for (const char *from = text; *from != '\0'; from++)
		if (*from != ' ')
			*to++ = *from;
	*to = '\0';
	if (to != packed && (to - packed) % 4 == 0) {
		octets = g_malloc((size_t)(to - packed));
		n = EVP_DecodeBlock(octets, (const unsigned char *)packed, (int)(to - packed));
	}
	if (n < 0)
		g_clear_pointer(&octets, g_free);
	else
		*len = (size_t)n - (to[-1] == '=') - (to - packed > 1 && to[-2] == '=');
	g_free(packed);
	return octets;
}

/* The key that octets stand for in a record of this type; NULL if none. *pkcs1: without the
 * algorithm. */
static EVP_PKEY *
parse_key(const unsigned char *octets, size_t len, bool rsa, bool *pkcs1)
{
	const unsigned char *at = octets;
	EVP_PKEY *key;

	*pkcs1 = false;
	if (!rsa)
		return len == ED25519_SIZE
			       ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, octets, len)
			       : NULL;
	key = d2i_PUBKEY(NULL, &at, (long)len);
	if (key == NULL) {
		at = octets;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)len);
		*pkcs1 = key != NULL;
	}
	if (key != NULL && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || at != octets + len))
		g_clear_pointer(&key, EVP_PKEY_free);
	return key;
}

static bool
is_rsa(const struct tag_list *l)
{
	const char *k = tag_list_get(l, "k");

	return k == NULL || strcmp(k, "rsa") == 0;
}

/* The key of a record; NULL if it has none that can be used. */
static EVP_PKEY *
key_of(const struct tag_list *l, bool *pkcs1)
{
	const char *p = tag_list_get(l, "p");
	size_t len;
	unsigned char *octets = p != NULL ? base64_octets(p, &len) : NULL;
	EVP_PKEY *key = octets != NULL ? parse_key(octets, len, is_rsa(l), pkcs1) : NULL;

	g_free(octets);
	ERR_clear_error(); /* what was no key is no error of ours */
	return key;
}

static void
judge_match(const struct tag_list *l, EVP_PKEY *key, const char *own, GPtrArray *findings)
{
	struct tag_list *wanted = tag_list_parse(own, strlen(own));
	bool pkcs1;
	EVP_PKEY *ours = key_of(wanted, &pkcs1);

	if (ours != NULL && EVP_PKEY_eq(key, ours) != 1)
		finding_mend(
			findings_add(findings, KEY_MISMATCH,
				     "the public key here does not belong to the private key that "
				     "signs"),
			"publish the record that is wanted, or sign with the key of this record");
	else if (is_rsa(l) && EVP_PKEY_get_bits(key) < BITS_ADVISED)
		finding_mend(findings_add(findings, KEY_WEAK,
					  "an RSA key of %d bits; 2048 are advised",
					  EVP_PKEY_get_bits(key)),
			     "make a new key with a new selector (poolctl genkey)");
	EVP_PKEY_free(ours);
	tag_list_free(wanted);
}

static void
judge_key(const struct tag_list *l, const char *own, GPtrArray *findings)
{
	const char *p = tag_list_get(l, "p");
	bool pkcs1;
	EVP_PKEY *key;

	if (strncmp(p, SSH_BLOB, strlen(SSH_BLOB)) == 0) {
		finding_mend(findings_add(findings, KEY_SSH,
					  "p= is a key in the form of SSH (RFC 4253), which no "
					  "verifier reads"),
			     PUBLISH "; p= is base64 of the DER form (openssl rsa -pubout)");
		return;
	}
	key = key_of(l, &pkcs1);
	if (key == NULL)
		finding_mend(findings_add(findings, KEY_GARBLED,
					  "p= is no public %s key: cut off, or changed on its way",
					  is_rsa(l) ? "RSA" : "Ed25519"),
			     PUBLISH ", in strings of at most 255 octets each");
	else if (pkcs1)
		finding_mend(
			findings_add(
				findings, KEY_PKCS1,
				"p= is in the form of PKCS #1, which many verifiers do not read"),
			PUBLISH "; p= is base64 of a SubjectPublicKeyInfo");
	else if (is_rsa(l) && EVP_PKEY_get_bits(key) < BITS_MIN)
		finding_mend(
			findings_add(findings, KEY_SHORT,
				     "an RSA key of %d bits, which verifiers refuse (RFC 8301 3.2)",
				     EVP_PKEY_get_bits(key)),
			"make a key of 2048 bits (poolctl genkey) and publish its record");
	else
		judge_match(l, key, own, findings);
	EVP_PKEY_free(key);
}

/* ---- the other tags ---- */

static void
judge_flags(const struct tag_list *l, bool subdomains, GPtrArray *findings)
{
	const char *t = tag_list_get(l, "t");

	if (t != NULL && tag_value_has(t, ':', "y"))
		finding_mend(
			findings_add(
				findings, KEY_TESTING,
				"t=y: the domain is testing, verifiers may ignore its signatures"),
			"take t=y away");
	if (t != NULL && subdomains && tag_value_has(t, ':', "s"))
		finding_mend(findings_add(findings, KEY_STRICT,
					  "t=s: not for subdomains, but match_subdomains signs "
					  "their mail, too"),
			     "take t=s away");
}

static void
judge_uses(const struct tag_list *l, GPtrArray *findings)
{
	const char *h = tag_list_get(l, "h"), *s = tag_list_get(l, "s");

	if (h != NULL && !tag_value_has(h, ':', "sha256"))
		finding_mend(findings_add(findings, KEY_HASH,
					  "h=%s excludes sha256, which signatures use", h),
			     "take h= away");
	if (s != NULL && !tag_value_has(s, ':', "email") && !tag_value_has(s, ':', "*"))
		finding_mend(findings_add(findings, KEY_SERVICE, "s=%s excludes email", s),
			     "take s= away");
}

/* True if p= can be looked at. */
static bool
judge_form(const struct tag_list *l, const char *own, GPtrArray *findings)
{
	struct tag_list *wanted = tag_list_parse(own, strlen(own));
	const char *v = tag_list_get(l, "v"), *p = tag_list_get(l, "p");
	guint before = findings->len;

	if (l->problem != NULL)
		finding_mend(findings_add(findings, KEY_BROKEN, "%s: \"%s\"", l->problem, l->piece),
			     PUBLISH "; tags are name=value with semicolons between");
	else if (v != NULL && !tag_list_begins(l, "DKIM1"))
		finding_mend(
			findings_add(findings, KEY_VERSION,
				     strchr(v, '\\') != NULL
					     ? "v=%s: the semicolons have backslashes before them"
					     : "v=%s: not v=DKIM1 as the first tag",
				     v),
			PUBLISH);
	else if (p == NULL)
		finding_mend(findings_add(findings, KEY_CUT,
					  "no p= tag: in a zone file, text without quotes ends at "
					  "its first \";\""),
			     PUBLISH ", with quotes");
	else if (*p == '\0')
		finding_mend(findings_add(findings, KEY_REVOKED, "p= is empty: the key is revoked"),
			     "publish the record that is wanted, or a new key with a new selector");
	else if (is_rsa(l) != is_rsa(wanted) ||
		 (!is_rsa(l) && strcmp(tag_list_get(l, "k"), "ed25519") != 0))
		finding_mend(
			findings_add(findings, KEY_TYPE, "k=%s, but the key that signs is %s",
				     tag_list_get(l, "k") != NULL ? tag_list_get(l, "k") : "rsa",
				     is_rsa(wanted) ? "rsa" : "ed25519"),
			PUBLISH);
	tag_list_free(wanted);
	return findings->len == before;
}

void
key_record_judge_text(const char *text, size_t len, const char *own, bool subdomains,
		      GPtrArray *findings)
{
	struct tag_list *l = tag_list_parse(text, len);

	if (judge_form(l, own, findings)) {
		judge_uses(l, findings);
		judge_key(l, own, findings);
		judge_flags(l, subdomains, findings);
	}
	if (len > OCTETS_MAX)
		finding_mend(
			findings_add(findings, RECORD_LONG,
				     "%zu octets: the answer does not fit a UDP packet of 512",
				     len),
			"see that your name servers answer by TCP, too, or use a key of 2048 bits");
	tag_list_free(l);
}

void
key_record_judge(const struct dns_answer *found, const char *own, bool subdomains,
		 GPtrArray *findings)
{
	const struct dns_record *r;

	if (!presence_judge(found, RECORD_NEEDED, findings))
		return;
	if (found->records->len > 1) {
		finding_mend(
			findings_add(
				findings, KEY_SEVERAL,
				"%u TXT records; verifiers take any of them (RFC 6376 3.6.2.2)",
				found->records->len),
			"leave only the record that is wanted");
	} else {
		r = found->records->pdata[0];
		key_record_judge_text(r->text, r->len, own, subdomains, findings);
	}
}
