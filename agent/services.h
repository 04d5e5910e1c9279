/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Other services of the host end before the jump, and start again if there is none. How that
 * is done is a program's business (--services; packaging/services is the one for systemd):
 *
 *   PROGRAM end FILE [--keep UNIT]... [--leave UNIT]...
 *	 Ends all but what a VM needs, with the units that are named by --keep; does not wait
 *	 for those that are named by --leave. Writes into FILE first what is there now. Says
 *	 what it is at, and how it has ended, as helper.h has it.
 *   PROGRAM back FILE
 *	 When no "end" runs any more: starts again what FILE says, and removes FILE. Nothing if
 *	 there is none.
 *
 * As long as there is FILE, something is to be started again: by this agent, or, if this one
 * is killed, by the next. It is gone after a jump.
 */
#ifndef SERVICES_H
#define SERVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVICES_FILE	"/run/continuo/services"

/* Before all else; @program: NULL if there is none. What an earlier agent has left is done. */
void services_open(const char *program);
/* Is there a program for it? */
bool services_can(void);
#define SERVICES_MOST_UNIT	256
/*
 * The unit of the system's service manager that process @pid is in; a user's service manager, with all that it has, is in
 * one. "" for a process that is in none, as all are of a kernel without cgroups. False if there is no such process.
 */
bool services_unit_of(pid_t pid, char unit[SERVICES_MOST_UNIT]);
/* Units that are not waited for, until services_forget(). False if there are too many. */
bool services_leave(const char *unit);
void services_forget(void);

/*
 * Begin, as the helper. The units of the @n processes stay (0 is none), and ours, and that of @asker
 * if it is there. What flush_leave() was told is not waited for, either. 0; -ESRCH if
 * there is no process for the one that @unknown is set to; another negative errno if there can
 * be no helper.
 */
int services_end(uint32_t number, unsigned int n, pid_t (*pid_of)(unsigned int i), pid_t asker,
		 unsigned int *unknown);
/* They start again, and nobody waits for it. */
void services_back(void);
/* A process has ended and was waited for. */
void services_reaped(pid_t pid, int status);

#endif
