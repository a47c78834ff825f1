/*
 * test_eml - a message in a file: read as an MTA would give it, written back octet for octet.
 */
#include "fixture.h"

#include "ctl/eml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loaded {
	struct eml e;
	struct message *m;
	struct plan *plan;
};

static void
load(struct loaded *l, const char *data, size_t len)
{
	FILE *in = fmemopen((void *)(len > 0 ? data : "x"), len > 0 ? len : 1, "r");

	assert_non_null(in);
	if (len == 0)
		(void)fgetc(in);
	assert_true(eml_read(&l->e, in));
	(void)fclose(in);
	l->m = message_new("", 1 << 30);
	eml_parse(&l->e, l->m);
	message_seal(l->m);
	l->plan = plan_new(l->m);
}

static void
unload(struct loaded *l)
{
	plan_free(l->plan);
	message_free(l->m);
	eml_free(&l->e);
}

static char *
written(const struct loaded *l, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	eml_write(&l->e, l->plan, out);
	(void)fclose(out);
	return text;
}

/* header: fields as "Name:value" with LF; the body as it would travel. */
static const struct {
	const char *name, *file, *header, *body, *back; /* back NULL: as the file */
} cases[] = {
	{"LF", "A: 1\nB: 2\n\nHello\n", "A: 1\nB: 2\n", "Hello\r\n", NULL},
	{"CRLF", "A: 1\r\nB: 2\r\n\r\nHello\r\n", "A: 1\nB: 2\n", "Hello\r\n", NULL},
	{"no final newline", "A: 1\n\nHello", "A: 1\n", "Hello\r\n", NULL},
	{"no final newline, CRLF", "A: 1\r\n\r\nHello", "A: 1\n", "Hello\r\n", NULL},
	{"no body", "A: 1\n\n", "A: 1\n", "", NULL},
	{"no separator", "A: 1\nB: 2\n", "A: 1\nB: 2\n", "", NULL},
	{"no separator, no final newline", "A: 1\nB: 2", "A: 1\nB: 2\n", "", "A: 1\nB: 2\n"},
	{"a line that is no field ends the header", "A: 1\nHello\nB: 2\n", "A: 1\n", "Hello\r\nB: 2\r\n", "A: 1\n\nHello\nB: 2\n"},
	{"empty", "", "", "", NULL},
	{"body only", "\nHello\n", "", "Hello\r\n", NULL},
	{"empty lines only", "\n\n\n", "", "\r\n\r\n", NULL},
	{"body of empty lines", "A: 1\n\n\n\n\n", "A: 1\n", "\r\n\r\n\r\n", NULL},
	{"folded", "A: 1\n 2\n\t3\nB: 4\n\nx\n", "A: 1\n 2\n\t3\nB: 4\n", "x\r\n", NULL},
	{"folded, CRLF", "A: 1\r\n 2\r\n\t3\r\n\r\nx\r\n", "A: 1\n 2\n\t3\n", "x\r\n", NULL},
	{"fold right after the name", "A:\n 1\n\nx\n", "A:\n 1\n", "x\r\n", NULL},
	{"blank continuation lines", "A: 1\n \n\t\n 2\n\nx\n", "A: 1\n \n\t\n 2\n", "x\r\n", NULL},
	{"no blank behind the colon", "A:1\nB:\n\n", "A:1\nB:\n", "", NULL},
	{"blanks before the colon", "A : 1\nB\t: 2\n\n", "A: 1\nB: 2\n", "", "A: 1\nB: 2\n\n"},
	{"trailing blanks stay", "A: 1  \t\n\nx \t\n", "A: 1  \t\n", "x \t\r\n", NULL},
	{"colons in values", "A: b: c\n\n", "A: b: c\n", "", NULL},
	{"8-bit", "A: \xff\xc3\n\n\xe9\n", "A: \xff\xc3\n", "\xe9\r\n", NULL},
	{"leading dots stay single", "A: 1\n\n.\n..\n.x\n", "A: 1\n", ".\r\n..\r\n.x\r\n", NULL},
	{"bare CR in the body", "A: 1\n\na\rb\n", "A: 1\n", "a\rb\r\n", NULL},
	{"mbox line is no field", "From a@b Mon Jan  1\nA: 1\n\n", "", "From a@b Mon Jan  1\r\nA: 1\r\n\r\n", "\nFrom a@b Mon Jan  1\nA: 1\n\n"},
	{"8-bit name is no field", "A\xc3: 1\n\nx\n", "", "A\xc3: 1\r\n\r\nx\r\n", "\nA\xc3: 1\n\nx\n"},
	{"blanks inside a name are no field", "A: 1\nB C: 2\n", "A: 1\n", "B C: 2\r\n", "A: 1\n\nB C: 2\n"},
	{"first line folded is no field", " A: 1\n\n", "", " A: 1\r\n\r\n", "\n A: 1\n\n"},
	{"CRLF header, LF body", "A: 1\r\n\r\nx\ny\n", "A: 1\n", "x\r\ny\r\n", NULL},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct loaded l;
		char *header, *back;
		size_t len;

		load(&l, cases[i].file, strlen(cases[i].file));
		header = fixture_image_text(l.plan->image);
		check_string(cases[i].name, header, cases[i].header);
		check_string(cases[i].name, l.m->body.len > 0 ? l.m->body.data : "", cases[i].body);
		back = written(&l, &len);
		check_string(cases[i].name, back, cases[i].back != NULL ? cases[i].back : cases[i].file);
		free(back);
		g_free(header);
		unload(&l);
	}
}

