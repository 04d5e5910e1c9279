/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls in an update that is swept. */
#ifndef RIG_UPDATE_SWEPT_CALL_H
#define RIG_UPDATE_SWEPT_CALL_H

#include "devices/workload.h"

/*
 * With the option sweep=1: each place at which the call can fail does, once. The call
 * is done again until it went well. A fault that it got over ends that: the call is
 * done, and cannot be done again. The next update goes on one place further, and
 * says so by an option that goes along ("past-NAME"). Without it: just the call.
 */
int swept_call(struct rig *r, const char *name, int (*call)(void *arg), void *arg);

#endif
