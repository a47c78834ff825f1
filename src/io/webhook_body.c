/*
 * webhook_body - what a webhook's receiver is sent; see webhook_body.h.
 */
#include "io/webhook_body.h"

#include "io/event_db.h"
#include "io/gzip.h"

#include <jansson.h>
#include <stdlib.h>

/* {"version":1,"node":"HOST"} without the brace at its end. */
static char *
head(const char *node)
{
	char *valid = g_utf8_make_valid(node, -1), *dump, *copy;
	json_t *object = json_pack("{s:i, s:s}", "version", 1, "node", valid);

	dump = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
	copy = g_strndup(dump, strlen(dump) - 1);
	free(dump);
	json_decref(object);
	g_free(valid);
	return copy;
}

static void
add_plain(const char *node, const GPtrArray *events, struct buf *out)
{
	char *begin = head(node);

	buf_puts(out, begin);
	buf_puts(out, ",\"events\":[");
	for (guint i = 0; i < events->len; i++) {
		const struct event_row *row = events->pdata[i];

		if (i > 0)
			buf_puts(out, ",");
		buf_puts(out, row->json);
	}
	buf_puts(out, "]}");
	g_free(begin);
}

bool
webhook_body(const char *node, const GPtrArray *events, bool gzip, struct buf *out,
	     bool *compressed)
{
	struct buf plain = BUF_INIT;

	*compressed = false;
	add_plain(node, events, out);
	if (buf_failed(out) || !gzip || out->len < WEBHOOK_GZIP_MIN)
		return !buf_failed(out);
	plain = *out;
	*out = (struct buf)BUF_INIT;
	*compressed = gzip_compress(plain.data, plain.len, out);
	buf_free(&plain);
	return *compressed;
}
