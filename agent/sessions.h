/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sessions that the agent has a descriptor of. If systemd keeps descriptors for the
 * agent, it has each of them, too, and the next agent gets them from there.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <sys/types.h>

#include "continuo.h"

#define MOST_SESSIONS	1024
#define ROOT_SESSIONS	16
#define MOST_PER_USER	64	/* of users other than root */

/* Before all else: take over what systemd has kept. */
void sessions_begin(struct continuo *ctx);
/*
 * Make one, or get it from the previous kernel, and keep it. The descriptor, or a
 * negative errno with a reason in @why.
 */
int sessions_create(const char *name, uid_t uid, const char **why);
int sessions_retrieve(const char *name, uid_t uid, const char **why);
/* Let go of one: 0 or -ENOENT. */
int sessions_release(const char *name);
/* Calls @each with the names of all. */
void sessions_each(void (*each)(void *arg, const char *name), void *arg);

#endif
