/*
 * secret_file - files that hold a secret; see secret_file.h.
 */
#include "io/secret_file.h"
#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OCTETS_MIN 16
#define NEW_OCTETS 32   /* of randomness, written as twice as many hex digits */
#define LINE_ENDS_MAX 4 /* octets behind the secret that are read to be dropped */
#define PASSWORD_MAX 512

static const char *
mode_problem(const struct stat *st, unsigned owner)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != 0 && st->st_uid != owner)
		return "must belong to root or to the user that poolmilter runs as";
	if (st->st_mode & 0007)
		return "is open to others (chmod o=)";
	if (st->st_mode & 0020)
		return "is writable by its group (chmod g-w)";
	return NULL;
}

/* Takes what was read without line ends; returns what is wrong with it, or NULL. */
static const char *
take(struct secret *secret, const unsigned char *data, size_t len)
{
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	if (len < OCTETS_MIN)
		return "too short: expected 16 to 64 octets";
	if (len > sizeof secret->octets)
		return "too long: expected 16 to 64 octets";
	memcpy(secret->octets, data, len);
	secret->len = len;
	return NULL;
}

static const char *
read_open(int fd, unsigned owner, unsigned char *data, size_t size, size_t *len)
{
	const char *problem;
	ssize_t n = 1;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return g_strerror(errno);
	problem = mode_problem(&st, owner);
	while (problem == NULL && n > 0 && *len < size) {
		n = read(fd, data + *len, size - *len);
		if (n < 0)
			problem = g_strerror(errno);
		else
			*len += (size_t)n;
	}
	return problem;
}

/* Reads up to size octets; returns what is wrong, or NULL. */
static const char *
read_file(const char *path, unsigned owner, unsigned char *data, size_t size, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *problem;

	*len = 0;
	if (fd < 0)
		return g_strerror(errno);
	problem = read_open(fd, owner, data, size, len);
	close(fd);
	return problem;
}

bool
secret_file_read(const char *path, unsigned owner, struct secret *secret, char **why)
{
	unsigned char data[sizeof secret->octets + LINE_ENDS_MAX + 1];
	size_t len;
	const char *problem = read_file(path, owner, data, sizeof data, &len);

	if (problem == NULL)
		problem = take(secret, data, len);
	OPENSSL_cleanse(data, sizeof data);
	if (problem != NULL)
		*why = g_strdup_printf("%s: %s", path, problem);
	return problem == NULL;
}

/* The length of the first line; what is wrong with it, or NULL. */
static const char *
first_line(const unsigned char *data, size_t *len)
{
	const unsigned char *end = memchr(data, '\n', *len);

	if (end != NULL)
		*len = (size_t)(end - data);
	if (*len > 0 && data[*len - 1] == '\r')
		--*len;
	if (*len == 0)
		return "empty: expected a password in the first line";
	if (*len > PASSWORD_MAX)
		return "too long: expected a password of at most 512 octets";
	return memchr(data, '\0', *len) != NULL ? "has a NUL in the password" : NULL;
}

char *
secret_file_password(const char *path, unsigned owner, char **why)
{
	unsigned char data[PASSWORD_MAX + 2];
	char *password = NULL;
	size_t len;
	const char *problem = read_file(path, owner, data, sizeof data, &len);

	if (problem == NULL)
		problem = first_line(data, &len);
	if (problem == NULL)
		password = g_strndup((const char *)data, len);
	else
		*why = g_strdup_printf("%s: %s", path, problem);
	OPENSSL_cleanse(data, sizeof data);
	return password;
}

static bool
write_random(int fd)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char random[NEW_OCTETS];
	char text[2 * NEW_OCTETS + 1];
	bool ok = RAND_bytes(random, sizeof random) == 1;

	for (size_t i = 0; i < sizeof random; i++) {
		text[2 * i] = hex[random[i] >> 4];
		text[2 * i + 1] = hex[random[i] & 15];
	}
	text[sizeof text - 1] = '\n';
	if (!ok)
		errno = EIO;
	ok = ok && write(fd, text, sizeof text) == (ssize_t)sizeof text && fsync(fd) == 0;
	OPENSSL_cleanse(random, sizeof random);
	OPENSSL_cleanse(text, sizeof text);
	return ok;
}

/* Writes a temporary file beside path and links it there: link() does not replace what is there. */
static bool
make(const char *path, unsigned owner, char *temporary)
{
	int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600); /* and O_EXCL */
	int error;
	bool ok;

	if (fd < 0)
		return false;
	ok = write_random(fd) && (geteuid() != 0 || fchown(fd, owner, (gid_t)-1) == 0) &&
	     (link(temporary, path) == 0 || errno == EEXIST);
	error = errno;
	unlink(temporary);
	close(fd);
	errno = error;
	return ok && state_file_sync_directory(path);
}

bool
secret_file_make(const char *path, unsigned owner, char **why)
{
	char *temporary = g_strconcat(path, ".XXXXXX", NULL);
	bool ok = make(path, owner, temporary);

	if (!ok)
		*why = g_strdup_printf("%s: cannot be made: %s", path, g_strerror(errno));
	g_free(temporary);
	return ok;
}

void
secret_file_throwaway(struct secret *secret)
{
	secret->len = NEW_OCTETS;
	if (RAND_bytes(secret->octets, NEW_OCTETS) != 1)
		g_error("no random numbers");
}
