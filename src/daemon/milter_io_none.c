/*
 * milter_io_none - no buffers under libmilter, where it is a shared library; see milter_io.h.
 */
#include "daemon/milter_io.h"

void
milter_io_register(int fd)
{
	(void)fd;
}

bool
milter_io_buffered(void)
{
	return false;
}
