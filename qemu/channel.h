/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's CPR channel: what an old QEMU tells the new one before the migration stream
 * begins. It has descriptors with names, and the ids that VFIO devices have in their
 * iommufd.
 *
 * The parser knows nothing but the descriptions of channel.c, one for each version of
 * QEMU. It reads what they have and refuses anything else; it does no I/O.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_BYTES	(1u << 18)	/* a channel has so many at most */
#define CHANNEL_FDS	1024
#define CHANNEL_DEVICES	64
#define CHANNEL_NAME	256		/* with the NUL at the end */

/* What a record of a list consists of, in this order. */
enum channel_field {
	FIELD_END,
	FIELD_NAME,		/* length with the NUL (32 bits), bytes */
	FIELD_ID,		/* 32 bits, signed */
	FIELD_FD,		/* one byte, which carries a descriptor */
	FIELD_DEVICE,		/* id of a device in its iommufd, 32 bits */
	FIELD_IOAS,		/* of an IOAS */
	FIELD_HWPT,		/* of a HWPT */
};

#define CHANNEL_FIELDS	8

/*
 * A list of records: a byte 1 before each, and a byte 0 behind the last one.
 * @section: What it is announced by: byte 5, the length of the name in a byte, the name
 *	     without NUL, and @version in 32 bits. NULL: it is in the channel's body.
 */
struct channel_list {
	const char *section;
	uint32_t version;
	enum channel_field field[CHANNEL_FIELDS];
};

/* Numbers are big endian. @lists: in this order; all of them are there. */
struct channel_format {
	const char *qemu;		/* version of QEMU, "11.1" */
	uint32_t magic;
	uint32_t version;
	const struct channel_list *lists;
	unsigned int nr_lists;
};

/* @at: where the byte is that carries the descriptor. */
struct channel_fd {
	char name[CHANNEL_NAME];
	int32_t id;
	uint32_t at;
};

/* @device_at and so on: where the numbers are. */
struct channel_device {
	char name[CHANNEL_NAME];
	uint32_t device, ioas, hwpt;
	uint32_t device_at, ioas_at, hwpt_at;
};

struct channel {
	unsigned int fds, devices;
	struct channel_fd fd[CHANNEL_FDS];
	struct channel_device device[CHANNEL_DEVICES];
};

struct channel_why {
	char text[200];
};

/* The description for a version of QEMU; NULL if there is none. */
const struct channel_format *channel_format(int major, int minor);
/* Their versions, for people: "10.2, 11.1". */
const char *channel_versions(void);

/*
 * @carried: at which bytes descriptors came, of which there are @nr. 0, or -1 and @why
 * it is not as described.
 */
int channel_parse(const struct channel_format *format, const uint8_t *bytes, size_t size,
		  const uint32_t *carried, unsigned int nr, struct channel *out,
		  struct channel_why *why);

/* Writes the ids of a device that has been parsed into the bytes anew. */
void channel_set(uint8_t *bytes, const struct channel_device *d, uint32_t device,
		 uint32_t ioas, uint32_t hwpt);

#endif
