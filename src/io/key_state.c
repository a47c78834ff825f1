/*
 * key_state - keys.state in the state directory; see key_state.h.
 *
 * A file that is damaged says nothing: the pools' own keys sign, whose records are published, and
 * whoever loads the configuration gets a warning.
 */
#include "io/key_state.h"

#include "io/keystore.h"
#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STATE_MAX ((size_t)64 * 1024 * 1024) /* octets; 100,000 pools are some 20 MB */
#define LOCK_STEP_MS 20
#define HISTORY_DAYS 30 /* that a retired entry stays after its record may go */

char *
key_state_path(const char *state_dir)
{
	return g_build_filename(state_dir, "keys.state", NULL);
}

static GPtrArray *
read_entries(const char *path, char **why)
{
	GPtrArray *entries = rotation_entries_new();
	struct buf text = BUF_INIT;
	const char *reason = NULL;

	if (state_file_read(path, STATE_MAX, &text, why) && text.len > 0 &&
	    !rotation_entries_read(entries, text.data, text.len, &reason)) {
		*why = g_strdup_printf("%s: %s", path, reason);
		g_ptr_array_set_size(entries, 0);
	}
	buf_free(&text);
	return entries;
}

GPtrArray *
key_state_read(const char *state_dir, char **why)
{
	char *path = key_state_path(state_dir);
	GPtrArray *entries = read_entries(path, why);

	g_free(path);
	return entries;
}

char *
key_state_fingerprint(struct key *k, char **why)
{
	unsigned char sum[EVP_MAX_MD_SIZE], *der = NULL;
	enum key_type type;
	EVP_PKEY *pkey = key_get(k, &type, why);
	int len = pkey != NULL ? i2d_PUBKEY(pkey, &der) : -1;
	unsigned size = 0;
	GString *hex;

	if (pkey == NULL)
		return NULL;
	if (len <= 0 || EVP_Digest(der, (size_t)len, sum, &size, EVP_sha256(), NULL) != 1) {
		*why = g_strdup_printf("%s: OpenSSL cannot write its public key", key_path(k));
		OPENSSL_free(der);
		return NULL;
	}
	OPENSSL_free(der);
	hex = g_string_sized_new(ROTATION_FINGERPRINT_LEN);
	for (unsigned i = 0; i < size; i++)
		g_string_append_printf(hex, "%02x", sum[i]);
	return g_string_free(hex, FALSE);
}

/* True if the entry is about this signature's very key. */
static bool
is_about(const struct rotation_entry *e, const struct signature *sig)
{
	char *why = NULL, *fingerprint;
	bool same;

	if (!rotation_entry_names(e, sig))
		return false;
	fingerprint = key_state_fingerprint(sig->key, &why);
	same = g_strcmp0(fingerprint, e->fingerprint) == 0;
	g_free(fingerprint);
	g_free(why);
	return same;
}

void
key_state_apply(const struct settings *s, const GPtrArray *entries)
{
	for (guint i = 0; i < entries->len; i++) {
		const struct rotation_entry *e = entries->pdata[i];
		const struct pool *p = g_hash_table_lookup(s->pool_by_name, e->pool);

		if (e->mark != ROTATION_RETIRED && p != NULL && p->rotation != NULL &&
		    is_about(e, p->rotation->next))
			rotation_set(p->rotation, e->mark, e->seen, e->at);
	}
}

/* ---- writing ---- */

static bool
lock(int fd, unsigned wait_ms)
{
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || wait_ms < LOCK_STEP_MS)
			return false;
		wait_ms -= LOCK_STEP_MS;
		g_usleep(LOCK_STEP_MS * 1000);
	}
	return true;
}

static void
find_live(struct key_state *ks)
{
	g_hash_table_remove_all(ks->live);
	for (guint i = 0; i < ks->entries->len; i++) {
		struct rotation_entry *e = ks->entries->pdata[i];

		if (e->mark != ROTATION_RETIRED)
			g_hash_table_insert(ks->live, e->pool, e);
	}
}

