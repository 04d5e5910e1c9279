/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_IOMMU_LIVEUPDATE_H
#define _LINUX_IOMMU_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/types.h>

struct device;
struct file;
struct iommu_device_ser;
struct iommu_domain_ser;
struct iommu_hw_ser;
struct iommu_ser_view;
struct iommufd_ctx;
struct iommufd_device;
struct liveupdate_file_handler;
struct liveupdate_session;

/**
 * struct iommu_liveupdate_ops - What an IOMMU driver does for a live update
 * @preserve_iommu: Record the unit and have KHO keep its root table. Fills
 *	@ser but for its %IOMMU_SER_USED flag. 0, or -EOPNOTSUPP if the unit is
 *	not translating, -ENOMEM.
 * @unpreserve_iommu: Undo @preserve_iommu.
 * @preserve_domain: Describe the domain in @ser and have KHO keep each of its
 *	tables. The caller guarantees that the tables do not change until
 *	@unpreserve_domain. 0, -EOPNOTSUPP for a kind of domain that cannot be
 *	handed over, -EBUSY for a state that it has to leave first, -ENOMEM.
 * @unpreserve_domain: Undo @preserve_domain.
 * @preserve_device: Describe how @dev, which is attached to @domain, reaches
 *	it, and have KHO keep what hardware reads on the way from the root table
 *	to the domain. Fills @did, @max_pasid, @entry_pa and @pasid_pa.
 *	0, -EOPNOTSUPP for a device or a state that cannot be handed over,
 *	-ENOMEM.
 * @unpreserve_device: Undo @preserve_device; @ser is still in its array.
 * @check_device: Ask, of a device that was preserved, what the next kernel will
 *	ask before it goes on with the device's translation, by the same checks.
 *	NULL, or the rule that it breaks. At preserve and in the freeze.
 * @restore_domain: In the next kernel: make a domain of tables that hardware is
 *	using. The domain can be attached to the devices that came with it and
 *	to no other, cannot be mapped or unmapped, and frees the tables when it
 *	is freed. An error pointer: -EINVAL if @ser cannot be right, -ENOMEM.
 * @refuse_device: In the next kernel: block the DMA of a device whose handover
 *	cannot be used. Hardware no longer uses what the device used, when this
 *	returns.
 *
 * Nothing that undoes may fail.
 */
struct iommu_liveupdate_ops {
	int (*preserve_iommu)(struct iommu_device *iommu,
			      struct iommu_hw_ser *ser);
	void (*unpreserve_iommu)(struct iommu_device *iommu,
				 const struct iommu_hw_ser *ser);
	int (*preserve_domain)(struct iommu_domain *domain,
			       struct iommu_domain_ser *ser);
	void (*unpreserve_domain)(struct iommu_domain *domain,
				  const struct iommu_domain_ser *ser);
	int (*preserve_device)(struct device *dev, struct iommu_domain *domain,
			       struct iommu_device_ser *ser);
	void (*unpreserve_device)(struct device *dev,
				  const struct iommu_device_ser *ser);
	const char *(*check_device)(struct device *dev,
				    const struct iommu_ser_view *view,
				    const struct iommu_device_ser *ser);
	struct iommu_domain *(*restore_domain)(const struct iommu_domain_ser *ser);
	void (*refuse_device)(struct device *dev);
};

#ifdef CONFIG_IOMMU_LIVEUPDATE
/* Is this a domain that came from the previous kernel? */
static inline bool iommu_domain_is_restored(struct iommu_domain *domain)
{
	return domain->restored;
}

int iommu_liveupdate_register_flb(struct liveupdate_file_handler *fh);

/* Outgoing: called by iommufd */
int iommu_domain_preserve(struct iommu_domain *domain, u32 id, u32 *index);
void iommu_domain_unpreserve(struct iommu_domain *domain);
int iommu_device_preserve(struct device *dev, struct iommu_domain *domain);
void iommu_device_unpreserve(struct device *dev);
int iommu_device_unchanged(struct device *dev, struct iommu_domain *domain);
bool iommu_liveupdate_file_sealed(struct file *file);

