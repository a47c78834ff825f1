/*
 * setting_rows - the rows of the table of settings; see setting_table.h.
 *
 * Order is that of the man page and of the sample file.  Defaults are literals of libconfig; `help`
 * may use no markup, is cut into lines by the formatter, and does not repeat type, default and
 * range.
 */
#include "core/rotation.h"
#include "core/setting_table.h"

#include "core/settings.h"

#include <syslog.h>

#ifndef POOLMILTER_STATE_DIR
#define POOLMILTER_STATE_DIR \
	"/var/lib/poolmilter" /* configure's --localstatedir decides in a build */
#endif

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define IN_SETTINGS(member) .offset = offsetof(struct settings, member)
#define IN_POOL(member) .offset = offsetof(struct pool, member)
#define IN_ISP(member) .offset = offsetof(struct isp, member)
#define IN_ISP_LIMITS(member) .offset = offsetof(struct isp_limits, member)
#define IN_SIGNATURE(member) .offset = offsetof(struct signature, member)
#define IN_HEADER_VALUE(member) .offset = offsetof(struct header_value, member)
#define SINCE_0_1 .since = "0.1"
#define SINCE_0_2 .since = "0.2"
#define SINCE_0_3 .since = "0.3"
#define SINCE_0_4 .since = "0.4"

/* Defined below, behind their rows. */
static const struct setting_table header_value_table;
static const struct setting_table signature_table;
static const struct setting_table isp_limits_table;

static const struct setting_choice on_error_choices[] = {{"defer", 0}, {NULL, 0}};

