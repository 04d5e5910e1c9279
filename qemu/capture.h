/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's CPR channel as a running QEMU writes it, with the descriptors that come along.
 *
 * QEMU writes it as soon as it is told to migrate, while the virtual CPUs run, and then
 * waits until its reader has closed it. As long as it waits, migrate_cancel leaves no trace.
 * So what QEMU has can be learned without stopping it.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include "channel.h"
#include "qmp.h"

/* @conn: the channel, which QEMU waits for; -1. @stream: where it will connect next; -1. */
struct capture {
	uint8_t *bytes;
	size_t size;
	unsigned int nr;
	int fd[CHANNEL_FDS];
	uint32_t at[CHANNEL_FDS];
	struct channel channel;
	int conn, stream;
};

void capture_init(struct capture *c);
/* Closes all that is open, and forgets it. */
void capture_free(struct capture *c);

/*
 * Has QEMU migrate to sockets at @cpr_path and @stream_path, and takes its channel in. 0;
 * or -1 with why(), and it has been cancelled.
 */
int capture_begin(struct capture *c, struct qmp *q, const struct channel_format *format,
		  const char *cpr_path, const char *stream_path, uint64_t until);
/* QEMU goes on as if it had not been asked. What was learned stays. */
int capture_cancel(struct capture *c, struct qmp *q, uint64_t until);
/* QEMU goes on to the stream: its connection, or -1 with why(). */
int capture_go_on(struct capture *c, uint64_t until);

/* Waits until QEMU is in no migration any more. */
int capture_over(struct qmp *q, uint64_t until);

/* The index of a descriptor, or -1. */
int capture_find(const struct capture *c, const char *name, int32_t id);

#endif
