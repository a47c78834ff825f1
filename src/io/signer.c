/*
 * signer - makes DKIM signatures with libopendkim; see signer.h.
 *
 * libopendkim keeps the oversigned names and x= in its library handle, not in the message's: there is
 * one handle for each combination that occurs (a few), made at first use and kept.  One message handle
 * per signature, whose memory comes from an arena: it is quicker, and libopendkim 2.11 forgets to free
 * what it allocates for an Ed25519 signature (dkim_free() cleans up for RSA only).
 *
 * Of a body libopendkim gets the hash only (body_handle.h), made once for all signatures of a
 * message.  A signature whose bh= is not that hash is thrown away and made again from the body
 * itself; so are all signatures if the trial at start did not find both ways equal.
 */
#include "io/signer.h"
#include "base/arena.h"
#include "core/codec.h"
#include "io/body_handle.h"
#include "io/key_handle.h"
#include "io/keygen.h"
#include "io/keystore.h"

#include <opendkim/dkim.h>
#include <pthread.h>
#include <string.h>

/* What libopendkim gets of a body. */
enum body_way {
	BODY_HASH,          /* its hash */
	BODY_WHOLE,         /* all of it */
	BODY_HASH_OR_WHOLE, /* all of it if the hash does not arrive */
};

struct opendkim_signer {
	struct signer signer; /* first: callers hold this */
	time_t fixed_time;
	bool keys_cached;
	enum body_way body_way;
	pthread_rwlock_t lock; /* of libs */
	GHashTable *libs;     /* combination -> DKIM_LIB * */
};

static void *
lib_malloc(void *closure, size_t size)
{
	return arena_alloc(closure, size);
}

static void
lib_free(void *closure, void *p)
{
	(void)closure, (void)p; /* all at once, with the arena */
}

static DKIM_LIB *
lib_new(const struct opendkim_signer *s, const struct sign_request *r)
{
	DKIM_LIB *lib = dkim_init(lib_malloc, lib_free);
	uint64_t fixed = (uint64_t)s->fixed_time, expire = (uint64_t)r->expire;
	const char **over = (const char **)(void *)r->oversigned;
	DKIM_STAT st;

	if (lib == NULL)
		return NULL;
	st = dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, over, sizeof over);
	if (st == DKIM_STAT_OK && fixed != 0)
		st = dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &fixed, sizeof fixed);
	if (st == DKIM_STAT_OK && expire != 0)
		st = dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &expire, sizeof expire);
	if (st != DKIM_STAT_OK)
		g_clear_pointer(&lib, dkim_close);
	return lib;
}

/* The library handle for these oversigned names and this expiry. */
static DKIM_LIB *
lib_get(struct opendkim_signer *s, const struct sign_request *r)
{
	GString *key = g_string_sized_new(128);
	DKIM_LIB *lib;

	for (size_t i = 0; r->oversigned[i] != NULL; i++)
		g_string_append_printf(key, "%s:", r->oversigned[i]);
	g_string_append_printf(key, "%" G_GINT64_FORMAT, r->expire);

	pthread_rwlock_rdlock(&s->lock);
	lib = g_hash_table_lookup(s->libs, key->str);
	pthread_rwlock_unlock(&s->lock);
	if (lib == NULL) {
		pthread_rwlock_wrlock(&s->lock);
		lib = g_hash_table_lookup(s->libs, key->str);
		if (lib == NULL && (lib = lib_new(s, r)) != NULL)
			g_hash_table_insert(s->libs, g_strdup(key->str), lib);
		pthread_rwlock_unlock(&s->lock);
	}
	g_string_free(key, TRUE);
	return lib;
}

/* Appends len octets with each LF as CRLF. */
static void
add_crlf(struct buf *b, const char *text, size_t len)
{
	const char *lf;

	while ((lf = memchr(text, '\n', len)) != NULL) {
		size_t n = (size_t)(lf - text);

		buf_add(b, text, n);
		buf_add(b, "\r\n", 2);
		text += n + 1;
		len -= n + 1;
	}
	buf_add(b, text, len);
}

