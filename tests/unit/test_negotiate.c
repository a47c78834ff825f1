/*
 * test_negotiate - what an MTA must offer, each missing piece by name (FAULTS A8).
 */
#include "fixture.h"

#include "daemon/negotiate.h"

#include "base/log.h"

#include <string.h>

#define ALL_ACTIONS 0x1ffUL
#define ALL_STEPS 0x1fffffUL

static unsigned long actions_offered, steps_offered;
static bool accepted;

static void
offer(void)
{
	unsigned long actions = 0, steps = 0;

	accepted = negotiate(actions_offered, steps_offered, &actions, &steps);
	log_line(LOG_ERR, "%s", accepted ? "accepted" : "refused");
}

static void
test_missing(void **state)
{
	static const struct {
		const char *name;
		unsigned long actions, steps;
		const char *logged; /* must stand in the log; NULL: accepted */
	} cases[] = {
		{"everything", ALL_ACTIONS, ALL_STEPS, NULL},
		{"just what is needed", NEGOTIATE_ACTIONS, SMFIP_NODATA, NULL},
		{"no change of headers", ALL_ACTIONS & ~SMFIF_CHGHDRS, ALL_STEPS, "SMFIF_CHGHDRS"},
		{"no new headers", ALL_ACTIONS & ~SMFIF_ADDHDRS, ALL_STEPS, "SMFIF_ADDHDRS"},
		{"no change of the body", ALL_ACTIONS & ~SMFIF_CHGBODY, ALL_STEPS, "SMFIF_CHGBODY"},
		{"no change of the sender", ALL_ACTIONS & ~SMFIF_CHGFROM, ALL_STEPS, "SMFIF_CHGFROM"},
		{"no quarantine", ALL_ACTIONS & ~SMFIF_QUARANTINE, ALL_STEPS, "SMFIF_QUARANTINE"},
		{"protocol 2", 0x3f, 0x7f, "milter_protocol = 6"},
		{"nothing", 0, 0, "SMFIF_ADDHDRS"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *text;

		actions_offered = cases[i].actions;
		steps_offered = cases[i].steps;
		text = fixture_stderr_of(offer);
		check_true(cases[i].name, strstr(text, cases[i].logged != NULL ? "refused\n" : "accepted\n") != NULL);
		if (cases[i].logged != NULL)
			check_true(cases[i].name, strstr(text, cases[i].logged) != NULL);
		else
			check_true(cases[i].name, strstr(text, "negotiation") == NULL);
		g_free(text);
	}
}

static void
test_all_missing_are_named_at_once(void **state)
{
	static const char *const names[] = {"SMFIF_ADDHDRS", "SMFIF_CHGHDRS", "SMFIF_CHGBODY", "SMFIF_CHGFROM", "milter_protocol"};
	char *text;

	(void)state;
	actions_offered = steps_offered = 0;
	text = fixture_stderr_of(offer);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		check_true(names[i], strstr(text, names[i]) != NULL);
	g_free(text);
}

static void
test_wanted(void **state)
{
	static const struct {
		const char *name;
		unsigned long step;
		bool wanted;
	} cases[] = {
		{"no HELO", SMFIP_NOHELO, true},
		{"no unknown commands", SMFIP_NOUNKNOWN, true},
		{"the end of the header is asked for, or libmilter ignores mail without one", SMFIP_NOEOH, false},
		{"but without a reply", SMFIP_NR_EOH, true},
		{"MAIL is needed", SMFIP_NOMAIL, false},
		{"RCPT is needed", SMFIP_NORCPT, false},
		{"DATA is needed", SMFIP_NODATA, false},
		{"headers are needed", SMFIP_NOHDRS, false},
		{"the body is needed", SMFIP_NOBODY, false},
		{"the client is needed", SMFIP_NOCONNECT, false},
		{"headers without replies", SMFIP_NR_HDR, true},
		{"body without replies", SMFIP_NR_BODY, true},
		{"RCPT is answered", SMFIP_NR_RCPT, false},
		{"DATA is answered", SMFIP_NR_DATA, false},
		{"leading blanks", SMFIP_HDR_LEADSPC, true},
		{"no refused recipients", SMFIP_RCPT_REJ, false},
	};
	unsigned long actions = 0, steps = 0;

	(void)state;
	assert_true(negotiate(ALL_ACTIONS, ALL_STEPS, &actions, &steps));
	assert_int_equal(actions, NEGOTIATE_ACTIONS);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_int(cases[i].name, (steps & cases[i].step) != 0, cases[i].wanted);
	/* Not asked of an MTA that does not have it: Sendmail would refuse us. */
	assert_true(negotiate(ALL_ACTIONS, ALL_STEPS & ~SMFIP_HDR_LEADSPC, &actions, &steps));
	assert_int_equal(steps & SMFIP_HDR_LEADSPC, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_all_missing_are_named_at_once),
		cmocka_unit_test(test_wanted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
