/*
 * fuzz - what the fuzz targets share: a check that ends the run, input taken apart, a directory,
 * settings.
 *
 * An input is text where it can be, so that seeds are files that a person can write: the first
 * octets choose (octet modulo the number of choices: '0' is choice 0 of 2, 4, 8, 16), lines hold
 * strings, the rest is the message, the value, the configuration.
 */
#ifndef POOLMILTER_TESTS_FUZZ_H
#define POOLMILTER_TESTS_FUZZ_H

#include "core/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Fails the run with what was expected; libFuzzer keeps the input. */
#define require(condition) \
	do { \
		if (!(condition)) \
			fuzz_fail(#condition, __FILE__, __LINE__, NULL); \
	} while (0)

/** The same, showing a string that is to blame. */
#define require_of(condition, text) \
	do { \
		if (!(condition)) \
			fuzz_fail(#condition, __FILE__, __LINE__, (text)); \
	} while (0)

_Noreturn void fuzz_fail(const char *condition, const char *file, int line, const char *text);

/** The octets of an input that are left. */
struct input {
	const uint8_t *data;
	size_t len;
};

/** The next octet; '0' when there is none. */
unsigned input_octet(struct input *in);

/** The next octet as one of n choices, n a divisor of 16: '0' is 0, '1' is 1. */
unsigned input_choice(struct input *in, unsigned n);

/** The next line without its LF, cut at a NUL; g_free it. */
char *input_line(struct input *in);

/** What libFuzzer calls; every target defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A directory of this process, removed when it ends in good order. */
const char *fuzz_directory(void);

/** The Return-Path secret of fuzz_settings(). */
#define FUZZ_SECRET "0123456789abcdef0123456789abcdef"

/** Writes a file there, mode 0600, and returns its path, which stays valid until the next call. */
const char *fuzz_write(const char *name, const void *data, size_t len);

/**
 * Settings from a configuration to which listen and state_dir are added.  "@D" in it is the
 * directory, where there are an Ed25519 key (key.pem) and a Return-Path secret that is always the
 * same.
 */
struct settings *fuzz_settings(const char *text);

/** True for a dot-atom of RFC 5322 3.2.3: what every MTA takes unquoted. */
bool fuzz_dot_atom(const char *text, size_t len);

/** Requires that a field's value which we made can be one field: see the checks. */
void fuzz_check_value(const char *name, const char *value, size_t len);

#endif
