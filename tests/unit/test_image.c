/*
 * test_image - a fake MTA that applies the edits holds the image (DESIGN, "image"; FAULTS D1).
 *
 * The MTA here knows the milter protocol and nothing of image.c: an edit counts fields of its name from
 * 1 among those that are there at that moment, blind for case and for blanks before the colon, as
 * Postfix' cleanup_find_header_start() and is_header() do.  A second, naive model says what delete, set,
 * add and insert mean; image.c must agree with both.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* One field as "Name:value"; name_len is without blanks before the colon. */
struct line {
	char *text;
	size_t name_len, colon;
};

static void
line_free(void *p)
{
	g_free(((struct line *)p)->text);
	g_free(p);
}

static struct line *
line_new(const char *name, size_t name_len, const char *value)
{
	struct line *l = g_new(struct line, 1);

	l->text = g_strdup_printf("%.*s:%s", (int)name_len, name, value);
	l->colon = name_len;
	while (name_len > 0 && strchr(" \t", name[name_len - 1]) != NULL)
		name_len--;
	l->name_len = name_len;
	return l;
}

static GPtrArray *
lines_of(const struct message *m)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(line_free);

	for (guint i = 0; i < m->fields->len; i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		g_ptr_array_add(lines, line_new(f->name, f->name_len, f->value));
	}
	return lines;
}

static char *
lines_text(const GPtrArray *lines)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < lines->len; i++)
		g_string_append_printf(text, "%s\n", ((struct line *)lines->pdata[i])->text);
	return g_string_free(text, FALSE);
}

static bool
line_is(const struct line *l, const char *name)
{
	return strlen(name) == l->name_len && g_ascii_strncasecmp(l->text, name, l->name_len) == 0;
}

static void
line_set_value(struct line *l, const char *value)
{
	char *text = g_strdup_printf("%.*s:%s", (int)l->colon, l->text, value);

	g_free(l->text);
	l->text = text;
}

/* ---- the fake MTA: one edit of the protocol after the other */

static void
mta_apply(GPtrArray *lines, const struct edit *e, const char *test)
{
	unsigned seen = 0;

	/* What travels is a C string. */
	check_int(test, strlen(e->field.name), e->field.name_len);
	if (e->kind != EDIT_DELETE)
		check_int(test, strlen(e->field.value), e->field.value_len);
	if (e->kind == EDIT_ADD || e->kind == EDIT_INSERT) {
		g_ptr_array_insert(lines, e->kind == EDIT_ADD ? -1 : 0,
				   line_new(e->field.name, e->field.name_len, e->field.value));
		return;
	}
	for (guint i = 0; i < lines->len; i++) {
		if (!line_is(lines->pdata[i], e->field.name) || ++seen != e->index)
			continue;
		if (e->kind == EDIT_DELETE)
			g_ptr_array_remove_index(lines, i);
		else
			line_set_value(lines->pdata[i], e->field.value);
		return;
	}
	fail_msg("case \"%s\": the MTA has no field \"%s\" number %u", test, e->field.name, e->index);
}

static void
check_mta_holds_image(const char *test, const struct message *m, const struct image *image)
{
	GPtrArray *lines = lines_of(m);
	const GArray *edits = image_edits(image);
	char *mta, *ours = fixture_image_text(image);

	for (guint i = 0; i < edits->len; i++)
		mta_apply(lines, &g_array_index(edits, struct edit, i), test);
	mta = lines_text(lines);
	check_string(test, ours, mta);
	g_free(mta);
	g_free(ours);
	g_ptr_array_free(lines, TRUE);
}

/* ---- what the edits mean, naively */

static bool
matches(const char *pattern, const struct line *l)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return l->name_len >= len - 1 && g_ascii_strncasecmp(l->text, pattern, len - 1) == 0;
	return line_is(l, pattern);
}

static unsigned
naive_delete(GPtrArray *lines, const char *pattern, guint from)
{
	unsigned gone = 0;

	for (guint i = from; i < lines->len;) {
		if (matches(pattern, lines->pdata[i])) {
			g_ptr_array_remove_index(lines, i);
			gone++;
		} else {
			i++;
		}
	}
	return gone;
}

