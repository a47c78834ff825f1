/*
 * mta_line - what Postfix and poolmilter say of a message; see mta_line.h.
 *
 * Which forms a program can write follows from its name, from Postfix' sources: src/smtpd, pickup,
 * cleanup, qmgr, postsuper, bounce, and log_adhoc() for all that deliver.  What comes behind a
 * queue ID is compared at fixed places, from the front or, where an address stands before, from the
 * end.
 */
#include "core/mta_line_parts.h"

#define QUEUE_ID_MIN 5
#define QUEUE_ID_MAX 64
#define MESSAGE_ID_MAX 998 /* octets of a line, RFC 5322 2.1.1 */

/* Postfix' short queue IDs are hexadecimal, its long ones have no vowels, others have digits;
   "warning", "fatal", "NOQUEUE" are none of these. */
bool
part_take_queue_id(struct text_part *t, struct text_part *id)
{
	bool digit = false, hex = true, vowel = false;
	size_t n = 0;

	for (; n < t->len && g_ascii_isalnum(t->p[n]); n++) {
		char c = t->p[n];

		digit = digit || g_ascii_isdigit(c);
		hex = hex && (g_ascii_isdigit(c) || (c >= 'A' && c <= 'F'));
		vowel = vowel || strchr("AEIOUaeiou", c) != NULL;
	}
	if (n < QUEUE_ID_MIN || n > QUEUE_ID_MAX || !(digit || hex || !vowel))
		return false;
	*id = (struct text_part){t->p, n};
	part_drop(t, n);
	return true;
}

/* A queue ID that all of a text is. */
static bool
is_queue_id(struct text_part t, struct text_part *id)
{
	return part_take_queue_id(&t, id) && t.len == 0;
}

/* ---- poolmilter ---- */

static struct text_part
next_word(struct text_part *t)
{
	size_t n = part_find(*t, PART(" "));
	struct text_part word = {t->p, n};

	part_drop(t, MIN(n + 1, t->len));
	return word;
}

static bool
value(struct text_part *t, struct text_part key, struct text_part *out)
{
	*out = next_word(t);
	return part_skip(out, key) && out->len > 0;
}

/* outcome_line(): no value holds a blank. */
static bool
pool_line(struct text_part t, struct mta_line *out)
{
	struct text_part word;

	if (!value(&t, PART("pool="), &out->pool) || !value(&t, PART("isp="), &out->isp))
		return false;
	word = next_word(&t);
	if (part_begins(word, PART("mixed=")))
		word = next_word(&t);
	if (part_begins(word, PART("split=")))
		word = next_word(&t);
	if (part_skip(&word, PART("from=<")) && part_ends(word, PART(">")))
		out->sender = (struct text_part){word.p, word.len - 1};
	else if (!part_is(word, PART("from=-")))
		return false;
	while (t.len > 0)
		if (value(&t, PART("result="), &out->result))
			return true;
	return false;
}

static enum mta_said
ours(struct text_part t, struct mta_line *out)
{
	if (part_skip(&t, PART("event:"))) {
		out->words = t;
		return MTA_EVENT;
	}
	return pool_line(t, out) ? MTA_POOL : MTA_NOTHING;
}

/* ---- Postfix ---- */

/* "milter-reject: END-OF-MESSAGE from ...", "hold: header ...": what becomes of the whole message.
 */
static enum mta_said
action(struct text_part t)
{
	bool milter = part_begins(t, PART("milter-"));

	t.len = part_find(t, PART(": "));
	if (part_is(t, PART("hold")) || (milter && part_ends(t, PART("-hold"))))
		return MTA_HOLD;
	if (part_is(t, PART("reject")) || part_is(t, PART("discard")) ||
	    (milter && (part_ends(t, PART("-reject")) || part_ends(t, PART("-discard")))))
		return MTA_REJECT;
	return MTA_NOTHING;
}

/* smtpd rejects recipients, not messages. */
static enum mta_said
from_smtpd(struct text_part t, struct mta_line *out)
{
	size_t end;
	enum mta_said said;

	if (part_skip(&t, PART("client="))) {
		end = part_find(t, PART("]"));
		if (end == t.len)
			return MTA_NOTHING;
		out->client = (struct text_part){t.p, end + 1};
		part_drop(&t, end + 1);
		return t.len == 0 || part_begins(t, PART(", ")) ? MTA_CLIENT : MTA_NOTHING;
	}
	said = action(t);
	if (said == MTA_REJECT && !part_begins(t, PART("discard: ")) &&
	    !part_begins(t, PART("milter-discard: ")))
		return MTA_NOTHING;
	return said;
}

/* "uid=0 from=<...>", and " orig_id=..." if it was requeued: an address in front ends with '>'. */
static enum mta_said
from_pickup(struct text_part t, struct mta_line *out)
{
	struct text_part end;

	if (!part_skip(&t, PART("uid=")) || !part_skip_digits(&t) ||
	    !part_skip(&t, PART(" from=<")))
		return MTA_NOTHING;
	end = t;
	while (end.len > 0 && g_ascii_isalnum(t.p[end.len - 1]))
		end.len--;
	if (part_ends(end, PART("> orig_id="))) {
		end = (struct text_part){t.p + end.len, t.len - end.len};
		return is_queue_id(end, &out->next_id) ? MTA_CLIENT : MTA_NOTHING;
	}
	return part_ends(t, PART(">")) ? MTA_CLIENT : MTA_NOTHING;
}

