/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that uses ATS, and has a cache of translations; see scenarios/ats.c. */
#ifndef RIG_SCENARIOS_ATS_H
#define RIG_SCENARIOS_ATS_H

#include <stdbool.h>

bool ats_wanted(void);
void ats_start(void);
void ats_preserve(void);
/* Up to a HWPT that is ready to take the place of the restored one: says "rebuilt". */
void ats_resume(void);
/*
 * Does one of these, and says so with its name in "ats_did":
 *	replace		the device gets that HWPT
 *	finish		the restored one and the session go
 *	unmap		a page is mapped and unmapped
 */
void ats_do(const char *what);
void ats_poll(void);
/* Say what has been received so far, and what was written to where nothing may be. */
void ats_report(void);

#endif
