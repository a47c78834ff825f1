/*
 * setting_rows_isp - rows of the table of settings: ISP records; see setting_rows.h.
 */
#include "core/setting_rows.h"

#define IN_ISP(member) .offset = offsetof(struct isp, member)

static const struct setting_choice encoding_choices[] = {
	{"keep", ENCODING_KEEP},
	{"quoted-printable", ENCODING_QUOTED_PRINTABLE},
	{"base64", ENCODING_BASE64},
	{"8bit", ENCODING_8BIT},
	{NULL, 0},
};

static const struct setting encoding_rows[] = {
	{.name = "global",
	 .type = SETTING_CHOICE,
	 IN_ISP(encoding.global),
	 SINCE_0_2,
	 .choices = encoding_choices,
	 .preset = "\"keep\"",
	 .help = "For all text parts; \"8bit\" is 7bit for pure ASCII, and quoted-printable where the "
		 "content cannot travel as lines. See ENCODING."},
	{.name = "html",
	 .type = SETTING_CHOICE,
	 IN_ISP(encoding.html),
	 SINCE_0_2,
	 .choices = encoding_choices,
	 .help = "For text/html; left out: as global."},
	{.name = "text",
	 .type = SETTING_CHOICE,
	 IN_ISP(encoding.text),
	 SINCE_0_2,
	 .choices = encoding_choices,
	 .help = "For text/plain; left out: as global."},
};

static const struct setting_table encoding_table = {encoding_rows, COUNT(encoding_rows), 0, 0, NULL};

static const struct setting isp_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_ISP(name),
	 SINCE_0_2,
	 .kind = &setting_kind_isp_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the record in the log and in ${isp}; a custom record replaces the shipped one "
		 "of its name. The record \"default\" treats recipients that no other record has, and "
		 "has no domains."},
	{.name = "domains",
	 .type = SETTING_TEXTS,
	 IN_ISP(domains),
	 SINCE_0_2,
	 .kind = &setting_kind_domain_pattern,
	 .flags = SETTING_MANY,
	 .preset = "[ ]",
	 .help = "Domains of recipients; \"*.example.com\" stands for all names below example.com. A "
		 "custom record takes a domain away from a shipped one; two custom records cannot share "
		 "one."},
	{.name = "mx",
	 .type = SETTING_TEXTS,
	 IN_ISP(mx),
	 SINCE_0_2,
	 .kind = &setting_kind_domain_pattern,
	 .flags = SETTING_MANY,
	 .preset = "[ ]",
	 .help = "MX hosts: a domain that stands in no record is this provider's if all its MX hosts "
		 "match."},
	{.name = "encoding",
	 .type = SETTING_GROUP,
	 SINCE_0_2,
	 .members = &encoding_table,
	 .help = "The transfer encoding that text parts get."},
	{.name = "delete_headers",
	 .type = SETTING_TEXTS,
	 IN_ISP(headers.delete_headers),
	 SINCE_0_2,
	 .kind = &setting_kind_header_pattern,
	 .preset = "[ ]",
	 .help = "As the pool's, after all of the pool's: a header that the pool has added goes too."},
	{.name = "set_headers",
	 .type = SETTING_LIST,
	 IN_ISP(headers.set_headers),
	 SINCE_0_2,
	 .members = &setting_table_header_value,
	 .preset = "( )",
	 .help = "As the pool's, after all of the pool's."},
	{.name = "add_headers",
	 .type = SETTING_LIST,
	 IN_ISP(headers.add_headers),
	 SINCE_0_2,
	 .members = &setting_table_header_value,
	 .preset = "( )",
	 .help = "As the pool's, after all of the pool's."},
	{.name = "connections",
	 .type = SETTING_INT,
	 IN_ISP(connections),
	 SINCE_0_2,
	 .min = 0,
	 .max = 100000,
	 .preset = "0",
	 .help = "Connections at a time that the provider accepts; 0: not known. Only the MTA can keep "
		 "it, it is shown by poolctl explain."},
	{.name = "messages_per_connection",
	 .type = SETTING_INT,
	 IN_ISP(messages_per_connection),
	 SINCE_0_2,
	 .min = 0,
	 .max = 1000000,
	 .preset = "0",
	 .help = "The same for messages in one connection."},
	{.name = "recipients_per_message",
	 .type = SETTING_INT,
	 IN_ISP(recipients_per_message),
	 SINCE_0_2,
	 .min = 0,
	 .max = 1000000,
	 .preset = "0",
	 .help = "The same for recipients of one message."},
	{.name = "limits",
	 .type = SETTING_TEXTS,
	 IN_ISP(limits.texts),
	 SINCE_0_3,
	 .kind = &setting_kind_limit,
	 .preset = "[ ]",
	 .help = "Sending limits to this provider, of each pool by itself. See LIMITS."},
	{.name = "total_limits",
	 .type = SETTING_TEXTS,
	 IN_ISP(total_limits.texts),
	 SINCE_0_3,
	 .kind = &setting_kind_limit,
	 .preset = "[ ]",
	 .help = "Sending limits to this provider, of all pools together."},
	{.name = "locks",
	 .type = SETTING_LIST,
	 IN_ISP(locks),
	 SINCE_0_5,
	 .members = &setting_table_lock,
	 .preset = "( )",
	 .help = "When a pool's mail to this provider is stopped or slowed for a time. See LOCKS."},
};

static void
isp_free(void *p)
{
	struct isp *isp = p;

	g_clear_pointer(&isp->limits.rules, g_array_unref);
	g_clear_pointer(&isp->total_limits.rules, g_array_unref);
	setting_release(&setting_table_isp, p);
	g_free(p);
}

const struct setting_table setting_table_isp = {isp_rows, COUNT(isp_rows), sizeof(struct isp),
						offsetof(struct isp, origin), isp_free};
