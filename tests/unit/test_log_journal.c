/*
 * test_log_journal - entries of journal files, which the test writes itself: the mail's and ours
 * alone, each once, from the kept cursor on.
 *
 * Written is the format of https://systemd.io/JOURNAL_FILE_FORMAT without compression, compact mode
 * and keyed hashes; hash tables of one bucket.
 */
#include "fixture.h"

#include "io/log_journal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- writing journal files ---- */

#define HEADER_SIZE 208
#define MAX_ENTRIES 16

enum { DATA = 1, FIELD, ENTRY, DATA_HASH_TABLE, FIELD_HASH_TABLE, ENTRY_ARRAY };

struct entry {
	const char *facility, *ident, *message;
	size_t message_len; /* 0: strlen() */
};

static guint64
get64(const GByteArray *b, gsize at)
{
	guint64 value;

	memcpy(&value, b->data + at, 8);
	return GUINT64_FROM_LE(value);
}

static void
set64(GByteArray *b, gsize at, guint64 value)
{
	value = GUINT64_TO_LE(value);
	memcpy(b->data + at, &value, 8);
}

static void
add64(GByteArray *b, guint64 value)
{
	value = GUINT64_TO_LE(value);
	g_byte_array_append(b, (const guint8 *)&value, 8);
}

static guint32
rot(guint32 x, int k)
{
	return x << k | x >> (32 - k);
}

/* lookup3.c, hashlittle2(), by Bob Jenkins, public domain: the journal's hash, of octets. */
static guint64
hash(const void *data, size_t len)
{
	const guint8 *k = data;
	guint32 a = 0xdeadbeef + (guint32)len, b = a, c = a;
	guint8 last[12] = {0};

	for (; len > 12; len -= 12, k += 12) {
		a += k[0] | k[1] << 8 | k[2] << 16 | (guint32)k[3] << 24;
		b += k[4] | k[5] << 8 | k[6] << 16 | (guint32)k[7] << 24;
		c += k[8] | k[9] << 8 | k[10] << 16 | (guint32)k[11] << 24;
		a = (a - c) ^ rot(c, 4), c += b;
		b = (b - a) ^ rot(a, 6), a += c;
		c = (c - b) ^ rot(b, 8), b += a;
		a = (a - c) ^ rot(c, 16), c += b;
		b = (b - a) ^ rot(a, 19), a += c;
		c = (c - b) ^ rot(b, 4), b += a;
	}
	if (len > 0) {
		memcpy(last, k, len);
		k = last;
		a += k[0] | k[1] << 8 | k[2] << 16 | (guint32)k[3] << 24;
		b += k[4] | k[5] << 8 | k[6] << 16 | (guint32)k[7] << 24;
		c += k[8] | k[9] << 8 | k[10] << 16 | (guint32)k[11] << 24;
		c = (c ^ b) - rot(b, 14);
		a = (a ^ c) - rot(c, 11);
		b = (b ^ a) - rot(a, 25);
		c = (c ^ b) - rot(b, 16);
		a = (a ^ c) - rot(c, 4);
		b = (b ^ a) - rot(a, 14);
		c = (c ^ b) - rot(b, 24);
	}
	return (guint64)c << 32 | b;
}

/* Appends an object's head, at a multiple of 8; its offset. */
static gsize
begin_object(GByteArray *b, guint8 type, guint64 payload)
{
	static const guint8 zero[8];
	const guint8 head[8] = {type};
	gsize at;

	g_byte_array_append(b, zero, (8 - b->len % 8) % 8);
	at = b->len;
	g_byte_array_append(b, head, sizeof head);
	add64(b, 16 + payload);
	set64(b, 136, at);                /* tail_object_offset */
	set64(b, 144, get64(b, 144) + 1); /* n_objects */
	return at;
}

/* Puts an object at the end of its hash table's one chain. */
static void
chain(GByteArray *b, gsize table, gsize object)
{
	guint64 tail = get64(b, table + 24);

	if (tail == 0)
		set64(b, table + 16, object);
	else
		set64(b, tail + 24, object);
	set64(b, table + 24, object);
}

