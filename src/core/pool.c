/*
 * pool - whose mail a message is; see pool.h and DESIGN, "Pool".
 *
 * The control header comes first: it names a pool that the client may use.  Else the author's domain
 * decides.  Mail of nobody is passed, rejected or given to a pool, as no_pool says; mail whose author
 * cannot be told is never given to a pool, since it would be signed.
 */
#include "core/pool.h"
#include "core/author.h"
#include "core/pipeline.h"
#include "core/split.h"
#include "core/trust.h"

#include <string.h>

struct pool *
pool_find(const struct settings *s, const char *domain)
{
	struct pool *p = g_hash_table_lookup(s->pool_by_domain, domain);

	while (p == NULL && (domain = domain_parent(domain)) != NULL) {
		p = g_hash_table_lookup(s->pool_by_domain, domain);
		if (p != NULL && !p->match_subdomains)
			p = NULL;
	}
	return p;
}

static bool
no_pool(const struct job *job, struct plan *plan, const char *reason, bool may_use_named)
{
	const struct settings *s = job->settings;

	if (may_use_named && s->no_pool_pool != NULL) {
		plan->pool = s->no_pool_pool;
		plan_explain(plan, "pool: %s, no_pool gives it to pool %s", reason, plan->pool->name);
		return true;
	}
	if (strcmp(s->no_pool, "reject") == 0) {
		plan_explain(plan, "pool: %s, no_pool rejects", reason);
		plan_refuse(plan, VERDICT_REJECTED, reason, "550", "5.7.1",
			    "No sending pool for this From: domain (%s)", reason);
	} else {
		plan_explain(plan, "pool: %s, passes", reason);
		plan_end(plan, VERDICT_PASSED, reason);
	}
	return false;
}

/* The pool that the control header names. The header goes in any case. */
static bool
by_control_header(const struct job *job, struct plan *plan, const struct field *f)
{
	char *name = g_strstrip(g_strndup(f->value, f->value_len));
	struct pool *p = g_hash_table_lookup(job->settings->pool_by_name, name);

	plan_explain(plan, "pool: %s: names \"%s\"", job->settings->control_header, name);
	if (p != NULL && trust_pool(p, &job->message->client, job->message->login))
		plan->pool = p;
	else
		/* Not said which of the two: a client need not learn the names of others' pools. */
		plan_refuse(plan, VERDICT_REJECTED, "control-header", "550", "5.7.1",
			    "%s: names no pool that you may use", job->settings->control_header);
	g_free(name);
	return plan->pool != NULL;
}

static bool
by_author(const struct job *job, struct plan *plan)
{
	enum author_result r = author_domain(job->message, plan->from_domain);

	if (r != AUTHOR_FOUND)
		return no_pool(job, plan, author_reason(r), false);
	plan->pool = pool_find(job->settings, plan->from_domain);
	plan_explain(plan, "pool: author's domain %s: %s", plan->from_domain,
		     plan->pool != NULL ? plan->pool->name : "no pool");
	return plan->pool != NULL || no_pool(job, plan, "no-pool", true);
}

static bool
by_control_and_author(const struct job *job, struct plan *plan, const struct field *control)
{
	enum author_result r = author_domain(job->message, plan->from_domain);

	image_delete(plan->image, job->settings->control_header);
	if (!by_control_header(job, plan, control))
		return false;
	if (r == AUTHOR_FOUND)
		return true;
	plan->pool = NULL;
	return no_pool(job, plan, author_reason(r), false);
}

/* A message that we have injected again names its pool; what else it says of pools is done with. */
static bool
by_split_mark(const struct job *job, struct plan *plan)
{
	struct split_found found = {0};
	enum split_mark mark = split_mark_read(job, &found);

	if (mark == SPLIT_NONE)
		return false;
	plan->marked = true;
	image_delete(plan->image, SPLIT_HEADER);
	if (mark == SPLIT_INVALID) {
		plan_explain(plan, "pool: " SPLIT_HEADER " is not valid, removed");
		return false;
	}
	image_delete(plan->image, job->settings->control_header);
	if (author_domain(job->message, plan->from_domain) != AUTHOR_FOUND) {
		g_free(found.login);
		return false; /* it had an author when it was marked; by_author() will say what is wrong */
	}
	plan->pool = found.pool;
	plan->injected_isp = found.isp;
	plan->injected_login = found.login;
	plan_explain(plan, "pool: " SPLIT_HEADER " names %s", found.pool->name);
	return true;
}

static bool
by_control_or_author(const struct job *job, struct plan *plan)
{
	const struct message *m = job->message;
	const struct field *control = message_field(m, job->settings->control_header, 0);

	if (control != NULL)
		return by_control_and_author(job, plan, control);
	if (!by_author(job, plan))
		return false;
	if (trust_pool(plan->pool, &m->client, m->login))
		return true;
	plan_explain(plan, "pool: the client is not in users or networks of pool %s: passes",
		     plan->pool->name);
	plan_end(plan, VERDICT_PASSED, "not-in-pool");
	return false;
}

/*
 * Whoever injected a copy with a mark had a pool for it.  Where its mark is not valid, of a daemon with
 * another secret perhaps, it may find none; then it must not go out unsigned: the other daemon hears that
 * it was not taken, and treats those recipients itself.
 */
bool
stage_pool(const struct job *job, struct plan *plan)
{
	if (by_split_mark(job, plan) || by_control_or_author(job, plan))
		return true;
	if (plan->marked && plan->verdict == VERDICT_PASSED)
		plan_refuse(plan, VERDICT_DEFERRED, "split-mark", "451", "4.7.1",
			    "%s is not valid here: do the nodes share a Return-Path secret?", SPLIT_HEADER);
	return false;
}
