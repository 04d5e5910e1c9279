/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
/*
 * Checks of what the previous kernel has handed over
 *
 * The functions below, and those in the *_check.h of the IOMMU drivers, decide
 * whether a handover can be used. They know nothing of the running kernel: all
 * they see is memory that they ask for by its physical address. So they are
 * compiled into the tests in tests/handover, too, which feed them with damaged
 * handovers and with those that a fuzzer makes up.
 *
 * Each returns NULL if what it looked at can be used, else a constant string:
 * the rule that is broken. None writes to the handover, none reads memory that
 * was not preserved, and each does an amount of work that does not depend on
 * what the handover says: linear in the size of the memory that it is in, and
 * in the square of the number of entries that claim to be in use.
 */
#ifndef _LINUX_LIVEUPDATE_CHECK_H
#define _LINUX_LIVEUPDATE_CHECK_H

#include <linux/types.h>

struct hugetlb_memfd_ser;
struct hugetlb_ser;
struct iommu_device_ser;
struct iommu_domain_ser;
struct iommu_device_ser_v1;
struct iommu_domain_ser_v1;
struct iommu_hw_ser;
struct iommu_hw_ser_v1;
struct iommufd_ser;
struct memfd_luo_ser;
struct pci_dev_ser;
struct pci_ser;
struct pci_sriov_list_ser;
struct pci_sriov_ser;
struct vfio_pci_ser;

/**
 * struct liveupdate_mem - Access to what the previous kernel has preserved
 * @get: Returns the memory at physical address @pa if just this, 2^@order
 *	pages from @pa on, was preserved; else NULL.
 * @claim: Says that the page at @pa is used for one purpose. False if it was
 *	claimed before.
 */
struct liveupdate_mem {
	const void *(*get)(struct liveupdate_mem *mem, u64 pa,
			   unsigned int order);
	bool (*claim)(struct liveupdate_mem *mem, u64 pa);
};

/* Most pages that a root structure of variable length may have, as exponent */
#define LIVEUPDATE_CHECK_MAX_ORDER	10

/* kernel/liveupdate/liveupdate_check.c */
const void *liveupdate_check_sized(struct liveupdate_mem *mem, u64 pa,
				   size_t *size);

/* drivers/pci/liveupdate_check.c */
u32 pci_ser_lower_bound(const struct pci_ser *ser, u64 key);
const struct pci_sriov_ser *
pci_ser_find_sriov(const struct pci_sriov_list_ser *list, u32 segment, u16 bdf);
const char *pci_ser_check(struct liveupdate_mem *mem, u64 pa, u32 max,
			  const struct pci_ser **serp,
			  const struct pci_sriov_list_ser **sriovp);

/* One device of the list, by its key */
static inline u64 pci_ser_key(u32 segment, u16 bdf)
{
	return (u64)segment << 16 | bdf;
}

struct iommu_ser_view;

/**
 * struct iommu_ser_driver - The checks of an IOMMU driver's parts
 * @type: IOMMU_SER_TYPE_*, whose parts it can check.
 * @check_iommu: Of a unit. Each is called with the handover and an index, after
 *	no fault was found with what is common, and claims the pages that only its
 *	part speaks of. NULL, or the rule that the part breaks.
 * @check_domain: Of a domain, with the table that the common part speaks of: how
 *	large that is depends on its format.
 * @check_device: Of a device, whose unit and domain are of the same type and were
 *	checked.
 */
struct iommu_ser_driver {
	u16 type;
	const char *(*check_iommu)(const struct iommu_ser_view *view, u32 i);
	const char *(*check_domain)(const struct iommu_ser_view *view, u32 i);
	const char *(*check_device)(const struct iommu_ser_view *view, u32 i);
};

/**
 * struct iommu_ser_view - Where the parts of an IOMMU handover are
 * @mem: How to get at memory.
 * @driver: Gives the checks of a type, or NULL if there are none.
 * @iommus: IOMMU_SER_MAX_IOMMUS entries.
 * @domains: IOMMU_SER_MAX_DOMAINS entries.
 * @devices: IOMMU_SER_MAX_DEVICES entries.
 */
struct iommu_ser_view {
	struct liveupdate_mem *mem;
	const struct iommu_ser_driver *(*driver)(u16 type);
	const struct iommu_hw_ser *iommus;
	const struct iommu_domain_ser *domains;
	const struct iommu_device_ser *devices;
};