static DKIM_STAT
feed_fields(DKIM *dkim, const GPtrArray *fields)
{
	struct buf line = BUF_INIT;
	DKIM_STAT st = DKIM_STAT_OK;

	for (guint i = 0; i < fields->len && st == DKIM_STAT_OK; i++) {
		const struct field *f = g_ptr_array_index(fields, i);

		buf_clear(&line, (size_t)-1);
		buf_add(&line, f->name, f->name_len);
		buf_add(&line, ":", 1);
		add_crlf(&line, f->value, f->value_len);
		st = buf_failed(&line) ? DKIM_STAT_NORESOURCE
				       : dkim_header(dkim, (u_char *)line.data, line.len);
	}
	buf_free(&line);
	return st;
}

/* Appends the field's value: libopendkim folds with CRLF, the milter protocol with LF. */
static DKIM_STAT
take_value(DKIM *dkim, struct buf *out)
{
	u_char *value;
	size_t len;
	DKIM_STAT st = dkim_getsighdr_d(dkim, strlen(DKIM_SIGNHEADER) + 2, &value, &len);

	if (st != DKIM_STAT_OK)
		return st;
	buf_add(out, " ", 1);
	for (size_t i = 0; i < len; i++)
		if (value[i] != '\r')
			buf_add(out, &value[i], 1);
	return DKIM_STAT_OK;
}

/*
 * libopendkim's relaxed forms are wrong for some octets: in header fields it takes form feed, vertical
 * tab and CR for white space (RFC 6376 3.4.2: SP and HTAB only), in the body it drops a CR that ends no
 * line.  Other verifiers do not.  The simple forms are right; such mail gets those.
 */
static dkim_canon_t
header_form(const struct sign_request *r)
{
	for (guint i = 0; i < r->fields->len; i++) {
		const struct field *f = g_ptr_array_index(r->fields, i);

		if (memchr(f->value, '\f', f->value_len) != NULL ||
		    memchr(f->value, '\v', f->value_len) != NULL ||
		    memchr(f->value, '\r', f->value_len) != NULL)
			return DKIM_CANON_SIMPLE;
	}
	return DKIM_CANON_RELAXED;
}

static dkim_canon_t
body_form(const struct sign_request *r)
{
	return codec_has_bare_cr(r->body, r->body_len) ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
}

/* ---- one signature */

struct work {
	const struct sign_request *request;
	DKIM_LIB *lib;
	const char *key; /* as libopendkim wants it: text that begins with "-----" */
	enum key_type type;
	dkim_canon_t header_form, body_form;
};

static DKIM_STAT
feed_body(DKIM *dkim, const struct sign_request *r)
{
	DKIM_STAT st = DKIM_STAT_OK;

	if (r->body_len > 0)
		st = dkim_body(dkim, (u_char *)r->body, r->body_len);
	/* Sendmail gives local mail as it was typed; its mailers end the last line (3.4.3). */
	if (st == DKIM_STAT_OK && r->body_len > 0 &&
	    ((const char *)r->body)[r->body_len - 1] != '\n')
		st = dkim_body(dkim, (u_char *)"\r\n", 2);
	return st == DKIM_STAT_OK ? dkim_eom(dkim, NULL) : st;
}

static DKIM_STAT
feed_hash(DKIM *dkim, const struct body_hash *hash)
{
	const char *text = body_handle_begin(hash->sha256);
	DKIM_STAT st = dkim_body(dkim, (u_char *)text, strlen(text));

	if (st == DKIM_STAT_OK)
		st = dkim_eom(dkim, NULL);
	body_handle_end();
	return st;
}

static DKIM_STAT
feed(DKIM *dkim, const struct sign_request *r, const struct body_hash *hash, struct buf *out)
{
	DKIM_STAT st = feed_fields(dkim, r->fields);

	if (st == DKIM_STAT_OK)
		st = dkim_eoh(dkim);
	if (st == DKIM_STAT_OK)
		st = hash != NULL ? feed_hash(dkim, hash) : feed_body(dkim, r);
	if (st == DKIM_STAT_OK)
		st = take_value(dkim, out);
	return st;
}

/* Signs the body with this hash; hash NULL: libopendkim makes its own. */
static bool
sign_with(const struct work *w, const struct body_hash *hash, struct buf *out, char **why)
{
	const struct signature *signature = w->request->signature;
	dkim_alg_t alg = w->type == KEY_RSA ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256;
	struct arena arena = ARENA_INIT;
	DKIM_STAT st;
	DKIM *dkim = dkim_sign(w->lib, (const unsigned char *)"poolmilter", &arena, (dkim_sigkey_t)w->key,
			       (const unsigned char *)signature->selector,
			       (const unsigned char *)signature->domain, w->header_form, w->body_form,
			       alg, -1, &st);

	if (dkim == NULL) {
		*why = g_strdup(dkim_getresultstr(st));
		arena_free(&arena);
		return false;
	}
	st = feed(dkim, w->request, hash, out);
	if (st != DKIM_STAT_OK) {
		const char *text = dkim_geterror(dkim);

		*why = g_strdup_printf("libopendkim: %s%s%s", dkim_getresultstr(st),
				       text != NULL && *text != '\0' ? ": " : "",
				       text != NULL ? text : "");
	}
	dkim_free(dkim);
	arena_free(&arena);
	return st == DKIM_STAT_OK;
}

