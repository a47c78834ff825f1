/*
 * signer - makes DKIM signatures with libopendkim; see signer.h.
 *
 * libopendkim keeps the oversigned names and x= in its library handle, not in the message's: there is
 * one handle for each combination that occurs (a few), made at first use and kept.  One message handle
 * per signature, whose memory comes from an arena: it is quicker, and libopendkim 2.11 forgets to free
 * what it allocates for an Ed25519 signature (dkim_free() cleans up for RSA only).
 */
#include "io/signer.h"
#include "base/arena.h"
#include "io/key_handle.h"
#include "io/keygen.h"
#include "io/keystore.h"

#include <opendkim/dkim.h>
#include <pthread.h>
#include <string.h>

struct opendkim_signer {
	struct signer signer; /* first: callers hold this */
	time_t fixed_time;
	bool keys_cached;
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

/* True if a CR stands in it that does not end a line. */
static bool
has_bare_cr(const char *text, size_t len)
{
	const char *cr;

	while (len > 0 && (cr = memchr(text, '\r', len)) != NULL) {
		len -= (size_t)(cr - text) + 1;
		text = cr + 1;
		if (len == 0 || *text != '\n')
			return true;
	}
	return false;
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
	return has_bare_cr(r->body, r->body_len) ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
}

static DKIM_STAT
feed(DKIM *dkim, const struct sign_request *r, struct buf *out)
{
	DKIM_STAT st = feed_fields(dkim, r->fields);

	if (st == DKIM_STAT_OK)
		st = dkim_eoh(dkim);
	if (st == DKIM_STAT_OK && r->body_len > 0)
		st = dkim_body(dkim, (u_char *)r->body, r->body_len);
	/* Sendmail gives local mail as it was typed; its mailers end the last line (RFC 6376 3.4.3). */
	if (st == DKIM_STAT_OK && r->body_len > 0 && ((const char *)r->body)[r->body_len - 1] != '\n')
		st = dkim_body(dkim, (u_char *)"\r\n", 2);
	if (st == DKIM_STAT_OK)
		st = dkim_eom(dkim, NULL);
	if (st == DKIM_STAT_OK)
		st = take_value(dkim, out);
	return st;
}

/* Signs with a key given as libopendkim wants it: text that begins with "-----". */
static bool
sign_with(DKIM_LIB *lib, const struct sign_request *r, const char *key_text, enum key_type type,
	  struct buf *out, char **why)
{
	dkim_alg_t alg = type == KEY_RSA ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256;
	struct arena arena = ARENA_INIT;
	DKIM_STAT st;
	DKIM *dkim = dkim_sign(lib, (const unsigned char *)"poolmilter", &arena, (dkim_sigkey_t)key_text,
			       (const unsigned char *)r->signature->selector,
			       (const unsigned char *)r->signature->domain, header_form(r),
			       body_form(r), alg, -1, &st);

	if (dkim == NULL) {
		*why = g_strdup(dkim_getresultstr(st));
		arena_free(&arena);
		return false;
	}
	st = feed(dkim, r, out);
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

static bool
sign_with_pkey(struct opendkim_signer *s, const struct sign_request *r, void *pkey,
	       enum key_type type, struct buf *out, char **why)
{
	DKIM_LIB *lib = lib_get(s, r);
	char handle[KEY_HANDLE_SIZE];
	char *pem = NULL;
	bool ok;

	if (lib == NULL) {
		*why = g_strdup("libopendkim: no library handle");
		return false;
	}
	if (s->keys_cached) {
		key_handle_make(pkey, handle);
	} else if ((pem = keygen_pem(pkey)) == NULL) {
		*why = g_strdup("OpenSSL cannot write the key as PEM");
		return false;
	}
	ok = sign_with(lib, r, pem != NULL ? pem : handle, type, out, why);
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

/* Signs a message of no content with a key of its own: does the handle reach our hook? */
static bool
hook_reached(struct opendkim_signer *s, char **why)
{
	static const char *const over[] = {"From", NULL};
	static char name[] = "localhost";
	struct signature sig = {.domain = name, .selector = name};
	struct field from = {"From", " a@localhost", 4, 12};
	GPtrArray *fields = g_ptr_array_new();
	void *pkey = keygen_new(KEY_ED25519, 0, why);
	struct sign_request r = {.signature = &sig, .fields = fields, .oversigned = over};
	struct buf out = BUF_INIT;
	unsigned long before = key_handle_resolved();
	bool ok;

	g_ptr_array_add(fields, &from);
	s->keys_cached = true;
	ok = pkey != NULL && sign_with_pkey(s, &r, pkey, KEY_ED25519, &out, why) &&
	     key_handle_resolved() > before;
	if (pkey != NULL)
		key_handle_note_use(pkey);
	buf_free(&out);
	g_ptr_array_free(fields, TRUE);
	return ok;
}

struct signer *
signer_new(time_t fixed_time, char **why)
{
	struct opendkim_signer *s = g_new0(struct opendkim_signer, 1);
	char *reason = NULL;

	s->signer.sign = signer_sign;
	s->signer.context = s;
	s->fixed_time = fixed_time;
	pthread_rwlock_init(&s->lock, NULL);
	s->libs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)dkim_close);
	s->keys_cached = hook_reached(s, &reason);
	g_free(reason);
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
