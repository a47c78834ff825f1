/*
 * settings - the configuration as the daemon uses it: an immutable snapshot, counted by reference.
 *
 * Built whole from a configuration file (io/conf_file.h), never changed afterwards, shared by all
 * threads.  A reload builds a new one beside the old; a message keeps the snapshot that it began
 * with. All names in it are normalised (domains: core/domain.h; header names as written).
 *
 * No array in it is ever NULL: an empty one is an array of no elements (which many pools may share,
 * so nobody but the loader adds to one).  A char * is NULL only where its comment says so.
 */
#ifndef POOLMILTER_CORE_SETTINGS_H
#define POOLMILTER_CORE_SETTINGS_H

#include "base/errors.h"
#include "core/category.h"
#include "core/limit.h"
#include "core/network.h"
#include "core/template.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct key; /* a private key, io/keystore.h; core only passes it on */
struct rotation; /* core/rotation.h */

enum mixed_isps {
	MIXED_NEUTRAL, /* the record "default" treats the message */
	MIXED_DEFER,   /* the first recipient sets the ISP, others come in a transaction of their own */
	MIXED_SPLIT,   /* the message is injected again, once for each other treatment */
};

/** What a text part's transfer encoding is to be; RFC 2045 6. */
enum encoding {
	ENCODING_UNSET, /* no rule: the more general one decides, at last ENCODING_KEEP */
	ENCODING_KEEP,
	ENCODING_8BIT, /* 7bit for pure ASCII */
	ENCODING_QUOTED_PRINTABLE,
	ENCODING_BASE64,
};

enum return_path_mode {
	RETURN_PATH_SIGNED,
	RETURN_PATH_VERP,
	RETURN_PATH_PLAIN,
	RETURN_PATH_KEEP,
};

/** A header field to add or set: name and what its value expands from. */
struct header_value {
	char *name;
	struct template *value;
	struct origin origin;
};

/** What a pool or an ISP record does to the header.  Deletes run before sets, sets before adds. */
struct header_rules {
	GPtrArray *delete_headers; /* of char *: names, a trailing '*' matches the rest */
	GPtrArray *set_headers;    /* of struct header_value * */
	GPtrArray *add_headers;    /* of struct header_value * */
};

/** What becomes of a message that is over a limit. */
enum on_limit {
	ON_LIMIT_DEFER, /* 451; hold for local submission, which has no other time */
	ON_LIMIT_HOLD,  /* the MTA's quarantine */
	ON_LIMIT_WARN,  /* accepted all the same, and not counted */
};

/** What limits count. */
enum limit_count {
	COUNT_RECIPIENTS,
	COUNT_MESSAGES,
};

/** What becomes of messages whose limits Redis cannot be asked for. */
enum when_down {
	WHEN_DOWN_LOCAL,  /* this node counts its share in memory */
	WHEN_DOWN_ACCEPT, /* accepted */
	WHEN_DOWN_DEFER,  /* 451 */
};

/** Sending limits as they are written, and as rules. */
struct limits {
	GPtrArray *texts; /* of char *, in normal form, no two the same */
	GArray *rules;    /* of struct limit, beside the texts; NULL until settings_finish() */
};

/** Limits of a pool for an ISP, instead of the record's. */
struct isp_limits {
	char *name;            /* of the record, as written */
	const struct isp *isp; /* that record; NULL until settings_finish() */
	struct limits limits;
	struct origin origin;
};

/** What a DMARC record asks for; RFC 7489 6.3. */
enum dmarc_policy {
	DMARC_UNSET, /* no record; of subdomain_policy: as policy */
	DMARC_NONE,
	DMARC_QUARANTINE,
	DMARC_REJECT,
};

/** One DKIM signature of a pool. */
struct signature {
	char *domain;   /* d=, an A-label domain */
	char *selector; /* s= */
	char *key_file;
	struct key *key; /* owned by settings' keys */
	struct origin origin;
};

