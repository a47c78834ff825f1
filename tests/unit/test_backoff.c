/*
 * test_backoff - how long to wait after failures.
 */
#include "fixture.h"

#include "core/backoff.h"

#define S ((int64_t)1000000)

static void
test_wait(void **state)
{
	static const struct {
		const char *name;
		guint failures;
		int64_t asked, want; /* without jitter */
	} cases[] = {
		{"none counts as one", 0, 0, S},
		{"one", 1, 0, S},
		{"two", 2, 0, 2 * S},
		{"three", 3, 0, 4 * S},
		{"nine", 9, 0, 256 * S},
		{"ten: the longest", 10, 0, 300 * S},
		{"very many", G_MAXUINT, 0, 300 * S},
		{"asked for less", 9, 3 * S, 256 * S},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		int64_t want = cases[i].want, least = want, most = want;

		for (uint32_t chance = 0; chance < UINT32_MAX - 5000000; chance += 4999999) {
			int64_t wait = backoff_wait(cases[i].failures, cases[i].asked, chance);

			check_true(cases[i].name, wait >= want / 10 * 8 && wait <= want / 10 * 12);
			least = MIN(least, wait);
			most = MAX(most, wait);
		}
		check_true(cases[i].name, least < want / 100 * 85 && most > want / 100 * 115);
	}
}

static void
test_asked(void **state)
{
	(void)state;
	check_int("asked for more", backoff_wait(1, 10 * S, 7), 10 * S);
	check_int("an hour", backoff_wait(1, 3600 * S, 7), 3600 * S);
	check_int("more than an hour", backoff_wait(1, 3601 * S, 7), 3600 * S);
	check_int("for ever", backoff_wait(20, INT64_MAX, 7), 3600 * S);
	check_true("less than nothing", backoff_wait(1, INT64_MIN, 7) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_asked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