/* ---- with the hash of the body */

/* True if the value's bh=, which may be folded, is this hash. */
static bool
has_hash(const char *value, const struct body_hash *hash)
{
	const char *p = strstr(value, "bh=");
	char *want;
	size_t n = 0;
	bool same;

	if (p == NULL)
		return false;
	want = g_base64_encode(hash->sha256, BODY_HASH_SIZE);
	p += strlen("bh=");
	for (; *p != '\0' && (strchr(" \t\n", *p) != NULL || *p == want[n]); p++)
		n += *p == want[n];
	same = *p == ';' && want[n] == '\0';
	g_free(want);
	return same;
}

/* True if the body ends with an LF that no CR precedes. */
static bool
ends_with_bare_lf(const struct sign_request *r)
{
	const char *body = r->body;
	size_t len = r->body_len;

	return len > 0 && body[len - 1] == '\n' && (len == 1 || body[len - 2] != '\r');
}

/* The hash of the body, made if it is not known yet; NULL: libopendkim has to make it. */
static const struct body_hash *
hash_of(const struct work *w, struct body_hash *own)
{
	const struct sign_request *r = w->request;
	struct body_hash *hash = r->hash != NULL ? r->hash : own;

	if (ends_with_bare_lf(r)) /* what to do with that, libopendkim may say */
		return NULL;
	hash->simple = w->body_form == DKIM_CANON_SIMPLE;
	return hash->known || body_hash_make(hash, r->body, r->body_len) ? hash : NULL;
}

/* False: nothing was appended, and libopendkim has to make the hash. */
static bool
sign_hash(const struct work *w, struct buf *out)
{
	struct body_hash own = {0};
	const struct body_hash *hash = hash_of(w, &own);
	size_t before = out->len;
	char *why = NULL;

	if (hash != NULL && sign_with(w, hash, out, &why) && !buf_failed(out) &&
	    has_hash(out->data + before, hash))
		return true;
	g_free(why);
	out->len = before;
	if (out->data != NULL)
		out->data[before] = '\0';
	return false;
}

static bool
sign_by(enum body_way way, const struct work *w, struct buf *out, char **why)
{
	if (way != BODY_WHOLE && sign_hash(w, out))
		return true;
	if (way != BODY_HASH)
		return sign_with(w, NULL, out, why);
	*why = g_strdup("the hash of the body does not arrive");
	return false;
}

static bool
sign_with_pkey(struct opendkim_signer *s, const struct sign_request *r, void *pkey,
	       enum key_type type, struct buf *out, char **why)
{
	struct work w = {r, lib_get(s, r), NULL, type, header_form(r), body_form(r)};
	char handle[KEY_HANDLE_SIZE];
	char *pem = NULL;
	bool ok;

	if (w.lib == NULL) {
		*why = g_strdup("libopendkim: no library handle");
		return false;
	}
	if (s->keys_cached) {
		key_handle_make(pkey, handle);
	} else if ((pem = keygen_pem(pkey)) == NULL) {
		*why = g_strdup("OpenSSL cannot write the key as PEM");
		return false;
	}
	w.key = pem != NULL ? pem : handle;
	ok = sign_by(s->body_way, &w, out, why);
	if (pem != NULL) {
		explicit_bzero(pem, strlen(pem));
		g_free(pem);
	}
	return ok;
}

static bool
signer_sign(void *context, const struct sign_request *r, struct buf *out, const char **algorithm,
	    char **why)
{
	enum key_type type = KEY_RSA;
	void *pkey = key_get(r->signature->key, &type, why);

	if (pkey == NULL)
		return false;
	*algorithm = type == KEY_RSA ? "rsa-sha256" : "ed25519-sha256";
	return sign_with_pkey(context, r, pkey, type, out, why);
}

/* ---- trial at start: a message of one field, with keys of its own */

