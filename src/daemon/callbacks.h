/*
 * callbacks - what libmilter calls: thin functions that fetch the session and map its answers.
 */
#ifndef POOLMILTER_DAEMON_CALLBACKS_H
#define POOLMILTER_DAEMON_CALLBACKS_H

#include "daemon/session.h"

#include <stdbool.h>

/** Registers the callbacks with libmilter. The tools must outlive smfi_main(). False on failure. */
bool callbacks_register(const struct session_tools *tools);

#endif