#define POOL_KEYS_MAX 40

struct pool {
	char *name;
	char *sender_domain; /* From: domain and d= */
	bool match_subdomains;
	char *sender_subdomain; /* label(s) under sender_domain; NULL: none */
	char *spf_domain;       /* domain of the Return-Path; NULL only with RETURN_PATH_KEEP */
	int return_path;        /* enum return_path_mode */
	char *dkim_selector;
	char *dkim_key;        /* path */
	GPtrArray *signatures; /* of struct signature *: the pool's own first, then `signatures` */
	GPtrArray *users;      /* of char *: patterns of logins; empty: any trusted client */
	GArray *networks;      /* of struct network; empty: any trusted client */
	struct header_rules headers;
	GPtrArray *signed_headers; /* of char *: signed besides the list of all pools */
	struct limits limits;
	GPtrArray *isp_limits; /* of struct isp_limits * */
	int on_limit;          /* enum on_limit */
	int count;             /* enum limit_count */
	/* What the DNS and the MTA have to know. */
	GPtrArray *source_ips;  /* of char *: addresses that its mail leaves from */
	GPtrArray *spf_include; /* of char *: domains */
	struct {
		int policy, subdomain_policy; /* enum dmarc_policy */
		char *rua;		      /* "mailto:..."; NULL: none */
	} dmarc;
	char *bimi_logo;			  /* https URL; NULL: none */
	char *tracking_domain, *tracking_target; /* both or none */
	char *bounce_target;			  /* host that takes the bounces; NULL: not told */
	struct {
		char *host; /* NULL: mail does not go by a relay */
		int64_t port;
		bool starttls;
		char *username, *password_file; /* both or none */
	} relay;
	struct {
		char *selector, *key; /* both or none */
		char *use_after;      /* "2026-12-01T06:00:00Z"; NULL: when poolctl keys switch says so */
	} dkim_next;
	GPtrArray *webhooks;	   /* of struct webhook *: of its events alone */
	struct rotation *rotation; /* made of dkim_next, the one thing that changes; NULL: there is none */
	uint32_t tag;              /* of the name, stands in Return-Path tokens */
	uint32_t index;            /* in the list that it stands in, for messages */
	struct origin origin;
	uint16_t lines[POOL_KEYS_MAX]; /* of each key, counted from origin.line, for messages */
};

/** When a pool's mail to an ISP is locked, and how. */
struct lock_rule {
	char *name;	 /* unique in its record */
	int category;	 /* enum category that counts; CATEGORY_NONE: the pattern alone decides */
	char *pattern;	 /* PCRE2, without regard to case; NULL: the category alone decides */
	char *threshold; /* "10/5m": so many replies in so much time, in limit_text()'s form */
	struct limit threshold_rule; /* the same, after settings_finish() */
	int64_t pause;	       /* seconds that nothing is sent; 0: rate instead */
	char *rate;	       /* "1/second": no more than this, at first; NULL: pause instead */
	struct limit rate_rule; /* the same, after settings_finish() */
	int64_t step;	       /* seconds after which the rate doubles */
	int64_t steps;	       /* how often; then the lock ends */
	struct origin origin;
};

/** What category a reply is of. */
struct bounce_pattern {
	char *isp;     /* name of the record that it is for; NULL: for all */
	char *code;    /* what the reply or the enhanced status code begins with: "421", "5.7."; NULL: any */
	char *pattern; /* PCRE2, without regard to case; NULL: code alone decides */
	int category;  /* enum category */
	char *source;  /* where it was learnt and when; NULL: not told */
	struct origin origin;
};

