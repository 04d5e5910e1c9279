/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _UAPI_IOMMUFD_LIVEUPDATE_H
#define _UAPI_IOMMUFD_LIVEUPDATE_H

/*
 * Live update of an iommufd. The commands' numbers and conventions are those
 * of linux/iommufd.h, which includes this file: include that one.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum iommu_hwpt_liveupdate_mark_flags - Flags of a mark
 * @IOMMU_HWPT_LIVEUPDATE_KEEP_MARK: The mark outlives the HWPT: it goes, in this
 *	kernel and in those that follow, to the unmarked HWPT that the last
 *	device is moved to by a replace (after an update: the first device)
 * @IOMMU_HWPT_LIVEUPDATE_UNMARK: Remove the mark with this token; alone
 */
enum iommu_hwpt_liveupdate_mark_flags {
	IOMMU_HWPT_LIVEUPDATE_KEEP_MARK = 1 << 0,
	IOMMU_HWPT_LIVEUPDATE_UNMARK = 1 << 1,
};

/**
 * struct iommu_hwpt_liveupdate_mark_preserve - ioctl(IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE)
 * @size: sizeof(struct iommu_hwpt_liveupdate_mark_preserve)
 * @hwpt_id: The HWPT, of type HWPT_PAGING
 * @hwpt_token: Name that the HWPT has in the next kernel; any value
 * @flags: Of enum iommu_hwpt_liveupdate_mark_flags; 0 if left out
 * @__reserved: Must be 0; 0 if left out
 *
 * The HWPT comes along when the iommufd is preserved in a live update session.
 * A HWPT that is marked already gets the new token and flags. EADDRINUSE:
 * another HWPT of this iommufd has the token. EBUSY: the iommufd is preserved
 * at the moment. EOPNOTSUPP: the IOMMU does not support live update, or a flag
 * is not known. ENOENT: the mark to be removed is not there.
 */
struct iommu_hwpt_liveupdate_mark_preserve {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 hwpt_token;
	__u32 flags;
	__u32 __reserved;
};

#define IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_MARK_PRESERVE)

/**
 * struct iommu_hwpt_liveupdate_restore - ioctl(IOMMU_HWPT_LIVEUPDATE_RESTORE)
 * @size: sizeof(struct iommu_hwpt_liveupdate_restore)
 * @flags: Must be 0
 * @hwpt_token: Token that the HWPT was marked with in the previous kernel
 * @out_hwpt_id: Id of the restored HWPT
 * @__reserved: Must be 0
 *
 * Find a HWPT that came with this iommufd from the previous kernel. It has no
 * IOAS and cannot be changed; devices that came with it are attached to it as
 * soon as they are bound. IOMMU_DESTROY frees it once they have left. ENOENT:
 * no HWPT came with this token.
 */
struct iommu_hwpt_liveupdate_restore {
	__u32 size;
	__u32 flags;
	__aligned_u64 hwpt_token;
	__u32 out_hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_LIVEUPDATE_RESTORE \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_RESTORE)

/**
 * enum iommu_hwpt_liveupdate_translation_flags - Flags of a translation
 * @IOMMU_HWPT_LIVEUPDATE_PRESENT: There is one
 */
enum iommu_hwpt_liveupdate_translation_flags {
	IOMMU_HWPT_LIVEUPDATE_PRESENT = 1 << 0,
};

/**
 * struct iommu_hwpt_liveupdate_translation - What a HWPT says of one IOVA
 * @flags: IOMMU_HWPT_LIVEUPDATE_PRESENT if there is a translation; else all
 *	that follows is 0
 * @lg2_size: Size of the leaf, as an exponent of 2, in bytes
 * @address: Physical address that the IOVA translates to; 0 without CAP_SYS_RAWIO
 * @entry: The leaf as hardware reads it, in the format of the IOMMU; 0 without
 *	CAP_SYS_RAWIO
 */
struct iommu_hwpt_liveupdate_translation {
	__u32 flags;
	__u32 lg2_size;
	__aligned_u64 address;
	__aligned_u64 entry;
};

/**
 * enum iommu_hwpt_liveupdate_verify_result - What the comparison has found
 * @IOMMU_HWPT_LIVEUPDATE_DIFFERS: There is an IOVA that the two translate
 *	differently
 * @IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER: There is a translation, before that
 *	IOVA, that has leaves of different sizes
 * @IOMMU_HWPT_LIVEUPDATE_MORE: IOMMU_HWPT_LIVEUPDATE_ADOPT only: the restored
 *	HWPT translates more than the IOAS maps
 */
enum iommu_hwpt_liveupdate_verify_result {
	IOMMU_HWPT_LIVEUPDATE_DIFFERS = 1 << 0,
	IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER = 1 << 1,
	IOMMU_HWPT_LIVEUPDATE_MORE = 1 << 2,
};

