/*
 * mta_delivery - delivery agents' lines, and what the next server said in them; see mta_line.h.
 *
 *	to=<ADDRESS>, orig_to=<ADDRESS>, relay=RELAY, conn_use=N, delay=S, delays=S/S/S/S,
 *dsn=N.N.N, status=WORD (TEXT)
 *
 * as log_adhoc() of Postfix writes them; orig_to and conn_use may be missing.  Addresses and the
 *text are anybody's.  Between them stands what is Postfix' own and of a strict form.  Addresses are
 *quoted where they are odd, so the first one is read from its front; where that does not lead to
 *the fields behind it, it is one without quotes, and the fields must be found at one place alone.
 *A text that looks like the end of an address and fields is refused, as then there are two ways to
 *read the line.
 */
#include "core/mta_line_parts.h"

#define RELAY_BEGIN PART(">, relay=")
#define ORIGINAL_BEGIN PART(">, orig_to=<")

/* ---- what stands behind the addresses ---- */

/* A value that holds no blank, up to ", ". */
static bool
plain(struct text_part *t, struct text_part *out)
{
	size_t n = 0;

	while (n < t->len && t->p[n] > 32 && t->p[n] < 127 && strchr(",<>()\"\\", t->p[n]) == NULL)
		n++;
	*out = (struct text_part){t->p, n};
	part_drop(t, n);
	return n > 0 && part_skip(t, PART(", "));
}

/* "0.35", "12", "4e+05" is not there: format_tv() writes digits. */
static bool
seconds(struct text_part text, int64_t *ms)
{
	int64_t unit = 1000;
	bool point = false;

	*ms = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '.' && !point) {
			point = true;
		} else if (!g_ascii_isdigit(text.p[i]) || *ms > G_MAXINT64 / 100) {
			return false;
		} else if (!point) {
			*ms = *ms * 10 + (text.p[i] - '0') * 1000;
		} else {
			unit /= 10;
			*ms += (text.p[i] - '0') * unit;
		}
	}
	return text.len > 0;
}

/* RFC 3463 2. */
static bool
is_dsn(struct text_part t)
{
	return part_skip_digits(&t) && part_skip(&t, PART(".")) && part_skip_digits(&t) &&
	       part_skip(&t, PART(".")) && part_skip_digits(&t) && t.len == 0;
}

static enum mta_status
status_of(struct text_part word)
{
	if (part_is(word, PART("sent")))
		return STATUS_SENT;
	if (part_is(word, PART("deferred")) || part_is(word, PART("SOFTBOUNCE")))
		return STATUS_DEFERRED;
	if (part_is(word, PART("bounced")))
		return STATUS_BOUNCED;
	return part_is(word, PART("deliverable")) || part_begins(word, PART("undeliverable"))
		       ? STATUS_OTHER
		       : STATUS_UNKNOWN;
}

/* "status=WORD (TEXT)"; a line that was cut has no parenthesis at its end. */
static bool
status(struct text_part t, struct mta_line *out)
{
	size_t n = 0;

	if (!part_skip(&t, PART("status=")))
		return false;
	while (n < t.len && (g_ascii_isalpha(t.p[n]) || t.p[n] == '-'))
		n++;
	out->status = status_of((struct text_part){t.p, n});
	part_drop(&t, n);
	if (!part_skip(&t, PART(" (")))
		return false;
	if (part_ends(t, PART(")")))
		t.len--;
	out->reply = t;
	return out->status != STATUS_UNKNOWN;
}

/* From the relay on.  Fields that later versions may write between these are passed over. */
static bool
fields(struct text_part t, struct mta_line *out)
{
	struct text_part field;
	bool delay = false, dsn = false;

	if (!plain(&t, &out->relay))
		return false;
	while (!part_begins(t, PART("status="))) {
		if (!plain(&t, &field))
			return false;
		if (part_skip(&field, PART("delay=")))
			delay = seconds(field, &out->delay_ms);
		else if (part_skip(&field, PART("dsn=")) && is_dsn(field)) {
			out->dsn = field;
			dsn = true;
		}
	}
	return delay && dsn && status(t, out);
}

/* ---- addresses ---- */

/* Up to what ends an address that needs no quotes. */
static void
skip_atoms(struct text_part *t)
{
	while (t->len > 0 && (unsigned char)*t->p > 32 && *t->p != 127 &&
	       strchr("<>,\"\\", *t->p) == NULL)
		part_drop(t, 1);
}

/* RFC 5322 3.2.4; false if it does not end. */
static bool
skip_quoted(struct text_part *t)
{
	part_drop(t, 1);
	while (t->len > 0 && *t->p != '"')
		part_drop(t, *t->p == '\\' && t->len > 1 ? 2 : 1);
	return part_skip(t, PART("\""));
}

