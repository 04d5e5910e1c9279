/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of the guest in files of guestmemfs (-object memory-backend-file). No descriptor of
 * such a file is in the CPR channel: each QEMU opens it anew, by its path. So continuo-qemu
 * opens it too, and sees to it that both have the same file.
 */
#ifndef BACKING_H
#define BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "json.h"
#include "qmp.h"

#define BACKINGS	64
#define BACKING_ID	256	/* with the NUL at the end */

/*
 * @id:     of the -object, after which QEMU names the memory.
 * @path:   mem-path.
 * @offset: where in the file the memory begins.
 * @fd:     the file; -1.
 */
struct backing {
	char id[BACKING_ID];
	char *path;
	uint64_t offset;
	int fd;
};

struct backings {
	int n;
	struct backing of[BACKINGS];
};

/*
 * Whether memory of this mem-path can be carried over, before QEMU has made the file perhaps.
 * Else -1, and @not says why it cannot.
 */
int backing_fits(const char *path, char *not, size_t size);

/* Whether a process has the file open; -1 with why() if that cannot be seen. */
int backing_is_open(pid_t pid, int fd);

typedef int backing_refuse(const char *rule, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Asks a QEMU that runs, and opens what it has. How many cannot be carried over, each of which
 * was said to @refuse; -1 with why() if QEMU cannot be asked.
 */
int backings_learn(struct backings *b, struct qmp *q, pid_t pid, backing_refuse *refuse, uint64_t until);
/* Closes and forgets all. */
void backings_free(struct backings *b);
/* The index of the one that is QEMU's memory of that name; -1. */
int backings_find(const struct backings *b, const char *memory);

/* For the description of the VM; backings_read() opens none. 0, or -1 with why(). */
struct json_object *backings_describe(const struct backings *b);
int backings_read(struct backings *b, struct json_object *list);

/* The file that its path leads to now is the one of @fd: 0, or -1 with why(). */
int backing_same(const struct backing *b, int fd);

#endif
