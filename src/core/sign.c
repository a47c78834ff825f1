/*
 * sign - which fields each DKIM signature covers; see sign.h and DESIGN, "Signatures".
 *
 * The list is ours: libopendkim's default lacks Message-ID, the MIME fields, List-Unsubscribe-Post and
 * Feedback-ID.  Only fields to be covered are fed to it, so it needs no list of its own, and
 * DKIM-Signature fields already in the mail never reach it.  From is always oversigned; other fields
 * only if they are present, never one that a later hop may have to add (Message-ID, Date).
 */
#include "core/sign.h"
#include "core/pipeline.h"
#include "core/rotation.h"

#include <pthread.h>
#include <string.h>

#define NAME_MAX_LEN 76  /* RFC 2047's line leaves no longer name; longer ones are never in a list */
#define COPIES_MAX 16 /* of one name: enough for honest mail, bounds the work for other mail */

/* ISPS.md, section 4, and RFC 6376 5.4.1. */
static const char *const signed_names[] = {
	"from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to",
	"references", "mime-version", "content-type", "content-transfer-encoding",
	"content-disposition", "content-id", "content-description", "content-language", "list-id",
	"list-help", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post", "list-post",
	"list-owner", "list-archive", "feedback-id", "x-csa-complaints", "x-mailru-msgtype",
	"x-postmaster-msgtype", "resent-from", "resent-sender", "resent-to", "resent-cc",
	"resent-date", "resent-message-id", NULL,
};

struct selection {
	const struct job *job;
	const struct pool *pool;
	const struct isp *isp;
	GArray *copies;    /* of struct field: image_insert() moves the image's own */
	GPtrArray *fields; /* of const struct field * in copies, to be covered */
};

static GHashTable *builtin_table;

static void
builtin_init(void)
{
	builtin_table = g_hash_table_new(g_str_hash, g_str_equal);
	for (size_t i = 0; signed_names[i] != NULL; i++)
		g_hash_table_add(builtin_table, (char *)signed_names[i]);
}

static GHashTable *
builtin_names(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, builtin_init);
	return builtin_table;
}

static bool
names_contain(const GPtrArray *names, const struct field *f)
{
	for (guint i = 0; i < names->len; i++)
		if (field_is(f, g_ptr_array_index(names, i)))
			return true;
	return false;
}

static bool
rules_contain(const GPtrArray *rules, const struct field *f)
{
	for (guint i = 0; i < rules->len; i++)
		if (field_is(f, ((const struct header_value *)g_ptr_array_index(rules, i))->name))
			return true;
	return false;
}

static bool
builtin_contains(const struct field *f)
{
	char name[NAME_MAX_LEN + 1];

	if (f->name_len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < f->name_len; i++)
		name[i] = g_ascii_tolower(f->name[i]);
	name[f->name_len] = '\0';
	return g_hash_table_contains(builtin_names(), name);
}

static bool
added_by(const struct header_rules *rules, const struct field *f)
{
	return rules_contain(rules->add_headers, f) || rules_contain(rules->set_headers, f);
}

static void
select_field(const struct field *f, void *context)
{
	struct selection *s = context;

	if (field_is(f, "DKIM-Signature"))
		return;
	if (builtin_contains(f) || names_contain(s->job->settings->signed_headers, f) ||
	    names_contain(s->pool->signed_headers, f) || added_by(&s->pool->headers, f) ||
	    added_by(&s->isp->headers, f))
		g_array_append_val(s->copies, *f);
}

struct name_list {
	GPtrArray *names;
	GHashTable *seen; /* the same strings */
};

static void
list_name(struct name_list *list, const char *name)
{
	char *lower = g_ascii_strdown(name, -1);

	if (strcmp(lower, "dkim-signature") == 0 || g_hash_table_contains(list->seen, lower)) {
		g_free(lower);
		return;
	}
	g_hash_table_add(list->seen, lower);
	g_ptr_array_add(list->names, lower);
}

static void
list_names(struct name_list *list, const GPtrArray *names)
{
	for (guint i = 0; i < names->len; i++)
		list_name(list, g_ptr_array_index(names, i));
}

static void
list_rules(struct name_list *list, const struct header_rules *rules)
{
	const GPtrArray *const both[] = {rules->set_headers, rules->add_headers};

	for (guint i = 0; i < G_N_ELEMENTS(both); i++)
		for (guint k = 0; k < both[i]->len; k++)
			list_name(list, ((const struct header_value *)g_ptr_array_index(both[i], k))->name);
}

/* The same sources as select_field(), which asks them one by one. */
GPtrArray *
sign_names(const struct settings *s, const struct pool *pool, const struct isp *isp)
{
	struct name_list list = {g_ptr_array_new_with_free_func(g_free),
				 g_hash_table_new(g_str_hash, g_str_equal)};

	for (size_t i = 0; signed_names[i] != NULL; i++)
		list_name(&list, signed_names[i]);
	list_names(&list, s->signed_headers);
	list_names(&list, pool->signed_headers);
	list_rules(&list, &pool->headers);
	list_rules(&list, &isp->headers);
	g_hash_table_destroy(list.seen);
	return list.names;
}

