/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * The version strings of all handover formats that this kernel, or a module
 * built with it, reads: as one string literal, each with a NUL behind, and one
 * more at the end. To be included where such a literal may stand.
 *
 * Whoever adds a format adds it here; one that is missing is not asked for.
 */
KHO_FDT_COMPATIBLE "\0"
LUO_ABI_COMPATIBLE "\0"
#ifdef CONFIG_LIVEUPDATE_MEMFD
MEMFD_LUO_FH_COMPATIBLE "\0"
#endif
#ifdef CONFIG_LIVEUPDATE_HUGETLB
HUGETLB_MEMFD_FH_COMPATIBLE "\0"
HUGETLB_LIVEUPDATE_COMPATIBLE "\0"
#endif
#ifdef CONFIG_GUESTMEMFS
GUESTMEMFS_COMPATIBLE "\0"
GUESTMEMFS_FH_COMPATIBLE "\0"
#endif
#ifdef CONFIG_PCI_LIVEUPDATE
PCI_LIVEUPDATE_FLB_COMPATIBLE_V1 "\0"
#ifdef CONFIG_PCI_IOV
PCI_LIVEUPDATE_FLB_COMPATIBLE "\0"
#endif
#endif
#ifdef CONFIG_IOMMU_LIVEUPDATE
#ifdef CONFIG_INTEL_IOMMU
IOMMU_LIVEUPDATE_COMPATIBLE_V1 "\0"
#endif
IOMMU_LIVEUPDATE_COMPATIBLE "\0"
#ifdef CONFIG_INTEL_IOMMU
INTEL_IOMMU_LIVEUPDATE_COMPATIBLE_V1 "\0"
INTEL_IOMMU_LIVEUPDATE_COMPATIBLE "\0"
#endif
#ifdef CONFIG_IOMMU_LIVEUPDATE_NOIOMMU
NOIOMMU_LIVEUPDATE_COMPATIBLE "\0"
#endif
#if IS_ENABLED(CONFIG_IOMMUFD)
IOMMUFD_LIVEUPDATE_COMPATIBLE_V1 "\0"
IOMMUFD_LIVEUPDATE_COMPATIBLE "\0"
#endif
#endif
#ifdef CONFIG_VFIO_PCI_LIVEUPDATE
VFIO_PCI_LIVEUPDATE_COMPATIBLE "\0"
#endif