/** Where events go by HTTP. */
struct webhook {
	char *name; /* unique among all: the queue knows it by this */
	char *url;
	GPtrArray *events;  /* of char *: names of types; empty: all */
	char *secret_file;  /* of the signature; NULL: requests are not signed */
	char *secret;	    /* what stands there; NULL until it is read */
	GPtrArray *headers; /* of struct webhook_header *: of each request */
	char *ca_file;	    /* certificates that are trusted; NULL: the system's */
	int64_t batch;	    /* events in a request, at most */
	int64_t batch_ms;   /* how long the first of them waits for others */
	int64_t timeout_ms; /* of a request */
	bool gzip;
	const struct pool *pool; /* whose events; NULL: all pools'; after settings_finish() */
	struct origin origin;
};

struct webhook_header {
	char *name, *value;
	struct origin origin;
};

/** How a mailbox provider wants its mail. */
struct isp {
	char *name;
	GPtrArray *domains; /* of char *: domains of recipients, "*.example.com" for all below one */
	GPtrArray *mx;      /* of char *: MX hosts, the same way; all of a domain's must match */
	struct {
		int global, html, text; /* enum encoding */
	} encoding;
	struct header_rules headers;
	/* What only the MTA can keep; 0: not known. */
	int64_t connections;             /* at a time */
	int64_t messages_per_connection;
	int64_t recipients_per_message;
	struct limits limits;       /* of each pool, but for those that have their own in isp_limits */
	struct limits total_limits; /* of all pools together; no part of the treatment */
	GPtrArray *locks;	    /* of struct lock_rule *; no part of the treatment */
	bool shipped;
	bool replaced;          /* a shipped record, and a custom one has its name: not in force */
	unsigned treatment;     /* the same for all records that treat messages alike */
	unsigned domains_taken; /* how many of its domains and MX rules a custom record has taken */
	uint32_t index;         /* in the list that it stands in, for messages */
	struct origin origin;
};

/** Look-ups of ISP records: of the custom or of the shipped ones. All keys belong to the records. */
struct isp_index {
	GHashTable *domains;     /* "gmail.com" -> struct isp * */
	GHashTable *suffixes;    /* of "*.example.com": "example.com" -> struct isp * */
	GHashTable *mx_hosts;    /* as domains */
	GHashTable *mx_suffixes; /* as suffixes */
};

/** A secret that signs or verifies Return-Path tokens. */
struct secret {
	size_t len;
	unsigned char octets[64];
};

struct settings {
	int references; /* atomic */

	GPtrArray *listen; /* of char *: "unix:/path", "inet:PORT@HOST", "inet6:PORT@HOST" */
	unsigned socket_mode;
	char *socket_group; /* NULL: the process' own */
	char *pid_file;     /* NULL: none */
	char *include_dir;  /* NULL: none */
	char *user;         /* NULL: stay who we are */
	char *state_dir;
	GArray *trusted_networks;  /* of struct network */
	char *no_pool;             /* "pass", "reject" or a pool's name */
	struct pool *no_pool_pool; /* the pool of that name; NULL for pass and reject */
	char *control_header;
	int64_t max_message_size;      /* octets */
	int on_error;                  /* 0: defer */
	int mixed_isps;                /* enum mixed_isps */
	char *reinject;                /* "smtp://HOST:PORT"; NULL only without MIXED_SPLIT */
	bool safe_encoding;
	bool reencode_signed;
	char *resolver; /* "ADDRESS@PORT" or "ADDRESS"; NULL: those of the system */
	int64_t signature_expire_days; /* x=; 0: none */
	GPtrArray *signed_headers;     /* of char *: signed besides the built-in list */
	GPtrArray *oversigned_headers; /* of char *: signed once more than they stand, if present */

	struct {
		int facility; /* LOG_MAIL ... of syslog.h */
		char *ident;
		int level; /* LOG_DEBUG ... LOG_ERR */
	} syslog;

	struct {
		GPtrArray *secret_files; /* of char *; empty: state_dir/return-path.secret */
		GArray *secrets;         /* of struct secret; the first signs, all verify */
		char *local_part;
		int64_t expire_days;
		bool check_bounces;
	} return_path;

	struct {
		int64_t timeout_ms;
		int64_t cache_entries; /* domains */
	} dns;

