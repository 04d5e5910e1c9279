/* SPDX-License-Identifier: GPL-2.0-only */
/* Why something that is read is not what it should be. Knows no log, no clock, no QEMU. */
#ifndef REASON_H
#define REASON_H

#include <stddef.h>

/* A sentence into the room that the caller has for it; returns -1. */
int reason(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
