/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two services of a host without a service manager, and the program that ends them before a
 * jump and starts them again (--services of the agent; agent/services.h has what it is called with).
 * "web" ends before "database". The case hears of them
 *
 *	service	@state "runs", "ended", or "stays": it had been told to end, and is to go on after all
 *	stands	it is to end, and does not
 *
 * and it can tell each of them (see libcontinuo/ear.h), which answers "heeded":
 *
 *	at services	do not end the next time that you are to
 *	go		end now
 */
#ifndef RIG_LIBCONTINUO_SERVICES_H
#define RIG_LIBCONTINUO_SERVICES_H

#include <stdbool.h>

/* A link to this program, by which it knows what it is to be. */
#define SERVICES_PROGRAM	"/bin/services"

/* In process 1, before the agent: start both, and make that link. */
void services_begin(void);
/* Is this that program? */
bool services_is(const char *name);
/* Then this is its main(). */
int services_main(int argc, char **argv);

#endif
