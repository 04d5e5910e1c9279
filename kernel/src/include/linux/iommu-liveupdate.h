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
struct iommu_ser_driver;
struct iommu_ser_v1_ops;
struct iommu_ser_view;
struct iommufd_ctx;
struct iommufd_device;
struct liveupdate_file_handler;
struct liveupdate_session;
struct liveupdate_view;

/**
 * struct iommu_liveupdate_unit - What tells an IOMMU unit from the others
 * @id:   The same in each kernel: as a rule the physical address of its registers.
 * @name: For the log of this kernel.
 */
struct iommu_liveupdate_unit {
	u64 id;
	const char *name;
};

/**
 * struct iommu_liveupdate_ops - What an IOMMU driver does for a live update
 * @name: The driver, for those who ask who refused something.
 * @checks: The checks of its parts of the handover, and whose parts these are.
 * @compatible: Version string of its parts, which is in luo_formats_list.h.
 * @device_format: The version string that the part of a preserved device needs to be
 *	read, which is in that list, too; NULL if each needs @compatible.
 * @v1: To read and write the version before, which knew one driver only; NULL for
 *	all others.
 * @identify: Say which unit this is. Also before the unit is registered.
 *
 * Outgoing, in the order of their calls:
 *
 * @preserve_iommu: Describe the unit in the driver's part of @ser, and have the
 *	table that hardware begins with kept (iommu_liveupdate_keep()). 0;
 *	-EOPNOTSUPP if the unit is not translating, so that there is nothing to
 *	keep; -ENOMEM.
 * @unpreserve_iommu: Undo @preserve_iommu.
 * @preserve_interrupts: Have KHO keep what interrupt remapping of the unit reads.
 *	0, also if there is none; -ENOMEM. NULL if the driver remaps no interrupts.
 * @unpreserve_interrupts: Undo @preserve_interrupts. NULL as that.
 * @preserve_domain: Describe the domain in @ser, all but @flags and @type, and
 *	have KHO keep each of its tables. The caller guarantees that the tables do
 *	not change until @unpreserve_domain. 0; -EOPNOTSUPP for a kind of domain
 *	that cannot be handed over; -EBUSY for a state that it has to leave first;
 *	-ENOMEM.
 * @unpreserve_domain: Undo @preserve_domain.
 * @can_replace: Can another domain take the place of the one that the device is
 *	attached to, so that each request is translated by the one or the other?
 *	It is attach_dev() of the next kernel's domain that does it there: from a
 *	restored domain it goes without a gap, or fails and changes nothing.
 *	0; -EOPNOTSUPP with the reason in the log.
 * @preserve_device: Describe how @dev, which is attached to @domain, reaches
 *	it, in the driver's part of @ser, and have what hardware reads on the way
 *	from @preserve_iommu's table to the domain kept. 0; -EOPNOTSUPP for a
 *	device or a state that cannot be handed over; -EINVAL if the driver has it
 *	attached to another domain; -ENOMEM.
 * @unpreserve_device: Undo @preserve_device; @ser is still in its array.
 * @compare_device: Does hardware's entry of a preserved device say what @ser
 *	says? By the check that @adopt_iommu makes of it. NULL, or the rule that it
 *	breaks. At preserve and in the freeze.
 * @scrub_iommu: In the shutdown of the kexec, with one CPU and no locks: block
 *	each requester that iommu_liveupdate_device_outgoing() does not know, and
 *	leave translation on. What blocked is, is the driver's to know: an entry
 *	that is not there blocks on one kind of hardware and lets through on
 *	another. Memory that the unit itself writes is the next kernel's after
 *	this. Hardware has forgotten all else when it returns.
 * @block_interrupts: After @scrub_iommu: no device raises an interrupt from here
 *	on, nor does the unit itself. NULL if there is nothing to block.
 * @back_iommus: On the way back to the kernel before, with one CPU, and locks held by
 *	anybody: for each unit of the driver, iommu_liveupdate_back_scrub(), and have
 *	no device raise an interrupt, by what the next kernel can go on with.
 *
 * Incoming, in the order of their calls:
 *
 * @compare_iommu: Does the unit, whose translation is on, use the tables that
 *	@hw speaks of? NULL, or the rule that it breaks, with nothing changed.
 * @policy: Does this kernel, by its command line and configuration, use the unit
 *	as @hw says? NULL, or why not. NULL if nothing of it can be chosen.
 * @check_tables: Look at all translation tables of a domain that the unit translates
 *	by; the time that this takes grows with the memory that is mapped. Each is
 *	claimed, by the view that is passed. NULL, or the rule that they break. Only
 *	if liveupdate.check_tables=1 says so. NULL if the driver has no such check.
 * @adopt_iommu: Go on with the tables of the unit. Each entry that lets a device
 *	do DMA has to be one of a device of @hw, and to say what the handover says;
 *	one that does not is removed, and its device stopped before that
 *	(iommu_liveupdate_drop_incoming(), iommu_liveupdate_stop_stranger()). A
 *	device of @hw without an entry is dropped, too. What the entries use (domain
 *	ids, for one) is taken out of the driver's allocators. NULL; or why not,
 *	with translation and entries as they were.
 * @unadopt_iommu: Undo @adopt_iommu when the driver fails to come up: no entry is
 *	left, and hardware has forgotten them all, when this returns. Its devices
 *	are stopped already.
 * @forget_device: The handover is not needed any more. Give back what the driver's part of
 *	@ser refers to and hardware does not. Called once for each device that was
 *	not dropped when its unit was adopted, also if it is gone by now. NULL if there is
 *	nothing of the kind.
 * @is_behind: Would the unit translate the DMA of this device? Before it is
 *	probed.
 * @restore_domain: Make a domain of tables that hardware is using. The domain can
 *	be attached to the devices that came with it, which changes no hardware, and
 *	to no other; it cannot be mapped or unmapped, and frees the tables when it
 *	is freed. @iommu is a unit that translates by it, or any of the driver if
 *	none was adopted: then it is there to be freed. An error pointer: -EINVAL if
 *	@ser cannot be right; -ENOMEM.
 * @refuse_device: Block the DMA of a device whose handover cannot be used, and
 *	which is stopped already. It may be one whose probe has failed, so that only
 *	the driver's own data of it are there. Hardware no longer uses what the device
 *	used, when this returns.
 *
 * @show_iommu: Say what the driver's part says, for debugfs; either side. NULL if
 *	nothing.
 * @show_domain: That of a domain.
 * @show_device: That of a device.
 *
 * Nothing that undoes may fail. What is described in a driver's part has its
 * @length set, too.
 */
