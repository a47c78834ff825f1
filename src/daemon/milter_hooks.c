/*
 * milter_hooks - two functions of the C library, in front of libmilter.
 *
 * libmilter decides two things for its program that a mail server cannot live with: it stops on SIGHUP,
 * and it spins when accept() runs out of descriptors.  It calls sigwait() and accept() for them.  Both
 * are defined here: the program's definition is bound before the C library's, for a shared libmilter
 * when the program starts (the linker exports them, since the library refers to them), for a static one
 * when it is linked.  Nothing else in the process calls these two.
 *
 *	sigwait	runs the daemon's signals (signals.c); returns to libmilter only to stop it
 *	accept	takes clients from all our sockets (listener.c)
 *
 * If a hook were not reached, the daemon would not start to serve: libmilter's own accept() fails on the
 * epoll set (EINVAL), and it gives up with an error after 16 tries.
 */
#include "daemon/listener.h"
#include "daemon/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

int accept(int fd, struct sockaddr *address, socklen_t *len);
int sigwait(const sigset_t *set, int *signal_number);

int
sigwait(const sigset_t *set, int *signal_number)
{
	*signal_number = signals_wait(set);
	return 0;
}

int
accept(int fd, struct sockaddr *address, socklen_t *len)
{
	int client;

	if (fd != listener_fd())
		return accept4(fd, address, len, 0);
	client = listener_accept();
	/* libmilter wants an address, if only of a family; which client it is, the MTA tells. */
	if (client >= 0 && len != NULL && *len >= sizeof address->sa_family) {
		memset(address, 0, *len);
		address->sa_family = AF_UNIX;
		*len = sizeof address->sa_family;
	}
	return client;
}
