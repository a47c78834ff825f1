/*
 * test_arena - pieces of any size, apart from each other and aligned; empty and usable after it is freed.
 */
#include "fixture.h"

#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

/* Sanitizers end the program at a size that malloc() refuses, unless told so. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#define PIECES 3000

static void
test_pieces_do_not_overlap(void **state)
{
	GRand *random = g_rand_new_with_seed(1);
	struct arena a = ARENA_INIT;

	(void)state;
	for (int round = 0; round < 3; round++) {
		unsigned char *pieces[PIECES];
		size_t sizes[PIECES];

		for (unsigned i = 0; i < PIECES; i++) {
			sizes[i] = (size_t)g_rand_int_range(random, 0, i % 50 == 0 ? 100000 : 300);
			pieces[i] = arena_alloc(&a, sizes[i]);
			assert_non_null(pieces[i]);
			assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
			memset(pieces[i], (int)(i % 251), sizes[i]);
		}
		for (unsigned i = 0; i < PIECES; i++)
			for (size_t n = 0; n < sizes[i]; n++)
				if (pieces[i][n] != i % 251)
					fail_msg("piece %u of %zu octets was overwritten", i, sizes[i]);
		arena_free(&a); /* and once more from the start */
	}
	g_rand_free(random);
}

static void
test_impossible_sizes(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} cases[] = {
		{"all of memory", (size_t)-1},
		{"half of it", (size_t)-1 / 2 + 1},
		{"what overflows when aligned", (size_t)-8},
		{"what malloc refuses", (size_t)-1 / 4},
	};
	struct arena a = ARENA_INIT;
	char *before = arena_alloc(&a, 16);

	(void)state;
	memcpy(before, "fifteen octets.", 16);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_true(cases[i].name, arena_alloc(&a, cases[i].size) == NULL);
	assert_string_equal(before, "fifteen octets.");
	assert_non_null(arena_alloc(&a, 16));
	arena_free(&a);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_do_not_overlap),
		cmocka_unit_test(test_impossible_sizes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