static unsigned
naive_set(GPtrArray *lines, const char *name, const char *value)
{
	for (guint i = 0; i < lines->len; i++) {
		if (line_is(lines->pdata[i], name)) {
			line_set_value(lines->pdata[i], value);
			return 1 + naive_delete(lines, name, i + 1);
		}
	}
	g_ptr_array_add(lines, line_new(name, strlen(name), value));
	return 0;
}

/*
 * ---- scripts: "-NAME" deletes, "=NAME value" sets, "+NAME value" adds, "^NAME value" inserts,
 * "~N value" changes field N of the message (only first, as long as the numbers hold)
 */

static void
run(const char *test, struct image *image, GPtrArray *naive, const char *op)
{
	const char *value = strchr(op, ' ');
	char *copy = value != NULL ? g_strdup(value) : NULL;
	char *given = value != NULL ? g_strndup(op + 1, (gsize)(value - op - 1)) : g_strdup(op + 1);
	const char *name = g_intern_string(given); /* names outlive the image, as those of settings do */

	switch (*op) {
	case '-':
		check_int(test, image_delete(image, name), naive_delete(naive, name, 0));
		break;
	case '=':
		check_int(test, image_set(image, name, copy, strlen(copy)), naive_set(naive, name, copy));
		break;
	case '+':
		image_add(image, name, copy, strlen(copy));
		g_ptr_array_add(naive, line_new(name, strlen(name), copy));
		break;
	case '~':
		if (g_ascii_strtoull(name, NULL, 10) >= naive->len)
			break;
		image_change(image, (guint)g_ascii_strtoull(name, NULL, 10), copy, strlen(copy));
		line_set_value(naive->pdata[g_ascii_strtoull(name, NULL, 10)], copy);
		break;
	case '^':
		image_insert(image, name, copy, strlen(copy));
		g_ptr_array_insert(naive, 0, line_new(name, strlen(name), copy));
		break;
	default:
		fail_msg("bad script \"%s\"", op);
	}
	g_free(copy); /* of the value the image must have its own */
	g_free(given);
}

static void
check_script(const char *test, const char *header, char **script, const char *want)
{
	struct message *m = fixture_message(header, "a@example.com", NULL);
	struct image *image = image_new(m);
	GPtrArray *naive = lines_of(m);
	char *ours, *meant;

	for (char **op = script; *op != NULL; op++)
		if (**op != '\0')
			run(test, image, naive, *op);
	ours = fixture_image_text(image);
	meant = lines_text(naive);
	check_string(test, ours, meant);
	if (want != NULL)
		check_string(test, ours, want);
	check_mta_holds_image(test, m, image);
	g_free(meant);
	g_free(ours);
	g_ptr_array_free(naive, TRUE);
	image_free(image);
	message_free(m);
}