/* Outgoing: called by drivers */
bool iommu_liveupdate_begin_shutdown(void);
int iommu_liveupdate_unit_leaves(struct iommu_device *iommu);
bool iommu_liveupdate_unit_stays(struct iommu_device *iommu);
const struct iommu_device_ser *
iommu_liveupdate_device_outgoing(u32 segment, u16 bdf, u64 reg_pa);
int iommu_liveupdate_keep(void *table);
void iommu_liveupdate_unkeep(void *table);
bool iommu_liveupdate_kept(void *table);

/* Incoming: called by drivers */
const struct iommu_hw_ser *iommu_liveupdate_incoming_hw(u32 type, u64 reg_pa);
void iommu_liveupdate_adopted(const struct iommu_hw_ser *hw,
			      struct iommu_device *iommu);
void iommu_liveupdate_unadopted(const struct iommu_hw_ser *hw);
const struct iommu_device_ser *
iommu_liveupdate_next_incoming(u64 reg_pa, const struct iommu_device_ser *prev);
const struct iommu_device_ser *
iommu_liveupdate_incoming_device(struct device *dev);
const struct iommu_ser_view *iommu_liveupdate_incoming_view(void);
void iommu_liveupdate_drop_incoming(const struct iommu_device_ser *ser,
				    const char *why);
void *iommu_pages_restore(phys_addr_t phys, size_t size);
void *iommu_pages_adopt(phys_addr_t phys, size_t size);

/* Incoming: called by the IOMMU core */
struct iommu_domain *iommu_liveupdate_first_domain(struct device *dev,
						   bool alone);
void iommu_liveupdate_domain_left(struct iommu_domain *domain,
				  struct device *dev);
bool iommu_liveupdate_removed(struct device *dev, struct iommu_domain *domain);
bool iommu_liveupdate_may_claim(struct iommu_domain *domain, void *holder,
				void *owner);
bool iommu_liveupdate_frozen(struct device *dev);

/* Called by iommufd */
unsigned int iommu_liveupdate_domain_devices(bool incoming, u32 index);

/* Incoming: called by iommufd and VFIO */
struct iommu_domain *iommu_restored_domain_get(u32 index, void *owner);
void iommu_restored_domain_put(struct iommu_domain *domain);
void iommu_restored_domain_unget(struct iommu_domain *domain);
unsigned int iommu_restored_domain_users(struct iommu_domain *domain);
unsigned int iommu_restored_index_users(u32 index);
bool iommu_liveupdate_device_restored(struct device *dev);

/* iommufd, called by VFIO */
int iommufd_liveupdate_in_session(struct iommufd_ctx *ictx,
				  struct liveupdate_session *session);
int iommufd_device_liveupdate_preserve(struct iommufd_device *idev);
void iommufd_device_liveupdate_unpreserve(struct iommufd_device *idev);
int iommufd_device_liveupdate_freeze(struct iommufd_device *idev);
bool iommufd_device_liveupdate_attached(struct iommufd_device *idev);
#else
static inline bool iommu_domain_is_restored(struct iommu_domain *domain)
{
	return false;
}

static inline int
iommu_liveupdate_register_flb(struct liveupdate_file_handler *fh)
{
	return -EOPNOTSUPP;
}

static inline struct iommu_domain *
iommu_liveupdate_first_domain(struct device *dev, bool alone)
{
	return NULL;
}

static inline void iommu_liveupdate_domain_left(struct iommu_domain *domain,
						struct device *dev)
{
}

static inline bool iommu_liveupdate_removed(struct device *dev,
					    struct iommu_domain *domain)
{
	return false;
}

static inline bool iommu_liveupdate_may_claim(struct iommu_domain *domain,
					      void *holder, void *owner)
{
	return false;
}

static inline bool iommu_liveupdate_frozen(struct device *dev)
{
	return false;
}

static inline bool iommu_liveupdate_file_sealed(struct file *file)
{
	return false;
}

static inline bool iommu_liveupdate_device_restored(struct device *dev)
{
	return false;
}

static inline bool
iommufd_device_liveupdate_attached(struct iommufd_device *idev)
{
	return false;
}
#endif

#endif /* _LINUX_IOMMU_LIVEUPDATE_H */