/* The data object of a field: one for all entries that have it. */
static gsize
find_data(GByteArray *b, gsize table, const void *text, size_t len)
{
	guint64 h = hash(text, len);
	gsize at;

	for (at = get64(b, table + 16); at != 0; at = get64(b, at + 24))
		if (get64(b, at + 16) == h && get64(b, at + 8) == 64 + len &&
		    memcmp(b->data + at + 64, text, len) == 0)
			return at;
	at = begin_object(b, DATA, 48 + len);
	add64(b, h);
	for (int i = 0; i < 5; i++)
		add64(b, 0); /* next in chain, next of field, first entry, entry array, entries */
	g_byte_array_append(b, text, (guint)len);
	chain(b, table, at);
	return at;
}

/* An entry that has a data object is noted in it: the first one here, others in an array. */
static void
note_entry(GByteArray *b, gsize data, gsize entry)
{
	guint64 n = get64(b, data + 56);
	gsize array;

	if (n == 0) {
		set64(b, data + 40, entry);
	} else {
		if (n == 1) {
			array = begin_object(b, ENTRY_ARRAY, 8 + 8 * MAX_ENTRIES);
			for (int i = 0; i <= MAX_ENTRIES; i++)
				add64(b, 0);
			set64(b, data + 48, array);
		}
		set64(b, get64(b, data + 48) + 24 + 8 * (n - 1), entry);
	}
	set64(b, data + 56, n + 1);
}

static void
add_entry(GByteArray *b, gsize table, gsize array, const struct entry *e, guint64 number)
{
	GString *texts[4];
	gsize data[4], at;
	guint64 n = number - get64(b, 168); /* head_entry_seqnum */

	for (int i = 0; i < 4; i++)
		texts[i] = g_string_new(NULL);
	g_string_printf(texts[0], "SYSLOG_FACILITY=%s", e->facility);
	g_string_printf(texts[1], "SYSLOG_IDENTIFIER=%s", e->ident);
	g_string_append(texts[2], "MESSAGE=");
	g_string_append_len(texts[2], e->message,
			    (gssize)(e->message_len > 0 ? e->message_len : strlen(e->message)));
	g_string_printf(texts[3], "_HOSTNAME=mx1");
	for (int i = 0; i < 4; i++)
		data[i] = find_data(b, table, texts[i]->str, texts[i]->len);
	at = begin_object(b, ENTRY, 48 + 4 * 16);
	add64(b, number);
	add64(b, 1700000000000000 + number); /* real time */
	add64(b, number);                    /* monotonic time */
	add64(b, 0x626f6f74);                /* boot ID */
	add64(b, 1);
	add64(b, 0); /* xor hash */
	for (int i = 0; i < 4; i++) {
		add64(b, data[i]);
		add64(b, get64(b, data[i] + 16));
		g_string_free(texts[i], TRUE);
	}
	for (int i = 0; i < 4; i++)
		note_entry(b, data[i], at);
	set64(b, array + 24 + 8 * n, at);
	set64(b, 152, n + 1);  /* n_entries */
	set64(b, 160, number); /* tail_entry_seqnum */
	set64(b, 192, 1700000000000000 + number);
	set64(b, 200, number);
}

/* A journal file with entries that are numbered from first on. */
static void
write_journal(const char *name, const struct entry *entries, guint n, guint64 first)
{
	GByteArray *b = g_byte_array_new();
	gsize table, fields, array;

	g_byte_array_set_size(b, HEADER_SIZE);
	memset(b->data, 0, HEADER_SIZE);
	memcpy(b->data, "LPKSHHRH", 8);
	set64(b, 24, 0xf11e0000 + first); /* file_id */
	set64(b, 40, 0x6d616368);         /* machine_id */
	set64(b, 56, 0x626f6f74);         /* boot_id */
	set64(b, 64, 1);
	set64(b, 72, 0x73657131); /* seqnum_id */
	set64(b, 88, HEADER_SIZE);
	table = begin_object(b, DATA_HASH_TABLE, 16);
	add64(b, 0);
	add64(b, 0);
	fields = begin_object(b, FIELD_HASH_TABLE, 16);
	add64(b, 0);
	add64(b, 0);
	array = begin_object(b, ENTRY_ARRAY, 8 + 8 * MAX_ENTRIES);
	for (int i = 0; i <= MAX_ENTRIES; i++)
		add64(b, 0);
	set64(b, 104, table + 16);
	set64(b, 112, 16);
	set64(b, 120, fields + 16);
	set64(b, 128, 16);
	set64(b, 168, first); /* head_entry_seqnum */
	set64(b, 176, array);
	set64(b, 184, 1700000000000000 + first);
	for (guint i = 0; i < n; i++)
		add_entry(b, table, array, &entries[i], first + i);
	g_byte_array_set_size(b, (b->len + 7) / 8 * 8);
	set64(b, 96, b->len - HEADER_SIZE); /* arena_size */
	fixture_write(name, b->data, b->len, 0600);
	g_byte_array_unref(b);
}