static void
test_nul_octets(void **state)
{
	static const char file[] = "A: x\0y\n\nbo\0dy\n";
	struct loaded l;
	char *back;
	size_t len;

	(void)state;
	load(&l, file, sizeof file - 1);
	assert_int_equal(l.m->body.len, 7);
	assert_memory_equal(l.m->body.data, "bo\0dy\r\n", 7);
	back = written(&l, &len);
	assert_int_equal(len, sizeof file - 1);
	assert_memory_equal(back, file, len);
	free(back);
	unload(&l);
}

static void
test_large(void **state)
{
	GString *file = g_string_new("Subject: x\n");
	struct loaded l;
	char *back;
	size_t len;

	(void)state;
	for (int i = 0; i < 20000; i++)
		g_string_append_printf(file, "X-%d: %d\n", i % 10, i);
	g_string_append_c(file, '\n');
	for (int i = 0; i < 50000; i++)
		g_string_append_printf(file, "line %d\n", i);
	load(&l, file->str, file->len);
	assert_int_equal(l.m->fields->len, 20001);
	back = written(&l, &len);
	assert_int_equal(len, file->len);
	assert_string_equal(back, file->str);
	free(back);
	unload(&l);
	g_string_free(file, TRUE);
}

static void
test_edits_take_the_files_line_ends(void **state)
{
	static const struct {
		const char *name, *file, *want;
	} cases_of_ends[] = {
		{"LF", "A: 1\n\nx\n", "S: a\n b\nA: 1\nN: c\n d\n\nx\n"},
		{"CRLF", "A: 1\r\n\r\nx\r\n", "S: a\r\n b\r\nA: 1\r\nN: c\r\n d\r\n\r\nx\r\n"},
		{"no header", "\nx\n", "S: a\n b\nN: c\n d\n\nx\n"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases_of_ends); i++) {
		struct loaded l;
		char *back;
		size_t len;

		load(&l, cases_of_ends[i].file, strlen(cases_of_ends[i].file));
		image_add(l.plan->image, "N", " c\n d", 5);
		image_insert(l.plan->image, "S", " a\n b", 5);
		back = written(&l, &len);
		check_string(cases_of_ends[i].name, back, cases_of_ends[i].want);
		free(back);
		unload(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_nul_octets),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_edits_take_the_files_line_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