static const struct setting_choice facility_choices[] = {
	{"mail", LOG_MAIL},     {"daemon", LOG_DAEMON}, {"user", LOG_USER},
	{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
	{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
	{"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}, {NULL, 0},
};

static const struct setting_choice level_choices[] = {
	{"debug", LOG_DEBUG},     {"info", LOG_INFO}, {"notice", LOG_NOTICE},
	{"warning", LOG_WARNING}, {"error", LOG_ERR}, {NULL, 0},
};

static const struct setting_choice return_path_choices[] = {
	{"signed", RETURN_PATH_SIGNED},
	{"verp", RETURN_PATH_VERP},
	{"plain", RETURN_PATH_PLAIN},
	{"keep", RETURN_PATH_KEEP},
	{NULL, 0},
};

static const struct setting_choice mixed_isps_choices[] = {
	{"neutral", MIXED_NEUTRAL},
	{"defer", MIXED_DEFER},
	{"split", MIXED_SPLIT},
	{NULL, 0},
};

static const struct setting_choice encoding_choices[] = {
	{"keep", ENCODING_KEEP},
	{"quoted-printable", ENCODING_QUOTED_PRINTABLE},
	{"base64", ENCODING_BASE64},
	{"8bit", ENCODING_8BIT},
	{NULL, 0},
};

static const struct setting_choice dmarc_choices[] = {
	{"none", DMARC_NONE},
	{"quarantine", DMARC_QUARANTINE},
	{"reject", DMARC_REJECT},
	{NULL, 0},
};

static const struct setting_choice on_limit_choices[] = {
	{"defer", ON_LIMIT_DEFER},
	{"hold", ON_LIMIT_HOLD},
	{"warn", ON_LIMIT_WARN},
	{NULL, 0},
};

static const struct setting_choice when_down_choices[] = {
	{"local", WHEN_DOWN_LOCAL},
	{"accept", WHEN_DOWN_ACCEPT},
	{"defer", WHEN_DOWN_DEFER},
	{NULL, 0},
};

static const struct setting_choice count_choices[] = {
	{"recipients", COUNT_RECIPIENTS},
	{"messages", COUNT_MESSAGES},
	{NULL, 0},
};

static bool
splits(const void *settings)
{
	return ((const struct settings *)settings)->mixed_isps == MIXED_SPLIT;
}

static bool
moves_return_path(const void *pool)
{
	return ((const struct pool *)pool)->return_path != RETURN_PATH_KEEP;
}

static const struct setting header_value_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_HEADER_VALUE(name),
	 SINCE_0_1,
	 .kind = &setting_kind_header_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the header."},
	{.name = "value",
	 .type = SETTING_TEMPLATE,
	 IN_HEADER_VALUE(value),
	 SINCE_0_1,
	 .flags = SETTING_REQUIRED,
	 .help = "Its value; variables such as ${pool} are replaced, see TEMPLATES."},
};

static void
header_value_free(void *p)
{
	setting_release(&header_value_table, p);
	g_free(p);
}

static const struct setting_table header_value_table = {
	header_value_rows, COUNT(header_value_rows), sizeof(struct header_value),
	offsetof(struct header_value, origin), header_value_free};

static const struct setting signature_rows[] = {
	{.name = "domain",
	 .type = SETTING_TEXT,
	 IN_SIGNATURE(domain),
	 SINCE_0_1,
	 .kind = &setting_kind_domain,
	 .help = "The signing domain (d=); left out: the pool's sender_domain."},
	{.name = "selector",
	 .type = SETTING_TEXT,
	 IN_SIGNATURE(selector),
	 SINCE_0_1,
	 .kind = &setting_kind_selector,
	 .flags = SETTING_REQUIRED,
	 .help = "The selector (s=): the public key stands in SELECTOR._domainkey.DOMAIN."},
	{.name = "key",
	 .type = SETTING_TEXT,
	 IN_SIGNATURE(key_file),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .flags = SETTING_REQUIRED,
	 .help = "Path of the private key, as dkim_key."},
};

static void
signature_free(void *p)
{
	setting_release(&signature_table, p);
	g_free(p);
}

static const struct setting_table signature_table = {
	signature_rows, COUNT(signature_rows), sizeof(struct signature),
	offsetof(struct signature, origin), signature_free};

static const struct setting isp_limits_rows[] = {
	{.name = "isp",
	 .type = SETTING_TEXT,
	 IN_ISP_LIMITS(name),
	 SINCE_0_3,
	 .kind = &setting_kind_isp_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the ISP record, which must exist."},
	{.name = "limits",
	 .type = SETTING_TEXTS,
	 IN_ISP_LIMITS(limits.texts),
	 SINCE_0_3,
	 .kind = &setting_kind_limit,
	 .preset = "[ ]",
	 .help = "The pool's limits for this ISP; empty: none."},
};

static void
isp_limits_free(void *p)
{
	struct isp_limits *l = p;

	g_clear_pointer(&l->limits.rules, g_array_unref);
	setting_release(&isp_limits_table, l);
	g_free(l);
}

static const struct setting_table isp_limits_table = {
	isp_limits_rows, COUNT(isp_limits_rows), sizeof(struct isp_limits),
	offsetof(struct isp_limits, origin), isp_limits_free};

static const struct setting dmarc_rows[] = {
	{.name = "policy",
	 .type = SETTING_CHOICE,
	 IN_POOL(dmarc.policy),
	 SINCE_0_4,
	 .choices = dmarc_choices,
	 .help = "What receivers should do with mail that does not align (p=)."},
	{.name = "subdomain_policy",
	 .type = SETTING_CHOICE,
	 IN_POOL(dmarc.subdomain_policy),
	 SINCE_0_4,
	 .choices = dmarc_choices,
	 .help = "The same for domains below it (sp=); left out: as policy."},
	{.name = "rua",
	 .type = SETTING_TEXT,
	 IN_POOL(dmarc.rua),
	 SINCE_0_4,
	 .kind = &setting_kind_mailto,
	 .help = "Where reports go (rua=)."},
};

static const struct setting_table dmarc_table = {dmarc_rows, COUNT(dmarc_rows), 0, 0, NULL};

static const struct setting relay_rows[] = {
	{.name = "host",
	 .type = SETTING_TEXT,
	 IN_POOL(relay.host),
	 SINCE_0_4,
	 .kind = &setting_kind_host,
	 .flags = SETTING_REQUIRED,
	 .help = "The relay."},
	{.name = "port",
	 .type = SETTING_INT,
	 IN_POOL(relay.port),
	 SINCE_0_4,
	 .min = 1,
	 .max = 65535,
	 .preset = "587",
	 .help = "Its port."},
	{.name = "starttls",
	 .type = SETTING_BOOL,
	 IN_POOL(relay.starttls),
	 SINCE_0_4,
	 .preset = "true",
	 .help = "Whether mail must go encrypted; without it no TLS is used."},
	{.name = "username",
	 .type = SETTING_TEXT,
	 IN_POOL(relay.username),
	 SINCE_0_4,
	 .kind = &setting_kind_word,
	 .help = "The login there; left out: none."},
	{.name = "password_file",
	 .type = SETTING_TEXT,
	 IN_POOL(relay.password_file),
	 SINCE_0_4,
	 .kind = &setting_kind_path,
	 .help = "File with the password in its first line; not readable by others, as keys."},
};

static const struct setting_table relay_table = {relay_rows, COUNT(relay_rows), 0, 0, NULL};

static const struct setting dkim_next_rows[] = {
	{.name = "selector",
	 .type = SETTING_TEXT,
	 IN_POOL(dkim_next.selector),
	 SINCE_0_4,
	 .kind = &setting_kind_selector,
	 .flags = SETTING_REQUIRED,
	 .help = "Its selector."},
	{.name = "key",
	 .type = SETTING_TEXT,
	 IN_POOL(dkim_next.key),
	 SINCE_0_4,
	 .kind = &setting_kind_path,
	 .flags = SETTING_REQUIRED,
	 .help = "Path of its private key, as dkim_key."},
	{.name = "use_after",
	 .type = SETTING_TEXT,
	 IN_POOL(dkim_next.use_after),
	 SINCE_0_4,
	 .kind = &setting_kind_time,
	 .help = "From when on it signs, in UTC; left out: when \"poolctl keys switch\" has seen its "
		 "record in the DNS."},
};

static const struct setting_table dkim_next_table = {dkim_next_rows, COUNT(dkim_next_rows), 0, 0, NULL};

static const struct setting pool_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_POOL(name),
	 SINCE_0_1,
	 .kind = &setting_kind_pool_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the pool in the log, in ${pool} and in the control header; no two pools "
		 "may "
		 "share it. A new name makes Return-Path addresses that are under way unknown."},
	{.name = "sender_domain",
	 .type = SETTING_TEXT,
	 IN_POOL(sender_domain),
	 SINCE_0_1,
	 .kind = &setting_kind_domain,
	 .flags = SETTING_REQUIRED,
	 .help = "The domain of the From: header whose mail this pool treats, and the signing "
		 "domain. "
		 "U-labels and A-labels are the same; no two pools may share it."},
	{.name = "match_subdomains",
	 .type = SETTING_BOOL,
	 IN_POOL(match_subdomains),
	 SINCE_0_1,
	 .preset = "false",
	 .help = "Treat mail from all subdomains of sender_domain too, unless a pool of their own "
		 "does."},
	{.name = "sender_subdomain",
	 .type = SETTING_TEXT,
	 IN_POOL(sender_subdomain),
	 SINCE_0_1,
	 .kind = &setting_kind_labels,
	 .help = "The name under sender_domain of the sending hosts: HELO, A and PTR records."},
	{.name = "spf_domain",
	 .type = SETTING_TEXT,
	 IN_POOL(spf_domain),
	 SINCE_0_1,
	 .kind = &setting_kind_domain,
	 .required_if = moves_return_path,
	 .help = "The domain of the Return-Path, where bounces arrive. For SPF to align with the "
		 "From: "
		 "domain it stands below sender_domain. Required unless return_path is \"keep\"."},
	{.name = "return_path",
	 .type = SETTING_CHOICE,
	 IN_POOL(return_path),
	 SINCE_0_1,
	 .choices = return_path_choices,
	 .preset = "\"signed\"",
	 .help = "How the envelope sender is rewritten: \"signed\" to an opaque token that cannot "
		 "be "
		 "forged, \"verp\" to the readable recipient if there is only one (else as "
		 "\"signed\"), \"plain\" to bounce@SPF_DOMAIN, \"keep\" not at all."},
	{.name = "dkim_selector",
	 .type = SETTING_TEXT,
	 IN_POOL(dkim_selector),
	 SINCE_0_1,
	 .kind = &setting_kind_selector,
	 .flags = SETTING_REQUIRED,
	 .help = "The selector of the pool's own signature: its public key stands in "
		 "SELECTOR._domainkey.SENDER_DOMAIN."},
	{.name = "dkim_key",
	 .type = SETTING_TEXT,
	 IN_POOL(dkim_key),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .flags = SETTING_REQUIRED,
	 .help = "Path of the private key: PEM, RSA of at least 1024 bits or Ed25519, of root or "
		 "user, "
		 "closed to others."},
	{.name = "signatures",
	 .type = SETTING_LIST,
	 IN_POOL(signatures),
	 SINCE_0_1,
	 .members = &signature_table,
	 .preset = "( )",
	 .help = "More signatures beside the pool's own, for instance Ed25519 or the platform's "
		 "domain."},
	{.name = "users",
	 .type = SETTING_TEXTS,
	 IN_POOL(users),
	 SINCE_0_1,
	 .kind = &setting_kind_login,
	 .preset = "[ ]",
	 .help = "Logins (SASL) that may use the pool, '?' stands for any character; empty: any "
		 "trusted "
		 "client, if networks is empty too."},
	{.name = "networks",
	 .type = SETTING_NETWORKS,
	 IN_POOL(networks),
	 SINCE_0_1,
	 .preset = "[ ]",
	 .help = "Addresses of clients that may use the pool; empty: any trusted client, if users "
		 "is "
		 "empty too."},
	{.name = "delete_headers",
	 .type = SETTING_TEXTS,
	 IN_POOL(headers.delete_headers),
	 SINCE_0_1,
	 .kind = &setting_kind_header_pattern,
	 .preset = "[ ]",
	 .help = "Headers to delete, all of a name; a '*' at the end stands for any rest. Deletes "
		 "come "
		 "before sets, sets before adds."},
	{.name = "set_headers",
	 .type = SETTING_LIST,
	 IN_POOL(headers.set_headers),
	 SINCE_0_1,
	 .members = &header_value_table,
	 .preset = "( )",
	 .help = "Headers to replace, all of a name by one."},
	{.name = "add_headers",
	 .type = SETTING_LIST,
	 IN_POOL(headers.add_headers),
	 SINCE_0_1,
	 .members = &header_value_table,
	 .preset = "( )",
	 .help = "Headers to add beside those already there."},
	{.name = "signed_headers",
	 .type = SETTING_TEXTS,
	 IN_POOL(signed_headers),
	 SINCE_0_1,
	 .kind = &setting_kind_header_name,
	 .preset = "[ ]",
	 .help = "Headers that this pool signs besides those of all pools."},
	{.name = "limits",
	 .type = SETTING_TEXTS,
	 IN_POOL(limits.texts),
	 SINCE_0_3,
	 .kind = &setting_kind_limit,
	 .preset = "[ ]",
	 .help = "Sending limits of the pool, to all recipients together. See LIMITS."},
	{.name = "isp_limits",
	 .type = SETTING_LIST,
	 IN_POOL(isp_limits),
	 SINCE_0_3,
	 .members = &isp_limits_table,
	 .preset = "( )",
	 .help = "Sending limits of the pool to an ISP, instead of those of the ISP record."},
	{.name = "on_limit",
	 .type = SETTING_CHOICE,
	 IN_POOL(on_limit),
	 SINCE_0_3,
	 .choices = on_limit_choices,
	 .preset = "\"defer\"",
	 .help = "What becomes of a message over a limit: \"defer\", the client gets 451 and tries "
		 "again; \"hold\", the MTA puts it into quarantine; \"warn\", it goes on, with a word in "
		 "the log. Local submission is held where it would be deferred."},
	{.name = "count",
	 .type = SETTING_CHOICE,
	 IN_POOL(count),
	 SINCE_0_3,
	 .choices = count_choices,
	 .preset = "\"recipients\"",
	 .help = "What limits count of this pool's mail."},
	{.name = "source_ips",
	 .type = SETTING_TEXTS,
	 IN_POOL(source_ips),
	 SINCE_0_4,
	 .kind = &setting_kind_address,
	 .preset = "[ ]",
	 .help = "Addresses that this pool's mail leaves from: for A, AAAA, PTR and SPF records, and for "
		 "what poolctl postfix generates."},
	{.name = "spf_include",
	 .type = SETTING_TEXTS,
	 IN_POOL(spf_include),
	 SINCE_0_4,
	 .kind = &setting_kind_domain,
	 .preset = "[ ]",
	 .help = "Domains whose SPF records this pool's include."},
	{.name = "dmarc",
	 .type = SETTING_GROUP,
	 SINCE_0_4,
	 .members = &dmarc_table,
	 .help = "The DMARC record of sender_domain."},
	{.name = "bimi_logo",
	 .type = SETTING_TEXT,
	 IN_POOL(bimi_logo),
	 SINCE_0_4,
	 .kind = &setting_kind_https_url,
	 .help = "Where the logo of BIMI lies (SVG); left out: no record."},
	{.name = "tracking_domain",
	 .type = SETTING_TEXT,
	 IN_POOL(tracking_domain),
	 SINCE_0_4,
	 .kind = &setting_kind_domain,
	 .help = "Name of links and images in mail, a CNAME of tracking_target."},
	{.name = "tracking_target",
	 .type = SETTING_TEXT,
	 IN_POOL(tracking_target),
	 SINCE_0_4,
	 .kind = &setting_kind_domain,
	 .help = "The host that serves them."},
	{.name = "bounce_target",
	 .type = SETTING_TEXT,
	 IN_POOL(bounce_target),
	 SINCE_0_4,
	 .kind = &setting_kind_domain,
	 .help = "The host that takes the bounces: spf_domain is a CNAME of it, or has it as MX where it "
		 "has its own SPF record."},
	{.name = "relay",
	 .type = SETTING_GROUP,
	 SINCE_0_4,
	 .members = &relay_table,
	 .help = "A relay that this pool's mail goes by; left out: it is sent directly. What poolctl "
		 "postfix generates."},
	{.name = "dkim_next",
	 .type = SETTING_GROUP,
	 SINCE_0_4,
	 .members = &dkim_next_table,
	 .help = "The key that follows dkim_key. See KEY ROTATION."},
};

static void
pool_free(void *p)
{
	g_clear_pointer(&((struct pool *)p)->limits.rules, g_array_unref);
	rotation_free(((struct pool *)p)->rotation);
	setting_release(&setting_table_pool, p);
	g_free(p);
}

_Static_assert(COUNT(pool_rows) <= POOL_KEYS_MAX, "struct pool has room for each key's line");

const struct setting_table setting_table_pool = {pool_rows, COUNT(pool_rows), sizeof(struct pool),
						 offsetof(struct pool, origin), pool_free};

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
	 .members = &header_value_table,
	 .preset = "( )",
	 .help = "As the pool's, after all of the pool's."},
	{.name = "add_headers",
	 .type = SETTING_LIST,
	 IN_ISP(headers.add_headers),
	 SINCE_0_2,
	 .members = &header_value_table,
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

static const struct setting dns_rows[] = {
	{.name = "timeout_ms",
	 .type = SETTING_INT,
	 IN_SETTINGS(dns.timeout_ms),
	 SINCE_0_2,
	 .min = 10,
	 .max = 60000,
	 .preset = "2000",
	 .help = "Milliseconds that a message waits for the MX hosts of its recipients' domains, all "
		 "together. What is not known then counts as no match; mail never fails for it."},
	{.name = "cache_entries",
	 .type = SETTING_INT,
	 IN_SETTINGS(dns.cache_entries),
	 SINCE_0_2,
	 .min = 100,
	 .max = 10000000,
	 .preset = "100000",
	 .help = "Domains whose MX hosts are kept in memory, as long as their records say."},
};

static const struct setting_table dns_table = {dns_rows, COUNT(dns_rows), 0, 0, NULL};

static const struct setting redis_tls_rows[] = {
	{.name = "ca_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.ca_file),
	 SINCE_0_3,
	 .kind = &setting_kind_path,
	 .help = "Certificates (PEM) of the authorities that may sign the server's; its name is not "
		 "compared then. Left out: those of the system, and the name must be right."},
	{.name = "cert_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.cert_file),
	 SINCE_0_3,
	 .kind = &setting_kind_path,
	 .help = "Our own certificate (PEM), for servers that ask for one."},
	{.name = "key_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.key_file),
	 SINCE_0_3,
	 .kind = &setting_kind_path,
	 .help = "Its key (PEM)."},
};

static const struct setting_table redis_tls_table = {redis_tls_rows, COUNT(redis_tls_rows), 0, 0,
						     NULL};

static const struct setting redis_rows[] = {
	{.name = "address",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.address),
	 SINCE_0_3,
	 .kind = &setting_kind_store,
	 .help = "Where the server listens. Required unless there are sentinels."},
	{.name = "sentinels",
	 .type = SETTING_TEXTS,
	 IN_SETTINGS(redis.sentinels),
	 SINCE_0_3,
	 .kind = &setting_kind_host_port,
	 .preset = "[ ]",
	 .help = "Redis Sentinels, which tell where the master is; they are asked in turn."},
	{.name = "sentinel_master",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.sentinel_master),
	 SINCE_0_3,
	 .kind = &setting_kind_word,
	 .help = "The master's name there, such as \"mymaster\"."},
	{.name = "username",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.username),
	 SINCE_0_3,
	 .kind = &setting_kind_word,
	 .help = "A user of Redis' access control lists; left out: the default user."},
	{.name = "password_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.password_file),
	 SINCE_0_3,
	 .kind = &setting_kind_path,
	 .help = "File with the password in its first line; not readable by others, as keys."},
	{.name = "database",
	 .type = SETTING_INT,
	 IN_SETTINGS(redis.database),
	 SINCE_0_3,
	 .min = 0,
	 .max = 65535,
	 .preset = "0",
	 .help = "Number of the database."},
	{.name = "tls",
	 .type = SETTING_GROUP,
	 SINCE_0_3,
	 .members = &redis_tls_table,
	 .help = "TLS to the server and to Sentinels; left out: none."},
	{.name = "prefix",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(redis.prefix),
	 SINCE_0_3,
	 .kind = &setting_kind_pool_name,
	 .preset = "\"poolmilter\"",
	 .help = "What all our keys in Redis begin with, in braces: nodes with the same prefix share "
		 "their counters."},
	{.name = "connect_timeout_ms",
	 .type = SETTING_INT,
	 IN_SETTINGS(redis.connect_timeout_ms),
	 SINCE_0_3,
	 .min = 10,
	 .max = 10000,
	 .preset = "200",
	 .help = "Milliseconds that making a connection may take; a message waits no longer than "
		 "command_timeout_ms for it and its answer together."},
	{.name = "command_timeout_ms",
	 .type = SETTING_INT,
	 IN_SETTINGS(redis.command_timeout_ms),
	 SINCE_0_3,
	 .min = 5,
	 .max = 10000,
	 .preset = "100",
	 .help = "Milliseconds that a message waits for an answer, and for a connection where it "
		 "needs one; after that Redis counts as down until it has answered again."},
	{.name = "connections",
	 .type = SETTING_INT,
	 IN_SETTINGS(redis.connections),
	 SINCE_0_3,
	 .min = 1,
	 .max = 1000,
	 .preset = "8",
	 .help = "Connections at a time, at most."},
	{.name = "when_down",
	 .type = SETTING_CHOICE,
	 IN_SETTINGS(redis.when_down),
	 SINCE_0_3,
	 .choices = when_down_choices,
	 .preset = "\"local\"",
	 .help = "What becomes of messages with limits while Redis does not answer: \"local\", this node "
		 "counts in its memory, each limit divided by nodes; \"accept\"; \"defer\", 451."},
	{.name = "nodes",
	 .type = SETTING_INT,
	 IN_SETTINGS(redis.nodes),
	 SINCE_0_3,
	 .min = 1,
	 .max = 10000,
	 .preset = "1",
	 .help = "How many nodes share the limits, for \"local\"."},
};

