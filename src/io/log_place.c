/*
 * log_place - a position in a log file; see log_place.h.
 */
#include "io/log_place.h"
#include "core/word.h"

#include <string.h>
#include <unistd.h>

#define KIND "file"

void
log_place_clear(struct log_place *p)
{
	g_clear_pointer(&p->path, g_free);
}

static void
make_hash(const void *head, unsigned len, char *hash)
{
	char *made = g_compute_checksum_for_data(G_CHECKSUM_SHA256, head, len);

	g_strlcpy(hash, made, LOG_PLACE_HASH_SIZE);
	g_free(made);
}

void
log_place_set_head(struct log_place *p, const void *head)
{
	p->head = (unsigned)MIN(p->offset, LOG_PLACE_HEAD);
	make_hash(head, p->head, p->hash);
}

char *
log_place_text(const struct log_place *p)
{
	GString *line = g_string_new(KIND);

	word_put_number(line, (int64_t)p->inode);
	word_put_number(line, p->offset);
	word_put_number(line, p->changed);
	word_put_number(line, p->head);
	word_put(line, p->hash);
	word_put(line, p->path);
	return g_string_free(line, FALSE);
}

bool
log_place_read(const char *text, struct log_place *p)
{
	struct word_line line = {text, text + strlen(text)};
	GString *hash = g_string_new(NULL), *path = g_string_new(NULL);
	int64_t inode, head;
	bool ok;

	memset(p, 0, sizeof *p);
	ok = word_begins(&line, KIND) && word_take_number(&line, G_MININT64, G_MAXINT64, &inode) &&
	     word_take_number(&line, 0, G_MAXINT64, &p->offset) &&
	     word_take_number(&line, 0, G_MAXINT64, &p->changed) &&
	     word_take_number(&line, 0, LOG_PLACE_HEAD, &head) && word_take(&line, hash) &&
	     hash->len < sizeof p->hash && word_take(&line, path) && word_ended(&line);
	if (ok) {
		p->inode = (uint64_t)inode;
		p->head = (unsigned)head;
		memcpy(p->hash, hash->str, hash->len + 1);
		p->path = g_strdup(path->str);
	}
	g_string_free(hash, TRUE);
	g_string_free(path, TRUE);
	return ok;
}

bool
log_place_in(const struct log_place *p, int fd, const struct stat *st)
{
	char head[LOG_PLACE_HEAD], hash[LOG_PLACE_HASH_SIZE];

	if (p->head == 0)
		return p->inode == st->st_ino && p->inode != 0 && p->offset == 0;
	if (st->st_size < p->offset || pread(fd, head, p->head, 0) != (ssize_t)p->head)
		return false;
	make_hash(head, p->head, hash);
	return strcmp(hash, p->hash) == 0;
}