/* ---- tests ---- */

static const struct entry entries[] = {
	{"2", "postfix/smtpd", "4bA: client=a[1.2.3.4]", 0},
	{"3", "sshd", "not ours", 0},
	{"2", "postfix/cleanup", "4bA: message-id=<1@example.com>", 0},
	{"3", "poolmilter", "4bA: pool=acme", 0},
	{"0", "kernel", "not ours", 0},
	{"2", "postfix/qmgr", "4bA: a\0b", 8},
};

static struct log_source source;

/* All entries until there are no more, "program text|", NUL as "~"; checked. */
static void
check_read(const char *name, const char *want)
{
	GString *all = g_string_new(NULL);
	struct log_entry entry;
	enum log_read got;
	char *why = NULL;

	while ((got = source.read(source.context, &entry, &why)) == LOG_READ_ENTRY) {
		check_true(name, entry.apart);
		check_int(name, entry.parts.host.len, 3);
		check_true(name, entry.parts.time > 1700000000000000 &&
					 entry.parts.time < 1700000000000100);
		g_string_append_len(all, entry.parts.program.p, (gssize)entry.parts.program.len);
		g_string_append_c(all, ' ');
		g_string_append_len(all, entry.parts.text.p, (gssize)entry.parts.text.len);
		g_string_append_c(all, '|');
	}
	for (gsize i = 0; i < all->len; i++)
		if (all->str[i] == '\0')
			all->str[i] = '~';
	if (got != LOG_READ_NONE)
		g_string_append(all, why);
	check_string(name, all->str, want);
	g_string_free(all, TRUE);
	g_free(why);
}

static void
restart(const char *position, bool from_start)
{
	char *why = NULL;

	if (source.free != NULL)
		source.free(source.context);
	source = log_journal_new(fixture_directory(), "poolmilter");
	if (!source.open(source.context, position, from_start, &why))
		fail_msg("not opened: %s", why);
}

static void
test_entries(void **state)
{
	struct entry late = {"2", "postfix/smtp", "4bA: to=<b@example.net>", 0};
	char *end, *old;

	(void)state;
	write_journal("system.journal", entries, 4, 1);
	restart(NULL, true);
	old = source.position(source.context);
	assert_string_equal(old, "journal");
	check_read("from the beginning",
		   "postfix/smtpd 4bA: client=a[1.2.3.4]|"
		   "postfix/cleanup 4bA: message-id=<1@example.com>|poolmilter 4bA: pool=acme|");
	end = source.position(source.context);
	restart(NULL, false);
	check_read("from the end", "");
	restart(end, false);
	check_read("from the kept position", "");
	write_journal("user.journal", entries + 4, 2, 5);
	source.wait(source.context, -1, 1000);
	check_read("another file with new ones", "postfix/qmgr 4bA: a~b|");
	restart(end, false);
	check_read("the same after a restart", "postfix/qmgr 4bA: a~b|");
	g_free(end);
	end = source.position(source.context);
	write_journal("later.journal", &late, 1, 7);
	unlink(fixture_path("user.journal"));
	restart(end, false);
	check_read("the entry of the position is gone", "postfix/smtp 4bA: to=<b@example.net>|");
	restart(old, false);
	check_read("a position before the first",
		   "postfix/smtpd 4bA: client=a[1.2.3.4]|"
		   "postfix/cleanup 4bA: message-id=<1@example.com>|poolmilter 4bA: pool=acme|"
		   "postfix/smtp 4bA: to=<b@example.net>|");
	restart("file 1 2", false);
	check_read("a position of a file", "");
	g_free(end);
	g_free(old);
	source.free(source.context);
}

static void
test_none(void **state)
{
	char *why = NULL;

	(void)state;
	source = log_journal_new(fixture_path("none"), "poolmilter");
	assert_false(source.open(source.context, NULL, false, &why));
	assert_non_null(strstr(why, "events.log: journal: "));
	g_free(why);
	source.free(source.context);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
