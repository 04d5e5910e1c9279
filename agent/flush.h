/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files are written back by a process of its own, file system by file system, so that one
 * that hangs keeps nobody but that process, and has a name.
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdbool.h>
#include <stdint.h>

/* Mount points that are left out, until flush_forget(). False if there are too many. */
bool flush_leave(const char *path);
void flush_forget(void);

/* Begin: a descriptor that becomes readable when there is news, or a negative errno. */
int flush_begin(uint32_t number);
/* Nobody waits for it any more. */
void flush_left(void);
/* The descriptor, or -1. */
int flush_fd(void);
/* Read the news, and pass it on. */
void flush_news(void (*at)(uint32_t number, const char *where),
		void (*end)(uint32_t number, const char *why));

#endif
