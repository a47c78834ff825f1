/*
 * webhook - brings events to receivers by HTTP; see webhook.h.
 *
 * One multi handle of libcurl's for all, which keeps connections open between requests; one easy
 * handle and one struct request for each request, which own all that it needs, so that settings may
 * go while it is under way.
 *
 * A receiver may be hostile.  What it sends is bounded: head and body are counted, and not kept
 * but for the first octets of a body, which go made printable into the reason of a failure.  No
 * URL goes there: it may hold a secret.
 *
 * libcurl looks names up in threads that it waits for when a request ends before they do, which
 * would hold up all others: CURLOPT_QUICK_EXIT lets such a thread end by itself (asyn-thread.c).
 */
#include "io/webhook.h"

#include "base/buf.h"
#include "io/store_link.h"
#include "io/webhook_body.h"
#include "io/webhook_signature.h"

#include <curl/curl.h>
#include <string.h>

#define HEAD_MAX 65536     /* octets of an answer's head */
#define EXCERPT_MAX 200    /* octets of an answer's body that are told */
#define CONNECTIONS_MAX 64 /* that are kept open */

struct webhook_sender {
	CURLM *multi;
	GHashTable *requests; /* a set of struct request *, under way */
};

struct request {
	CURL *easy;
	struct buf body;
	struct curl_slist *headers;
	void *context;
	size_t head_len; /* octets of the answer's head */
	size_t answer_len;
	size_t excerpt_len;
	char excerpt[EXCERPT_MAX];
	char error[CURL_ERROR_SIZE];
};

/* ---- the answer ---- */

static size_t
on_head(char *data, size_t size, size_t n, void *context)
{
	struct request *r = context;

	(void)data;
	r->head_len += size * n;
	return r->head_len <= HEAD_MAX ? size * n : 0;
}

/* Other than size * n: libcurl breaks the request off. */
static size_t
on_body(char *data, size_t size, size_t n, void *context)
{
	struct request *r = context;
	size_t len = size * n, fits = MIN(len, EXCERPT_MAX - r->excerpt_len);

	memcpy(r->excerpt + r->excerpt_len, data, fits);
	r->excerpt_len += fits;
	r->answer_len += len;
	return r->answer_len <= WEBHOOK_ANSWER_MAX ? len : 0;
}

/* ---- the request ---- */

static void add_header(struct request *r, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
add_header(struct request *r, const char *format, ...)
{
	struct curl_slist *longer;
	va_list arguments;
	char *line;

	va_start(arguments, format);
	line = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	longer = curl_slist_append(r->headers, line);
	if (longer == NULL)
		g_error("out of memory");
	r->headers = longer;
	g_free(line);
}

static bool
add_signature(struct request *r, const char *secret)
{
	int64_t now = g_get_real_time() / G_USEC_PER_SEC;
	char signature[WEBHOOK_SIGNATURE_SIZE];

	add_header(r, "X-Poolmilter-Timestamp: %lld", (long long)now);
	if (secret == NULL)
		return true;
	if (!webhook_signature(secret, now, r->body.data, r->body.len, signature))
		return false;
	add_header(r, "X-Poolmilter-Signature: v1=%s", signature);
	return true;
}

static bool
add_headers(struct request *r, const struct webhook *w, bool compressed)
{
	char *delivery = g_uuid_string_random();

	add_header(r, "Content-Type: application/json");
	if (compressed)
		add_header(r, "Content-Encoding: gzip");
	add_header(r, "Expect:"); /* none: it would cost a round trip */
	add_header(r, "X-Poolmilter-Webhook: %s", w->name);
	add_header(r, "X-Poolmilter-Delivery: %s", delivery);
	for (guint i = 0; i < w->headers->len; i++) {
		const struct webhook_header *h = w->headers->pdata[i];

		add_header(r, "%s: %s", h->name, h->value);
	}
	g_free(delivery);
	return add_signature(r, w->secret);
}

static void
set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

static void
set_tls(CURL *easy, const char *ca_file)
{
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* at least */
	if (ca_file == NULL)
		return;
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* no others beside it */
}

/* False if libcurl cannot take what is the configuration's. */
static bool
set_options(struct request *r, const struct webhook *w)
{
	CURL *easy = r->easy;

	set_protocols(easy);
	set_tls(easy, w->ca_file);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)w->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "poolmilter/" PACKAGE_VERSION);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body.data); /* stays ours */
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
	return curl_easy_setopt(easy, CURLOPT_URL, w->url) == CURLE_OK;
}

static void
request_free(void *p)
{
	struct request *r = p;

	if (r->easy != NULL)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	buf_free(&r->body);
	g_free(r);
}

/* NULL, or why it cannot be sent. */
static const char *
prepare(struct request *r, const struct webhook *w, const GPtrArray *events)
{
	bool compressed;

	if (!webhook_body(g_get_host_name(), events, w->gzip, &r->body, &compressed))
		return "out of memory";
	if (!add_headers(r, w, compressed))
		return "cannot be signed";
	r->easy = curl_easy_init();
	return r->easy != NULL && set_options(r, w) ? NULL : "libcurl does not take the settings";
}

