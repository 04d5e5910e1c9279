/* SPDX-License-Identifier: GPL-2.0-only */
/* Talking to a QEMU's QMP socket: one command at a time, each with a deadline. */
#ifndef QMP_H
#define QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

/*
 * @fd:    -1 if it is not connected, or if QEMU has ended.
 * @event: Told of each event, whenever one is read.
 */
struct qmp {
	int fd;
	int major, minor, micro;
	unsigned int id;
	char *in;
	size_t have, room;
	void (*event)(const char *name, struct json_object *data);
};

/* Functions return 0, or -1 with why(). */

/* @pid: where the process is stored that listens there, or NULL. */
int qmp_open(struct qmp *q, const char *path, uint64_t until, int *pid);
void qmp_close(struct qmp *q);

/*
 * @args: of the command, or NULL; it is put. What QEMU returned, which is to be put, or
 * NULL with why(). Answers to earlier commands, which came too late, are skipped.
 */
struct json_object *qmp_ask(struct qmp *q, uint64_t until, const char *command,
			    struct json_object *args);
/* The same if what it returns is of no interest. */
int qmp_do(struct qmp *q, uint64_t until, const char *command, struct json_object *args);

/*
 * The same in two steps, for a command during which something else has to be done:
 * qmp_begin() returns the command's number, or 0 with why(); qmp_poll() 1 if it has been
 * answered, 0 if not yet, -1 with why() if QEMU said no or has ended.
 */
unsigned int qmp_begin(struct qmp *q, uint64_t until, const char *command,
		       struct json_object *args);
int qmp_poll(struct qmp *q, unsigned int id, const char *command);

/* Reads what has come; -1 if QEMU has ended. */
int qmp_hear(struct qmp *q);

#endif
