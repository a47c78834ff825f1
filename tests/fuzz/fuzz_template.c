/*
 * fuzz_template - values of headers from hostile octets (FAULTS D2).
 *
 * Input: one octet chooses the field's name, a line is the template, the rest is what ${header:...}
 * variables expand to.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "core/template.h"

#include <gmime/gmime.h>
#include <string.h>

#define NAME_76 "X-Seventy-Six-Octets-And-Not-One-More-0123456789012345678901234567890123456"

static const char *
value_of(const void *context, const char *name, size_t *len)
{
	const struct input *value = context;

	if (strcmp(name, "login") == 0) /* the one that has none */
		return NULL;
	if (strcmp(name, "pool") == 0) {
		*len = 4;
		return "acme";
	}
	*len = value->len;
	return value->len > 0 ? (const char *)value->data : "";
}

static void
expand(const struct template *t, const char *name, const struct input *value)
{
	const struct template_source source = {value_of, value};
	struct buf out = BUF_INIT;
	bool any;

	buf_add(&out, " ", 1);
	any = template_expand(t, name, &source, &out);
	require(!buf_failed(&out));
	require(out.data[0] == ' ');
	require(any == (out.len > 1));
	if (any)
		fuzz_check_value(name, out.data, out.len);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"X", "X-Sender-Id", "Feedback-ID", NAME_76};
	struct input in = {data, size};
	const char *name = names[input_choice(&in, G_N_ELEMENTS(names))], *why = NULL;
	char *text = input_line(&in);
	struct template *t;

	g_mime_init();
	t = template_parse(text, &why);
	if (t != NULL) {
		expand(t, name, &in);
		require(!template_uses(t, "login") || strstr(text, "${login}") != NULL);
	} else {
		require(why != NULL && *why != '\0');
	}
	template_free(t);
	g_free(text);
	return 0;
}
