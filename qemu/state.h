/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one broker tells the next over the kexec: a memfd in the VM's session, preserved
 * while the VM runs and filled when its virtual CPUs have stopped.
 *
 * A head of 4096 bytes and three parts: a description (JSON), QEMU's CPR channel, QEMU's
 * migration stream. Little endian. A reader takes nothing for granted: state_read()
 * decides whether all of it can be used, and knows nothing of files.
 */
#ifndef STATE_H
#define STATE_H

#include <stddef.h>
#include <stdint.h>

#define STATE_MAGIC	0x554d5145544e4f43ull	/* "CONTEQMU" */
#define STATE_VERSION	1u
#define STATE_HEAD	4096u
/* Where the state is in a session, beside what the library puts there. */
#define STATE_TOKEN	0x434f4e54514d5530ull
#define STATE_DESCRIPTION_BYTES	(1u << 20)	/* room for the description */

enum state_part { STATE_DESCRIPTION, STATE_CHANNEL, STATE_STREAM, STATE_PARTS };

struct state_head {
	uint64_t magic;
	uint32_t version;
	uint32_t parts;			/* STATE_PARTS */
	uint64_t size;			/* of all, in bytes */
	struct {
		uint64_t offset, length;
		uint64_t sum;		/* state_sum() of its bytes */
	} part[STATE_PARTS];
	uint64_t sum;			/* of all members before it; 0: not sealed */
};

/* FNV-1a: finds damage, not somebody who means it. */
uint64_t state_sum(const void *bytes, size_t size);

/* The least size that leaves @room bytes for the stream. */
size_t state_size(size_t room);
/* An empty one, not sealed, in a memfd's mapping of @size bytes. */
void state_make(void *at, size_t size);
/* Where a part is to be written, and how much room it has. */
void *state_room(void *at, enum state_part part, size_t *room);
/* So much of a part has been written. */
void state_put(void *at, enum state_part part, size_t length);
void state_seal(void *at);
/* As state_make() left it, for the next try. */
void state_unseal(void *at);

struct state_view {
	const void *part[STATE_PARTS];
	size_t length[STATE_PARTS];
};

/* 0, or -1 with @why. */
int state_read(const void *at, size_t size, struct state_view *view, char *why, size_t why_size);

#endif
