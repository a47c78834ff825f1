/*
 * state_text - the frame of our state files; see state_text.h.
 */
#include "core/state_text.h"

#include <openssl/evp.h>
#include <string.h>

#define SUM_WORD "sha256 "
#define SUM_HEX 64
#define SUM_LINE (sizeof SUM_WORD - 1 + SUM_HEX + 1)

static bool
checksum(const char *text, size_t len, char hex[SUM_HEX + 1])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_Digest(text, len, sum, &size, EVP_sha256(), NULL) != 1 || size * 2 != SUM_HEX)
		return false;
	for (unsigned i = 0; i < size; i++)
		g_snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	return true;
}

void
state_text_end(struct buf *out, size_t start)
{
	char hex[SUM_HEX + 1];

	if (buf_failed(out) || !checksum(out->data + start, out->len - start, hex))
		return;
	buf_puts(out, SUM_WORD);
	buf_puts(out, hex);
	buf_puts(out, "\n");
}

const char *
state_text_begin(struct state_text *t, const char *text, size_t len, const char *version)
{
	const size_t first = strlen(version);
	char hex[SUM_HEX + 1];
	const char *sum;

	if (len < first || memcmp(text, version, first) != 0)
		return "the first line is not that of this version";
	if (len < first + SUM_LINE)
		return "it is cut";
	sum = text + len - SUM_LINE;
	if (sum[-1] != '\n' || memcmp(sum, SUM_WORD, sizeof SUM_WORD - 1) != 0 ||
	    text[len - 1] != '\n')
		return "it is cut, or something follows the checksum";
	if (!checksum(text, len - SUM_LINE, hex) ||
	    memcmp(sum + sizeof SUM_WORD - 1, hex, SUM_HEX) != 0)
		return "the checksum does not match";
	t->next = text + first;
	t->end = sum;
	return NULL;
}

bool
state_text_line(struct state_text *t, struct word_line *line)
{
	if (t->next >= t->end)
		return false;
	line->p = t->next;
	line->end = memchr(t->next, '\n', (size_t)(t->end - t->next)); /* the last is one */
	t->next = line->end + 1;
	return true;
}
