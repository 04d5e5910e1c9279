// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * Where an Image of arm64 holds the list of handover formats: behind its headers. See
 * Documentation/arch/arm64/booting.rst, "Call the kernel image", and for an Image that is a
 * program of UEFI, too, "PE Format" of Microsoft, "Optional Header".
 */
#include <linux/liveupdate_formats.h>
#include <linux/pe.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include <asm/image.h>

/* Is there @size bytes at @at of an image of @len bytes? */
static bool within(size_t at, size_t size, size_t len)
{
	return size <= len && at <= len - size;
}

/* How long the headers are, or 0 if they are none of an Image. */
static size_t headers(const void *kernel, size_t len)
{
	const struct arm64_image_header *h = kernel;
	const struct pe32plus_opt_hdr *opt;
	const struct pe_hdr *pe;
	size_t at;

	if (!within(0, sizeof(*h), len) ||
	    memcmp(&h->magic, ARM64_IMAGE_MAGIC, sizeof(h->magic)))
		return 0;
	at = get_unaligned_le32(&h->res5);
	if (!at)
		return sizeof(*h);

	if (!within(at, sizeof(*pe) + sizeof(*opt), len))
		return 0;
	pe = kernel + at;
	opt = kernel + at + sizeof(*pe);
	if (get_unaligned_le32(&pe->magic) != IMAGE_NT_SIGNATURE ||
	    get_unaligned_le16(&opt->magic) != IMAGE_NT_OPTIONAL_HDR64_MAGIC)
		return 0;
	return get_unaligned_le32(&opt->header_size);
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
	const struct liveupdate_formats_chunk *chunk;
	size_t at = headers(kernel, len), size;

	if (!at || !within(at, sizeof(*chunk), len))
		return NULL;
	chunk = kernel + at;
	size = get_unaligned_le32(&chunk->size);
	if (memcmp(chunk->magic, LIVEUPDATE_FORMATS_MAGIC, 4) ||
	    size < sizeof(*chunk) || !within(at, size, len))
		return NULL;
	return chunk;
}
