/* SPDX-License-Identifier: GPL-2.0-only */
/* The description in the state: JSON that says how the VM is put together again. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "vm.h"

/* 2: with files of guestmemfs, which a reader of 1 would not compare. A VM without is written as 1. */
#define DESCRIBE_VERSION	2

/* In the session of a VM without devices: the memory of a descriptor. */
#define DESCRIBE_TOKEN(i)	(0x434f4e5100000000ull | (i))
/* And the file of guestmemfs of an index. */
#define DESCRIBE_FILE_TOKEN(i)	(0x434f4e5200000000ull | (i))

/* What the library calls the memory or device of an index. */
void describe_name(char name[CONTINUO_NAME], const char *what, unsigned int i);

/* Writes it for a VM whose channel is @now: 0, or -1 with why(). */
int describe_write(struct vm *vm, const struct capture *now);

/*
 * Of a descriptor of the channel. @index: of a memory, as describe_name() has it; of a device,
 * in the channel's list.
 */
struct described_file {
	enum vm_use use;
	unsigned int index;
	uint32_t at;
};

struct described {
	struct json_object *all;	/* that it is read from; to be put */
	int major, minor;
	bool ran;
	bool no_p2p;			/* as in struct vm */
	int64_t stopped_ms;		/* by the wall clock; 0 if it is not known */
	unsigned int files, devices;
	struct described_file file[CHANNEL_FDS];
	int irq[CHANNEL_DEVICES];	/* enum device_irq */
	struct backings backing;	/* none is open */
};

/* 0, or -1 with why(). Both are to be undone by describe_free(). */
int describe_read(const void *text, size_t size, struct described *d);
void describe_free(struct described *d);

#endif