static const struct setting_table redis_table = {redis_rows, COUNT(redis_rows), 0, 0, NULL};

static const struct setting syslog_rows[] = {
	{.name = "facility",
	 .type = SETTING_CHOICE,
	 IN_SETTINGS(syslog.facility),
	 SINCE_0_1,
	 .choices = facility_choices,
	 .preset = "\"mail\"",
	 .help = "The facility of syslog(3)."},
	{.name = "ident",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(syslog.ident),
	 SINCE_0_1,
	 .kind = &setting_kind_ident,
	 .preset = "\"poolmilter\"",
	 .help = "The name that stands before each line."},
	{.name = "level",
	 .type = SETTING_CHOICE,
	 IN_SETTINGS(syslog.level),
	 SINCE_0_1,
	 .choices = level_choices,
	 .preset = "\"info\"",
	 .help = "Lines less urgent than this are not written; those of messages are \"info\"."},
};

static const struct setting_table syslog_table = {syslog_rows, COUNT(syslog_rows), 0, 0, NULL};

static const struct setting return_path_rows[] = {
	{.name = "secret_files",
	 .type = SETTING_TEXTS,
	 IN_SETTINGS(return_path.secret_files),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .preset = "[ ]",
	 .help = "Files of 16 to 64 octets: the first signs tokens, all verify them, so that "
		 "secrets can "
		 "be changed. Empty: one is made at the first start, return-path.secret in "
		 "state_dir. "
		 "Nodes that share an spf_domain must share it."},
	{.name = "local_part",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(return_path.local_part),
	 SINCE_0_1,
	 .kind = &setting_kind_local_part,
	 .preset = "\"b\"",
	 .help = "What stands before '+' and the token."},
	{.name = "expire_days",
	 .type = SETTING_INT,
	 IN_SETTINGS(return_path.expire_days),
	 SINCE_0_1,
	 .min = 1,
	 .max = 3650,
	 .preset = "14",
	 .help = "Days after which a token is refused."},
	{.name = "check_bounces",
	 .type = SETTING_BOOL,
	 IN_SETTINGS(return_path.check_bounces),
	 SINCE_0_1,
	 .preset = "true",
	 .help = "Refuse recipients at an spf_domain whose token is forged or expired."},
};

