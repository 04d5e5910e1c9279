// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * Where a bzImage holds the list of handover formats: among the parts of
 * variable length that follow kernel_info. See Documentation/arch/x86/boot.rst,
 * "Details of Header Fields" and "The kernel_info".
 */
#include <asm/bootparam.h>
#include <linux/liveupdate_formats.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#define SECTOR_SIZE		512u
#define SETUP_SECTS_DEFAULT	4u
#define PROTOCOL_KERNEL_INFO	0x020f

struct kernel_info {
	char magic[4];
	__le32 size;
	__le32 size_total;
} __packed;

/* Is there @size bytes at @at of an image of @len bytes? */
static bool within(size_t at, size_t size, size_t len)
{
	return size <= len && at <= len - size;
}

/**
 * luo_formats_find() - Find the list of handover formats in a boot image
 * @kernel: The image, as it was read from its file.
 * @len:    Its length in bytes. It can be anything: nothing beyond is read.
 *
 * Return: the list, of which all of its size is inside of the image, or NULL.
 */
const struct liveupdate_formats_chunk *
luo_formats_find(const void *kernel, size_t len)
{
	const struct setup_header *hdr;
	const struct kernel_info *info;
	size_t at, end, size;

	if (!within(offsetof(struct boot_params, hdr), sizeof(*hdr), len))
		return NULL;
	hdr = kernel + offsetof(struct boot_params, hdr);
	if (memcmp(&hdr->header, "HdrS", 4) ||
	    hdr->version < PROTOCOL_KERNEL_INFO || !hdr->kernel_info_offset)
		return NULL;

	/* The offset counts from the part in protected mode. */
	at = ((hdr->setup_sects ?: SETUP_SECTS_DEFAULT) + 1) * SECTOR_SIZE;
	if (check_add_overflow(at, (size_t)hdr->kernel_info_offset, &at) ||
	    !within(at, sizeof(*info), len))
		return NULL;
	info = kernel + at;
	if (memcmp(info->magic, "LToP", 4) ||
	    !within(at, get_unaligned_le32(&info->size_total), len))
		return NULL;

	end = at + get_unaligned_le32(&info->size_total);
	at += get_unaligned_le32(&info->size);
	for (; within(at, sizeof(struct liveupdate_formats_chunk), end); at += size) {
		const struct liveupdate_formats_chunk *chunk = kernel + at;

		size = get_unaligned_le32(&chunk->size);
		if (size < sizeof(*chunk) || !within(at, size, end))
			return NULL;
		if (!memcmp(chunk->magic, LIVEUPDATE_FORMATS_MAGIC, 4))
			return chunk;
	}
	return NULL;
}
