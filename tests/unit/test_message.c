/*
 * test_message - collecting what comes in: fields, folds, size limit.
 */
#include "fixture.h"

#include <string.h>

static void
add(struct message *m, const char *name, const char *value)
{
	message_add_field(m, name, strlen(name), value, strlen(value));
}

static void
test_fields_keep_octets_and_order(void **state)
{
	static const struct {
		const char *name, *field, *value, *want;
	} cases[] = {
		{"plain", "Subject", " Hi", " Hi"},
		{"CRLF fold", "To", " a,\r\n b", " a,\n b"},
		{"LF fold", "To", " a,\n\tb", " a,\n\tb"},
		{"many folds", "To", "\r\n a\r\n \r\n b", "\n a\n \n b"},
		{"bare CR stays", "X", " a\rb", " a\rb"},
		{"CR at the end stays", "X", " a\r", " a\r"},
		{"CR before CRLF stays", "X", " a\r\r\n b", " a\r\n b"},
		{"empty", "X", "", ""},
		{"8-bit", "X", " \xff\x80", " \xff\x80"},
		{"odd name", "a!#$%&'*+-/=?^_`{|}~", " x", " x"},
	};
	struct message *m = message_new("a@example.com", 100000);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		add(m, cases[i].field, cases[i].value);
	message_seal(m);
	assert_int_equal(m->fields->len, G_N_ELEMENTS(cases));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		check_string(cases[i].name, f->name, cases[i].field);
		check_string(cases[i].name, f->value, cases[i].want);
		check_int(cases[i].name, f->name_len, strlen(cases[i].field));
		check_int(cases[i].name, f->value_len, strlen(cases[i].want));
	}
	message_free(m);
}

static void
test_twenty_thousand_fields(void **state)
{
	struct message *m = message_new("", 100000000);
	char text[32];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		g_snprintf(text, sizeof text, " %d", i);
		add(m, i % 2 ? "X-Odd" : "X-Even", text);
	}
	message_seal(m);
	message_seal(m); /* twice is harmless */
	assert_int_equal(m->fields->len, 20000);
	assert_string_equal(message_field(m, "x-odd", 9999)->value, " 19999");
	assert_string_equal(message_field(m, "X-EVEN", 0)->value, " 0");
	assert_null(message_field(m, "X-Even", 10000));
	assert_null(message_field(m, "X-Eve", 0));
	message_free(m);
}

static void
test_names(void **state)
{
	static const struct {
		const char *name, *field, *ask;
		bool same;
	} cases[] = {
		{"same", "From", "From", true},
		{"case", "FROM", "from", true},
		{"blank before the colon", "From ", "From", true},
		{"blanks and tabs", "From \t ", "From", true},
		{"longer", "Fromm", "From", false},
		{"shorter", "Fro", "From", false},
		{"leading blank", " From", "From", false},
		{"blanks only", "  ", "From", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = message_new("", 1000);

		add(m, cases[i].field, " x");
		message_seal(m);
		check_int(cases[i].name, message_field(m, cases[i].ask, 0) != NULL, cases[i].same);
		check_true(cases[i].name, message_field(m, cases[i].ask, 1) == NULL);
		message_free(m);
	}
}

static void
test_size_limit(void **state)
{
	static const struct {
		const char *name;
		size_t field, body; /* octets: of a field "X: ..." with its line end, and of the body */
		bool too_large;
	} cases[] = {
		{"header and body just fit", 50, 50, false},
		{"body one over", 50, 51, true},
		{"header alone one over", 101, 0, true},
		{"header alone fits", 100, 0, false},
		{"body alone", 0, 100, false},
		{"body alone one over", 0, 101, true},
		{"far over", 0, 1000000, true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = message_new("", 100);
		char *value = g_strnfill(cases[i].field > 4 ? cases[i].field - 4 : 0, 'v');

		if (cases[i].field > 0)
			add(m, "X", value);
		for (size_t n = 0; n < cases[i].body; n++)
			message_add_body(m, "b", 1);
		message_seal(m);
		check_int(cases[i].name, m->too_large, cases[i].too_large);
		check_int(cases[i].name, m->size, cases[i].field + cases[i].body);
		if (cases[i].too_large)
			check_int(cases[i].name, m->body.len, 0);
		else
			check_int(cases[i].name, m->body.len, cases[i].body);
		check_true(cases[i].name, !m->damaged);
		g_free(value);
		message_free(m);
	}
}

static void
test_recipients_are_copies(void **state)
{
	char rcpt[] = "a@example.com";
	struct message *m = message_new(rcpt, 10);

	(void)state;
	message_add_rcpt(m, rcpt);
	rcpt[0] = 'b';
	message_add_rcpt(m, rcpt);
	assert_string_equal(m->sender, "a@example.com");
	assert_string_equal(m->rcpts->pdata[0], "a@example.com");
	assert_string_equal(m->rcpts->pdata[1], "b@example.com");
	message_free(m);
	message_free(NULL);
}

static void
test_address_domain(void **state)
{
	static const struct {
		const char *name, *address, *want;
	} cases[] = {
		{"plain", "a@example.com", "example.com"},
		{"quoted at", "\"a@b\"@example.com", "example.com"},
		{"none", "postmaster", NULL},
		{"empty", "", NULL},
		{"nothing behind", "a@", ""},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_string(cases[i].name, address_domain(cases[i].address), cases[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_keep_octets_and_order),
		cmocka_unit_test(test_twenty_thousand_fields),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_recipients_are_copies),
		cmocka_unit_test(test_address_domain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
