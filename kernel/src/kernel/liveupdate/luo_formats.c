// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Versions that differ
 *
 * The next kernel can be newer or older than this one, and may not read each
 * format that this one writes. When it finds out, it is too late: devices are
 * blocked and reset. So this kernel asks before the jump.
 *
 * What tells it
 * ~~~~~~~~~~~~~
 *
 * A boot image carries the version strings of all handover formats that its
 * kernel, and the modules built with it, read (luo_formats_list.h).
 * In a bzImage they follow kernel_info, outside of what is compressed; in an Image
 * of arm64 they follow its headers. Either way they are inside of what is signed.
 * kexec_file_load(2) has the image in its hands as it came from the file; what it
 * says of the formats that this kernel can write is kept with the loaded image as
 * one bit for each. /dev/liveupdate-view shows
 * it (records "image" and "format").
 *
 * Who asks
 * ~~~~~~~~
 *
 * reboot(2) asks for each file that is preserved, and for what goes with it
 * (FLBs), before that file is frozen. It fails with ENOEXEC and undoes the
 * freeze of other files; the log names the format. Remedies: load a kernel that
 * reads it; or do without what needs the newer format and preserve again. A
 * handler of files with more than one format writes the oldest one that can hold
 * what is there. An FLB with more than one (struct liveupdate_flb_versions) writes
 * the newest one that the loaded kernel reads.
 *
 * What cannot be asked
 * ~~~~~~~~~~~~~~~~~~~~
 *
 * An image without a list is older than the list. It is taken to read what
 * was there before: KHO, LUO and memfd, in the versions of this kernel. An image
 * that kexec_load(2) has loaded is not told of the handover at all, so it reads
 * nothing. A handler that is not part of the kernel's source has no place in the
 * list, and is not asked for. Whether the next kernel's command line switches
 * live update off is not in its image.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/kexec.h>
#include <linux/kho/abi/amd_iommu.h>
#include <linux/kho/abi/back.h>
#include <linux/kho/abi/guestmemfs.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/kho/abi/hugetlb_memfd.h>
#include <linux/kho/abi/igb.h>
#include <linux/kho/abi/intel_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommu_v1.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/noiommu.h>
#include <linux/kho/abi/pci.h>
#include <linux/kho/abi/smmuv3.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/limits.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/unaligned.h>

/* Of struct kimage.kho.formats: the image has a list. The others are formats. */
#define IMAGE_HAS_LIST		BIT(BITS_PER_LONG - 1)

/* Each with a NUL behind; the literal's own one ends the list. */
static const char luo_formats[] =
#include "luo_formats_list.h"
;

/*
 * What the images said that were loaded last: the present one and one that is on
 * its way to take its place. For who must not take the lock of kexec, since that
 * makes a reboot(2) fail. The pointer is compared only.
 */
static struct noted_image {
	const struct kimage *image;
	unsigned long formats;
} noted_images[2];
static DEFINE_SPINLOCK(noted_lock);

/* The one after @name. */
static const char *after(const char *name)
{
	return name + strlen(name) + 1;
}

/* The bit of a format, or 0 if it is not in the list. */
static unsigned long format_bit(const char *format)
{
	unsigned long bit = 1;
	const char *name;

	for (name = luo_formats; *name; name = after(name)) {
		if (!strcmp(name, format))
			return bit;
		bit <<= 1;
	}
	return 0;
}

/* Older than the list: an image without one reads it, too. */
static bool is_old(const char *format)
{
	return !strcmp(format, KHO_FDT_COMPATIBLE) ||
	       !strcmp(format, LUO_ABI_COMPATIBLE) ||
	       !strcmp(format, MEMFD_LUO_FH_COMPATIBLE);
}

static void note_image(const struct kimage *image)
{
	struct noted_image *n = &noted_images[0];

	guard(spinlock)(&noted_lock);
	if (n->image != image && n->image == kexec_image)
		n++;
	*n = (struct noted_image){ image, image->kho.formats };
}

/**
 * luo_formats_note() - Keep what a boot image says of the formats it reads
 * @image: The image that is being loaded, with its file in kernel_buf.
 *
 * A list that is damaged is no list.
 *
 * Context: kexec_file_load(2), under the lock of kexec.
 */
