// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * The list of handover formats for the boot image. This is not linked: the
 * section is cut out and goes where a loader finds it; see luo_formats.c.
 */
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
#include <linux/liveupdate_formats.h>

static const struct {
	u8 magic[4];
	u32 size;
	char names[sizeof
#include "luo_formats_list.h"
];
} __packed luo_formats_image __used __section(".luo_formats") = {
	.magic = LIVEUPDATE_FORMATS_MAGIC,
	.size = sizeof(luo_formats_image),
	.names =
#include "luo_formats_list.h"
};