struct trial {
	struct opendkim_signer *signer;
	struct sign_request request;
	void *pkey; /* NULL: there is none */
	struct buf value;
};

static void *
trial_key(void)
{
	char *why = NULL;
	void *pkey = keygen_new(KEY_ED25519, 0, &why);

	g_free(why);
	return pkey;
}

static bool
trial_sign(struct trial *t, enum body_way way, const char *body)
{
	char *why = NULL;
	bool ok;

	buf_clear(&t->value, (size_t)-1);
	t->request.body = body;
	t->request.body_len = strlen(body);
	t->signer->body_way = way;
	ok = sign_with_pkey(t->signer, &t->request, t->pkey, KEY_ED25519, &t->value, &why) &&
	     !buf_failed(&t->value);
	g_free(why);
	return ok;
}

/* Does the handle of a key reach our hook?  One signature with that key: key_handle_note_use(). */
static bool
keys_reach(struct trial *t)
{
	unsigned long before = key_handle_resolved();
	bool reached;

	t->pkey = trial_key();
	t->signer->keys_cached = true;
	reached = t->pkey != NULL && trial_sign(t, BODY_WHOLE, "") && key_handle_resolved() > before;
	if (t->pkey != NULL)
		key_handle_note_use(t->pkey);
	return reached;
}

/* Is our hash of this body libopendkim's own, and does it arrive? */
static bool
hash_arrives(struct trial *t, const char *body)
{
	size_t len = strlen(body);
	struct body_hash hash = {.simple = codec_has_bare_cr(body, len)};

	return body_hash_make(&hash, body, len) && trial_sign(t, BODY_WHOLE, body) &&
	       has_hash(t->value.data, &hash) && trial_sign(t, BODY_HASH, body);
}

static bool
hashes_arrive(struct trial *t)
{
	static const char *const bodies[] = {
		"", "\r\n", " \t\r\n", "x", "a\r\n\r\n b  c \t\r\n\t\r\nd\te\r\n.\r\n\xe4\r\n \r\n\r\n",
		"a\rb \r\n\r\n  c\t\r\n\r\n", /* the simple form */
	};
	bool all;

	t->pkey = trial_key();
	all = t->pkey != NULL;
	for (size_t i = 0; all && i < G_N_ELEMENTS(bodies); i++)
		all = hash_arrives(t, bodies[i]);
	keygen_free(t->pkey);
	return all;
}

static void
try_hooks(struct opendkim_signer *s)
{
	static const char *const over[] = {"From", NULL};
	static char name[] = "localhost";
	struct signature signature = {.domain = name, .selector = name};
	struct field from = {"From", " a@localhost", 4, 12};
	struct trial t = {.signer = s};

	t.request = (struct sign_request){.signature = &signature, .oversigned = over};
	t.request.fields = g_ptr_array_new();
	g_ptr_array_add((GPtrArray *)t.request.fields, &from);
	s->keys_cached = keys_reach(&t);
	s->body_way = hashes_arrive(&t) ? BODY_HASH_OR_WHOLE : BODY_WHOLE;
	buf_free(&t.value);
	g_ptr_array_free((GPtrArray *)t.request.fields, TRUE);
}

struct signer *
signer_new(time_t fixed_time, char **why)
{
	struct opendkim_signer *s = g_new0(struct opendkim_signer, 1);

	s->signer.sign = signer_sign;
	s->signer.context = s;
	s->fixed_time = fixed_time;
	s->body_way = BODY_WHOLE;
	pthread_rwlock_init(&s->lock, NULL);
	s->libs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)dkim_close);
	try_hooks(s);
	if (g_hash_table_size(s->libs) == 0) {
		*why = g_strdup("libopendkim cannot be used: dkim_init() failed");
		signer_free(&s->signer);
		return NULL;
	}
	return &s->signer;
}

void
signer_free(struct signer *signer)
{
	struct opendkim_signer *s = (struct opendkim_signer *)signer;

	if (s == NULL)
		return;
	g_hash_table_destroy(s->libs);
	pthread_rwlock_destroy(&s->lock);
	g_free(s);
}

bool
signer_keys_cached(const struct signer *signer)
{
	return ((const struct opendkim_signer *)signer)->keys_cached;
}

bool
signer_body_fast(const struct signer *signer)
{
	return ((const struct opendkim_signer *)signer)->body_way == BODY_HASH_OR_WHOLE;
}
