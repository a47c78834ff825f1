/*
 * setting_rows_pool - rows of the table of settings: pools; see setting_rows.h.
 */
#include "core/rotation.h"
#include "core/setting_rows.h"

#define IN_POOL(member) .offset = offsetof(struct pool, member)
#define IN_ISP_LIMITS(member) .offset = offsetof(struct isp_limits, member)
#define IN_SIGNATURE(member) .offset = offsetof(struct signature, member)
#define IN_HEADER_VALUE(member) .offset = offsetof(struct header_value, member)

/* Defined below, behind their rows. */
static const struct setting_table signature_table;
static const struct setting_table isp_limits_table;

static const struct setting_choice return_path_choices[] = {
	{"signed", RETURN_PATH_SIGNED},
	{"verp", RETURN_PATH_VERP},
	{"plain", RETURN_PATH_PLAIN},
	{"keep", RETURN_PATH_KEEP},
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

static const struct setting_choice count_choices[] = {
	{"recipients", COUNT_RECIPIENTS},
	{"messages", COUNT_MESSAGES},
	{NULL, 0},
};

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
	setting_release(&setting_table_header_value, p);
	g_free(p);
}

const struct setting_table setting_table_header_value = {
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
	 .members = &setting_table_header_value,
	 .preset = "( )",
	 .help = "Headers to replace, all of a name by one."},
	{.name = "add_headers",
	 .type = SETTING_LIST,
	 IN_POOL(headers.add_headers),
	 SINCE_0_1,
	 .members = &setting_table_header_value,
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
	{.name = "webhooks",
	 .type = SETTING_LIST,
	 IN_POOL(webhooks),
	 SINCE_0_5,
	 .members = &setting_table_webhook,
	 .flags = SETTING_AS_ANOTHER,
	 .preset = "( )",
	 .help = "Where this pool's events go by HTTP, besides those of all pools. Keys as those of "
		 "webhooks."},
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
