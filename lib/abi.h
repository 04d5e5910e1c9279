/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copyright (c) 2026 The Continuo authors */
/*
 * The kernel interfaces that the headers of the machine that builds this (Debian 12:
 * 6.1) do not have yet: iommufd, VFIO cdevs, the live update orchestrator, and our
 * own ioctls. The structures carry their own names (uio_, uvfio_, ulu_), so that
 * they cannot collide with, or hide a change in, the headers they stand in for.
 */
#ifndef CONTINUO_ABI_H
#define CONTINUO_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

/* ---- statfs: the type of guestmemfs ---- */

#define GUESTMEMFS_MAGIC	0x67736d66

/* ---- iommufd ---- */

#define UIO(nr)			_IO(';', nr)
#define UIO_DESTROY		UIO(0x80)
#define UIO_IOAS_ALLOC		UIO(0x81)
#define UIO_IOAS_UNMAP		UIO(0x86)
#define UIO_HWPT_ALLOC		UIO(0x89)
#define UIO_IOAS_MAP_FILE	UIO(0x8f)
#define UIO_HWPT_MARK_PRESERVE	UIO(0x96)	/* Continuo */
#define UIO_HWPT_RESTORE	UIO(0x97)	/* Continuo */
#define UIO_HWPT_VERIFY	UIO(0x98)	/* Continuo */
#define UIO_HWPT_ADOPT	UIO(0x99)	/* Continuo */

struct uio_destroy {
	__u32 size;
	__u32 id;
};

struct uio_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

struct uio_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

#define UIO_MAP_FIXED_IOVA	(1 << 0)
#define UIO_MAP_WRITEABLE	(1 << 1)
#define UIO_MAP_READABLE	(1 << 2)

struct uio_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

struct uio_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

struct uio_hwpt_mark_preserve {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 hwpt_token;
	__u32 flags;
	__u32 __reserved;
};
#define UIO_MARK_KEEP	(1u << 0)
#define UIO_MARK_UNMARK	(1u << 1)

struct uio_hwpt_restore {
	__u32 size;
	__u32 flags;
	__aligned_u64 hwpt_token;
	__u32 out_hwpt_id;
	__u32 __reserved;
};

struct uio_translation {
	__u32 flags;		/* bit 0: there is one */
	__u32 lg2_size;
	__aligned_u64 address;
	__aligned_u64 entry;
};

struct uio_hwpt_verify {
	__u32 size;
	__u32 flags;
	__u32 restored_id;
	__u32 hwpt_id;
	__u32 out_result;
	__u32 __reserved;
	__aligned_u64 out_iova;
	__aligned_u64 out_size_iova;
	struct uio_translation out_restored;
	struct uio_translation out_rebuilt;
};

/* out_result of verify and adopt; the last one of adopt only */
#define UIO_DIFFERS		(1u << 0)
#define UIO_SIZES_DIFFER	(1u << 1)
#define UIO_MORE		(1u << 2)

#define UIO_ADOPT_SIZES		(1u << 0)

struct uio_hwpt_adopt {
	__u32 size;
	__u32 flags;
	__u32 restored_id;
	__u32 ioas_id;
	__u32 dev_id;
	__u32 hwpt_flags;
	__u32 out_hwpt_id;
	__u32 out_ioas_id;
	__u32 out_result;
	__u32 __reserved;
	__aligned_u64 out_iova;
	struct uio_translation out_restored;
	struct uio_translation out_rebuilt;
};

/* ---- VFIO cdev ---- */

#define UVFIO_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)
#define UVFIO_ATTACH_PT		_IO(VFIO_TYPE, VFIO_BASE + 19)

#define UVFIO_BIND_TOKEN	(1u << 0)

struct uvfio_bind {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};

struct uvfio_attach {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};

/* ---- live update orchestrator ---- */

#define ULU_NAME_LEN		64
#define ULU_CREATE_SESSION	_IO(0xba, 0x00)
#define ULU_RETRIEVE_SESSION	_IO(0xba, 0x01)
#define ULU_PRESERVE_FD		_IO(0xba, 0x40)
#define ULU_RETRIEVE_FD		_IO(0xba, 0x41)
#define ULU_FINISH		_IO(0xba, 0x42)
#define ULU_GET_NAME		_IO(0xba, 0x43)

struct ulu_session {
	__u32 size;
	__s32 fd;
	__u8 name[ULU_NAME_LEN];
};

struct ulu_fd {
	__u32 size;
	__s32 fd;
	__aligned_u64 token;
};

struct ulu_finish {
	__u32 size;
	__u32 reserved;
};

struct ulu_name {
	__u32 size;
	__u32 reserved;
	__u8 name[ULU_NAME_LEN];
};

#endif
