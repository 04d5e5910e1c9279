/* SPDX-License-Identifier: GPL-2.0-only */
/* What luo_formats_*.c need of the kernel, in user space. */
#ifndef SHIM_H
#define SHIM_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint32_t u32;

#define __packed		__attribute__((packed))
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)

static inline u32 get_unaligned_le32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t get_unaligned_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* include/linux/liveupdate_formats.h */
struct liveupdate_formats_chunk {
	u8 magic[4];
	__le32 size;
	char names[];
};

#define LIVEUPDATE_FORMATS_MAGIC	"LUfm"

const struct liveupdate_formats_chunk *luo_formats_find(const void *kernel, size_t len);

/* arch/arm64/include/asm/image.h, as far as it is looked at */
#define ARM64_IMAGE_MAGIC	"ARM\x64"

struct arm64_image_header {
	u8 before[56];
	__le32 magic;
	__le32 res5;
} __packed;

/* include/linux/pe.h, as far as it is looked at */
#define IMAGE_NT_SIGNATURE		0x00004550
#define IMAGE_NT_OPTIONAL_HDR64_MAGIC	0x020b

struct pe_hdr {
	u32 magic;
	u8 rest[20];
} __packed;

struct pe32plus_opt_hdr {
	uint16_t magic;
	u8 before[58];
	u32 header_size;
	u8 rest[48];
} __packed;

#endif
