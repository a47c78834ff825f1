/*
 * test_block - large pieces are kept, within bounds, and no piece has two owners.
 */
#include "fixture.h"

#include "base/block.h"
#include "base/buf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Takes all that is kept; returns how many pieces, their octets in *octets. */
static size_t
empty(size_t *octets)
{
	size_t count = 0, size = 0;
	void *data;

	*octets = 0;
	while ((data = block_take(&size)) != NULL) {
		free(data);
		*octets += size;
		count++;
		size = 0;
	}
	return count;
}

static void
test_small_pieces_are_not_kept(void **state)
{
	size_t size = 1, octets;

	(void)state;
	empty(&octets);
	block_free(NULL, 0);
	block_free(malloc(BLOCK_MIN - 1), BLOCK_MIN - 1);
	assert_null(block_take(&size));
	assert_int_equal(size, 1);
}

static void
test_the_smallest_that_fits(void **state)
{
	void *large = malloc(BLOCK_MIN + 2000), *middle = malloc(BLOCK_MIN + 1000);
	size_t octets, size = BLOCK_MIN + 2001;

	(void)state;
	empty(&octets);
	block_free(large, BLOCK_MIN + 2000);
	block_free(malloc(BLOCK_MIN), BLOCK_MIN);
	block_free(middle, BLOCK_MIN + 1000);
	assert_null(block_take(&size));
	size = BLOCK_MIN + 1;
	assert_ptr_equal(block_take(&size), middle);
	assert_int_equal(size, BLOCK_MIN + 1000);
	assert_ptr_equal(block_take(&size), large);
	assert_int_equal(size, BLOCK_MIN + 2000);
	assert_null(block_take(&size));
	free(large);
	free(middle);
	assert_int_equal(empty(&octets), 1);
	assert_int_equal(octets, BLOCK_MIN);
}

static void
test_bounds(void **state)
{
	static const size_t sizes[] = {BLOCK_MIN, 1 << 20, BLOCKS_MAX / 2 + 1, BLOCKS_MAX, BLOCKS_MAX + 1, 64 << 20};
	size_t octets;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		size_t fit = BLOCKS_MAX / sizes[i], kept;

		empty(&octets);
		for (int n = 0; n < 100; n++)
			block_free(malloc(sizes[i]), sizes[i]);
		kept = empty(&octets);
		assert_true(kept <= fit && (kept > 0 || fit == 0));
		assert_int_equal(octets, kept * sizes[i]);
	}
}

/* What a buf has taken is as large as it says, and holds what was in it before. */
static void
test_buf_moves_into_a_kept_piece(void **state)
{
	struct buf b = BUF_INIT;
	char *kept = malloc(1 << 20), octets[1000];
	size_t left;

	(void)state;
	empty(&left);
	memset(kept, 0x55, 1 << 20);
	block_free(kept, 1 << 20);
	for (int i = 0; i < 1000; i++) {
		memset(octets, i, sizeof octets);
		buf_add(&b, octets, sizeof octets);
	}
	assert_ptr_equal(b.data, kept);
	assert_int_equal(b.size, 1 << 20);
	assert_int_equal(b.data[b.len], '\0');
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal((unsigned char)b.data[i], (unsigned char)(i / 1000));
	for (int i = 0; i < 1000; i++) /* it grows on where the piece ends */
		buf_add(&b, octets, sizeof octets);
	assert_int_equal(b.len, 2000000);
	assert_int_equal((unsigned char)b.data[123456], 123);
	assert_int_equal((unsigned char)b.data[1999999], (unsigned char)999);
	buf_free(&b);
	assert_int_equal(empty(&left), 1);
}

/* Threads that write their own mark find it unchanged. */
static void *
write_and_read(void *mark)
{
	unsigned long wrong = 0;

	for (int i = 0; i < 300; i++) {
		struct buf b = BUF_INIT;
		char *p;

		buf_reserve(&b, BLOCK_MIN + (size_t)i * 1000);
		memset(b.data, *(char *)mark, b.size);
		for (p = b.data; p < b.data + b.size && *p == *(char *)mark; p++)
			;
		wrong += p != b.data + b.size;
		buf_free(&b);
	}
	return (void *)wrong;
}

static void
test_threads(void **state)
{
	static char marks[] = "abcd";
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, &marks[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_int_equal((uintptr_t)wrong, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_pieces_are_not_kept),
		cmocka_unit_test(test_the_smallest_that_fits),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_buf_moves_into_a_kept_piece),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
