/*
 * milter_hooks - three functions of the C library, in front of libmilter.
 *
 * libmilter decides things for its program that a mail server cannot live with: it stops on SIGHUP, it
 * has one listening socket, and it spins when accept() runs out of descriptors.  It calls sigwait(),
 * listen() and accept() for them.  All are defined here: the program's definition is bound before the C
 * library's, for a shared libmilter when the program starts (the linker exports them, since the library
 * refers to them), for a static one when it is linked.
 *
 *	sigwait	runs the daemon's signals (signals.c) and never returns
 *	listen	lets libmilter have our epoll set for a listening socket
 *	accept	takes clients from all our sockets (listener.c)
 *
 * If the hooks were not reached, the daemon would not serve: listen() fails on an epoll set, and
 * smfi_main() returns an error.
 */
#include "daemon/listener.h"
#include "daemon/milter_io.h"
#include "daemon/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int accept(int fd, struct sockaddr *address, socklen_t *len);
int listen(int fd, int backlog);
int sigwait(const sigset_t *set, int *signal_number);

int
sigwait(const sigset_t *set, int *signal_number)
{
	(void)signal_number;
	signals_wait(set);
}

int
listen(int fd, int backlog)
{
	return fd == listener_fd() ? 0 : (int)syscall(SYS_listen, fd, backlog);
}

int
accept(int fd, struct sockaddr *address, socklen_t *len)
{
	int client;

	if (fd != listener_fd())
		return accept4(fd, address, len, 0);
	client = listener_accept();
	milter_io_register(client);
	/* libmilter wants an address, if only of a family; which client it is, the MTA tells. */
	if (client >= 0 && len != NULL && *len >= sizeof address->sa_family) {
		memset(address, 0, *len);
		address->sa_family = AF_UNIX;
		*len = sizeof address->sa_family;
	}
	return client;
}