void luo_formats_note(struct kimage *image)
{
	const struct liveupdate_formats_chunk *chunk;
	size_t len, n;
	const char *name;

	chunk = luo_formats_find(image->kernel_buf, image->kernel_buf_len);
	image->kho.formats = chunk ? IMAGE_HAS_LIST : 0;
	name = chunk ? chunk->names : NULL;
	len = chunk ? get_unaligned_le32(&chunk->size) - sizeof(*chunk) : 0;
	for (; len; name += n, len -= n) {
		n = strnlen(name, len) + 1;
		if (n > len) {
			pr_warn("the list of handover formats in the image being loaded is cut off: not used\n");
			image->kho.formats = 0;
			break;
		}
		image->kho.formats |= format_bit(name);
	}
	note_image(image);
}

/* Does an image that was loaded from a file read @format? */
static bool formats_read(unsigned long formats, const char *format)
{
	return formats & IMAGE_HAS_LIST ? formats & format_bit(format) :
					  is_old(format);
}

/* If there is a way back, the kernel there has to read it, too. */
static bool back_reads(const char *format)
{
	unsigned long formats;

	return !luo_back_formats(&formats) || formats_read(formats, format);
}

static bool image_reads(const struct kimage *image, const char *format)
{
	return image->file_mode && formats_read(image->kho.formats, format) &&
	       back_reads(format);
}

/**
 * luo_format_reads() - Does the loaded kernel read a format? Nothing is said of it.
 * @format: Version string of the format; one that is in the list.
 *
 * For who has more than one version of a format to choose from.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: true if it does.
 */
bool luo_format_reads(const char *format)
{
	return image_reads(kexec_image, format);
}

/**
 * luo_format_ask() - Does the loaded kernel read a format?
 * @format: Version string of the format, as its handler has it.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: 0 if it does, or if @format has no place in the list; -ENOEXEC if not.
 */
int luo_format_ask(const char *format)
{
	if (!format_bit(format) || image_reads(kexec_image, format))
		return 0;
	if (!kexec_image->file_mode)
		pr_err("no jump: the next kernel was loaded by kexec_load(2), which hands nothing over; load it with kexec_file_load(2)\n");
	else if (!(kexec_image->kho.formats & IMAGE_HAS_LIST))
		pr_err("no jump: the loaded kernel does not say which handover formats it reads, so it may not read \"%s\"; load a newer one\n",
		       format);
	else
		pr_err("no jump: the loaded kernel does not read the handover format \"%s\"; load one that does, or unpreserve what needs it\n",
		       format);
	return -ENOEXEC;
}

/**
 * luo_formats_ask() - Does the loaded kernel read what a file's handler writes?
 * @fh: The handler.
 *
 * Asks for the handler's own format, for those of what goes with it (FLBs), and
 * for the two that hold all others. With a way back it has to know of that, too.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: 0, or -ENOEXEC if not.
 */
int luo_formats_ask(struct liveupdate_file_handler *fh)
{
	unsigned long formats;

	return (luo_back_formats(&formats) ? luo_format_ask(LUO_BACK_COMPATIBLE) : 0) ?:
	       luo_format_ask(KHO_FDT_COMPATIBLE) ?:
	       luo_format_ask(LUO_ABI_COMPATIBLE) ?:
	       luo_format_ask(fh->compatible) ?:
	       luo_flb_formats_ask(fh);
}

/**
 * luo_formats_show() - Show what the loaded image says
 * @v: The view of the outgoing side.
 *
 * Shows nothing if there is none. Takes no lock that reboot(2) takes.
 */
void luo_formats_show(struct liveupdate_view *v)
{
	const struct kimage *image = READ_ONCE(kexec_image);
	bool from_file = false;
	unsigned long formats = 0;
	const char *name;
	int i;

	if (!image)
		return;
	scoped_guard(spinlock, &noted_lock) {
		for (i = 0; i < ARRAY_SIZE(noted_images); i++) {
			if (noted_images[i].image != image)
				continue;
			from_file = true;
			formats = noted_images[i].formats;
		}
	}
	liveupdate_show_record(v, "image");
	liveupdate_show_word(v, "state", !from_file ? "without-handover" :
			     formats & IMAGE_HAS_LIST ? "has-list" :
							"without-list");
	for (name = luo_formats; *name; name = after(name)) {
		liveupdate_show_record(v, "format");
		liveupdate_show_text(v, "compatible", name);
		liveupdate_show_word(v, "state", from_file &&
				     formats_read(formats, name) ? "read" :
								   "unknown");
	}
}
