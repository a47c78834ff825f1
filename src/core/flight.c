/*
 * flight - what is known of one message in the MTA's queue; see flight.h.
 *
 * Lists of recipients are sorted, so that a message to thousands costs no more for each than one to
 * few.  Memory is bounded by the constants in the header; flight_text.c has the text form.
 */
#include "core/flight.h"

#include <string.h>

static void
recipient_free(void *p)
{
	struct flight_recipient *r = p;

	g_free(r->address);
	g_free(r->original);
	g_free(r->relay);
	g_free(r->dsn);
	g_free(r->reply);
	g_free(r);
}

static void
hop_free(void *p)
{
	struct flight_hop *h = p;

	event_free(h->e);
	g_free(h->next_id);
	g_free(h);
}

static void
list_free(GPtrArray *list)
{
	if (list != NULL)
		g_ptr_array_unref(list);
}

struct flight *
flight_new(const char *queue_id, int64_t born)
{
	struct flight *f = g_new0(struct flight, 1);

	f->queue_id = g_strdup(queue_id);
	f->born = born;
	return f;
}

void
flight_free(struct flight *f)
{
	if (f == NULL)
		return;
	g_free(f->queue_id);
	g_free(f->message_id);
	g_free(f->pool);
	g_free(f->isp);
	g_free(f->sender);
	g_free(f->parent);
	list_free(f->headers);
	list_free(f->recipients);
	list_free(f->told);
	list_free(f->deferred);
	list_free(f->pending);
	list_free(f->hops);
	g_free(f);
}

void
flight_add_header(struct flight *f, const char *name, const char *value)
{
	if (f->headers == NULL)
		f->headers = event_headers_new();
	event_headers_add(f->headers, name, value);
}

/* ---- sorted lists of addresses ---- */

/* Local parts as they are, domains in any case. */
static int
compare(const char *a, const char *b)
{
	const char *a_at = strrchr(a, '@'), *b_at = strrchr(b, '@');
	size_t a_len = a_at != NULL ? (size_t)(a_at - a) : strlen(a);
	size_t b_len = b_at != NULL ? (size_t)(b_at - b) : strlen(b);
	int order = memcmp(a, b, MIN(a_len, b_len));

	if (order != 0)
		return order;
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return g_ascii_strcasecmp(a + a_len, b + b_len);
}

static const char *
plain_address(const void *entry)
{
	return entry;
}

static const char *
deferred_address(const void *entry)
{
	return ((const struct flight_recipient *)entry)->address;
}