bool
webhook_sender_begin(struct webhook_sender *s, const struct webhook *w, const GPtrArray *events,
		     void *context, struct delivery *d)
{
	struct request *r = g_new0(struct request, 1);
	const char *problem = prepare(r, w, events);

	r->context = context;
	if (problem == NULL && curl_multi_add_handle(s->multi, r->easy) != CURLM_OK)
		problem = "libcurl cannot begin";
	if (problem == NULL) {
		g_hash_table_add(s->requests, r);
		return true;
	}
	*d = (struct delivery){DELIVERY_FAILED, 0, g_strdup(problem)};
	request_free(r);
	return false;
}

/* ---- how it ended ---- */

/* " and a text" that somebody else wrote; nothing if there is none. */
static void
add_foreign(GString *out, const char *text, size_t len)
{
	char *printable = store_printable(text, len);

	if (len > 0)
		g_string_append_printf(out, ": %s", printable);
	g_free(printable);
}

/* Where a redirect goes, without what may be secret in it. */
static void
add_redirect(GString *out, const struct request *r)
{
	char *location = NULL, *place;
	GUri *uri;

	g_string_append(out, ", redirects are not followed");
	curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &location);
	uri = location != NULL ? g_uri_parse(location, G_URI_FLAGS_NONE, NULL) : NULL;
	if (uri == NULL)
		return;
	place = g_strdup_printf("%s://%s", g_uri_get_scheme(uri), g_uri_get_host(uri));
	add_foreign(out, place, strlen(place));
	g_free(place);
	g_uri_unref(uri);
}

static char *
status_reason(const struct request *r, long status)
{
	GString *text = g_string_new(NULL);

	g_string_printf(text, "HTTP status %ld", status);
	if (status >= 300 && status < 400)
		add_redirect(text, r);
	else
		add_foreign(text, r->excerpt, r->excerpt_len);
	return g_string_free(text, FALSE);
}

static char *
failure_reason(const struct request *r, CURLcode code, long status)
{
	GString *text = g_string_new(NULL);

	if (status >= 200)
		g_string_printf(text, "HTTP status %ld, and the answer broke off: ", status);
	g_string_append(text, r->head_len > HEAD_MAX ? "the answer's head is too long"
						     : curl_easy_strerror(code));
	if (r->error[0] != '\0')
		add_foreign(text, r->error, strlen(r->error));
	return g_string_free(text, FALSE);
}

/* What a request with fewer events may not be answered with. */
static bool
is_refusal(long status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

static struct delivery
judge(const struct request *r, CURLcode code)
{
	struct delivery d = {DELIVERY_FAILED, 0, NULL};
	curl_off_t retry_after = 0;
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (r->answer_len > WEBHOOK_ANSWER_MAX)
		code = CURLE_OK; /* we broke it off, and know enough */
	if (code != CURLE_OK) {
		d.why = failure_reason(r, code, status);
	} else if (status >= 200 && status < 300) {
		d.result = DELIVERY_DONE;
	} else {
		curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after);
		d.result = is_refusal(status) ? DELIVERY_REFUSED : DELIVERY_FAILED;
		d.retry_after = CLAMP(retry_after, 0, G_MAXINT) * G_USEC_PER_SEC;
		d.why = status_reason(r, status);
	}
	return d;
}

static void
finish(struct webhook_sender *s, CURL *easy, CURLcode code, webhook_done *done)
{
	struct delivery d;
	struct request *r;
	char *private;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	r = (struct request *)(void *)private;
	d = judge(r, code);
	curl_multi_remove_handle(s->multi, easy);
	done(r->context, &d);
	g_hash_table_remove(s->requests, r);
}

/* Does what can be done at once; true if a request has ended. */
static bool
go_on(struct webhook_sender *s, webhook_done *done)
{
	bool ended = false;
	CURLMsg *message;
	int running, left;

	curl_multi_perform(s->multi, &running);
	while ((message = curl_multi_info_read(s->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE) {
			finish(s, message->easy_handle, message->data.result, done);
			ended = true;
		}
	return ended;
}

void
webhook_sender_wait(struct webhook_sender *s, unsigned ms, webhook_done *done)
{
	if (go_on(s, done))
		return;
	curl_multi_poll(s->multi, NULL, 0, (int)ms, NULL);
	go_on(s, done);
}

void
webhook_sender_wake(struct webhook_sender *s)
{
	curl_multi_wakeup(s->multi);
}

/* ---- life ---- */

struct webhook_sender *
webhook_sender_new(char **why)
{
	struct webhook_sender *s;
	CURLM *multi = NULL;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		multi = curl_multi_init();
	if (multi == NULL) {
		*why = g_strdup("libcurl cannot be initialised");
		return NULL;
	}
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	s = g_new0(struct webhook_sender, 1);
	s->multi = multi;
	s->requests = g_hash_table_new_full(NULL, NULL, request_free, NULL);
	return s;
}

void
webhook_sender_free(struct webhook_sender *s)
{
	GHashTableIter iter;
	gpointer r;

	if (s == NULL)
		return;
	g_hash_table_iter_init(&iter, s->requests);
	while (g_hash_table_iter_next(&iter, &r, NULL))
		curl_multi_remove_handle(s->multi, ((struct request *)r)->easy);
	g_hash_table_destroy(s->requests);
	curl_multi_cleanup(s->multi);
	g_free(s);
}
