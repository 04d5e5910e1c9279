/* SPDX-License-Identifier: GPL-2.0-only */
/* What sessions hold, as the kernel says it: docs/discovery.md has the format. */
#ifndef HOLDS_H
#define HOLDS_H

/*
 * How many files does each of the @n sessions hold that this kernel would hand over? 0 of
 * one that is not there; @why: if it cannot be known, why; else NULL.
 */
void holds_count(const char *const *names, unsigned int *files, unsigned int n, const char **why);

#endif