GPtrArray *
sign_oversigned_names(const struct settings *s, const struct pool *pool, const struct isp *isp)
{
	GPtrArray *names = sign_names(s, pool, isp), *over = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(over, g_strdup("from"));
	for (guint i = 0; i < s->oversigned_headers->len; i++) {
		char *name = g_ascii_strdown(g_ptr_array_index(s->oversigned_headers, i), -1);

		if (strcmp(name, "from") != 0 &&
		    g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
			g_ptr_array_add(over, name);
		else
			g_free(name);
	}
	g_ptr_array_unref(names);
	return over;
}

/*
 * Keeps the last COPIES_MAX fields of each name: h= counts from the bottom (RFC 6376 5.4.2).
 */
static void
limit_copies(GPtrArray *fields)
{
	GHashTable *counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint kept = fields->len;

	for (guint i = fields->len; i-- > 0;) {
		const struct field *f = g_ptr_array_index(fields, i);
		char *name = g_ascii_strdown(f->name, (gssize)f->name_len);
		guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, name)) + 1;

		g_hash_table_insert(counts, name, GUINT_TO_POINTER(count));
		if (count <= COPIES_MAX)
			fields->pdata[--kept] = (void *)f;
	}
	g_hash_table_destroy(counts);
	g_ptr_array_remove_range(fields, 0, kept);
}

/*
 * Is the name covered, and with all its copies?  Where copies were cut, the entry that says "no more of
 * them" would match one of those (RFC 6376 5.4.2), and the signature would not verify.
 */
static bool
may_oversign(const GPtrArray *fields, const char *name)
{
	guint count = 0;

	for (guint i = 0; i < fields->len; i++)
		count += field_is(g_ptr_array_index(fields, i), name);
	return count > 0 && count < COPIES_MAX;
}

/* From, and each of oversigned_headers that is covered. NULL-terminated. */
static GPtrArray *
oversigned(const struct selection *s)
{
	const GPtrArray *names = s->job->settings->oversigned_headers;
	GPtrArray *list = g_ptr_array_new();

	g_ptr_array_add(list, (char *)"From");
	for (guint i = 0; i < names->len; i++) {
		char *name = g_ptr_array_index(names, i);

		if (g_ascii_strcasecmp(name, "From") != 0 && may_oversign(s->fields, name))
			g_ptr_array_add(list, name);
	}
	g_ptr_array_add(list, NULL);
	return list;
}

/* In the order of the header, from the top. */
static void
note_signature(GString *list, const struct signature *sig, const char *algorithm)
{
	char *one = g_strdup_printf("%s/%s/%s%s", sig->domain, sig->selector, algorithm,
				    list->len > 0 ? "," : "");

	g_string_prepend(list, one);
	g_free(one);
}

static bool
sign_one(const struct job *job, struct plan *plan, const struct sign_request *request,
	 struct buf *value)
{
	const struct signature *sig = request->signature;
	const char *algorithm = "-";
	char *why = NULL;
	bool ok;

	buf_clear(value, 65536);
	ok = job->signer->sign(job->signer->context, request, value, &algorithm, &why) &&
	     !buf_failed(value);
	if (ok) {
		image_insert(plan->image, "DKIM-Signature", value->data, value->len);
		note_signature(plan->dkim, sig, algorithm);
		plan_explain(plan, "sign: d=%s s=%s a=%s", sig->domain, sig->selector, algorithm);
	} else {
		plan_explain(plan, "sign: d=%s s=%s: %s", sig->domain, sig->selector,
			     why != NULL ? why : "out of memory");
		plan_refuse(plan, VERDICT_DEFERRED, "signature", "451", "4.3.0",
			    "Message cannot be signed now, try again later");
		plan->detail = g_strdup_printf("d=%s s=%s: %s", sig->domain, sig->selector,
					       why != NULL ? why : "out of memory");
	}
	g_free(why);
	return ok;
}

static void
explain_fields(struct plan *plan, const GPtrArray *fields, const GPtrArray *over)
{
	GString *list;

	if (plan->explanations == NULL)
		return;
	list = g_string_new(NULL);
	for (guint i = 0; i < fields->len; i++) {
		const struct field *f = g_ptr_array_index(fields, i);

		g_string_append_c(list, ' ');
		g_string_append_len(list, f->name, (gssize)f->name_len);
	}
	g_string_append(list, "; oversigned:");
	for (guint i = 0; i + 1 < over->len; i++)
		g_string_append_printf(list, " %s", (char *)g_ptr_array_index(over, i));
	plan_explain(plan, "sign: covers%s", list->str);
	g_string_free(list, TRUE);
}

bool
stage_sign(const struct job *job, struct plan *plan)
{
	struct selection s = {job, plan->pool, plan->isp, g_array_new(FALSE, FALSE, sizeof(struct field)),
			      g_ptr_array_new()};
	const GPtrArray *signatures = plan->pool->signatures;
	struct body_hash hash = {0};
	struct buf value = BUF_INIT;
	size_t body_len;
	const char *body = plan_body(plan, job->message, &body_len);
	GPtrArray *over;
	bool ok = true;

	plan->dkim = g_string_new(NULL);
	image_each(plan->image, select_field, &s);
	for (guint i = 0; i < s.copies->len; i++)
		g_ptr_array_add(s.fields, &g_array_index(s.copies, struct field, i));
	if (s.fields->len > COPIES_MAX)
		limit_copies(s.fields);
	over = oversigned(&s);
	explain_fields(plan, s.fields, over);
	/* Last first: each goes on top, so the pool's own signature ends up as the first line. */
	for (guint i = signatures->len; ok && i-- > 0;) {
		const struct sign_request request = {
			.signature = rotation_signature(plan->pool, i, job->now),
			.fields = s.fields,
			.oversigned = (const char *const *)over->pdata,
			.body = body,
			.body_len = body_len,
			.hash = &hash,
			.now = job->now,
			.expire = job->settings->signature_expire_days * 86400,
		};

		ok = sign_one(job, plan, &request, &value);
	}
	buf_free(&value);
	g_ptr_array_free(over, TRUE);
	g_ptr_array_free(s.fields, TRUE);
	g_array_free(s.copies, TRUE);
	return ok;
}
