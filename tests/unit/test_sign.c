/*
 * test_sign - which fields each signature covers, with a signer that only writes down what it is asked.
 */
#include "fixture.h"

#include "core/pipeline.h"

#include <string.h>

#define NOW 1700000000

/* Runs the stage over a header with one pool; the plan goes to *plan. */
struct run {
	struct settings *s;
	struct message *m;
	struct plan *plan;
	struct fake_signer fake;
	bool ok;
};

static void
run(struct run *r, const char *top, const char *keys, const char *text, unsigned fail_at)
{
	char *config = g_strdup_printf(
		"%s pools = ({ name = \"acme\"; sender_domain = \"example.com\"; spf_domain = \"b.example.com\";"
		" dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; %s });", top, keys);
	struct job job;

	r->s = fixture_settings(config);
	r->m = fixture_message(text, "a@example.com", "u@example.org");
	r->plan = plan_new(r->m);
	r->plan->pool = r->s->pools->pdata[0];
	fake_signer_init(&r->fake);
	r->fake.fail_at = fail_at;
	job = (struct job){.settings = r->s, .message = r->m, .signer = &r->fake.signer, .now = NOW};
	r->plan->isp = r->s->default_isp;
	r->ok = stage_headers(&job, r->plan) && stage_sign(&job, r->plan);
	g_free(config);
}

static void
end(struct run *r)
{
	fake_signer_clear(&r->fake);
	plan_free(r->plan);
	message_free(r->m);
	settings_unref(r->s);
}

static const char *
request(const struct run *r, guint n)
{
	assert_true(n < r->fake.requests->len);
	return r->fake.requests->pdata[n];
}

/* The part of a request between "h=" or "over=" and the next blank. */
static char *
part(const struct run *r, const char *tag)
{
	const char *at = strstr(request(r, 0), tag);

	assert_non_null(at);
	at += strlen(tag);
	return g_strndup(at, strcspn(at, " "));
}

