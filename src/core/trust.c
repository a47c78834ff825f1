/*
 * trust - who may send for us; see trust.h and DESIGN, "Trust".
 *
 * Inbound mail that forges our From must never leave with our signature: everything that is not
 * trusted passes untouched.
 */
#include "core/trust.h"
#include "core/pipeline.h"

bool
trust_client(const struct settings *s, const struct address *client, const char *login, bool local)
{
	return login != NULL || local ||
	       network_match((const struct network *)(void *)s->trusted_networks->data,
			     s->trusted_networks->len, client);
}

static bool
user_match(const GPtrArray *patterns, const char *login)
{
	if (login == NULL)
		return false;
	for (guint i = 0; i < patterns->len; i++)
		if (g_pattern_match_simple(g_ptr_array_index(patterns, i), login))
			return true;
	return false;
}

bool
trust_pool(const struct pool *p, const struct address *client, const char *login)
{
	bool users = p->users->len > 0, networks = p->networks->len > 0;

	if (!users && !networks)
		return true;
	return (users && user_match(p->users, login)) ||
	       (networks && network_match((const struct network *)(void *)p->networks->data,
					  p->networks->len, client));
}

bool
stage_trust(const struct job *job, struct plan *plan)
{
	const struct message *m = job->message;

	if (trust_client(job->settings, &m->client, m->login, m->local)) {
		plan_explain(plan, "trust: %s",
			     m->login != NULL ? "authenticated client"
			     : m->local	      ? "local submission"
					      : "client in trusted_networks");
		return true;
	}
	plan_explain(plan, "trust: not authenticated, not in trusted_networks, not local: passes untouched");
	plan_end(plan, VERDICT_PASSED, "untrusted");
	return false;
}
