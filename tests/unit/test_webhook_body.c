/*
 * test_webhook_body - what a webhook's receiver is sent, plain and compressed.
 */
#include "fixture.h"

#include "io/event_db.h"
#include "io/gzip.h"
#include "io/webhook_body.h"

#include <gio/gio.h>
#include <string.h>

#define ROWS_MAX 3

/* Rows with these texts up to a NULL; the struct stays the caller's. */
struct batch {
	struct event_row rows[ROWS_MAX];
	GPtrArray *all;
};

static void
batch_init(struct batch *b, const char *const *texts)
{
	memset(b, 0, sizeof *b);
	b->all = g_ptr_array_new();
	for (guint i = 0; texts[i] != NULL; i++) {
		b->rows[i].json = (char *)texts[i];
		g_ptr_array_add(b->all, &b->rows[i]);
	}
}

/* The text that was compressed; g_free it. */
static char *
inflated(const struct buf *b)
{
	GConverter *gunzip = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));
	gsize size = 10000000, read, written;
	char *text = g_malloc0(size);

	assert_int_equal(g_converter_convert(gunzip, b->data, b->len, text, size - 1,
					     G_CONVERTER_INPUT_AT_END, &read, &written, NULL),
			 G_CONVERTER_FINISHED);
	assert_int_equal(read, b->len);
	g_object_unref(gunzip);
	return text;
}

static void
test_plain(void **state)
{
	static const struct {
		const char *name, *node, *texts[ROWS_MAX + 1], *want;
	} cases[] = {
		{"one",
		 "mx1",
		 {"{\"id\":\"1\"}"},
		 "{\"version\":1,\"node\":\"mx1\",\"events\":[{\"id\":\"1\"}]}"},
		{"three",
		 "mx1",
		 {"{}", "{\"a\":[]}", "{}"},
		 "{\"version\":1,\"node\":\"mx1\",\"events\":[{},{\"a\":[]},{}]}"},
		{"odd name of a host",
		 "a\"\\\xff",
		 {"{}"},
		 "{\"version\":1,\"node\":\"a\\\"\\\\\xef\xbf\xbd\",\"events\":[{}]}"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		for (int gzip = 0; gzip < 2; gzip++) { /* too small to be compressed */
			struct buf b = BUF_INIT;
			struct batch batch;
			bool compressed;

			batch_init(&batch, cases[i].texts);
			check_true(cases[i].name, webhook_body(cases[i].node, batch.all, gzip != 0,
							       &b, &compressed));
			check_string(cases[i].name, b.data, cases[i].want);
			check_true(cases[i].name, !compressed);
			g_ptr_array_unref(batch.all);
			buf_free(&b);
		}
}

static void
test_compressed(void **state)
{
	char *large = g_strnfill(2000000, 'x');
	const char *texts[] = {"{}", large, NULL};
	struct buf plain = BUF_INIT, packed = BUF_INIT;
	struct batch batch;
	bool compressed;
	char *text;

	(void)state;
	batch_init(&batch, texts);
	assert_true(webhook_body("mx1", batch.all, false, &plain, &compressed));
	assert_false(compressed);
	assert_true(webhook_body("mx1", batch.all, true, &packed, &compressed));
	assert_true(compressed);
	assert_true(packed.len < plain.len / 100);
	text = inflated(&packed);
	assert_string_equal(text, plain.data);
	g_free(text);
	g_ptr_array_unref(batch.all);
	buf_free(&plain);
	buf_free(&packed);
	g_free(large);
}

/* What cannot be made smaller, and more than a chunk of it. */
static void
test_noise(void **state)
{
	GRand *rand = g_rand_new_with_seed(1);
	struct buf packed = BUF_INIT;
	char noise[100000], *text;

	(void)state;
	for (size_t i = 0; i < sizeof noise - 1; i++)
		noise[i] = (char)g_rand_int_range(rand, 1, 256);
	noise[sizeof noise - 1] = '\0';
	assert_true(gzip_compress(noise, sizeof noise - 1, &packed));
	text = inflated(&packed);
	assert_string_equal(text, noise);
	g_free(text);
	buf_free(&packed);
	g_rand_free(rand);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_noise),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
