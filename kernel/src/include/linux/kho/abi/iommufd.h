/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_IOMMUFD_H
#define _LINUX_KHO_ABI_IOMMUFD_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: iommufd handover format
 *
 * A preserved iommufd carries the tokens of its marked HWPTs and nothing else:
 * neither object ids, nor the IOAS, nor accounting. User space rebuilds those.
 *
 * A change of layout or meaning needs a new %IOMMUFD_LIVEUPDATE_COMPATIBLE.
 */

#define IOMMUFD_LIVEUPDATE_COMPATIBLE	"iommufd-v2"

/* First field of struct iommufd_ser; never moves. */
#define IOMMUFD_SER_VERSION		2

/*
 * The version before: the layout is the same, the flags of a HWPT are zero. It
 * is what is written as long as no flag is set, so that a kernel that reads
 * nothing newer can be gone back to.
 */
#define IOMMUFD_LIVEUPDATE_COMPATIBLE_V1	"iommufd-v1"
#define IOMMUFD_SER_VERSION_V1		1

/* The mark goes to the HWPT that a device is moved to. */
#define IOMMUFD_SER_HWPT_KEEP_MARK	BIT(0)

/**
 * struct iommufd_hwpt_ser - One marked HWPT.
 * @token:  The token that user space marked it with.
 * @domain: Index of its &struct iommu_domain_ser.
 * @flags:  %IOMMUFD_SER_HWPT_KEEP_MARK or zero.
 */
struct iommufd_hwpt_ser {
	u64 token;
	u32 domain;
	u32 flags;
} __packed;

/**
 * struct iommufd_ser - One iommufd.
 * @version:  %IOMMUFD_SER_VERSION.
 * @nr_hwpts: Number of entries in @hwpts.
 * @hwpts:    The marked HWPTs; their tokens are unique.
 */
struct iommufd_ser {
	u32 version;
	u32 nr_hwpts;
	struct iommufd_hwpt_ser hwpts[];
} __packed;

#endif /* _LINUX_KHO_ABI_IOMMUFD_H */
