/*
 * sign - which fields each DKIM signature covers; the signature itself is made behind struct signer.
 */
#ifndef POOLMILTER_CORE_SIGN_H
#define POOLMILTER_CORE_SIGN_H

#include "base/buf.h"
#include "core/body_hash.h"
#include "core/message.h"
#include "core/settings.h"

#include <time.h>

/** What is to be signed and how: RFC 6376, relaxed/relaxed, without l=. */
struct sign_request {
	const struct signature *signature;
	const GPtrArray *fields; /* of const struct field *, top to bottom: each is covered */
	const char *const *oversigned; /* names covered once more than they stand, NULL-terminated */
	const void *body;	 /* with CRLF line ends */
	size_t body_len;
	struct body_hash *hash; /* of this body, for the signer: all requests share it; NULL: not shared */
	time_t now;	    /* t= */
	int64_t expire;	    /* x= in seconds after t=; 0: none */
};

/** Makes signatures: libopendkim in the daemon (io/signer.h), others in tests. */
struct signer {
	/**
	 * Appends the value of a DKIM-Signature field to out: leading space, folds as LF.  *algorithm
	 * gets a static name for the log ("rsa-sha256").  False with *why (g_free it) when it cannot.
	 */
	bool (*sign)(void *context, const struct sign_request *request, struct buf *out,
		     const char **algorithm, char **why);
	void *context;
};

/**
 * The names of fields that the signatures of a pool cover where they are present, in a message that the
 * ISP record treats: of char *, in lower case, each once.  g_ptr_array_unref() it.
 */
GPtrArray *sign_names(const struct settings *s, const struct pool *pool, const struct isp *isp);

/** Those of them that, where present, are covered once more than they stand.  The same. */
GPtrArray *sign_oversigned_names(const struct settings *s, const struct pool *pool, const struct isp *isp);

#endif