static void
test_covered_fields(void **state)
{
	static const struct {
		const char *name, *top, *keys, *header, *covered, *oversigned;
	} cases[] = {
		{"order of the header", "", "", "To: x\nFrom: a\nSubject: s\n", "To:From:Subject", "From:"},
		{"every name of the list", "", "",
		 "From: a\nSender: a\nReply-To: a\nTo: a\nCc: a\nSubject: a\nDate: a\nMessage-ID: a\nIn-Reply-To: a\n"
		 "References: a\nMIME-Version: a\nContent-Type: a\nContent-Transfer-Encoding: a\nContent-Disposition: a\n"
		 "Content-ID: a\nContent-Description: a\nContent-Language: a\nList-Id: a\nList-Help: a\nList-Subscribe: a\n"
		 "List-Unsubscribe: a\nList-Unsubscribe-Post: a\nList-Post: a\nList-Owner: a\nList-Archive: a\nFeedback-ID: a\n"
		 "Resent-From: a\nResent-Date: a\n",
		 "From:Sender:Reply-To:To:Cc:Subject:Date:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:"
		 "Content-Transfer-Encoding:Content-Disposition:Content-ID:Content-Description:Content-Language:List-Id:List-Help:"
		 "List-Subscribe:List-Unsubscribe:List-Unsubscribe-Post:List-Post:List-Owner:List-Archive:Feedback-ID:"
		 "Resent-From:Resent-Date", "From:Reply-To:List-Unsubscribe:List-Unsubscribe-Post:"},
		{"not what the way changes", "", "",
		 "Received: r\nReturn-Path: <x>\nX-Mailer: m\nBcc: b\nAuthentication-Results: x\nFrom: a\nDKIM-Signature: x\n"
		 "ARC-Seal: x\nComments: c\nKeywords: k\n", "From", NULL},
		{"case of names", "", "", "FROM: a\nsUBJECT: s\nMESSAGE-id: m\n", "FROM:sUBJECT:MESSAGE-id", NULL},
		{"blank before the colon", "", "", "From : a\nSubject\t: s\n", "From:Subject", NULL},
		{"several of one name", "", "", "From: a\nTo: 1\nTo: 2\nto: 3\n", "From:To:To:to", NULL},
		{"no From: oversigned all the same", "", "", "Subject: s\n", "Subject", "From:"},
		{"no header at all", "", "", "", "", "From:"},
		{"names longer than any", "", "", "From: a\nX-A-Name-That-Is-Longer-Than-Seventy-Six-Octets-0123456789-0123456789-0123456789-0123456789: x\n", "From", NULL},
		{"signed_headers of all pools", "signed_headers = [ \"X-Mailer\" ];", "", "From: a\nx-mailer: m\nX-Other: o\n", "From:x-mailer", NULL},
		{"signed_headers of the pool", "", "signed_headers = [ \"X-Other\" ];", "From: a\nX-Mailer: m\nX-Other: o\n", "From:X-Other", NULL},
		{"added ones, and their like", "", "add_headers = ({ name = \"X-Pool-Name\"; value = \"v\"; });", "From: a\nX-Pool-Name: old\n", "From:X-Pool-Name:X-Pool-Name", NULL},
		{"set ones", "", "set_headers = ({ name = \"X-Set\"; value = \"v\"; });", "From: a\nx-set: old\n", "From:x-set", NULL},
		{"deleted ones are not there", "", "delete_headers = [ \"Subject\" ];", "From: a\nSubject: s\nTo: t\n", "From:To", NULL},
		{"oversigned if present", "oversigned_headers = [ \"Subject\", \"To\", \"Reply-To\" ];", "", "From: a\nSubject: s\nTo: t\n", "From:Subject:To", "From:Subject:To:"},
		{"From named: once", "oversigned_headers = [ \"from\", \"Subject\" ];", "", "From: a\nSubject: s\n", "From:Subject", "From:Subject:"},
		{"oversigned only if covered", "oversigned_headers = [ \"X-Mailer\" ];", "", "From: a\nX-Mailer: m\n", "From", "From:"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct run r;
		char *covered, *oversigned;

		run(&r, cases[i].top, cases[i].keys, cases[i].header, 0);
		check_true(cases[i].name, r.ok);
		check_int(cases[i].name, r.fake.requests->len, 1);
		covered = part(&r, " h=");
		oversigned = part(&r, " over=");
		check_string(cases[i].name, covered, cases[i].covered);
		check_string(cases[i].name, oversigned, cases[i].oversigned != NULL ? cases[i].oversigned : "From:");
		g_free(oversigned);
		g_free(covered);
		end(&r);
	}
}

static unsigned
count_name(const char *list, const char *name)
{
	char **names = g_strsplit(list, ":", -1);
	unsigned n = 0;

	for (char **one = names; *one != NULL; one++)
		n += g_ascii_strcasecmp(*one, name) == 0;
	g_strfreev(names);
	return n;
}

/* Mail with 500 copies must not cost 500 times; those that h= counts from the bottom are covered. */
static void
test_copies_are_limited(void **state)
{
	GString *text = g_string_new("From: a\nSubject: s\n");
	struct run r;
	char *covered;

	(void)state;
	for (int i = 0; i < 500; i++)
		g_string_append_printf(text, "%s: %d\n", i % 2 ? "To" : "TO", i);
	g_string_append(text, "Date: d\n");
	run(&r, "", "", text->str, 0);
	covered = part(&r, " h=");
	assert_true(g_str_has_prefix(covered, "From:Subject:T"));
	assert_true(g_str_has_suffix(covered, ":To:Date"));
	assert_int_equal(count_name(covered, "To"), 16);
	g_free(covered);
	end(&r);
	g_string_free(text, TRUE);
}

/*
 * A name that has more copies than are covered must not be oversigned: a verifier would take the next
 * copy, which was not signed, for the entry that stands for "no more of them" (RFC 6376 5.4.2).
 */
static void
test_cut_copies_are_not_oversigned(void **state)
{
	GString *text = g_string_new("From: a\n");
	struct run r;
	char *oversigned;

	(void)state;
	for (int i = 0; i < 20; i++)
		g_string_append_printf(text, "Subject: %d\n", i);
	run(&r, "oversigned_headers = [ \"Subject\" ];", "", text->str, 0);
	oversigned = part(&r, " over=");
	assert_string_equal(oversigned, "From:");
	g_free(oversigned);
	end(&r);
	g_string_free(text, TRUE);
}

#define TWO_MORE                                                                                    \
	"signatures = ( { selector = \"ed\"; key = \"@D/key.pem\"; },"                              \
	" { domain = \"esp.example\"; selector = \"esp1\"; key = \"@D/key.pem\"; } );"

static void
test_several_signatures(void **state)
{
	static const char *const want[] = {"d=esp.example s=esp1 ", "d=example.com s=ed ", "d=example.com s=s1 "};
	struct run r;
	char *image;

	(void)state;
	run(&r, "", TWO_MORE, "From: a\nDKIM-Signature: v=1; d=old\n\nHello\n", 0);
	assert_true(r.ok);
	assert_int_equal(r.fake.requests->len, 3);
	for (guint i = 0; i < 3; i++) {
		check_true(want[i], g_str_has_prefix(request(&r, i), want[i]));
		/* The same fields for each: none covers the other, none the old one. */
		check_true(want[i], strstr(request(&r, i), " h=From over=From: body=7 t=1700000000 x=0") != NULL);
	}
	image = fixture_image_text(r.plan->image);
	assert_string_equal(image, "DKIM-Signature: v=1; d=example.com\nDKIM-Signature: v=1; d=example.com\n"
				   "DKIM-Signature: v=1; d=esp.example\nFrom: a\nDKIM-Signature: v=1; d=old\n");
	assert_string_equal(r.plan->dkim->str,
			    "example.com/s1/fake-sha256,example.com/ed/fake-sha256,esp.example/esp1/fake-sha256");
	g_free(image);
	end(&r);
}

/* Fields that we added are covered by every signature, though each signature adds to the edits too. */
static void
test_several_signatures_cover_added_fields(void **state)
{
	struct run r;

	(void)state;
	run(&r, "",
	    TWO_MORE " add_headers = ({ name = \"X-A\"; value = \"v\"; });"
		     " set_headers = ({ name = \"To\"; value = \"t\"; });",
	    "From: a\nTo: x\n", 0);
	assert_true(r.ok);
	assert_int_equal(r.fake.requests->len, 3);
	for (guint i = 0; i < 3; i++)
		if (strstr(request(&r, i), " h=From:To:X-A over=From: ") == NULL)
			fail_msg("signature %u: %s", i, request(&r, i));
	end(&r);
}

static void
test_expiry(void **state)
{
	struct run r;

	(void)state;
	run(&r, "signature_expire_days = 7;", "", "From: a\n", 0);
	assert_non_null(strstr(request(&r, 0), " t=1700000000 x=604800"));
	end(&r);
}

/* A pool that should sign and cannot: tempfail, never unsigned, never half signed. */
static void
test_failure(void **state)
{
	(void)state;
	for (unsigned fail_at = 1; fail_at <= 3; fail_at++) {
		struct run r;
		char *image, name[32];

		g_snprintf(name, sizeof name, "signature %u fails", fail_at);
		run(&r, "", TWO_MORE " add_headers = ({ name = \"X-A\"; value = \"v\"; });", "From: a\n", fail_at);
		check_true(name, !r.ok);
		check_int(name, r.plan->verdict, VERDICT_DEFERRED);
		check_string(name, r.plan->reason, "signature");
		check_string(name, r.plan->reply_code, "451");
		check_true(name, strstr(r.plan->detail, "the fake refuses") != NULL);
		check_true(name, strstr(r.plan->reply, "fake") == NULL); /* not told to the client */
		check_int(name, image_edits(r.plan->image)->len, 0);
		check_int(name, r.plan->headers_added, 0);
		check_string(name, r.plan->dkim->str, "");
		check_int(name, r.fake.requests->len, fail_at);
		image = fixture_image_text(r.plan->image);
		check_string(name, image, "From: a\n");
		g_free(image);
		end(&r);
	}
}

#define LISTED_TOP                                                                              \
	"signed_headers = [ \"X-All\", \"x-all-2\", \"Subject\" ]; "                                   \
	"oversigned_headers = [ \"Reply-To\", \"From\", \"X-Not-Signed\", \"X-Isp\" ]; "                 \
	"isps = ( { name = \"default\"; add_headers = ( { name = \"X-Isp\"; value = \"i\"; } ); } );"
#define LISTED_KEYS                                                                             \
	"signed_headers = [ \"X-Pool-2\" ]; set_headers = ( { name = \"X-Set\"; value = \"s\"; } ); " \
	"add_headers = ( { name = \"X-Isp\"; value = \"p\"; } );"

/* The names of a list as a header, a field each; what is told of the list must then be covered. */
static char *
header_of(const GPtrArray *names)
{
	GString *text = g_string_new("Received: a\nDKIM-Signature: a\nX-Other: a\n");

	for (guint i = 0; i < names->len; i++)
		if (strcmp(names->pdata[i], "x-isp") != 0 && strcmp(names->pdata[i], "x-set") != 0)
			g_string_append_printf(text, "%s: a\n", (char *)names->pdata[i]);
	return g_string_free(text, FALSE);
}

static void
test_listed_names_are_the_covered_ones(void **state)
{
	struct run r;
	GPtrArray *names, *over;
	char *header, *covered, *oversigned, **parts;

	(void)state;
	run(&r, LISTED_TOP, LISTED_KEYS, "From: a\n", 0);
	names = sign_names(r.s, r.s->pools->pdata[0], r.s->default_isp);
	over = sign_oversigned_names(r.s, r.s->pools->pdata[0], r.s->default_isp);
	header = header_of(names);
	end(&r);

	run(&r, LISTED_TOP, LISTED_KEYS, header, 0);
	covered = part(&r, " h=");
	parts = g_strsplit(covered, ":", -1);
	/* X-Isp is added twice: by the pool and by the record. */
	assert_int_equal(g_strv_length(parts), names->len + 1);
	for (guint i = 0; parts[i] != NULL; i++) {
		char *lower = g_ascii_strdown(parts[i], -1);

		if (!g_ptr_array_find_with_equal_func(names, lower, g_str_equal, NULL))
			fail_msg("%s is covered and not listed", lower);
		g_free(lower);
	}
	for (guint i = 0; i < names->len; i++)
		for (guint k = 0; k < i; k++)
			assert_string_not_equal(names->pdata[i], names->pdata[k]);
	oversigned = part(&r, " over=");
	assert_string_equal(oversigned, "From:Reply-To:X-Isp:");
	assert_int_equal(over->len, 3);
	assert_string_equal(over->pdata[0], "from");
	assert_string_equal(over->pdata[1], "reply-to");
	assert_string_equal(over->pdata[2], "x-isp");
	end(&r);
	g_strfreev(parts);
	g_free(covered);
	g_free(oversigned);
	g_free(header);
	g_ptr_array_unref(names);
	g_ptr_array_unref(over);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_covered_fields),
		cmocka_unit_test(test_copies_are_limited),
		cmocka_unit_test(test_cut_copies_are_not_oversigned),
		cmocka_unit_test(test_several_signatures),
		cmocka_unit_test(test_several_signatures_cover_added_fields),
		cmocka_unit_test(test_listed_names_are_the_covered_ones),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_failure),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
