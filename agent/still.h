/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File systems stand still before the jump: nobody writes to them, and what is on their
 * disks is clean, as if they were unmounted. Programs that have files open for writing keep
 * a file system from being made read-only. So it is frozen (FIFREEZE): who writes to it
 * waits, and notices nothing if it is thawed again. One that cannot be frozen (FAT) is made
 * read-only, if it has a device of its own; if that cannot be done either, it is left as it is,
 * written back, and the journal names it. So it does one that something else is mounted over.
 *
 * Whoever freezes has to thaw: so the process that does it waits for its agent to let go, or
 * to end, and thaws also when its time is up. When all of them are killed at once (systemctl
 * kill, cgroup.kill), the next agent does it: what stands still is written down
 * before. If it alone is killed, its agent does. A file system that hangs while it is frozen is waited
 * for by a process of its own, so that all others are thawed in spite of it.
 */
#ifndef STILL_H
#define STILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct still;

/* In a process that ends with still_keep(). */
struct still *still_new(void);
/*
 * A file system by a descriptor of it. 1: the descriptor is kept; 0: that file system is there
 * already; or a negative errno: it would not stand still.
 */
int still_add(struct still *still, int fd, const char *where);
bool still_has(const struct still *still, dev_t dev);
/* For the journal: a file system is left as it is. */
void still_not(const char *where, const char *why);
/*
 * Says "done", or why not; does not return. @ms: when all are thawed, whatever happens. @notes: a
 * file that says meanwhile which ones are not as before; it has to be in memory (/run), and is
 * removed at the end.
 */
void still_keep(struct still *still, const char *notes, uint32_t ms) __attribute__((noreturn));
/* All of that was killed: what @notes has goes on, and the file is removed. */
void still_again(const char *notes);
/* The same, if there is such a file, by a process of its own, for which nobody waits. */
void still_go_on(const char *notes);

#define STILL_FILE		"/run/continuo/still"

#endif
