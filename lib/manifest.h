/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copyright (c) 2026 The Continuo authors */
/*
 * The manifest: what a VM consists of, as one process tells the next.
 *
 * A header and six arrays of records, little endian, in the order of the header's
 * counts. A reader takes nothing for granted: manifest_check() decides whether all
 * of it can be used, and knows nothing of files.
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "continuo.h"

#define MANIFEST_MAGIC		0x464d4f554e544e43ull	/* "CNTNUOMF" */
#define MANIFEST_VERSION	1u
#define MANIFEST_PAGE		4096u

/* Where the manifest itself is in a session. */
#define MANIFEST_TOKEN		0x434f4e54494e554full

/* So many of each at most; a mapping has one record of 40 bytes. */
enum {
	MANIFEST_MEMORIES = 1024,
	MANIFEST_SPACES = 1024,
	MANIFEST_MAPPINGS = 1 << 20,
	MANIFEST_HWPTS = 1024,
	MANIFEST_DEVICES = 1024,
};

struct manifest_header {
	uint64_t magic;
	uint32_t version;
	uint32_t oldest;		/* version that can be read in its place; 0: no other */
	uint64_t size;			/* of all, in bytes */
	uint64_t iommufd_token;
	uint32_t memories;
	uint32_t spaces;		/* they have no record of their own */
	uint32_t mappings;
	uint32_t hwpts;
	uint32_t devices;
	uint32_t vf_tokens;		/* libraries before 0.2 want 0 */
};

struct manifest_memory {
	uint64_t token;
	uint64_t size;
	char name[CONTINUO_NAME];
};

struct manifest_mapping {
	uint64_t offset;
	uint64_t length;
	uint64_t iova;
	uint32_t memory;
	uint32_t space;
	uint32_t prot;
	uint32_t reserved;
};

struct manifest_hwpt {
	uint64_t token;
	uint32_t space;
	uint32_t flags;			/* that it was made with; 0 to libraries of 0.1 */
};

struct manifest_device {
	uint64_t token;
	uint32_t hwpt;
	uint32_t reserved;
	char name[CONTINUO_NAME];
};

/* The token of its PF, of a device that is a VF: in the order of the devices, each once. */
struct manifest_vf_token {
	uint32_t device;
	uint32_t reserved;
	uint8_t token[CONTINUO_VF_TOKEN];
};

/* A manifest in memory: the arrays are those of a buffer, or of a VM's. */
struct manifest {
	struct manifest_header head;
	struct manifest_memory *memory;
	struct manifest_mapping *mapping;
	struct manifest_hwpt *hwpt;
	struct manifest_device *device;
	struct manifest_vf_token *vf_token;
};

struct manifest_why {
	char text[200];
};

/*
 * Find the arrays of a manifest in a buffer. 0; -EBADMSG if it is none or cut off,
 * -EPROTO if it is of another version. What is in the arrays is not checked.
 */
int manifest_read(void *buffer, size_t size, struct manifest *m,
		  struct manifest_why *why);

/* Can all of it be used? 0; -EBADMSG with the reason; -ENOMEM. */
int manifest_check(const struct manifest *m, struct manifest_why *why);

/* Bytes that it takes, also set in its header. */
size_t manifest_size(struct manifest *m);
/* Write it into so many bytes. */
void manifest_write(const struct manifest *m, void *buffer);

#endif
