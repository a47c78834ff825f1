/*
 * milter_threads_none - no rescue, where libmilter is a shared library; see milter_threads.c.
 */
#include "daemon/milter_threads.h"

bool
milter_threads_init(void)
{
	return true;
}
