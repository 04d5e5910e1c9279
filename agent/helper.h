/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may hang is done by a process of its own, the helper: one at a time. It says on its
 * standard output what it is at, one line each, so that what hangs has a name:
 *
 *   at NAME            that comes next; one can go on without it (--leave NAME); a path as by helper_path()
 *   doing WHAT         that comes next, and it has to be done
 *   failed SENTENCE    it has not done it
 *   done               it has
 */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Begin: @work runs in the process, and does not return. @killed: if nobody waits for it any
 * more, and when the agent is killed, it and what it has started is killed; otherwise it hears that nobody reads what it
 * says. 0 or a negative errno.
 */
int helper_begin(uint32_t number, bool killed, void (*work)(void));
/* Nobody waits for it any more, or needs what it keeps up. */
void helper_left(void);
/* It is done, and keeps up what it is to keep up: has it ended all the same? */
bool helper_is_gone(void);
/* A process has ended and was waited for: was it this one, and somebody waits for it or needs it? */
bool helper_reaped(pid_t pid);
/* A descriptor that becomes readable when there is news, or -1. */
int helper_fd(void);
/* Read the news, and pass it on. */
void helper_news(void (*at)(uint32_t number, const char *where, bool can_leave),
		 void (*end)(uint32_t number, const char *why));

/*
 * A path as it is said, and given to --leave: bytes that are no printable ASCII, and blanks, backslashes,
 * commas and apostrophes, which would be taken for something else there, are written as \ooo, as
 * /proc/self/mountinfo does it. What has no room in @to is left out.
 */
void helper_path(char *to, size_t size, const char *path);
/* In the process. @why may be "". A @what that begins with / is a path. */
void helper_say(const char *word, const char *what, const char *why);
/* As a process that the agent starts: standard output is @out, and all else is closed. */
bool helper_begin_anew(int out);

#endif
