/*
 * dns - answers of the DNS; see dns.h.
 */
#include "core/dns.h"

#include <string.h>

void
dns_start(const struct dns *d, const char *name, enum record_type type)
{
	d->start(d->context, name, type);
}

const struct dns_answer *
dns_answer(const struct dns *d, const char *name, enum record_type type)
{
	return d->answer(d->context, name, type);
}

bool
dns_known(const struct dns_answer *a)
{
	return a->state != DNS_FAILED && a->state != DNS_TIMEOUT;
}

static void
record_free(void *p)
{
	struct dns_record *r = p;

	g_free(r->text);
	g_free(r);
}

struct dns_answer *
dns_answer_new(enum dns_state state)
{
	struct dns_answer *a = g_new0(struct dns_answer, 1);

	a->state = state;
	a->records = g_ptr_array_new_with_free_func(record_free);
	return a;
}

void
dns_answer_free(void *answer)
{
	struct dns_answer *a = answer;

	if (a == NULL)
		return;
	g_ptr_array_unref(a->records);
	g_free(a->alias);
	g_free(a);
}

void
dns_answer_add(struct dns_answer *a, const char *text, size_t len, uint16_t preference)
{
	struct dns_record *r = g_new0(struct dns_record, 1);

	r->text = g_malloc(len + 1);
	memcpy(r->text, text, len);
	r->text[len] = '\0';
	r->len = len;
	r->preference = preference;
	g_ptr_array_add(a->records, r);
}

static int
compare(gconstpointer a, gconstpointer b)
{
	const struct dns_record *x = *(const struct dns_record *const *)a;
	const struct dns_record *y = *(const struct dns_record *const *)b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcmp(x->text, y->text);
}

void
dns_answer_sort(struct dns_answer *a)
{
	g_ptr_array_sort(a->records, compare);
}

bool
dns_answer_has(const struct dns_answer *a, const char *text)
{
	for (guint i = 0; i < a->records->len; i++) {
		const struct dns_record *r = a->records->pdata[i];

		if (strcmp(r->text, text) == 0)
			return true;
	}
	return false;
}

const char *
dns_state_word(enum dns_state state)
{
	static const char *const words[] = {
		[DNS_FOUND] = "found",
		[DNS_NO_DATA] = "no such record",
		[DNS_NO_NAME] = "no such name",
		[DNS_FAILED] = "the DNS server failed (SERVFAIL)",
		[DNS_TIMEOUT] = "no answer in time",
	};

	return words[state];
}
