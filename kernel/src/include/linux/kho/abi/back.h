/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: ABI of the way back
 *
 * This header is a contract between kernels: any change of a structure, a
 * constant or a meaning needs a new %LUO_BACK_COMPATIBLE string and %LUO_BACK_VERSION.
 *
 * A kernel that is about to be replaced can leave an image for the case that the
 * next kernel fails: the back image. Its pages are preserved, each alone (order 0),
 * and so are the pages of the list that says where they belong. The list is the one
 * that kexec works with: entries of 8 bytes, of which the lowest four bits say what
 * the address in it is (destination 1, next page of the list 2, end 4, source 8).
 *
 * The digest is that of XXH64 with seed 0, of @head, @start, @nr_pages, @nr_segments and
 * all @segments, and then of each preserved page in the order of the list. It finds what
 * was written astray, for which 64 bits are plenty; who writes on purpose has the kernel.
 * And it needs neither the FPU nor instructions that an NMI could have interrupted.
 *
 * The KHO subtree %LUO_BACK_KHO_NODE is a &struct luo_back_ser in one preserved page.
 * The kernel that fails writes to it, and to the log, as the last thing it does; the
 * kernel that the image starts finds out from it that it is the one that came back.
 */
#ifndef _LINUX_KHO_ABI_BACK_H
#define _LINUX_KHO_ABI_BACK_H

#include <linux/types.h>

#define LUO_BACK_KHO_NODE	"liveupdate-back"
#define LUO_BACK_VERSION	2
#define LUO_BACK_COMPATIBLE	"liveupdate-back-v2"
#define LUO_BACK_SEGMENTS	16
#define LUO_BACK_REASON		256
#define LUO_BACK_RELEASE	64

/* Size in bytes of the log, which is one preserved folio. */
#define LUO_BACK_LOG_SIZE	65536

/**
 * enum luo_back_state - What became of a back image
 * @LUO_BACK_PARKED: It was loaded, and waits.
 * @LUO_BACK_GONE: A kernel has failed and jumped into it. It is not used again.
 */
enum luo_back_state {
	LUO_BACK_PARKED = 1,
	LUO_BACK_GONE = 2,
};

/**
 * struct luo_back_segment_ser - Where a part of the image belongs.
 * @pa: Physical address, of a page.
 * @size: Size in bytes, a multiple of the page size.
 */
struct luo_back_segment_ser {
	u64 pa;
	u64 size;
} __packed;

/**
 * struct luo_back_ser - A back image.
 * @version: %LUO_BACK_VERSION. First in every version of this structure.
 * @state: See &enum luo_back_state.
 * @head: First entry of the list.
 * @start: Physical address that the image starts at.
 * @nr_pages: Number of preserved pages: of the image and of the list.
 * @nr_segments: Number of entries of @segments that are in use.
 * @cpu: Number of the CPU that failed, if @state is %LUO_BACK_GONE; else 0.
 * @log_pa: Physical address of the log.
 * @log_len: Bytes of the log that the kernel that failed has written; else 0.
 * @segments: The image, in no order.
 * @digest: Of all that the image is; see above.
 * @release: Release of the kernel that failed, with a NUL; else empty.
 * @reason: What its panic said, with a NUL; else empty.
 */
struct luo_back_ser {
	u32 version;
	u32 state;
	u64 head;
	u64 start;
	u64 nr_pages;
	u32 nr_segments;
	u32 cpu;
	u64 log_pa;
	u64 log_len;
	struct luo_back_segment_ser segments[LUO_BACK_SEGMENTS];
	u64 digest;
	char release[LUO_BACK_RELEASE];
	char reason[LUO_BACK_REASON];
} __packed;

#endif /* _LINUX_KHO_ABI_BACK_H */
