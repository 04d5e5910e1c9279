/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files are written back by the helper, file system by file system, so that one that hangs
 * keeps nobody but that process, and has a name.
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Mount points that are left out, until flush_forget(). False if there are too many. @path: as it is, or with
 * \ooo in it, as helper_path() writes it.
 */
#define FLUSH_MOST_LEFT	16
bool flush_leave(const char *path);
void flush_forget(void);
/* The i-th of them, as helper_path() writes it, or NULL. */
const char *flush_left(unsigned int i);

/*
 * Begin: 0 or a negative errno. @ms: 0; or, when all is written back, keep the file systems as
 * they are (still.h) until helper_left(), and 10 s longer than that if nobody calls it.
 */
int flush_begin(uint32_t number, uint32_t ms);

#endif