/**
 * struct iommu_hwpt_liveupdate_verify - ioctl(IOMMU_HWPT_LIVEUPDATE_VERIFY)
 * @size: sizeof(struct iommu_hwpt_liveupdate_verify)
 * @flags: Must be 0
 * @restored_id: A HWPT that came from the previous kernel
 * @hwpt_id: A HWPT of an IOAS, to compare it with
 * @out_result: 0 if they are equal, leaf by leaf; else see enum
 *	iommu_hwpt_liveupdate_verify_result
 * @__reserved: Must be 0
 * @out_iova: The lowest IOVA that they translate differently
 * @out_size_iova: The lowest IOVA with leaves of different sizes
 * @out_restored: What the restored HWPT says of @out_iova
 * @out_rebuilt: What the other HWPT says of @out_iova
 *
 * Both are equal if each IOVA has the same physical address and permissions in
 * both, or none in both, by whatever leaves. Hardware may use both meanwhile;
 * map and unmap of the IOAS wait. ENOENT: one of them does not exist.
 * EOPNOTSUPP: they are of different formats. EUCLEAN: the restored HWPT is
 * damaged.
 */
struct iommu_hwpt_liveupdate_verify {
	__u32 size;
	__u32 flags;
	__u32 restored_id;
	__u32 hwpt_id;
	__u32 out_result;
	__u32 __reserved;
	__aligned_u64 out_iova;
	__aligned_u64 out_size_iova;
	struct iommu_hwpt_liveupdate_translation out_restored;
	struct iommu_hwpt_liveupdate_translation out_rebuilt;
};

#define IOMMU_HWPT_LIVEUPDATE_VERIFY \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_VERIFY)

/**
 * enum iommu_hwpt_liveupdate_adopt_flags - Flags of an adoption
 * @IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES: Adopt the sizes of the leaves alone. The
 *	new HWPT gets tables of its own, which translate each IOVA by a leaf as
 *	large as that of the restored HWPT. For hardware that must not see a
 *	translation in use change its size
 */
enum iommu_hwpt_liveupdate_adopt_flags {
	IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES = 1 << 0,
};

/**
 * struct iommu_hwpt_liveupdate_adopt - ioctl(IOMMU_HWPT_LIVEUPDATE_ADOPT)
 * @size: sizeof(struct iommu_hwpt_liveupdate_adopt)
 * @flags: See enum iommu_hwpt_liveupdate_adopt_flags
 * @restored_id: A HWPT that came from the previous kernel
 * @ioas_id: The IOAS that is to have its tables; with all of its memory mapped.
 *	Or 0, to find what has adopted them already
 * @dev_id: A device that is on the restored HWPT
 * @hwpt_flags: As of IOMMU_HWPT_ALLOC: those that the HWPT was made with in the
 *	previous kernel
 * @out_hwpt_id: The new HWPT; 0 if the two differ
 * @out_ioas_id: Its IOAS
 * @__reserved: Must be 0
 * @out_result: 0 if the tables were adopted; IOMMU_HWPT_LIVEUPDATE_DIFFERS or
 *	IOMMU_HWPT_LIVEUPDATE_MORE if they are not those of the IOAS;
 *	IOMMU_HWPT_LIVEUPDATE_SIZES_DIFFER if a leaf reaches over the end of what
 *	was mapped at once, so that the two parts could not be unmapped apart
 * @out_iova: With DIFFERS: an IOVA at which they differ, the first of its area;
 *	with SIZES_DIFFER: an IOVA that the leaf translates
 * @out_restored: With DIFFERS: what the restored HWPT says of @out_iova
 * @out_rebuilt: With DIFFERS: what the IOAS has there; its lg2_size is 0, because
 *	it is no leaf yet
 *
 * Make a HWPT of the IOAS that has the tables of the restored HWPT, without
 * building new ones. Memory is pinned and accounted as by any HWPT. Until the
 * restored HWPT is destroyed, both share the tables, map and unmap of the IOAS
 * give EBUSY, and so does destroying the new HWPT. Attach the devices to the new
 * one, then destroy the restored one. A process that comes after one that has
 * died in between finds both with an ioas_id of 0. With
 * IOMMU_HWPT_LIVEUPDATE_ADOPT_SIZES nothing is shared, and nothing waits. EBUSY:
 * the restored HWPT was adopted already. EINVAL: the device is not on it.
 * ENOENT: an object does not
 * exist, or nothing has adopted it.
 * EOPNOTSUPP: the device would get tables of another kind or depth. EUCLEAN:
 * the restored HWPT is damaged.
 */
struct iommu_hwpt_liveupdate_adopt {
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
	struct iommu_hwpt_liveupdate_translation out_restored;
	struct iommu_hwpt_liveupdate_translation out_rebuilt;
};

#define IOMMU_HWPT_LIVEUPDATE_ADOPT \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_ADOPT)

#endif /* _UAPI_IOMMUFD_LIVEUPDATE_H */
