/*
 * postfix_tables - the tables that Postfix looks ways, bounces and logins up in.
 *
 * Of types that need no postmap(1): Postfix reads them as they are when its processes start.
 */
#ifndef POOLMILTER_CTL_POSTFIX_TABLES_H
#define POOLMILTER_CTL_POSTFIX_TABLES_H

#include "ctl/postfix_files.h"

/** texthash: the way of mail by its envelope sender; senders with several ways are not in it. */
GString *postfix_table_senders(const struct postfix_plan *p, const struct postfix_texts *t);

/** regexp: the way of mail by the header field that poolmilter adds. */
GString *postfix_table_routes(const struct postfix_plan *p, const struct postfix_texts *t);

/** texthash: where mail for the spf_domains goes. */
GString *postfix_table_bounces(const struct postfix_plan *p, const struct postfix_texts *t);

/** texthash: where mail for the people at these domains goes, if bounces become events. */
GString *postfix_table_officers(const struct postfix_plan *p, const struct postfix_texts *t);

/** texthash: logins at relays, to be cleansed; NULL with *why (g_free it) if a password cannot be
 * read, or cannot stand there. */
GString *postfix_table_passwords(const struct postfix_plan *p, const struct postfix_texts *t,
				 char **why);

#endif