static void
test_scripts(void **state)
{
	static const struct {
		const char *name, *header, *script, *want;
	} cases[] = {
		{"nothing", "A: 1\nB: 2\n", "", "A: 1\nB: 2\n"},
		{"no header at all", "", "", ""},
		{"delete one", "A: 1\nB: 2\n", "-a", "B: 2\n"},
		{"delete what is not there", "A: 1\n", "-B", "A: 1\n"},
		{"delete three in mixed case", "X-A: 1\nTo: t\nx-a: 2\nX-a: 3\n", "-X-A", "To: t\n"},
		{"delete is not a prefix", "X-A: 1\nX-AB: 2\n", "-X-A", "X-AB: 2\n"},
		{"wildcard", "X-A: 1\nX-B: 2\nY: 3\nX-a: 4\nX-: 5\nX: 6\n", "-x-*", "Y: 3\nX: 6\n"},
		{"wildcard and name overlap", "X-A: 1\nX-B: 2\nX-A: 3\n", "-X-A|-X-*", ""},
		{"twice the same", "X-A: 1\nB: 2\n", "-X-A|-X-A", "B: 2\n"},
		{"delete a blank before the colon", "X-A : 1\nB: 2\n", "-X-A", "B: 2\n"},
		{"delete with and without blank", "X-A: 1\nX-A : 2\nX-A\t: 3\nB: 4\n", "-X-A", "B: 4\n"},
		{"wildcard with and without blank", "X-A: 1\nX-A : 2\nX-B : 3\nX-A: 4\n", "-X-*", ""},
		{"set one", "A: 1\nB: 2\nC: 3\n", "=B new", "A: 1\nB: new\nC: 3\n"},
		{"set keeps the name as it stands", "sUBJECT: 1\n", "=Subject new", "sUBJECT: new\n"},
		{"set several", "B: 1\nA: x\nb: 2\nB: 3\n", "=B new", "B: new\nA: x\n"},
		{"set what is not there", "A: 1\n", "=B new", "A: 1\nB: new\n"},
		{"set a blank before the colon", "X-A : 1\nB: 2\n", "=X-A new", "X-A: new\nB: 2\n"},
		{"set with and without blank", "B: 0\nX-A : 1\nX-A: 2\n", "=X-A new", "B: 0\nX-A: new\n"},
		{"delete then set", "A: 1\nA: 2\n", "-A|=A new", "A: new\n"},
		{"delete then add", "A: 1\nB: 2\nA: 3\n", "-A|+A new", "B: 2\nA: new\n"},
		{"set then add", "A: 1\nA: 2\n", "=A new|+A more", "A: new\nA: more\n"},
		{"add keeps order", "A: 1\n", "+B 1|+B 2|+A 3", "A: 1\nB: 1\nB: 2\nA: 3\n"},
		{"insert puts on top", "A: 1\n", "^S 1|^S 2", "S: 2\nS: 1\nA: 1\n"},
		{"all together", "A: 1\nB: 2\nC: 3\nB: 4\n", "-A|=B new|+D 5|^S 6", "S: 6\nB: new\nC: 3\nD: 5\n"},
		{"delete takes back an addition", "A: 1\nB: 2\n", "+C 3|+A 4|+B 5|-A", "B: 2\nC: 3\nB: 5\n"},
		{"wildcard takes back additions", "X-A: 1\n", "+X-B 2|+Y 3|+X-C 4|-X-*", "Y: 3\n"},
		{"set takes back additions", "A: 1\n", "+A 2|+B 3|=A new", "A: new\nB: 3\n"},
		{"set of what was only added", "B: 1\n", "+A 2|+C 3|+A 4|=A new", "B: 1\nA: new\nC: 3\n"},
		{"set after a set", "A: 1\n", "=A 2|+B 3|=A new|-B", "A: new\n"},
		{"delete after a set", "A: 1\nA: 2\nB: 3\n", "=A 2|-A|+A 4", "B: 3\nA: 4\n"},
		{"change one of three", "A: 1\na: 2\nA: 3\n", "~1 new", "A: 1\na: new\nA: 3\n"},
		{"change, then delete", "A: 1\nA: 2\nB: 3\n", "~1 new|-A", "B: 3\n"},
		{"change, take back, change", "A: 1\nB: 2\n", "~0 x|+C 3|~1 y|-C", "A: x\nB: y\n"},
		{"folded values", "A: 1\n 2\n\t3\nB: x\n", "=B 4\n 5", "A: 1\n 2\n\t3\nB: 4\n 5\n"},
		{"empty values", "A:\nB:\n", "-A|=B new", "B: new\n"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char **script = g_strsplit(cases[i].script, "|", -1);

		check_script(cases[i].name, cases[i].header, script, cases[i].want);
		g_strfreev(script);
	}
}

/* D1: CVE-2022-48521 is the one copy that stays. */
static void
test_fifty_copies(void **state)
{
	static const char *const spellings[] = {"X-Secret", "x-secret", "X-SECRET", "x-SeCrEt"};
	static const char *const scripts[] = {"-X-Secret", "-x-s*", "=X-Secret new", "-X-Secret|+X-Secret new"};
	GString *header = g_string_new("From: a\n");

	(void)state;
	for (int i = 0; i < 50; i++)
		g_string_append_printf(header, "%s: %d\nReceived: %d\n", spellings[i % 4], i, i);
	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		char **script = g_strsplit(scripts[i], "|", -1);
		struct message *m = fixture_message(header->str, "", NULL);
		struct image *image = image_new(m);

		check_script(scripts[i], header->str, script, NULL);
		if (**script == '-')
			check_int(scripts[i], image_delete(image, *script + 1), 50);
		else
			check_int(scripts[i], image_set(image, "X-Secret", " new", 4), 50);
		check_mta_holds_image(scripts[i], m, image);
		image_free(image);
		message_free(m);
		g_strfreev(script);
	}
	g_string_free(header, TRUE);
}