struct iommu_liveupdate_ops {
	const char *name;
	const struct iommu_ser_driver *checks;
	const char *compatible;
	const char *(*device_format)(const struct iommu_device_ser *device);
	const struct iommu_ser_v1_ops *v1;
	void (*identify)(struct iommu_device *iommu,
			 struct iommu_liveupdate_unit *unit);

	int (*preserve_iommu)(struct iommu_device *iommu,
			      struct iommu_hw_ser *ser);
	void (*unpreserve_iommu)(struct iommu_device *iommu,
				 const struct iommu_hw_ser *ser);
	int (*preserve_interrupts)(struct iommu_device *iommu);
	void (*unpreserve_interrupts)(struct iommu_device *iommu);
	int (*preserve_domain)(struct iommu_domain *domain,
			       struct iommu_domain_ser *ser);
	void (*unpreserve_domain)(struct iommu_domain *domain,
				  const struct iommu_domain_ser *ser);
	int (*can_replace)(struct device *dev);
	int (*preserve_device)(struct device *dev, struct iommu_domain *domain,
			       struct iommu_device_ser *ser);
	void (*unpreserve_device)(struct device *dev,
				  const struct iommu_device_ser *ser);
	const char *(*compare_device)(struct device *dev,
				      const struct iommu_ser_view *view,
				      const struct iommu_device_ser *ser);
	void (*scrub_iommu)(struct iommu_device *iommu);
	void (*block_interrupts)(struct iommu_device *iommu);
	void (*back_iommus)(void);

	const char *(*compare_iommu)(struct iommu_device *iommu,
				     const struct iommu_hw_ser *hw);
	const char *(*policy)(struct iommu_device *iommu,
			      const struct iommu_hw_ser *hw);
	const char *(*check_tables)(struct iommu_device *iommu,
				    const struct iommu_ser_view *view,
				    const struct iommu_domain_ser *domain);
	const char *(*adopt_iommu)(struct iommu_device *iommu,
				   const struct iommu_hw_ser *hw,
				   const struct iommu_ser_view *view);
	void (*unadopt_iommu)(struct iommu_device *iommu,
			      const struct iommu_hw_ser *hw);
	void (*forget_device)(const struct iommu_device_ser *ser);
	bool (*is_behind)(struct iommu_device *iommu, struct device *dev);
	struct iommu_domain *(*restore_domain)(struct iommu_device *iommu,
					       const struct iommu_domain_ser *ser);
	void (*refuse_device)(struct device *dev);

	void (*show_iommu)(struct liveupdate_view *v,
			   const struct iommu_hw_ser *hw);
	void (*show_domain)(struct liveupdate_view *v,
			    const struct iommu_domain_ser *domain);
	void (*show_device)(struct liveupdate_view *v,
			    const struct iommu_device_ser *device);
};

