/*
 * limiter_redis_settings - the configuration's group redis, as the limiter's driver wants it; see
 * limiter_redis_settings.h.
 */
#include "io/limiter_redis_settings.h"

/* The strings of an array, with a NULL at the end; only the vector is new. */
static const char **
vector(const GPtrArray *texts)
{
	const char **v = g_new0(const char *, texts->len + 1);

	for (guint i = 0; i < texts->len; i++)
		v[i] = texts->pdata[i];
	return v;
}

void
limiter_redis_settings_from(const struct settings *s, struct limiter_redis_settings *out)
{
	*out = (struct limiter_redis_settings){
		.store = {.address = s->redis.address,
			  .sentinels = vector(s->redis.sentinels),
			  .sentinel_master = s->redis.sentinel_master,
			  .username = s->redis.username,
			  .password = s->redis.password,
			  .database = (guint)s->redis.database,
			  .tls = s->redis.tls,
			  .tls_files = {s->redis.ca_file, s->redis.cert_file, s->redis.key_file},
			  .connect_timeout_ms = (guint)s->redis.connect_timeout_ms,
			  .command_timeout_ms = (guint)s->redis.command_timeout_ms,
			  .connections = (guint)s->redis.connections},
		.prefix = s->redis.prefix,
		.stats_days = (guint)s->stats_days};
}

void
limiter_redis_settings_clear(struct limiter_redis_settings *r)
{
	g_free((void *)r->store.sentinels);
	r->store.sentinels = NULL;
}
