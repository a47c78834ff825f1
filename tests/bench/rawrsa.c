/*
 * rawrsa - what one bare signature costs: the yardstick R of PERF.md
 *
 * Purpose: the least that any DKIM signer can spend. A key that is made once and kept as an
 * EVP_PKEY signs again and again with libcrypto, nothing else: RSA over SHA-256 (rsa-sha256), or
 * Ed25519 over a 32-octet hash (ed25519-sha256 of RFC 8463). Each thread has its own context, all
 * share the key, as in a signing daemon. CPU is the process's own CPU clock (user + system, all
 * threads).
 *
 * The last signature of each thread is verified: a loop that signs nothing cannot be fast here.
 *
 * Build: cc -std=c11 -O2 -pthread rawrsa.c -o rawrsa -lcrypto
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 256, SIGNATURE_MAX = 1024 };

static int bits = 2048; /* 0: Ed25519 */
static long signatures = 2000;
static int threads = 1;
static EVP_PKEY *key;
static pthread_barrier_t start_line;

static void die(const char *) __attribute__((noreturn));

static void
die(const char *what)
{
	fprintf(stderr, "rawrsa: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static double
clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Signs 32 octets that stand for the header hash's input; returns the signature's length. */
static size_t
sign_once(EVP_MD_CTX *context, const unsigned char input[32], unsigned char *signature)
{
	size_t length = SIGNATURE_MAX;

	if (EVP_DigestSignInit(context, NULL, bits ? EVP_sha256() : NULL, NULL, key) != 1 ||
	    EVP_DigestSign(context, signature, &length, input, 32) != 1)
		die("cannot sign");
	EVP_MD_CTX_reset(context);
	return length;
}

static void
verify(EVP_MD_CTX *context, const unsigned char input[32], const unsigned char *signature,
       size_t length)
{
	if (EVP_DigestVerifyInit(context, NULL, bits ? EVP_sha256() : NULL, NULL, key) != 1 ||
	    EVP_DigestVerify(context, signature, length, input, 32) != 1)
		die("a signature does not verify");
}

static void *
worker(void *unused)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char input[32] = "a hash of a message's headers..", signature[SIGNATURE_MAX];
	size_t length = 0;

	(void)unused;
	if (context == NULL)
		die("out of memory");
	for (int i = 0; i < 20; i++) /* first use fetches algorithms and makes the blinding */
		sign_once(context, input, signature);
	pthread_barrier_wait(&start_line); /* all are warm; the clocks are read between the two */
	pthread_barrier_wait(&start_line);
	for (long i = 0; i < signatures; i++) {
		input[i % 32]++; /* never the same input twice in a row */
		length = sign_once(context, input, signature);
	}
	pthread_barrier_wait(&start_line);
	verify(context, input, signature, length);
	EVP_MD_CTX_free(context);
	return NULL;
}

static void
measure(void)
{
	pthread_t thread[THREADS_MAX];
	double cpu, wall, total = (double)signatures * threads;

	pthread_barrier_init(&start_line, NULL, (unsigned)threads + 1);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, worker, NULL) != 0)
			die("cannot start a thread");
	pthread_barrier_wait(&start_line);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_us(CLOCK_MONOTONIC);
	pthread_barrier_wait(&start_line);
	pthread_barrier_wait(&start_line);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = clock_us(CLOCK_MONOTONIC) - wall;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("{\"algorithm\": \"%s\", \"bits\": %d, \"threads\": %d, \"signatures\": %.0f, "
	       "\"cpu_us_per_signature\": %.2f, \"signatures_per_second\": %.1f}\n",
	       bits ? "rsa-sha256" : "ed25519-sha256", bits ? bits : 256, threads, total,
	       cpu / total, total / wall * 1e6);
}

static void
usage(void)
{
	fputs("usage: rawrsa [--bits 2048 | --ed25519] [--signatures N] [--threads T]\n"
	      "prints one JSON object: CPU in us per signature (N for each thread)\n",
	      stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"bits", required_argument, NULL, 'b'},
		{"ed25519", no_argument, NULL, 'e'},
		{"signatures", required_argument, NULL, 'n'},
		{"threads", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			bits = atoi(optarg);
			break;
		case 'e':
			bits = 0;
			break;
		case 'n':
			signatures = atol(optarg);
			break;
		case 't':
			threads = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || signatures < 1 || threads < 1 || threads > THREADS_MAX ||
	    (bits != 0 && (bits < 1024 || bits > 8192)))
		usage();
	key = bits ? EVP_RSA_gen((unsigned)bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (key == NULL)
		die("cannot make a key");
	measure();
	EVP_PKEY_free(key);
	return 0;
}