static const struct setting_table return_path_table = {return_path_rows, COUNT(return_path_rows), 0,
						       0, NULL};

static const struct setting rows[] = {
	{.name = "listen",
	 .type = SETTING_TEXTS,
	 IN_SETTINGS(listen),
	 SINCE_0_1,
	 .kind = &setting_kind_listen,
	 .flags = SETTING_REQUIRED | SETTING_ONE_OR_MORE,
	 .help = "Where the MTA finds us, one or an array of several."},
	{.name = "socket_mode",
	 .type = SETTING_MODE,
	 IN_SETTINGS(socket_mode),
	 SINCE_0_1,
	 .preset = "\"0660\"",
	 .help = "Mode of UNIX sockets, octal, in quotes."},
	{.name = "socket_group",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(socket_group),
	 SINCE_0_1,
	 .kind = &setting_kind_account,
	 .help = "Group of UNIX sockets, that of the MTA; left out: the first group of user."},
	{.name = "pid_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(pid_file),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .help = "File for the process ID; left out: none."},
	{.name = "include_dir",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(include_dir),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .help = "Directory of more pools: every *.conf in it is read in the order of names, see "
		 "INCLUDED FILES."},
	{.name = "user",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(user),
	 SINCE_0_1,
	 .kind = &setting_kind_account,
	 .help = "The user to become after keys are read and sockets are open; required when "
		 "started "
		 "as root."},
	{.name = "state_dir",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(state_dir),
	 SINCE_0_1,
	 .kind = &setting_kind_path,
	 .preset = "\"" POOLMILTER_STATE_DIR "\"",
	 .help = "Directory for what must outlive a restart; belongs to user."},
	{.name = "trusted_networks",
	 .type = SETTING_NETWORKS,
	 IN_SETTINGS(trusted_networks),
	 SINCE_0_1,
	 .preset = "[ \"127.0.0.0/8\", \"::1\" ]",
	 .help = "Clients whose mail is treated, besides authenticated ones and local submission. "
		 "All "
		 "other mail passes untouched."},
	{.name = "no_pool",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(no_pool),
	 SINCE_0_1,
	 .kind = &setting_kind_pool_name,
	 .preset = "\"pass\"",
	 .help = "What becomes of mail whose From: domain no pool has: \"pass\" (untouched), "
		 "\"reject\", "
		 "or the name of the pool that takes it."},
	{.name = "control_header",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(control_header),
	 SINCE_0_1,
	 .kind = &setting_kind_header_name,
	 .preset = "\"X-Pool\"",
	 .help = "A header in which a trusted client names the pool; it is always removed."},
	{.name = "max_message_size",
	 .type = SETTING_INT,
	 IN_SETTINGS(max_message_size),
	 SINCE_0_1,
	 .min = 1024,
	 .max = 1073741824,
	 .preset = "104857600",
	 .help = "Octets; a larger message is refused with 552."},
	{.name = "on_error",
	 .type = SETTING_CHOICE,
	 IN_SETTINGS(on_error),
	 SINCE_0_1,
	 .choices = on_error_choices,
	 .preset = "\"defer\"",
	 .help = "What the client gets when something goes wrong inside: a temporary error, never "
		 "unsigned mail."},
	{.name = "mixed_isps",
	 .type = SETTING_CHOICE,
	 IN_SETTINGS(mixed_isps),
	 SINCE_0_2,
	 .choices = mixed_isps_choices,
	 .preset = "\"neutral\"",
	 .help = "What becomes of a message whose recipients have ISP records that differ in encoding "
		 "or headers: \"neutral\", the record \"default\" treats it; \"defer\", recipients other "
		 "than the first one's kind get 452, so that the client sends them again; \"split\", the "
		 "message is injected again for the others. See RECIPIENTS OF SEVERAL ISPS."},
	{.name = "reinject",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(reinject),
	 SINCE_0_2,
	 .kind = &setting_kind_smtp_url,
	 .required_if = splits,
	 .help = "Where \"split\" injects messages again: an SMTP server of this MTA that asks "
		 "poolmilter too. Required if mixed_isps is \"split\"."},
	{.name = "safe_encoding",
	 .type = SETTING_BOOL,
	 IN_SETTINGS(safe_encoding),
	 SINCE_0_2,
	 .preset = "true",
	 .help = "Encode text parts that would not survive the way (8-bit, lines over 998 octets), and "
		 "fold header lines over 998 octets, before signing: the MTA would do it afterwards and "
		 "so break the signatures."},
	{.name = "reencode_signed",
	 .type = SETTING_BOOL,
	 IN_SETTINGS(reencode_signed),
	 SINCE_0_2,
	 .preset = "false",
	 .help = "Encode also messages that carry a DKIM signature of someone else, which breaks it."},
	{.name = "signature_expire_days",
	 .type = SETTING_INT,
	 IN_SETTINGS(signature_expire_days),
	 SINCE_0_1,
	 .min = 0,
	 .max = 3650,
	 .preset = "0",
	 .help = "Days after which signatures expire (x=); 0: never."},
	{.name = "signed_headers",
	 .type = SETTING_TEXTS,
	 IN_SETTINGS(signed_headers),
	 SINCE_0_1,
	 .kind = &setting_kind_header_name,
	 .preset = "[ ]",
	 .help = "Headers to sign besides the built-in list, see SIGNATURES."},
	{.name = "oversigned_headers",
	 .type = SETTING_TEXTS,
	 IN_SETTINGS(oversigned_headers),
	 SINCE_0_1,
	 .kind = &setting_kind_header_name,
	 .preset = "[ \"Reply-To\", \"List-Unsubscribe\", \"List-Unsubscribe-Post\" ]",
	 .help = "Headers that, where present, are signed once more than they stand, so that "
		 "another one "
		 "breaks the signature. From is always among them."},
	{.name = "syslog",
	 .type = SETTING_GROUP,
	 SINCE_0_1,
	 .members = &syslog_table,
	 .help = "The log."},
	{.name = "return_path",
	 .type = SETTING_GROUP,
	 SINCE_0_1,
	 .members = &return_path_table,
	 .help = "Return-Path addresses, for all pools."},
	{.name = "redis",
	 .type = SETTING_GROUP,
	 SINCE_0_3,
	 .members = &redis_table,
	 .help = "The Redis server that all nodes count in; left out: limits and statistics are this "
		 "node's own, in memory, kept in state_dir over a restart. See LIMITS."},
	{.name = "require_dns",
	 .type = SETTING_BOOL,
	 IN_SETTINGS(require_dns),
	 SINCE_0_4,
	 .preset = "false",
	 .help = "Never sign with the selector of a dkim_next whose record has not been seen in the DNS."},
	{.name = "stats_days",
	 .type = SETTING_INT,
	 IN_SETTINGS(stats_days),
	 SINCE_0_3,
	 .min = 1,
	 .max = 3650,
	 .preset = "30",
	 .help = "Days that statistics are kept. See STATISTICS."},
	{.name = "stats_interval",
	 .type = SETTING_INT,
	 IN_SETTINGS(stats_interval),
	 SINCE_0_3,
	 .min = 0,
	 .max = 86400,
	 .preset = "3600",
	 .help = "Seconds between two lines in the log that sum up each pool; 0: no such lines."},
	{.name = "metrics_file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(metrics_file),
	 SINCE_0_3,
	 .kind = &setting_kind_path,
	 .help = "File in Prometheus' text format, written anew every 15 seconds, for node_exporter's "
		 "textfile collector; its directory must be writable for user. Left out: none."},
	{.name = "dns",
	 .type = SETTING_GROUP,
	 SINCE_0_2,
	 .members = &dns_table,
	 .help = "Look-ups of MX hosts."},
	{.name = "resolver",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(resolver),
	 SINCE_0_2,
	 .kind = &setting_kind_dns_server,
	 .help = "The DNS server to ask; left out: those of /etc/resolv.conf."},
	{.name = "isps",
	 .type = SETTING_LIST,
	 IN_SETTINGS(isps),
	 SINCE_0_2,
	 .members = &setting_table_isp,
	 .preset = "( )",
	 .help = "Custom ISP records, see ISP RECORDS."},
	{.name = "shipped_isps",
	 .type = SETTING_LIST,
	 IN_SETTINGS(shipped_isps),
	 SINCE_0_2,
	 .members = &setting_table_isp,
	 .flags = SETTING_AS_ANOTHER,
	 .preset = "( )",
	 .help = "The ISP records that come with poolmilter, in a file to @include. Keys as those of "
		 "isps."},
	{.name = "pools",
	 .type = SETTING_LIST,
	 IN_SETTINGS(pools),
	 SINCE_0_1,
	 .members = &setting_table_pool,
	 .preset = "( )",
	 .help = "The pools; those of include_dir are added to them. There must be one at least."},
};

const struct setting_table setting_table = {rows, COUNT(rows), 0, 0, NULL};
