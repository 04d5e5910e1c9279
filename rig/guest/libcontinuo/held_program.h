/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program as it ships that stands still where a case wants it to: another process traces
 * it (ptrace(2)), and looks at each of its system calls.
 *
 * Of the traced program the case hears
 *
 *	began	it runs; @bytes is the size of its file
 *	stands	it has come to the place where it was to be held
 *	ended	@status, or minus the signal that ended it
 *
 * and it can tell the one that traces (see libcontinuo/ear.h), which answers "heeded":
 *
 *	at PLACE	hold it the next time that it comes there
 *	go		it goes on
 *	kill, end	SIGKILL, SIGTERM
 */
#ifndef RIG_LIBCONTINUO_HELD_PROGRAM_H
#define RIG_LIBCONTINUO_HELD_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Start @argv under the name @name, to be held at @place ("-": nowhere yet). @again: when it
 * ends it is started again, as a service manager does with the agent. Returns the process
 * that traces.
 */
pid_t hold_program(const char *name, const char *place, char *const argv[], bool again);
/* "NAME PLACE PROGRAM [ARG]...", once. */
void hold_line(char *line);

#endif
