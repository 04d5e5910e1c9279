/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Updates of the host: the VMs that are registered are asked to preserve, then to
 * suspend, or to undo it, and have until a deadline. Nothing here waits.
 */
#ifndef UPDATE_H
#define UPDATE_H

#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"
#include "request.h"

struct asker {
	int client;
	uid_t uid;
};

/* Each of these replies. */
void update_register(const struct asker *who, const char *name);
void update_begin(const struct asker *who);
void update_ask(const struct asker *who, enum continuo_want want, const char *name,
		uint32_t timeout_ms);
void update_leave(const struct asker *who, const char *name);
void update_vms(const struct asker *who);
void update_seal(const struct asker *who, struct continuo *ctx);
/* An answer has no reply. @why: NULL if it was done. */
void update_answer(const struct asker *who, uint32_t number, const char *why);

/* Why no session of that name can be made now; or NULL. */
const char *update_forbids(const char *name);
/* A connection has ended. */
void update_gone(int client);
/* Milliseconds until something is due; -1 if nothing is. */
int update_due(void);
/* Do what is due. */
void update_tick(void);

#endif
