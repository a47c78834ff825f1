/*
 * progress - a bar on the terminal; see progress.h.
 */
#include "ctl/progress.h"

#include <stdio.h>
#include <unistd.h>

#define WIDTH 40
#define PATIENCE (G_USEC_PER_SEC / 2)

void
progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what,
			       .begun = g_get_monotonic_time(),
			       .terminal = isatty(STDERR_FILENO) == 1};
}

void
progress_draw(struct progress *p, guint done, guint total)
{
	static const char full[] = "########################################";
	guint n = total > 0 ? (guint)((guint64)done * WIDTH / total) : WIDTH;

	if (!p->terminal || g_get_monotonic_time() - p->begun < PATIENCE)
		return;
	fprintf(stderr, "\r[%-*.*s] %u of %u %s", WIDTH, (int)n, full, done, total, p->what);
	p->drawn = true;
}

void
progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
