/* SPDX-License-Identifier: GPL-2.0-only */
/* What sessions hold, as the kernel says it: docs/discovery.md has the format. */
#ifndef HOLDS_H
#define HOLDS_H

/*
 * How many files does each of the @n sessions hold that this kernel would hand over? 0 of
 * one that is not there, BUSY (decide.h) of one in which a call is under way. Nothing is
 * waited for. Returns NULL, or why it cannot be known.
 */
const char *holds_count(const char *const *names, int *files, unsigned int n);

#endif
