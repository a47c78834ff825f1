/*
 * store_tls - for programs built without libssl: says so; see store_tls.h.
 */
#include "io/store_tls.h"

bool
store_tls_supported(void)
{
	return false;
}

struct store_tls_context *
store_tls_context_new(const struct store_tls_files *files, char **why)
{
	(void)files;
	*why = g_strdup("this poolmilter was built without TLS to Redis (libssl)");
	return NULL;
}

void
store_tls_context_free(struct store_tls_context *c)
{
	(void)c;
}

struct store_tls *
store_tls_new(struct store_tls_context *c, const char *host)
{
	(void)c;
	(void)host;
	return NULL;
}

void
store_tls_free(struct store_tls *t)
{
	(void)t;
}

int
store_tls_handshake(struct store_tls *t, char **why)
{
	(void)t;
	*why = g_strdup("no TLS");
	return -1;
}

bool
store_tls_write(struct store_tls *t, const char *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
	return false;
}

size_t
store_tls_output(struct store_tls *t, char *data, size_t size)
{
	(void)t;
	(void)data;
	(void)size;
	return 0;
}

void
store_tls_input(struct store_tls *t, const char *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
}

ssize_t
store_tls_read(struct store_tls *t, char *data, size_t size)
{
	(void)t;
	(void)data;
	(void)size;
	return -1;
}
