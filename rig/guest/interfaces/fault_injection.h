/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own fault injection: one place after the other fails, once. */
#ifndef RIG_INTERFACES_FAULT_INJECTION_H
#define RIG_INTERFACES_FAULT_INJECTION_H

#include <stdbool.h>

/* Standing for "more than there can be": a sweep that runs away ends. */
#define POINTS_MAX	2000

/* Gets it ready; false if this kernel has no fault injection. */
bool faults_on(void);
void faults_off(void);
/*
 * Of the memfd's pages KHO is asked one by one: thousands of places that are the
 * same, in code that is not ours. Not while this is set.
 */
void faults_pages(bool off);
/*
 * The @nth place from here on that can fail is to: from 1 on allocations, from
 * FAULT_CALLS + 1 on calls.
 */
void fault_arm(unsigned int nth);
#define FAULT_CALLS	10000
/* What comes after @nth; 0 if it was not @hit, and there is nothing more. */
unsigned int fault_next(unsigned int nth, bool hit);
/* Did it? Says "site" then: where it was, as part of @step. */
bool fault_disarm(const char *step);

/* What the places of one step came to; fault_say() says "swept". */
struct swept {
	unsigned int points;	/* places that were made to fail */
	unsigned int failed;	/* of these, how many made the step fail */
	unsigned int busy, inval, nomem, other;	/* and with what */
};

void fault_count(struct swept *s, int ret, bool hit, const char *what);
void fault_say(const char *step, const struct swept *s, unsigned long long begin,
	       bool whole);

#endif
