/*
 * keystore - private keys of a configuration; see keystore.h for the contract.
 *
 * The only file that reads private keys.  OpenSSL parses them; the parsed EVP_PKEY is kept, since
 * parsing costs more than a signature does (PERF.md).  A key's state changes once, under its lock.
 */
#include "io/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 65536 /* octets; an RSA-16384 PEM file has 13 kB */
#define KEY_BITS_MIN 1024
#define KEY_BITS_WARN 2048

struct key {
	struct keystore *store;
	char *path;
	char *setting; /* path of the key that named the file first, for errors */
	struct origin origin;
	pthread_mutex_t lock;
	EVP_PKEY *pkey; /* NULL until parsed; set once, under the lock */
	enum key_type type;
};

struct keystore {
	uid_t owner;
	GPtrArray *keys;
	GHashTable *by_path;
};

static void
key_free(void *p)
{
	struct key *k = p;

	EVP_PKEY_free(k->pkey);
	pthread_mutex_destroy(&k->lock);
	g_free(k->path);
	g_free(k->setting);
	g_free(k);
}

void
keystore_init(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

struct keystore *
keystore_new(unsigned owner)
{
	struct keystore *ks = g_new0(struct keystore, 1);

	ks->owner = owner;
	ks->keys = g_ptr_array_new_with_free_func(key_free);
	ks->by_path = g_hash_table_new(g_str_hash, g_str_equal);
	return ks;
}

void
keystore_free(void *p)
{
	struct keystore *ks = p;

	if (ks == NULL)
		return;
	g_hash_table_destroy(ks->by_path);
	g_ptr_array_free(ks->keys, TRUE);
	g_free(ks);
}

struct key *
keystore_add(struct keystore *ks, const char *path, struct origin origin, const char *key_name)
{
	struct key *k = g_hash_table_lookup(ks->by_path, path);

	if (k != NULL)
		return k;
	k = g_new0(struct key, 1);
	k->store = ks;
	k->path = g_strdup(path);
	k->setting = g_strdup(key_name);
	k->origin = origin;
	pthread_mutex_init(&k->lock, NULL);
	g_ptr_array_add(ks->keys, k);
	g_hash_table_insert(ks->by_path, k->path, k);
	return k;
}

const char *
key_path(const struct key *k)
{
	return k->path;
}

/* Why this file may not hold a private key, or NULL. */
static const char *
mode_problem(const struct keystore *ks, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != 0 && st->st_uid != ks->owner)
		return "must belong to root or to the user that poolmilter runs as";
	if (st->st_mode & 0007)
		return "is open to others (chmod o=)";
	if (st->st_mode & 0020)
		return "is writable by its group (chmod g-w)";
	if (st->st_size == 0)
		return "is empty";
	if (st->st_size > KEY_FILE_MAX)
		return "is too large for a private key";
	return NULL;
}

/* Opens the file after checking owner and mode; -1 with *why. */
static int
key_open(const struct key *k, size_t *size, char **why)
{
	int fd = open(k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *problem;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		*why = g_strdup_printf("%s: %s", k->path, g_strerror(errno));
	} else {
		problem = mode_problem(k->store, &st);
		if (problem == NULL) {
			*size = (size_t)st.st_size;
			return fd;
		}
		*why = g_strdup_printf("%s: %s", k->path, problem);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* An encrypted key has no place in a daemon: no passphrase is asked for. */
static int
no_passphrase(char *text, int size, int writing, void *context)
{
	(void)text, (void)size, (void)writing;
	*(bool *)context = true;
	return -1;
}

static const char *
parse_problem(const char *pem, bool encrypted)
{
	if (encrypted)
		return "the key is encrypted with a passphrase; give an unencrypted one";
	if (strstr(pem, "PRIVATE KEY-----") == NULL && strstr(pem, "PUBLIC KEY-----") != NULL)
		return "is a public key; a private key is needed";
	if (strstr(pem, "-----BEGIN ") == NULL)
		return "not a PEM file (no -----BEGIN ... PRIVATE KEY-----)";
	return "no private key can be read from it";
}

static const char *
kind_problem(EVP_PKEY *pkey, enum key_type *type)
{
	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		*type = KEY_ED25519;
		return NULL;
	}
	if (!EVP_PKEY_is_a(pkey, "RSA"))
		return "neither an RSA nor an Ed25519 key";
	*type = KEY_RSA;
	return EVP_PKEY_get_bits(pkey) < KEY_BITS_MIN
		       ? "the RSA key has fewer than 1024 bits (RFC 8301 3.2)"
		       : NULL;
}

/* Parses pem; NULL and *problem on failure. */
static EVP_PKEY *
pem_parse(const char *pem, size_t len, enum key_type *type, const char **problem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	bool encrypted = false;
	/* The _ex form: libopendkim's PEM_read_bio_PrivateKey is ours, see io/key_handle.c. */
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, &encrypted, NULL, NULL);

	BIO_free(bio);
	ERR_clear_error();
	*problem = pkey == NULL ? parse_problem(pem, encrypted) : kind_problem(pkey, type);
	if (*problem != NULL) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

static ssize_t
read_all(int fd, char *data, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, data + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)got;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Reads and parses the file; the lock is held. */
static void
key_parse(struct key *k, char **why)
{
	const char *problem = NULL;
	size_t size = 0;
	int fd = key_open(k, &size, why);
	EVP_PKEY *pkey = NULL;
	ssize_t len;
	char *pem;

	if (fd < 0)
		return;
	pem = g_malloc0(size + 1);
	len = read_all(fd, pem, size);
	if (len < 0)
		*why = g_strdup_printf("%s: %s", k->path, g_strerror(errno));
	else
		pkey = pem_parse(pem, (size_t)len, &k->type, &problem);
	if (problem != NULL)
		*why = g_strdup_printf("%s: %s", k->path, problem);
	close(fd);
	OPENSSL_cleanse(pem, size);
	g_free(pem);
	g_atomic_pointer_set(&k->pkey, pkey); /* last: who sees it sees the type as well */
}

void *
key_get(struct key *k, enum key_type *type, char **why)
{
	EVP_PKEY *pkey = g_atomic_pointer_get(&k->pkey);

	if (pkey == NULL) {
		pthread_mutex_lock(&k->lock);
		if (k->pkey == NULL)
			key_parse(k, why);
		pkey = k->pkey;
		pthread_mutex_unlock(&k->lock);
	}
	if (pkey != NULL)
		*type = k->type;
	return pkey;
}

/* Owner, mode and readability only, for very many keys. */
static bool
key_check(const struct key *k, char **why)
{
	size_t size;
	int fd = key_open(k, &size, why);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void
keystore_load(struct keystore *ks, bool all, struct errors *errors)
{
	bool eager = all || ks->keys->len <= KEYSTORE_EAGER;

	for (guint i = 0; i < ks->keys->len; i++) {
		struct key *k = g_ptr_array_index(ks->keys, i);
		enum key_type type;
		char *why = NULL;

		if (eager ? key_get(k, &type, &why) == NULL : !key_check(k, &why))
			errors_add(errors, k->origin, k->setting, "%s", why);
		else if (k->pkey != NULL && k->type == KEY_RSA && EVP_PKEY_get_bits(k->pkey) < KEY_BITS_WARN)
			errors_warn(errors, k->origin, k->setting,
				    "%s: %d-bit RSA key; receivers prefer 2048 bits (RFC 8301 3.2)",
				    k->path, EVP_PKEY_get_bits(k->pkey));
		g_free(why);
	}
}
