/*
 * snapshot - the settings in force; see snapshot.h.
 */
#include "daemon/snapshot.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct settings *current;

void
snapshot_set(struct settings *s)
{
	struct settings *old;

	pthread_mutex_lock(&lock);
	old = current;
	current = s;
	pthread_mutex_unlock(&lock);
	settings_unref(old); /* outside the lock: freeing 100,000 pools takes a while */
}

struct settings *
snapshot_get(void)
{
	struct settings *s;

	pthread_mutex_lock(&lock);
	s = settings_ref(current);
	pthread_mutex_unlock(&lock);
	return s;
}
