/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __IOMMUFD_LIVEUPDATE_H
#define __IOMMUFD_LIVEUPDATE_H

#include <linux/generic_pt/verify.h>
#include <linux/iommu-liveupdate.h>

/* Provided for liveupdate.c */
extern const struct file_operations iommufd_fops;
int iommufd_fops_open(struct inode *inode, struct file *filp);
struct iommufd_hw_pagetable *iommufd_device_hwpt(struct iommufd_device *idev);

/* Of the domains that no hardware reads; see hwpt_noiommu.c */
#ifdef CONFIG_IOMMU_LIVEUPDATE_NOIOMMU
#define IOMMUFD_NOIOMMU_LIVEUPDATE_OPS	(&iommu_liveupdate_noiommu_ops)
#else
#define IOMMUFD_NOIOMMU_LIVEUPDATE_OPS	NULL
#endif

#ifdef CONFIG_IOMMU_LIVEUPDATE
/* A HWPT that came from the previous kernel: without an IOAS, and not to be changed */
struct iommufd_hwpt_restored {
	struct iommufd_hw_pagetable common;
	struct iommufd_ctx *ictx;
	u64 token;
	/* The mark goes to the HWPT that a device is moved to */
	bool keep;
	/* User space asked for it by its token */
	bool reclaimed;
	/* Protects what follows, until the object is destroyed */
	struct mutex adopt_lock;
	/* This time only the sizes of the leaves are adopted */
	bool adopt_sizes;
	/* Shares the tables, and gets them when this is destroyed */
	struct iommufd_hwpt_paging *adopter;
	struct pt_iommu_difference diff;
};

/* Where MSIs of a device are translated: no IOVA if nothing translates them */
static inline struct pt_iommu_window iommufd_liveupdate_msi_window(struct device *dev)
{
	struct pt_iommu_window window = PT_IOMMU_NO_WINDOW;
	struct iommu_resv_region *region;
	LIST_HEAD(regions);

	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list) {
		if (region->type != IOMMU_RESV_SW_MSI)
			continue;
		window.first = region->start;
		window.last = region->start + region->length - 1;
	}
	iommu_put_resv_regions(dev, &regions);
	return window;
}

struct pt_iommu_window
iommufd_liveupdate_window(struct iommufd_ctx *ictx, struct iommu_domain *restored);
int iommufd_liveupdate_adopt(struct iommufd_ioas *ioas,
			     struct iommu_domain *domain);
void iommufd_liveupdate_adopted(struct iommufd_hwpt_restored *restored,
				unsigned int users);
int iommufd_hwpt_liveupdate_adopt(struct iommufd_ucmd *ucmd);
void iommufd_liveupdate_describe(const struct pt_iommu_translation *from,
				 struct iommu_hwpt_liveupdate_translation *to);
int iommufd_liveupdate_init(void);
void iommufd_liveupdate_exit(void);
int iommufd_liveupdate_bound(struct iommufd_device *idev);
int iommufd_hwpt_liveupdate_mark(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_liveupdate_restore(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_liveupdate_verify(struct iommufd_ucmd *ucmd);
int iommufd_liveupdate_noiommu_attach(struct iommufd_device *idev,
				      struct iommufd_hw_pagetable *hwpt,
				      ioasid_t pasid);
bool iommufd_liveupdate_in_use(struct iommufd_ctx *ictx, u32 id);
void iommufd_hwpt_restored_destroy(struct iommufd_object *obj);
void iommufd_liveupdate_replaced(struct iommufd_device *idev, ioasid_t pasid,
				 struct iommufd_hw_pagetable *from,
				 struct iommufd_hw_pagetable *to);
#else
static inline int iommufd_liveupdate_adopt(struct iommufd_ioas *ioas,
					   struct iommu_domain *domain)
{
	return 0;
}

static inline int iommufd_hwpt_liveupdate_adopt(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_liveupdate_init(void)
{
	return 0;
}

static inline void iommufd_liveupdate_exit(void)
{
}

static inline int iommufd_liveupdate_bound(struct iommufd_device *idev)
{
	return 0;
}

static inline int iommufd_hwpt_liveupdate_mark(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_hwpt_liveupdate_restore(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_hwpt_liveupdate_verify(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}

static inline int
iommufd_liveupdate_noiommu_attach(struct iommufd_device *idev,
				  struct iommufd_hw_pagetable *hwpt,
				  ioasid_t pasid)
{
	return 0;
}

/* There are no such objects then. */
static inline bool iommufd_liveupdate_in_use(struct iommufd_ctx *ictx, u32 id)
{
	return false;
}

static inline void iommufd_hwpt_restored_destroy(struct iommufd_object *obj)
{
}

static inline void
iommufd_liveupdate_replaced(struct iommufd_device *idev, ioasid_t pasid,
			    struct iommufd_hw_pagetable *from,
			    struct iommufd_hw_pagetable *to)
{
}
#endif

#endif
