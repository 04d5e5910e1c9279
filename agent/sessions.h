/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sessions that the agent has a descriptor of. If systemd keeps descriptors for the
 * agent, it has each of them, too, and the next agent gets them from there.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "continuo.h"

#define MOST_SESSIONS	2048
#define ROOT_SESSIONS	16
#define MOST_PER_USER	64	/* of users other than root */

/*
 * May a user who has @own of something have one more, if there is room for @left more? The
 * less is left, the fewer has whoever gets one: so some are left for those who have none.
 */
static inline bool is_fair(unsigned int own, unsigned int left)
{
	return own < left / 2;
}

/* Before all else: take over what systemd has kept. */
void sessions_begin(struct continuo *ctx);
/*
 * Make one, or get it from the previous kernel, and keep it. The descriptor, or a
 * negative errno with a reason in @why; -EINPROGRESS, without one, as long as one of that
 * name is being closed; -EAGAIN, without one, as long as somebody else has /dev/liveupdate.
 */
int sessions_create(const char *name, uid_t uid, const char **why);
int sessions_retrieve(const char *name, uid_t uid, const char **why);
/* The descriptor of one that the agent has, or -1. */
int sessions_find(const char *name);
/* Begin to let go of one: 0 or -ENOENT. */
int sessions_release(const char *name);
bool sessions_closing(const char *name);
/* It has been closed. */
void sessions_closed(const char *name);
/* Calls @each with the names of all. */
void sessions_each(void (*each)(void *arg, const char *name), void *arg);

#endif
