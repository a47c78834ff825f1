/*
 * store_tls - TLS for a connection to the store; see store_tls.h.
 *
 * The peer's certificate must lead to the CA of the configuration; then its name does not matter,
 * as with redis-cli and hiredis: such a CA is made for a Redis and its clients alone.  With the
 * system's CAs, which anybody may use, the certificate must name the host.
 */
#include "io/store_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct store_tls_context {
	SSL_CTX *ctx;
	bool check_host;
};

struct store_tls {
	SSL *ssl;
	BIO *in, *out; /* belong to ssl */
};

/* What OpenSSL says of the failure; its queue is empty afterwards. */
static char *
reason(const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;

	ERR_clear_error();
	return g_strdup_printf("%s: %s", what, text != NULL ? text : "not usable");
}

static struct store_tls_context *
context_failed(struct store_tls_context *c, const char *what, char **why)
{
	*why = reason(what);
	store_tls_context_free(c);
	return NULL;
}

struct store_tls_context *
store_tls_context_new(const struct store_tls_files *files, char **why)
{
	struct store_tls_context *c = g_new0(struct store_tls_context, 1);

	ERR_clear_error();
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL)
		return context_failed(c, "TLS", why);
	SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	c->check_host = files->ca_file == NULL;
	if (files->ca_file != NULL) {
		if (SSL_CTX_load_verify_locations(c->ctx, files->ca_file, NULL) != 1)
			return context_failed(c, files->ca_file, why);
	} else if (SSL_CTX_set_default_verify_paths(c->ctx) != 1) {
		return context_failed(c, "the system's CAs", why);
	}
	if (files->cert_file != NULL &&
	    SSL_CTX_use_certificate_chain_file(c->ctx, files->cert_file) != 1)
		return context_failed(c, files->cert_file, why);
	if (files->key_file != NULL &&
	    (SSL_CTX_use_PrivateKey_file(c->ctx, files->key_file, SSL_FILETYPE_PEM) != 1 ||
	     SSL_CTX_check_private_key(c->ctx) != 1))
		return context_failed(c, files->key_file, why);
	return c;
}

void
store_tls_context_free(struct store_tls_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ctx);
	g_free(c);
}

/* Asks for the host's certificate; false if the host cannot be named. */
static bool
set_host(const struct store_tls_context *c, SSL *ssl, const char *host)
{
	bool numeric = g_hostname_is_ip_address(host);

	if (!numeric && *host != '\0')
		SSL_set_tlsext_host_name(ssl, host);
	if (!c->check_host)
		return true;
	if (numeric)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return *host != '\0' && SSL_set1_host(ssl, host) == 1;
}

struct store_tls *
store_tls_new(struct store_tls_context *c, const char *host)
{
	struct store_tls *t = g_new0(struct store_tls, 1);

	t->ssl = SSL_new(c->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
		SSL_free(t->ssl);
		g_free(t);
		return NULL;
	}
	BIO_set_mem_eof_return(t->in, -1);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	if (!set_host(c, t->ssl, host)) {
		store_tls_free(t);
		return NULL;
	}
	return t;
}

void
store_tls_free(struct store_tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	ERR_clear_error();
	g_free(t);
}

int
store_tls_handshake(struct store_tls *t, char **why)
{
	long verified;
	int n, error;

	ERR_clear_error();
	n = SSL_do_handshake(t->ssl);
	if (n == 1)
		return 1;
	error = SSL_get_error(t->ssl, n);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	verified = SSL_get_verify_result(t->ssl);
	if (verified != X509_V_OK) {
		ERR_clear_error();
		*why = g_strdup_printf("TLS: %s", X509_verify_cert_error_string(verified));
	} else {
		*why = reason("TLS");
	}
	return -1;
}

bool
store_tls_write(struct store_tls *t, const char *data, size_t len)
{
	size_t written;

	ERR_clear_error();
	return len == 0 || SSL_write_ex(t->ssl, data, len, &written) == 1;
}

size_t
store_tls_output(struct store_tls *t, char *data, size_t size)
{
	size_t n;

	return BIO_read_ex(t->out, data, size, &n) == 1 ? n : 0;
}

void
store_tls_input(struct store_tls *t, const char *data, size_t len)
{
	size_t n;

	BIO_write_ex(t->in, data, len, &n); /* a memory BIO takes all */
}

ssize_t
store_tls_read(struct store_tls *t, char *data, size_t size)
{
	size_t n = 0;
	int error;

	ERR_clear_error();
	if (SSL_read_ex(t->ssl, data, size, &n) == 1)
		return (ssize_t)n;
	error = SSL_get_error(t->ssl, 0);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}
