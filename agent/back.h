/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way back (docs/way-back.md): what confirm.c decides is done here, and what happens is told
 * to it. The gate is a program (--health), which is run once all VMs are ready: if it ends with
 * 0, the host is well.
 */
#ifndef BACK_H
#define BACK_H

#include <stdbool.h>
#include <sys/types.h>

#include "continuo.h"

/* Before all else. @health: NULL if there is no gate. */
void back_open(struct continuo *ctx, const char *health);
/* How this kernel came here: "armed", "came-back", ..., and what there is to say of it; "" without a way back. */
const char *back_state(const char **why);
/* Once it is known which VMs have come. */
void back_begin(void);
/* Why no update can begin now; NULL if one can. */
const char *back_forbids(void);

/* Each of these replies, now or later. */
void back_ready(int client, const char *name);
void back_confirm(int client);

/* A connection has ended. */
void back_gone(int client);
/* A process has ended and was waited for. */
void back_reaped(pid_t pid, int status);

#endif