struct key_state *
key_state_open(const char *state_dir, unsigned wait_ms, char **why)
{
	int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	struct key_state *ks;

	if (fd < 0 || faccessat(AT_FDCWD, state_dir, W_OK | X_OK, AT_EACCESS) != 0 ||
	    !lock(fd, wait_ms)) {
		error = errno;
		*why = g_strdup_printf("%s: %s", state_dir,
				       error == EWOULDBLOCK ? "another switch of keys is under way"
							    : g_strerror(error));
		if (fd >= 0)
			close(fd);
		errno = error;
		return NULL;
	}
	ks = g_new0(struct key_state, 1);
	ks->fd = fd;
	ks->path = key_state_path(state_dir);
	ks->entries = read_entries(ks->path, &ks->damage);
	ks->live = g_hash_table_new(g_str_hash, g_str_equal);
	find_live(ks);
	return ks;
}

const struct rotation_entry *
key_state_find(const struct key_state *ks, const char *pool)
{
	return g_hash_table_lookup(ks->live, pool);
}

void
key_state_close(struct key_state *ks)
{
	g_hash_table_destroy(ks->live);
	g_ptr_array_unref(ks->entries);
	g_free(ks->damage);
	g_free(ks->path);
	close(ks->fd);
	g_free(ks);
}

bool
key_state_write(struct key_state *ks, char **why)
{
	struct buf text = BUF_INIT;
	bool ok;

	rotation_entries_write(ks->entries, &text);
	if (buf_failed(&text)) {
		*why = g_strdup_printf("%s: not written, out of memory", ks->path);
		ok = false;
	} else {
		/* Readable for the daemon's user where root wrote it. */
		ok = state_file_write(ks->path, 0644, text.data, text.len, why);
	}
	buf_free(&text);
	return ok;
}

/* True if what the entry is about has become the pool's own key. */
static bool
has_moved(const struct rotation_entry *e, const struct pool *p)
{
	return e->mark != ROTATION_BACK && p->signatures->len > 0 &&
	       rotation_entry_names(e, p->signatures->pdata[0]);
}

bool
key_state_mark(struct key_state *ks, const struct pool *p, enum rotation_mark mark, bool seen,
	       int64_t at, char **why)
{
	const struct signature *own = p->signatures->pdata[0], *next = p->rotation->next;
	char *fingerprint = key_state_fingerprint(next->key, why);
	struct rotation_entry *e = g_hash_table_lookup(ks->live, p->name);

	if (fingerprint == NULL)
		return false;
	g_hash_table_remove(ks->live, p->name);
	if (e != NULL && has_moved(e, p)) {
		e->mark = ROTATION_RETIRED;
		e = NULL;
	}
	if (e == NULL) {
		e = g_new0(struct rotation_entry, 1);
		g_ptr_array_add(ks->entries, e);
	} else {
		rotation_entry_clear(e);
	}
	*e = (struct rotation_entry){
		.mark = mark,
		.pool = g_strdup(p->name),
		.domain = g_strdup(next->domain),
		.selector = g_strdup(next->selector),
		.fingerprint = fingerprint,
		.before = g_strdup(own->selector),
		.at = at,
		.seen = seen,
	};
	g_hash_table_insert(ks->live, e->pool, e);
	return true;
}

/* What becomes of an entry: ROTATION_UNMARKED where it is to be dropped. */
static enum rotation_mark
settled(const struct rotation_entry *e, const struct settings *s, int64_t now)
{
	const struct pool *p = g_hash_table_lookup(s->pool_by_name, e->pool);

	if (e->mark == ROTATION_RETIRED)
		return now > rotation_removal(e->at) + HISTORY_DAYS * (int64_t)86400 ? ROTATION_UNMARKED
										     : e->mark;
	if (p != NULL && p->rotation != NULL && is_about(e, p->rotation->next))
		return e->mark;
	return p != NULL && has_moved(e, p) ? ROTATION_RETIRED : ROTATION_UNMARKED;
}

bool
key_state_settle(struct key_state *ks, const struct settings *s, int64_t loaded, int64_t now,
		 key_state_told_fn *told)
{
	bool changed = false;

	for (guint i = ks->entries->len; i-- > 0;) {
		struct rotation_entry *e = ks->entries->pdata[i];
		enum rotation_mark mark = e->at < loaded ? settled(e, s, now) : e->mark;

		if (mark == e->mark)
			continue;
		changed = true;
		told(e);
		e->mark = mark;
		if (mark == ROTATION_UNMARKED)
			g_ptr_array_remove_index_fast(ks->entries, i);
	}
	if (changed)
		find_live(ks);
	return changed;
}
