/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What QEMU's process was: command line, environment, folder, user, control group,
 * processors. It is kept as JSON for the other side, where QEMU is started as it was.
 */
#ifndef KEEP_H
#define KEEP_H

#include <sys/types.h>

#include "args.h"
#include "json.h"

/* Of a process; NULL with why(). To be put. */
struct json_object *keep_process(pid_t pid);

/* The line of a process; 0, or -1 with why(). */
int keep_line(pid_t pid, struct args *a);

/*
 * Starts @a with what was kept (NULL: as this process is): the process id, or -1 with
 * why(). What of it cannot be had, such as the control group, is logged and does without.
 */
pid_t keep_start(struct json_object *kept, const struct args *a);

/* Root becomes the user that was kept; somebody else has to be him. 0, or -1 with why(). */
int keep_user(struct json_object *kept);

/* The processors of a thread as text ("0-3,8"), to be freed; and back. */
char *keep_processors(pid_t thread);
void keep_set_processors(pid_t thread, const char *text);

#endif
