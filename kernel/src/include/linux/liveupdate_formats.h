/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* Which handover formats the next kernel reads; see luo_formats.c. */
#ifndef _LINUX_LIVEUPDATE_FORMATS_H
#define _LINUX_LIVEUPDATE_FORMATS_H

#include <linux/types.h>

struct kimage;
struct liveupdate_file_handler;
struct liveupdate_flb_op_args;
struct liveupdate_view;

/**
 * struct liveupdate_formats_chunk - The list, as it is in a boot image
 * @magic: LIVEUPDATE_FORMATS_MAGIC.
 * @size:  Length in bytes of the whole chunk.
 * @names: The strings.
 *
 * It is the same in all boot images; where it is, their format says. On x86 it is
 * one of the parts that follow kernel_info in a bzImage (Documentation/arch/x86/boot.rst,
 * "The kernel_info"). On arm64 it follows the headers of the Image: the one of
 * Documentation/arch/arm64/booting.rst ("Call the kernel image"), and with CONFIG_EFI those
 * of PE/COFF, too.
 */
struct liveupdate_formats_chunk {
	u8 magic[4];
	__le32 size;
	char names[];
};

/**
 * struct liveupdate_flb_versions - For an FLB with more than one version
 * @older: Version strings of the older ones, which retrieve() of the FLB reads, too;
 *	the last one is NULL. The first thing that the data of each points to is a u32
 *	with the version.
 * @written: In reboot(2), under the lock of kexec: decide which one is written for
 *	the kernel that is loaded (luo_format_reads()), and set @data of the
 *	arguments to it. Called for each file with the FLB before that is frozen, when
 *	it can fail, and once more after the last one. The version string; an error
 *	pointer: -ENOEXEC if the loaded kernel reads none that can hold what there
 *	is, which is in the log then (luo_format_ask()); -ENOMEM.
 */
struct liveupdate_flb_versions {
	const char *const *older;
	const char *(*written)(struct liveupdate_flb_op_args *args);
};

#define LIVEUPDATE_FORMATS_MAGIC	"LUfm"

#ifdef CONFIG_LIVEUPDATE
void luo_formats_note(struct kimage *image);
int luo_formats_ask(struct liveupdate_file_handler *fh);
int luo_format_ask(const char *format);
bool luo_format_reads(const char *format);
int luo_flb_formats_ask(struct liveupdate_file_handler *fh);
void luo_formats_show(struct liveupdate_view *v);

#if defined(CONFIG_X86) || defined(CONFIG_ARM64)
const struct liveupdate_formats_chunk *
luo_formats_find(const void *kernel, size_t len);
#else
/* No other boot image has a place for the list yet. */
static inline const struct liveupdate_formats_chunk *
luo_formats_find(const void *kernel, size_t len)
{
	return NULL;
}
#endif
#else
static inline void luo_formats_note(struct kimage *image) {}
#endif

#endif /* _LINUX_LIVEUPDATE_FORMATS_H */