/**
 * struct iommu_ser_v1_view - Where the parts of one of the version before are
 * @iommus: IOMMU_SER_V1_MAX_IOMMUS entries.
 * @domains: IOMMU_SER_V1_MAX_DOMAINS entries.
 * @devices: IOMMU_SER_V1_MAX_DEVICES entries.
 */
struct iommu_ser_v1_view {
	const struct iommu_hw_ser_v1 *iommus;
	const struct iommu_domain_ser_v1 *domains;
	const struct iommu_device_ser_v1 *devices;
};

/**
 * struct iommu_ser_arrays - Where the parts of an IOMMU handover go
 * @iommus: IOMMU_SER_MAX_IOMMUS entries, all zero.
 * @domains: IOMMU_SER_MAX_DOMAINS entries, all zero.
 * @devices: IOMMU_SER_MAX_DEVICES entries, all zero.
 */
struct iommu_ser_arrays {
	struct iommu_hw_ser *iommus;
	struct iommu_domain_ser *domains;
	struct iommu_device_ser *devices;
};

/**
 * struct iommu_ser_v1_arrays - Where those of the version before go
 * @iommus: IOMMU_SER_V1_MAX_IOMMUS entries, all zero.
 * @domains: IOMMU_SER_V1_MAX_DOMAINS entries, all zero.
 * @devices: IOMMU_SER_V1_MAX_DEVICES entries, all zero.
 */
struct iommu_ser_v1_arrays {
	struct iommu_hw_ser_v1 *iommus;
	struct iommu_domain_ser_v1 *domains;
	struct iommu_device_ser_v1 *devices;
};

/**
 * struct iommu_ser_v1_ops - For the driver of which the version before is
 * @read: Make the entries ones of this version. What is wrong with them stays
 *	wrong, so that their checks find it.
 * @holds: Can the version before hold what is there?
 * @write: Make the entries, which were preserved by this kernel, ones of the
 *	version before; if that can hold them.
 */
struct iommu_ser_v1_ops {
	void (*read)(const struct iommu_ser_v1_view *from,
		     const struct iommu_ser_arrays *to);
	bool (*holds)(const struct iommu_ser_view *view);
	void (*write)(const struct iommu_ser_view *from,
		      const struct iommu_ser_v1_arrays *to);
};

/* drivers/iommu/liveupdate_check.c */
const char *iommu_ser_v1_check(struct liveupdate_mem *mem, u64 pa,
			       struct iommu_ser_v1_view *view);
const char *iommu_ser_check(struct liveupdate_mem *mem, u64 pa,
			    struct iommu_ser_view *view);
const char *iommu_ser_check_iommu(const struct iommu_ser_view *view, u32 i);
const char *iommu_ser_check_domain(const struct iommu_ser_view *view, u32 i);
const char *iommu_ser_check_device(const struct iommu_ser_view *view, u32 i);

/* drivers/iommu/liveupdate_noiommu_check.c */
extern const struct iommu_ser_driver noiommu_ser_driver;

/* drivers/iommu/iommufd/liveupdate_check.c */
const char *iommufd_ser_check(struct liveupdate_mem *mem, u64 pa, u32 version,
			      const struct iommufd_ser **serp);

/* drivers/vfio/pci/vfio_pci_liveupdate_check.c */
const char *vfio_pci_ser_check(struct liveupdate_mem *mem, u64 pa, u32 version,
			       const struct vfio_pci_ser **serp);

/* mm/memfd_liveupdate_check.c */
const char *memfd_ser_check(struct liveupdate_mem *mem, u64 pa,
			    const struct memfd_luo_ser **serp);

/**
 * struct hugetlb_ser_limits - How large pools of huge pages can be on this machine
 * @nodes: Node ids are below this.
 * @pages: Pages of memory of all nodes together.
 * @node_pages: Returns the pages of memory of a node; 0 if this kernel has no such
 *	node, or no memory on it.
 */
struct hugetlb_ser_limits {
	u32 nodes;
	u64 pages;
	u64 (*node_pages)(u32 nid);
};

/* mm/hugetlb_liveupdate_check.c */
const char *hugetlb_memfd_ser_check(struct liveupdate_mem *mem, u64 pa,
				    const struct hugetlb_memfd_ser **serp);
const char *hugetlb_ser_check(struct liveupdate_mem *mem, u64 pa,
			      const struct hugetlb_ser_limits *limits,
			      const struct hugetlb_ser **serp);

#endif /* _LINUX_LIVEUPDATE_CHECK_H */