#ifdef CONFIG_IOMMU_LIVEUPDATE
/* Is this a domain that came from the previous kernel? */
static inline bool iommu_domain_is_restored(struct iommu_domain *domain)
{
	return domain->restored;
}

int iommu_liveupdate_register_flb(struct liveupdate_file_handler *fh);
int iommu_liveupdate_register(const struct iommu_liveupdate_ops *ops);

/* Outgoing: called by iommufd */
int iommu_domain_preserve(struct iommu_domain *domain, u32 id, u32 *index);
void iommu_domain_unpreserve(struct iommu_domain *domain);
int iommu_device_preserve(struct device *dev, struct iommu_domain *domain);
void iommu_device_unpreserve(struct device *dev);
int iommu_device_unchanged(struct device *dev, struct iommu_domain *domain);
bool iommu_liveupdate_file_sealed(struct file *file);

/* Outgoing: called by drivers */
bool iommu_liveupdate_shutdown(struct iommu_device *iommu);
bool iommu_liveupdate_back_scrub(struct iommu_device *iommu,
				 const struct iommu_liveupdate_ops *ops);
void iommu_liveupdate_back(void);
int iommu_liveupdate_unit_leaves(struct iommu_device *iommu);
bool iommu_liveupdate_unit_stays(struct iommu_device *iommu);
const struct iommu_device_ser *
iommu_liveupdate_device_outgoing(struct iommu_device *iommu, u32 segment,
				 u16 bdf);
int iommu_liveupdate_keep(void *table);
void iommu_liveupdate_unkeep(void *table);
bool iommu_liveupdate_kept(void *table);
int iommu_liveupdate_domain_index(struct iommu_domain *domain);

/* Incoming: called by drivers */
bool iommu_liveupdate_adopt(struct iommu_device *iommu,
			    const struct iommu_liveupdate_ops *ops);
void iommu_liveupdate_unadopt(struct iommu_device *iommu,
			      const struct iommu_liveupdate_ops *ops);
void iommu_liveupdate_unused(struct iommu_device *iommu,
			     const struct iommu_liveupdate_ops *ops);
void iommu_liveupdate_off(void);
const struct iommu_device_ser *
iommu_liveupdate_next_incoming(const struct iommu_hw_ser *hw,
			       const struct iommu_device_ser *prev);
const struct iommu_device_ser *
iommu_liveupdate_incoming_device(struct device *dev);
bool iommu_liveupdate_may_go_on(const struct iommu_device_ser *ser);
void iommu_liveupdate_drop_incoming(const struct iommu_device_ser *ser,
				    const char *why);
void iommu_liveupdate_stop_stranger(u32 segment, u16 bdf);
void iommu_liveupdate_lost(struct device *dev,
			   const struct iommu_liveupdate_ops *ops);
void *iommu_pages_restore(phys_addr_t phys, size_t size);
void *iommu_pages_adopt(phys_addr_t phys, size_t size);

/* Incoming: called by the IOMMU core */
struct iommu_domain *iommu_liveupdate_domain(struct device *dev, bool alone);
int iommu_liveupdate_may_attach(struct device *dev,
				struct iommu_domain **new_domain,
				struct iommu_domain *old_domain,
				unsigned int flags);
int iommu_liveupdate_moved(struct device *dev, struct iommu_domain *current_domain,
			   struct iommu_domain *old_domain, int ret);
bool iommu_liveupdate_removed(struct device *dev, struct iommu_domain *domain,
			      void **owner);
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
struct iommu_domain *iommu_liveupdate_restored_domain(struct device *dev);
void iommu_liveupdate_left(struct device *dev);
extern const struct iommu_liveupdate_ops iommu_liveupdate_noiommu_ops;

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
iommu_liveupdate_domain(struct device *dev, bool alone)
{
	return NULL;
}

static inline int iommu_liveupdate_may_attach(struct device *dev,
					      struct iommu_domain **new_domain,
					      struct iommu_domain *old_domain,
					      unsigned int flags)
{
	return 0;
}

static inline int iommu_liveupdate_moved(struct device *dev,
					 struct iommu_domain *current_domain,
					 struct iommu_domain *old_domain, int ret)
{
	return ret;
}

static inline bool iommu_liveupdate_removed(struct device *dev,
					    struct iommu_domain *domain,
					    void **owner)
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

#ifdef CONFIG_IOMMU_LIVEUPDATE_NOIOMMU
void iommu_liveupdate_gone(struct device *dev);
bool iommu_liveupdate_waits_for_reset(struct device *dev);
#else
static inline void iommu_liveupdate_gone(struct device *dev)
{
}

static inline bool iommu_liveupdate_waits_for_reset(struct device *dev)
{
	return false;
}
#endif

#endif /* _LINUX_IOMMU_LIVEUPDATE_H */
