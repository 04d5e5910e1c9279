/* SPDX-License-Identifier: GPL-2.0-only */
/* A kernel's command line, as far as live updates go. */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>

/* The last value of a parameter, "" if it has none, or NULL; to be freed. */
char *cmdline_value(const char *line, const char *name);
/* @line without a parameter, and without what is blank at its end; to be freed. */
char *cmdline_without(const char *line, const char *name);
/* Does that value switch something on? */
bool cmdline_is_on(const char *value);
/* "sm_on" or "sm_off" if the line says which mode VT-d is to be in, else "". */
const char *cmdline_vtd_mode(const char *line);
/* "on" or "off" if the line says whether VT-d is to be used, else "". */
const char *cmdline_vtd(const char *line);
/*
 * What keeps a kernel that is started with @next from going on with what one that was
 * started with @now hands over; or NULL. To be freed. @without_iommu: it hands devices over
 * that have no IOMMU.
 */
char *cmdline_objection(const char *now, const char *next, bool without_iommu);
/*
 * @line, and what a next kernel need not measure since this one has: lapic_timer_khz=, by what
 * /proc/timer_list says in @timers, unless the line has it. To be freed.
 */
char *cmdline_with_timer(const char *line, const char *timers);

#endif
