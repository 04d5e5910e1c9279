/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record of an update: what happened when, in both kernels, on one axis of time. It
 * is kept in a file for "continuo report", and goes over in the agent's own session; the
 * next kernel's agent goes on with it. docs/agent.md has the format.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <sys/types.h>

#include "continuo.h"

#define RECORD_FORMAT_VERSION	1
#define RECORD_FILE		"/run/continuo/update.json"

/* Before all else. @path: of the file. */
void record_open(const char *path);
/*
 * Once it is known that no update has come over: if that of the file was not over when its agent
 * ended, say what became of it.
 */
void record_leftover(void);
/* Write the file, if something has happened. A full disk loses the record, and no more. */
void record_write(void);
/* An update begins: the last one is forgotten. */
void record_begin(void);
/* That something of the host happens now; of a VM. */
void record_at(const char *what);
void record_vm_at(const char *name, const char *what);
/* A VM as it is; @why may be "". Adds it if there is none of that name: true if so. */
bool record_vm(const char *name, uid_t uid, const char *state, const char *why);
/*
 * The unit of the service manager that a VM is in, which the next kernel starts it as; "": it is in none. NULL, or one
 * that a VM is in because it came with an update: the unit that the record before has for it.
 */
void record_unit(const char *name, uid_t uid, const char *unit);
/* Of an update that came from the previous kernel: its VM has come back so far. */
void record_back(const char *name, const char *what);
/* The same: what was to start it has failed. */
void record_not_started(const char *name);
/* The same: nobody comes for it any more. */
void record_left(const char *name);
/*
 * The way back: "armed", "confirmed" or "came-back", and what there is to say of it. If the machine came
 * back, the update is undone once all VMs are there, and partly if one is not.
 */
void record_way_back(const char *state, const char *why);
/* Has an update come over, here or to an agent before this one? Calls @each with those of its VMs that are to be taken over. */
bool record_came(void (*each)(const char *name));
/* How the update stands, and why; NULL: as before. */
void record_outcome(const char *outcome, const char *why);

/* Put it into the agent's own session: 0, or a negative errno with a reason in @why. */
int record_seal(struct continuo *ctx, int session, const char **why);
/*
 * Get it from there; @each is called for each VM that is to come back, with the unit that it was in, or "". @back, @why: as
 * record_way_back(), or "" without a way back. 0; -EBADMSG if it is none that this agent reads.
 */
int record_arrive(struct continuo *ctx, int session, const char *back, const char *why,
		  void (*each)(const char *name, uid_t uid, const char *unit));
#endif
