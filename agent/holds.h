/* SPDX-License-Identifier: GPL-2.0-only */
/* What sessions hold, as the kernel says it: docs/discovery.md has the format. */
#ifndef HOLDS_H
#define HOLDS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How many files does each of the @n sessions hold that this kernel would hand over? 0 of
 * one that is not there, BUSY (decide.h) of one in which a call is under way. Nothing is
 * waited for. @other: a session that is none of these, of either kernel, in which a call is under
 * way, or NULL. Returns NULL, or why it cannot be known.
 */
const char *holds_count(const char *const *names, int *files, unsigned int n, const char **other);

/*
 * A call was refused by the kernel with the errno @err: what does it say of which object was
 * that, and by which rule? What was there already when holds_count() looked last is told from
 * what came since. False if the kernel says nothing of it.
 */
bool holds_refusal(int err, char *text, size_t size);

#endif