/* The header's text, as the sender wrote it: what stands in <>, or all of it. */
static enum mta_said
message_id(struct text_part t, struct mta_line *out)
{
	size_t close = part_find(t, PART(">"));

	while (t.len > 0 && t.p[t.len - 1] == ' ')
		t.len--;
	if (part_begins(t, PART("<")) && close < t.len)
		t.len = close + 1;
	if (!part_is(t, PART("<>")))
		out->message_id = (struct text_part){t.p, MIN(t.len, MESSAGE_ID_MAX)};
	return MTA_MESSAGE_ID;
}

static enum mta_said
from_cleanup(struct text_part t, struct mta_line *out)
{
	if (part_skip(&t, PART("message-id=")))
		return message_id(t, out);
	return action(t);
}

/* "<...>, size=1, nrcpt=1 (queue active)": the last ", size=" is Postfix' own. */
static bool
queued(struct text_part t, struct mta_line *out)
{
	struct text_part rest = t;
	size_t at, begin = t.len;

	while (rest.len > 0 && (at = part_find(rest, PART(">, size="))) < rest.len) {
		begin = t.len - rest.len + at;
		part_drop(&rest, at + 1);
	}
	if (begin == t.len)
		return false;
	out->sender = (struct text_part){t.p, begin};
	part_drop(&rest, strlen(", size="));
	return part_skip_digits(&rest) && part_skip(&rest, PART(", nrcpt=")) &&
	       part_skip_digits(&rest) && part_is(rest, PART(" (queue active)"));
}

static enum mta_said
from_qmgr(struct text_part t, struct mta_line *out)
{
	if (part_is(t, PART("removed")))
		return MTA_REMOVED;
	if (!part_skip(&t, PART("from=<")))
		return MTA_NOTHING;
	if (part_ends(t, PART(">, status=expired, returned to sender")) ||
	    part_ends(t, PART(">, status=force-expired, returned to sender")))
		return MTA_EXPIRED;
	return queued(t, out) ? MTA_QUEUED : MTA_NOTHING;
}

static enum mta_said
from_postsuper(struct text_part t, struct mta_line *out)
{
	(void)out;
	if (part_is(t, PART("removed")))
		return MTA_REMOVED;
	if (part_is(t, PART("placed on hold")))
		return MTA_HOLD;
	if (part_is(t, PART("released from hold")))
		return MTA_RELEASED;
	return part_is(t, PART("requeued")) ? MTA_REQUEUED : MTA_NOTHING;
}

/* "sender non-delivery notification: ID", "postmaster delay notification: ID", ... */
static enum mta_said
from_bounce(struct text_part t, struct mta_line *out)
{
	size_t at = part_find(t, PART(" notification: "));

	if (at == t.len ||
	    !(part_begins(t, PART("sender ")) || part_begins(t, PART("postmaster "))))
		return MTA_NOTHING;
	part_drop(&t, at + strlen(" notification: "));
	return is_queue_id(t, &out->next_id) ? MTA_NOTICE : MTA_NOTHING;
}

static enum mta_said
from_agent(struct text_part t, struct mta_line *out)
{
	(void)t;
	(void)out;
	return MTA_NOTHING;
}

/* All that write delivery lines, and what else they write: src/global/log_adhoc.c. */
static const struct {
	struct text_part name;
	bool delivers;
	enum mta_said (*read)(struct text_part text, struct mta_line *out);
} daemons[] = {
	{PART("smtp"), true, from_agent},      {PART("qmgr"), true, from_qmgr},
	{PART("cleanup"), true, from_cleanup}, {PART("smtpd"), false, from_smtpd},
	{PART("pickup"), false, from_pickup},  {PART("local"), true, from_agent},
	{PART("lmtp"), true, from_agent},      {PART("virtual"), true, from_agent},
	{PART("pipe"), true, from_agent},      {PART("error"), true, from_agent},
	{PART("retry"), true, from_agent},     {PART("discard"), true, from_agent},
	{PART("bounce"), true, from_bounce},   {PART("postsuper"), false, from_postsuper},
	{PART("qmqpd"), false, from_smtpd},    {PART("oqmgr"), true, from_qmgr},
	{PART("nqmgr"), true, from_qmgr},
};

static enum mta_said
of_postfix(struct text_part t, struct mta_line *out)
{
	for (size_t i = 0; i < G_N_ELEMENTS(daemons); i++) {
		if (!part_is(out->daemon, daemons[i].name))
			continue;
		if (daemons[i].delivers && part_begins(t, PART("to=<")))
			return mta_delivery_parse(t, out) ? MTA_DELIVERY : MTA_NOTHING;
		return daemons[i].read(t, out);
	}
	return MTA_NOTHING;
}

void
mta_line_parse(const struct log_line *line, struct mta_line *out)
{
	struct text_part t = line->text;
	const char *slash = memrchr(line->program.p, '/', line->program.len);

	memset(out, 0, sizeof *out);
	if (!part_take_queue_id(&t, &out->queue_id) || !part_skip(&t, PART(": ")))
		return;
	if (slash == NULL) {
		out->said = ours(t, out);
		return;
	}
	out->daemon.p = slash + 1;
	out->daemon.len = (size_t)(line->program.p + line->program.len - out->daemon.p);
	out->said = of_postfix(t, out);
}
