/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel that is in place for the next update. The running kernel says that there is one,
 * and which handover formats it reads, but not which it is. So whoever loads one with this
 * program leaves a record in /run: what was loaded, and what the kernel said of it then.
 */
#ifndef PLACED_H
#define PLACED_H

#include "commands.h"

#define PLACED_FOLDER		"/run/continuo"
#define PLACED_FILE		PLACED_FOLDER "/next.json"
#define PLACED_FORMAT_VERSION	1

enum placed {
	PLACED_NONE,		/* no kernel is loaded */
	PLACED_KNOWN,		/* that of the record */
	PLACED_UNKNOWN,		/* one is, and the record is not known to be its */
};

/* @record: of a known one, to be put. @why: of an unknown one, and of one that is not there any more; to be freed. */
enum placed placed_find(const struct options *opt, struct json_object **record, char **why);
/*
 * The record of the kernel that an update goes over to. @update: the agent's record of it. NULL
 * if it is over, or has come from another kernel: what is in place then is of another update. NULL
 * before its VMs preserve, too: until then it may load another one. To be put.
 */
struct json_object *placed_for(const struct options *opt, struct json_object *update);

/*
 * One process at a time loads. False if another one does, or if that cannot be known, which was
 * said. @fd: to be closed; -1 if there is no file to lock, and no record can be written. A
 * kernel without file locks lets each of them load.
 */
bool placed_lock(int *fd);
/* Before another one is loaded, or it is unloaded: nobody may take the record for what is loaded then. */
void placed_set_aside(void);
/* It was not: what was set aside counts again. */
void placed_set_back(void);
/* What is loaded now; completes the record by the time and the boot. Returns an exit status. */
int placed_write(const struct options *opt, struct json_object *record);
/* Nothing is loaded any more. */
void placed_forget(void);

#endif
