/*
 * test_buf - growing, clearing, and the failure that sticks.
 */
#include "fixture.h"

#include "base/buf.h"

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

static void
test_empty(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add(&b, "x", 0);
	buf_puts(&b, "");
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_false(buf_failed(&b));
	buf_free(&b);
}

static void
test_grows_octet_by_octet(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		char c = (char)(i * 7);

		buf_add(&b, &c, 1);
		assert_int_equal(b.data[b.len], '\0');
	}
	assert_int_equal(b.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)b.data[i], (unsigned char)(i * 7));
	buf_free(&b);
}

static void
test_keeps_nul_octets(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_puts(&b, "a");
	buf_add(&b, "\0b\0", 3);
	buf_puts(&b, "c");
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "a\0b\0c", 6);
	buf_free(&b);
}

static void
test_reserve_saves_copies(void **state)
{
	struct buf b = BUF_INIT;
	const char *before;

	(void)state;
	buf_reserve(&b, 10000);
	before = b.data;
	for (unsigned i = 0; i < 10000; i++)
		buf_add(&b, "x", 1);
	assert_ptr_equal(b.data, before);
	buf_free(&b);
}

static void
test_clear(void **state)
{
	static const struct {
		const char *name;
		size_t len, keep;
		bool keeps_memory;
	} cases[] = {
		{"small is kept", 10, 65536, true},
		{"large goes", 200000, 65536, false},
		{"keep all", 200000, (size_t)-1, true},
		{"keep nothing", 10, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct buf b = BUF_INIT;

		for (size_t n = 0; n < cases[i].len; n++)
			buf_add(&b, "x", 1);
		buf_clear(&b, cases[i].keep);
		check_int(cases[i].name, b.len, 0);
		check_int(cases[i].name, b.data != NULL, cases[i].keeps_memory);
		check_true(cases[i].name, b.data == NULL || b.data[0] == '\0');
		buf_puts(&b, "again");
		check_string(cases[i].name, b.data, "again");
		buf_free(&b);
	}
}

static void
test_failure_sticks(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} cases[] = {
		{"size overflows", (size_t)-1},
		{"size and content overflow", (size_t)-1 - 3},
		{"a quarter of all", (size_t)-1 / 4},
		{"malloc refuses", (size_t)-1 / 8},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct buf b = BUF_INIT;

		buf_puts(&b, "abc");
		buf_reserve(&b, cases[i].len);
		check_true(cases[i].name, buf_failed(&b));
		buf_puts(&b, "def");
		check_string(cases[i].name, b.data, "abc");
		check_true(cases[i].name, buf_failed(&b));
		buf_clear(&b, 65536);
		check_true(cases[i].name, !buf_failed(&b));
		buf_puts(&b, "def");
		check_string(cases[i].name, b.data, "def");
		buf_free(&b);
		check_true(cases[i].name, b.data == NULL && b.len == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_grows_octet_by_octet),
		cmocka_unit_test(test_keeps_nul_octets),
		cmocka_unit_test(test_reserve_saves_copies),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_failure_sticks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
