/*
 * spf - evaluates SPF records with libspf2; see spf.h.
 *
 * libspf2 asks its questions through a layer of ours, which takes them to struct dns.  Everything
 * is made for one evaluation and freed after it; libspf2 keeps nothing between them.
 */
#include "io/spf.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <spf2/spf.h>
#include <string.h>

/* ---- the layer below libspf2 ---- */

static bool
type_of(ns_type number, enum record_type *type)
{
	switch (number) {
	case ns_t_a:
		*type = RECORD_A;
		return true;
	case ns_t_aaaa:
		*type = RECORD_AAAA;
		return true;
	case ns_t_mx:
		*type = RECORD_MX;
		return true;
	case ns_t_ptr:
		*type = RECORD_PTR;
		return true;
	case ns_t_txt:
		*type = RECORD_TXT;
		return true;
	default:
		return false;
	}
}

static SPF_dns_stat_t
stat_of(enum dns_state state)
{
	static const SPF_dns_stat_t stats[] = {
		[DNS_FOUND] = NETDB_SUCCESS,    [DNS_NO_DATA] = NO_DATA,
		[DNS_NO_NAME] = HOST_NOT_FOUND, [DNS_FAILED] = TRY_AGAIN,
		[DNS_TIMEOUT] = TRY_AGAIN,
	};

	return stats[state];
}

/* Puts a record into place i of rr; false if there is no memory. */
static bool
put(SPF_dns_rr_t *rr, int i, enum record_type type, const struct dns_record *r)
{
	bool address = type == RECORD_A || type == RECORD_AAAA;
	size_t size = address ? sizeof(SPF_dns_rr_data_t) : r->len + 1;

	if (SPF_dns_rr_buf_realloc(rr, i, size) != SPF_E_SUCCESS)
		return false;
	if (address)
		inet_pton(type == RECORD_A ? AF_INET : AF_INET6, r->text, rr->rr[i]);
	else
		memcpy(rr->rr[i]->txt, r->text, size); /* ptr and mx are at the same place */
	return true;
}

static SPF_dns_rr_t *
lookup(SPF_dns_server_t *server, const char *name, ns_type number, int should_cache)
{
	const struct dns_answer *a;
	char normal[DOMAIN_SIZE];
	enum record_type type;
	SPF_dns_rr_t *rr;

	(void)should_cache;
	if (!type_of(number, &type))
		return SPF_dns_rr_new_init(server, name, number, 0, NO_DATA);
	if (!domain_normalise(name, strlen(name), normal))
		return SPF_dns_rr_new_nxdomain(server, name);
	a = dns_answer(server->hook, normal, type);
	rr = SPF_dns_rr_new_init(server, name, number, 0, stat_of(a->state));
	for (guint i = 0; rr != NULL && i < a->records->len; i++) {
		if (!put(rr, (int)i, type, a->records->pdata[i])) {
			SPF_dns_rr_free(rr);
			return NULL;
		}
		rr->num_rr = (int)i + 1;
	}
	return rr;
}

/* ---- evaluation ---- */

/* What libspf2 complains of, or else the result. */
static char *
reason(SPF_response_t *response, SPF_result_t result)
{
	for (int i = 0; i < SPF_response_messages(response); i++) {
		SPF_error_t *e = SPF_response_message(response, i);

		if (SPF_error_errorp(e))
			return g_strdup(SPF_error_message(e));
	}
	return g_strdup(SPF_strresult(result));
}

static enum spf_result
result_of(SPF_result_t result)
{
	switch (result) {
	case SPF_RESULT_PASS:
		return SPF_PASSES;
	case SPF_RESULT_TEMPERROR:
		return SPF_UNKNOWN;
	case SPF_RESULT_PERMERROR:
	case SPF_RESULT_INVALID:
		return SPF_INVALID;
	default:
		return SPF_FAILS;
	}
}

static enum spf_result
query(SPF_request_t *request, char **why)
{
	SPF_response_t *response = NULL;
	enum spf_result result = SPF_INVALID;

	SPF_request_query_mailfrom(request, &response);
	if (response != NULL) {
		SPF_result_t theirs = SPF_response_result(response);

		result = result_of(theirs);
		if (result != SPF_PASSES)
			*why = reason(response, theirs);
		SPF_response_free(response);
	} else {
		*why = g_strdup("libspf2 cannot evaluate it");
	}
	return result;
}

enum spf_result
spf_evaluate(const struct dns *dns, const char *domain, const char *address, const char *helo,
	     char **why)
{
	SPF_dns_server_t layer = {.lookup = lookup, .name = "poolmilter", .hook = (void *)dns};
	SPF_server_t *server = SPF_server_new_dns(&layer, 0);
	SPF_request_t *request = server != NULL ? SPF_request_new(server) : NULL;
	char *sender = g_strconcat("postmaster@", domain, NULL);
	enum spf_result result = SPF_INVALID;

	if (request != NULL &&
	    (strchr(address, ':') != NULL
		     ? SPF_request_set_ipv6_str(request, address)
		     : SPF_request_set_ipv4_str(request, address)) == SPF_E_SUCCESS) {
		SPF_request_set_helo_dom(request, helo);
		SPF_request_set_env_from(request, sender);
		result = query(request, why);
	} else {
		*why = g_strdup("libspf2 cannot be set up");
	}
	if (request != NULL)
		SPF_request_free(request);
	if (server != NULL)
		SPF_server_free(server);
	g_free(sender);
	return result;
}