static const char *
pick(GRand *random, const char *const *list, gint32 n)
{
	return list[g_rand_int_range(random, 0, n)];
}

static char *
random_header(GRand *random)
{
	static const char *const names[] = {"From", "To", "X-A", "x-a", "X-A ", "X-AB", "X-B", "x-b\t", "X-", "Received", "Y"};
	GString *header = g_string_new(NULL);
	int n = g_rand_int_range(random, 0, 30);

	for (int i = 0; i < n; i++)
		g_string_append_printf(header, "%s:%s%d\n", pick(random, names, G_N_ELEMENTS(names)),
				       g_rand_boolean(random) ? " " : "\n fold ", i);
	return g_string_free(header, FALSE);
}

/* Ops in the order of the pipeline: changes, then twice deletes, sets (each name once), adds; inserts. */
static char **
random_script(GRand *random)
{
	static const char *const patterns[] = {"X-A", "x-b", "X-*", "x-a*", "Received", "Y", "none", "y*", "X-AB"};
	static const char *const sets[] = {"X-A", "X-B", "To", "Y", "X-New"};
	static const char *const adds[] = {"X-A", "X-New", "Y"};
	GPtrArray *script = g_ptr_array_new();

	for (int n = g_rand_int_range(random, 0, 3); n > 0; n--)
		g_ptr_array_add(script, g_strdup_printf("~%d change", g_rand_int_range(random, 0, 12)));
	for (int round = 0; round < 2; round++) {
		for (int n = g_rand_int_range(random, 0, 4); n > 0; n--)
			g_ptr_array_add(script, g_strdup_printf("-%s", pick(random, patterns,
									      G_N_ELEMENTS(patterns))));
		for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
			if (g_rand_int_range(random, 0, 3) == 0)
				g_ptr_array_add(script, g_strdup_printf("=%s set%zu", sets[i], i));
		for (int n = g_rand_int_range(random, 0, 4); n > 0; n--)
			g_ptr_array_add(script,
					g_strdup_printf("+%s add%d", pick(random, adds, G_N_ELEMENTS(adds)), n));
	}
	for (int n = g_rand_int_range(random, 0, 4); n > 0; n--)
		g_ptr_array_add(script, g_strdup_printf("^%s ins%d", n % 2 ? "DKIM-Signature" : "X-A", n));
	g_ptr_array_add(script, NULL);
	return (char **)g_ptr_array_free(script, FALSE);
}

static void
test_random_scripts(void **state)
{
	const char *given = g_getenv("POOLMILTER_SEED");
	guint32 seed = given != NULL ? (guint32)g_ascii_strtoull(given, NULL, 10) : 48521;
	GRand *random = g_rand_new_with_seed(seed);

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char *header = random_header(random), **script = random_script(random);
		char *all = g_strjoinv("|", script);
		char *test = g_strdup_printf("seed %u, round %d: %s on\n%s", seed, round, all, header);

		check_script(test, header, script, NULL);
		g_free(test);
		g_free(all);
		g_strfreev(script);
		g_free(header);
	}
	g_rand_free(random);
}

static void
test_revert(void **state)
{
	struct message *m = fixture_message("A: 1\nB: 2\n", "", NULL);
	struct image *image = image_new(m);
	char *text;

	(void)state;
	image_delete(image, "A");
	image_set(image, "B", " new", 4);
	image_add(image, "C", " 3", 2);
	image_insert(image, "D", " 4", 2);
	assert_int_equal(image_edits(image)->len, 4);
	image_revert(image);
	assert_int_equal(image_edits(image)->len, 0);
	text = fixture_image_text(image);
	assert_string_equal(text, "A: 1\nB: 2\n");
	g_free(text);
	assert_int_equal(image_delete(image, "A"), 1);
	check_mta_holds_image("after a revert", m, image);
	image_free(image);
	image_free(NULL);
	message_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_fifty_copies),
		cmocka_unit_test(test_random_scripts),
		cmocka_unit_test(test_revert),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