/* Takes an address off the front: quoted where it must be, up to the '>' that ends it. */
static bool
take_address(struct text_part *t, struct text_part *out)
{
	struct text_part rest = *t;

	skip_atoms(&rest);
	if (part_begins(rest, PART("\""))) {
		if (!skip_quoted(&rest))
			return false;
		skip_atoms(&rest);
	}
	if (!part_begins(rest, PART(">")))
		return false;
	*out = (struct text_part){t->p, (size_t)(rest.p - t->p)};
	*t = rest;
	return true;
}

/* Places in a text where the end of an address and all the fields could stand, from the first on.
 */
static bool
next_place(struct text_part *t, struct mta_line *out)
{
	size_t at;

	while ((at = part_find(*t, RELAY_BEGIN)) < t->len) {
		part_drop(t, at + RELAY_BEGIN.len);
		if (fields(*t, out))
			return true;
	}
	return false;
}

static bool
elsewhere(struct text_part t)
{
	struct mta_line ignored;

	return next_place(&t, &ignored);
}

static bool
quoted(struct text_part t, struct mta_line *out)
{
	if (!take_address(&t, &out->recipient))
		return false;
	if (part_skip(&t, ORIGINAL_BEGIN) && !take_address(&t, &out->orig_recipient))
		return false;
	return part_skip(&t, RELAY_BEGIN) && fields(t, out);
}

/* Without quotes: what is in front of the only place where there are fields. */
static bool
unquoted(struct text_part t, struct mta_line *out)
{
	struct text_part rest = t, both;
	size_t at;

	out->orig_recipient.len = 0;
	if (!next_place(&rest, out))
		return false;
	both = (struct text_part){t.p, (size_t)(rest.p - t.p) - RELAY_BEGIN.len};
	at = part_find(both, ORIGINAL_BEGIN);
	out->recipient = (struct text_part){both.p, at};
	if (at < both.len) {
		part_drop(&both, at + ORIGINAL_BEGIN.len);
		out->orig_recipient = both;
	}
	return part_find(out->orig_recipient, ORIGINAL_BEGIN) == out->orig_recipient.len;
}

/* ---- the reply ---- */

/* The last "queued as ID" or, of local(8), "forwarded as ID". */
static struct text_part
queued_as(struct text_part reply, struct text_part words)
{
	struct text_part id = {NULL, 0}, found;
	size_t at;

	while ((at = part_find(reply, words)) < reply.len) {
		part_drop(&reply, at + words.len);
		id = part_take_queue_id(&reply, &found) ? found : id;
	}
	return id;
}

bool
mta_delivery_parse(struct text_part text, struct mta_line *out)
{
	if (!part_skip(&text, PART("to=<")) || (!quoted(text, out) && !unquoted(text, out)) ||
	    elsewhere(out->reply))
		return false;
	if (out->status == STATUS_SENT)
		out->next_id = queued_as(out->reply, part_is(out->relay, PART("local"))
							     ? PART("forwarded as ")
							     : PART("queued as "));
	return true;
}

/* "host x[1.2.3.4] said: ", "host x[1.2.3.4] refused to talk to me: ", and, of src/smtp's SASL,
   "SASL authentication failed; server x[1.2.3.4] said: ".  *said: what comes then. */
static bool
of_server(struct text_part reply, struct text_part *said)
{
	static const struct text_part begins[] = {
		PART("host "),
		PART("Protocol error: host "),
		PART("SASL authentication failed; server "),
		PART("SASL [CACHED] authentication failed; server "),
		PART("TLS is required, but host "),
	};
	static const struct text_part middles[] = {
		PART(" said: "),
		PART(" refused to talk to me: "),
		PART(" refused to start TLS: "),
	};
	bool begun = false;

	for (size_t i = 0; i < G_N_ELEMENTS(begins) && !begun; i++)
		begun = part_skip(&reply, begins[i]);
	if (!begun)
		return false;
	part_drop(&reply, part_find(reply, PART(" ")));
	for (size_t i = 0; i < G_N_ELEMENTS(middles); i++)
		if (part_skip(&reply, middles[i])) {
			*said = reply;
			return true;
		}
	return false;
}

struct text_part
mta_reply_said(struct text_part reply)
{
	struct text_part said, rest;
	size_t at, end;

	if (!of_server(reply, &said))
		return reply;
	end = said.len;
	rest = said;
	while ((at = part_find(rest, PART(" (in reply to "))) < rest.len) {
		end = said.len - rest.len + at;
		part_drop(&rest, at + 1);
	}
	if (end < said.len && part_ends(said, PART(")")))
		said.len = end;
	return said;
}

int
mta_reply_code(struct text_part reply)
{
	struct text_part said = mta_reply_said(reply);

	if (said.len < 3 || said.p[0] < '2' || said.p[0] > '5' || !g_ascii_isdigit(said.p[1]) ||
	    !g_ascii_isdigit(said.p[2]) || (said.len > 3 && said.p[3] != ' ' && said.p[3] != '-'))
		return 0;
	return (said.p[0] - '0') * 100 + (said.p[1] - '0') * 10 + (said.p[2] - '0');
}
