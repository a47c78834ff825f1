/*
 * test_webhook_signature - signatures of requests; the wanted ones are those of openssl dgst -hmac.
 */
#include "fixture.h"

#include "io/webhook_signature.h"

#include <string.h>

static void
test_signature(void **state)
{
	static const struct {
		const char *name, *secret;
		int64_t timestamp;
		const char *body, *want;
	} cases[] = {
		{"a body", "0123456789abcdef", 1700000000, "{\"a\":1}",
		 "9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"},
		{"no body", "s", 0, "",
		 "2572e102ebbc88d57bc0ef48471ee28bb7fc8c6e9c0558b3c8e5d276f84ac9c3"},
	};
	char out[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		check_true(cases[i].name,
			   webhook_signature(cases[i].secret, cases[i].timestamp, cases[i].body,
					     strlen(cases[i].body), out));
		check_string(cases[i].name, out, cases[i].want);
	}
}

/* Another secret, time or octet makes another signature. */
static void
test_differs(void **state)
{
	char one[WEBHOOK_SIGNATURE_SIZE], other[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	assert_true(webhook_signature("secret", 1, "a\0b", 3, one));
	assert_true(webhook_signature("secret", 1, "a\0c", 3, other));
	assert_string_not_equal(one, other);
	assert_true(webhook_signature("secret", 2, "a\0b", 3, other));
	assert_string_not_equal(one, other);
	assert_true(webhook_signature("Secret", 1, "a\0b", 3, other));
	assert_string_not_equal(one, other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_differs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
