/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Updates of the host: what decide.c decides is done here, and what happens is told to it.
 * Nothing here waits for a VM, an operator, or a disk.
 */
#ifndef UPDATE_H
#define UPDATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"
#include "request.h"

/* @pid: 0 if it is not known. */
struct asker {
	int client;
	uid_t uid;
	pid_t pid;
};

/* Before all else. @list: file of the VMs that are registered, for the next agent. */
void update_open(struct continuo *ctx, const char *list);

/* Each of these replies, now or later. */
/* @process: another one that is the VM's, or 0; @kept: it is kept for the next update, and does not run. */
void update_register(const struct asker *who, const char *name, pid_t process, bool kept);
void update_begin(const struct asker *who);
void update_ask(const struct asker *who, enum continuo_want want, const char *name,
		uint32_t timeout_ms);
void update_leave(const struct asker *who, const char *name);
void update_vms(const struct asker *who);
void update_services(const struct asker *who, uint32_t timeout_ms);
void update_go(const struct asker *who, uint32_t timeout_ms, bool leave_silent);
void update_attach(const struct asker *who);
void update_abort(const struct asker *who);
void update_running(const struct asker *who);
/* An answer has no reply. @why: NULL if it was done. */
void update_answer(const struct asker *who, uint32_t number, const char *why);

/* Somebody had the session released. */
void update_released(const char *name);
/* Why the session of that name cannot be had, if its VM is kept for the next update; or NULL. */
const char *update_keeps(const char *name);
/* Why no session of that name can be made now; or NULL. */
const char *update_forbids(const char *name);
/* A connection has ended. */
void update_gone(int client);
/* There is news of the helper. */
void update_helper_news(void);
/* Milliseconds until something is due; -1 if nothing is. */
int update_due(void);
/* Do what is due. */
void update_tick(void);
/* At the end of each turn: the list of VMs, if some of them are gone. */
void update_write(void);
/* The agent is to end: true once it can. */
bool update_end(void);

#endif
