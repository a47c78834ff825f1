/*
 * fixture - what unit tests share: checks that name their case, a directory, settings, messages, signers.
 *
 * A test is a table of named cases; the check_*() macros fail with the case's name.  Everything made here
 * is freed at the end of the program.  "@D" in a configuration is the path of the directory.
 */
#ifndef POOLMILTER_TESTS_FIXTURE_H
#define POOLMILTER_TESTS_FIXTURE_H

#include "core/image.h"
#include "core/message.h"
#include "core/settings.h"
#include "core/sign.h"
#include "daemon/session.h"
#include "io/keystore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/types.h>
#include <time.h>

#define check_true(name, condition)                                               \
	do {                                                                      \
		if (!(condition))                                                 \
			fail_msg("case \"%s\": not so: %s", (name), #condition);  \
	} while (0)

#define check_int(name, got, want)                                                        \
	do {                                                                              \
		long long got_ = (long long)(got), want_ = (long long)(want);             \
		if (got_ != want_)                                                        \
			fail_msg("case \"%s\": %s is %lld, not %lld", (name), #got, got_, \
				 want_);                                                  \
	} while (0)

#define check_string(name, got, want)                                                     \
	do {                                                                              \
		const char *got_ = (got), *want_ = (want);                                \
		if (g_strcmp0(got_, want_) != 0)                                          \
			fail_msg("case \"%s\": %s is \"%s\", not \"%s\"", (name), #got,   \
				 got_ != NULL ? got_ : "(NULL)",                          \
				 want_ != NULL ? want_ : "(NULL)");                       \
	} while (0)

/** A directory of this program's own, removed with what is in it when the program ends. */
const char *fixture_directory(void);

/** The path of a name in it; valid until the program ends. */
const char *fixture_path(const char *name);

/** Writes a file there. */
void fixture_write(const char *name, const void *data, size_t len, mode_t mode);

/** Makes a private key there (mode 0600). */
void fixture_key(const char *name, enum key_type type, unsigned bits);

/** A pool with its required keys and more. */
#define POOL(name, domain, keys)                                                         \
	"{ name = \"" name "\"; sender_domain = \"" domain "\"; spf_domain = \"b." domain \
	"\"; dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; " keys " }"

/**
 * Settings from a configuration that has listen and state_dir, text added: one reference for the caller.
 * There are an Ed25519 key at @D/key.pem and a Return-Path secret.  Fails the test if they are wrong.
 */
struct settings *fixture_settings(const char *text);

/** The secret's content. */
#define FIXTURE_SECRET "0123456789abcdef0123456789abcdef"

/** A sealed message of header fields and body, all with LF; the body gets CRLF. One recipient if rcpt. */
struct message *fixture_message(const char *text, const char *sender, const char *rcpt);

/** The fields of an image as text with LF; g_free it. */
char *fixture_image_text(const struct image *image);

/** A signer that writes down what it is asked and signs with words. */
struct fake_signer {
	struct signer signer; /* .context is the fake_signer */
	GPtrArray *requests;  /* of char *: "d=D s=S h=A:B over=From: body=N t=T x=X" */
	unsigned fail_at;     /* the nth request (from 1) fails; 0: none does */
};
void fake_signer_init(struct fake_signer *f);
void fake_signer_clear(struct fake_signer *f);

/** True if a sanitizer is built in that makes everything slow. */
bool fixture_instrumented(void);

/** True if less than a second of CPU went by since clock() said begun; ten with a sanitizer. */
bool fixture_under_a_second(clock_t begun);

/** Runs f in a child process with standard error going to a file, and returns what stands there. */
char *fixture_stderr_of(void (*f)(void));

/** What a session works with; limiter and injector may be NULL. Give back with the next function. */
struct fixture_tools {
	struct session_tools tools;
	struct tally_table *hours;
};
void fixture_tools_init(struct fixture_tools *t, const struct signer *signer,
			const struct injector *injector, const struct limiter *limiter);
void fixture_tools_clear(struct fixture_tools *t);

/** Sorts texts and joins them with separator between; frees the array, which frees its texts. */
char *fixture_joined(GPtrArray *texts, const char *separator);

/** All numbers of a table, "key|field=value", sorted (g_free it); fixture_tally() adds one to a GPtrArray. */
char *fixture_tallies(struct tally_table *t, const char *separator);
void fixture_tally(const char *key, const char *field, int64_t value, void *texts);

#endif