	struct {
		bool used; /* the group stands in the file; else counters live in memory */
		char *address;         /* NULL with sentinels */
		GPtrArray *sentinels;  /* of char *: "HOST:PORT" */
		char *sentinel_master; /* NULL without */
		char *username;        /* NULL: none */
		char *password_file;   /* NULL: none */
		char *password;        /* what stands there; NULL until it is read */
		int64_t database;
		bool tls; /* the group tls stands there */
		char *ca_file, *cert_file, *key_file; /* of tls; NULL: none */
		char *prefix;
		int64_t connect_timeout_ms;
		int64_t command_timeout_ms;
		int64_t connections;
		int when_down; /* enum when_down */
		int64_t nodes;
	} redis;

	bool require_dns; /* never sign with a selector whose record has not been seen */

	int64_t stats_days;
	int64_t stats_interval; /* seconds; 0: no summary lines */
	char *metrics_file;     /* NULL: none */

	/* What becomes of the mail: poolevents(8). */
	struct {
		bool used;	    /* the group stands in the file: our log tells what poolevents needs */
		char *log;	    /* path of the MTA's log, "journal" or "stdin" */
		int64_t history;    /* seconds that a message which has left the queue is remembered */
		int64_t max_age;    /* seconds that an event waits for who is to have it */
		int64_t keep;	    /* seconds that events stay for poolctl events */
		char *file;	    /* of JSON lines; NULL: none */
		char *stream;	    /* key of a stream in Redis; NULL: none */
		int64_t stream_max; /* about so many entries */
		bool unverified;    /* bounces that neither a token nor our history vouches for count */
	} events;
	GPtrArray *event_headers;   /* of char *: names of headers that events tell */
	GPtrArray *webhooks;	    /* of struct webhook *: of all pools' events */
	GPtrArray *bounces;	    /* of struct bounce_pattern *: our own */
	GPtrArray *shipped_bounces; /* of struct bounce_pattern * */

	GPtrArray *isps;               /* of struct isp *: custom records */
	GPtrArray *shipped_isps;       /* of struct isp * */
	struct isp_index isp_index[2]; /* custom, shipped */
	bool isp_mx;                   /* some record in force has MX rules */
	bool isp_totals;               /* some record in force has total_limits */
	struct isp *default_isp;       /* the record "default"; made if there is none, never NULL */

	GPtrArray *pools;           /* of struct pool * */
	GHashTable *pool_by_name;   /* name -> struct pool * */
	GHashTable *pool_by_domain; /* sender_domain -> struct pool * */
	GHashTable *spf_domains;    /* spf_domain -> bits of 1 << enum return_path_mode, of all its
				       pools */

	void *keys; /* the keystore that owns all struct key */
	void (*keys_free)(void *keys);
	GPtrArray *files; /* of char *: every file read, in order; origins point here */
	GHashTable
		*origins; /* "user", "syslog.level", ... -> struct origin *, of keys in the file */
};

/** New settings with every default and no pools, one reference. */
struct settings *settings_new(void);

/** Where a key outside of pools stands ("user", "syslog.level"); if it does not, its group, or else the
 * main file as a whole. */
struct origin settings_origin(const struct settings *s, const char *path);

/** Where a key of a pool stands; the pool as a whole if it does not. */
struct origin settings_pool_origin(const struct pool *p, const char *key);

/** True if a Return-Path secret is needed: some pool has "signed" or "verp", or messages are split. */
bool settings_need_secret(const struct settings *s);

/** Takes a reference. Thread-safe. */
struct settings *settings_ref(struct settings *s);

/** Gives a reference back; the last one frees everything. NULL is allowed. Thread-safe. */
void settings_unref(struct settings *s);

/**
 * The last step of loading: what one key alone cannot tell.  Builds the look-ups, checks duplicates
 * and what must stand together, and reports everything wrong to errors.  The settings are usable
 * only if errors has none.
 */
void settings_finish(struct settings *s, struct errors *errors);

#endif
