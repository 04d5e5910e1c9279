/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/liveupdate can be open once at a time, and is not the agent's alone: it is opened for
 * each session that is made or retrieved, and closed again (sessions.c). What is here is for when
 * somebody else has it just then, and what keeps a second agent off.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>

#define DEVICE_MS	5000	/* so long a request waits for it */
#define DEVICE_TRY_MS	1	/* and is tried again after that */

/* One agent runs at a time, whatever its options say. False if there is one, which was said. */
bool device_lock(void);

/* Somebody else has it, and @what waits. Said in the log once it takes a second. */
void device_busy(const char *what);
/* It could be had. */
void device_free(void);
/* Why @what does not get it: since when it could not be had, and who has it, as far as that can be seen. */
const char *device_why(const char *what);

#endif