/* True if it is in the list; *at: where, or where it would be. */
static bool
search(const GPtrArray *list, const char *address, const char *(*address_of)(const void *),
       guint *at)
{
	guint low = 0, high = list != NULL ? list->len : 0;

	while (low < high) {
		guint middle = low + (high - low) / 2;
		int order = compare(address, address_of(list->pdata[middle]));

		if (order == 0) {
			*at = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*at = low;
	return false;
}

bool
flight_has_recipient(const struct flight *f, const char *rcpt)
{
	guint at;

	return search(f->recipients, rcpt, plain_address, &at);
}

void
flight_add_recipient(struct flight *f, const char *address)
{
	guint at;

	if (search(f->recipients, address, plain_address, &at))
		return;
	if (f->recipients == NULL)
		f->recipients = g_ptr_array_new_with_free_func(g_free);
	if (f->recipients->len >= FLIGHT_RECIPIENTS_MAX)
		f->more_recipients = true;
	else
		g_ptr_array_insert(f->recipients, (int)at, g_strdup(address));
}

void
flight_add_told(struct flight *f, const char *address)
{
	if (f->told == NULL)
		f->told = g_ptr_array_new_with_free_func(g_free);
	if (f->told->len < FLIGHT_TOLD_MAX)
		g_ptr_array_add(f->told, g_strdup(address));
}

/* The recipient at a place of the list, who is new there; NULL: there is no room. */
static struct flight_recipient *
add_deferred(struct flight *f, const struct event *e, guint at)
{
	struct flight_recipient *r;

	if (f->deferred == NULL)
		f->deferred = g_ptr_array_new_with_free_func(recipient_free);
	if (f->deferred->len >= FLIGHT_DEFERRED_MAX) {
		f->more_deferred = true;
		return NULL;
	}
	r = g_new0(struct flight_recipient, 1);
	r->address = g_strdup(e->recipient);
	r->original = g_strdup(e->original_recipient);
	g_ptr_array_insert(f->deferred, (int)at, r);
	return r;
}

static size_t
octets(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

/* How much of a reply is kept: no part of a character of UTF-8. */
static size_t
kept(const char *reply)
{
	size_t len = octets(reply);

	if (len <= FLIGHT_REPLY_MAX)
		return len;
	for (len = FLIGHT_REPLY_MAX; len > FLIGHT_REPLY_MAX - 3; len--)
		if (((unsigned char)reply[len] & 0xC0) != 0x80)
			break;
	return len;
}

static void
forget_try(struct flight *f, struct flight_recipient *r)
{
	f->tries -= octets(r->relay) + octets(r->dsn) + octets(r->reply);
	g_clear_pointer(&r->relay, g_free);
	g_clear_pointer(&r->dsn, g_free);
	g_clear_pointer(&r->reply, g_free);
}

static void
note_try(struct flight *f, struct flight_recipient *r, const struct event *e)
{
	size_t reply = kept(e->reply);
	size_t all = octets(e->relay) + octets(e->dsn) + reply;

	r->code = e->code;
	if (all > FLIGHT_TRIES_MAX - f->tries)
		return;
	f->tries += all;
	r->relay = g_strdup(e->relay);
	r->dsn = g_strdup(e->dsn);
	r->reply = e->reply != NULL ? g_strndup(e->reply, reply) : NULL;
}

void
flight_defer(struct flight *f, const struct event *e)
{
	struct flight_recipient *r;
	guint at;

	r = search(f->deferred, e->recipient, deferred_address, &at) ? f->deferred->pdata[at]
								     : add_deferred(f, e, at);
	if (r == NULL)
		return;
	forget_try(f, r);
	note_try(f, r, e);
}

void
flight_settle(struct flight *f, const char *address)
{
	guint at;

	if (!search(f->deferred, address, deferred_address, &at))
		return;
	forget_try(f, f->deferred->pdata[at]);
	g_ptr_array_remove_index(f->deferred, at);
}

void
flight_settle_all(struct flight *f)
{
	g_clear_pointer(&f->deferred, g_ptr_array_unref);
	f->tries = 0;
}

/* ---- events that wait ---- */

static bool
has_room(const struct flight *f)
{
	return (f->pending != NULL ? f->pending->len : 0) + (f->hops != NULL ? f->hops->len : 0) <
	       FLIGHT_WAITING_MAX;
}

void
flight_wait(struct flight *f, struct event *e)
{
	if (!has_room(f)) {
		event_free(e);
		return;
	}
	if (f->pending == NULL)
		f->pending = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
	g_ptr_array_add(f->pending, e);
}

void
flight_wait_hop(struct flight *f, struct event *e, const char *next_id, int64_t until)
{
	struct flight_hop *h;

	if (!has_room(f)) {
		event_free(e);
		return;
	}
	h = g_new(struct flight_hop, 1);
	h->e = e;
	h->next_id = g_strdup(next_id);
	h->until = until;
	if (f->hops == NULL)
		f->hops = g_ptr_array_new_with_free_func(hop_free);
	g_ptr_array_add(f->hops, h);
}

/* ---- whose it is ---- */

const char *
flight_series(const struct flight *f)
{
	return f->parent != NULL ? f->parent : f->queue_id;
}

static void
replace(char **text, const char *by)
{
	char *copy = g_strdup(by);

	g_free(*text);
	*text = copy;
}

void
flight_inherit(struct flight *f, const struct flight *from)
{
	replace(&f->pool, from->pool);
	replace(&f->isp, from->isp);
	replace(&f->sender, from->sender);
	replace(&f->parent, flight_series(from));
	list_free(f->headers);
	f->headers = from->headers != NULL ? g_ptr_array_ref(from->headers) : NULL;
	f->accepted = true;
	for (guint i = f->pending != NULL ? f->pending->len : 0; i-- > 0;)
		if (((const struct event *)f->pending->pdata[i])->type == EVENT_ACCEPTED)
			g_ptr_array_remove_index(f->pending, i);
}

static void
take_over(GPtrArray **list, GPtrArray **from)
{
	list_free(*list);
	*list = g_steal_pointer(from);
}

void
flight_continue(struct flight *f, struct flight *from)
{
	flight_inherit(f, from);
	f->accepted = from->accepted;
	replace(&f->message_id, from->message_id);
	for (guint i = 0; from->recipients != NULL && i < from->recipients->len; i++)
		flight_add_recipient(f, from->recipients->pdata[i]);
	f->more_recipients = from->more_recipients;
	take_over(&f->told, &from->told);
	take_over(&f->deferred, &from->deferred);
	f->tries = from->tries;
	from->tries = 0;
	f->more_deferred = from->more_deferred;
}
