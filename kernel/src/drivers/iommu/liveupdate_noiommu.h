/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update of devices without an IOMMU
 *
 * In iommufd's no-IOMMU mode user space gives physical addresses to its device.
 * Nothing stands between the device and all of memory, in an update as little as
 * before it. What can be shown, and is, is that the pages stay the same ones:
 *
 * 1. iommufd keeps for each IOAS a table that no hardware reads. It says which
 *    page each IOVA was mapped to, and so which addresses user space got. At
 *    preserve the table is compared with the preserved files, and KHO keeps it, as
 *    that of any domain.
 *
 * 2. The unit of these domains stands for no hardware. It is in the handover if the
 *    host has no IOMMU at all, and then it is the only one. So a host that uses an
 *    IOMMU neither preserves a device in this mode nor takes one over.
 *
 * 3. The next kernel adopts the unit at the end of its boot, when each IOMMU driver
 *    has found its devices. Nothing has to be done for the device, which goes on; the
 *    kernel is tainted, since nothing protects it from that device from the first
 *    moment on. KHO keeps the pages, and after the retrieve a reference on each,
 *    until the session is finished, so that nothing can move or free them.
 *
 * 4. User space maps the same files, by which their pages are pinned, and attaches
 *    the device to the new HWPT. This is granted if the new table says the same
 *    as the restored one: at each IOVA the same physical page. Behind an IOMMU that
 *    is asked by user space, as a device that is moved to something else faults;
 *    here it would write into what was somebody else's by then.
 *
 * Unhappy paths
 * ~~~~~~~~~~~~~
 *
 * The next kernel uses an IOMMU: the device is stopped and reset, as is one that came
 * behind an IOMMU into a kernel that uses none.
 *
 * The mode is not allowed in the next kernel (vfio.enable_unsafe_noiommu_mode), or the
 * process is not privileged: the retrieve gives EPERM, the device goes on, and the
 * retrieve can be tried again.
 *
 * The device is removed: it is stopped, then reset, and only then its memory may go. If
 * it cannot be reset, and is still there, it stays in the handover, and its session is
 * not finished before the next reboot. If it is found again it is reset first, or gets
 * no driver.
 *
 * Something else was mapped: the attach gives EINVAL, the log names the IOVA, and the
 * device stays where it is.
 */
#ifndef __IOMMU_LIVEUPDATE_NOIOMMU_H
#define __IOMMU_LIVEUPDATE_NOIOMMU_H

static const char now_iommu[] =
	"it came without an IOMMU, and this kernel uses one";

#ifdef CONFIG_IOMMU_LIVEUPDATE_NOIOMMU

#include <linux/generic_pt/iommu.h>
#include <linux/init.h>
#include <linux/kho/abi/noiommu.h>
#include <linux/panic.h>

#define NOIOMMU_OPS	(&iommu_liveupdate_noiommu_ops)

/* A domain that came from the previous kernel, as the one of iommufd is */
struct noiommu_restored {
	union {
		struct iommu_domain domain;
		struct pt_iommu_amdv1 amdv1;
	};
	spinlock_t lock;	/* of the top, which never changes */
};

PT_IOMMU_CHECK_DOMAIN(struct noiommu_restored, amdv1.iommu, domain);

static const struct iommu_ops noiommu_unit_ops = {
	.liveupdate = NOIOMMU_OPS,
};

static struct iommu_device noiommu_unit = {
	.ops = &noiommu_unit_ops,
};

static void noiommu_identify(struct iommu_device *iommu,
			     struct iommu_liveupdate_unit *unit)
{
	unit->id = 0;
	unit->name = "no-IOMMU";
}

static int noiommu_preserve_iommu(struct iommu_device *iommu,
				  struct iommu_hw_ser *ser)
{
	return 0;
}

static void noiommu_unpreserve_iommu(struct iommu_device *iommu,
				     const struct iommu_hw_ser *ser)
{
}

static int noiommu_preserve_domain(struct iommu_domain *domain,
				   struct iommu_domain_ser *ser)
{
	struct noiommu_domain_ser *part = (struct noiommu_domain_ser *)ser->part;
	struct pt_iommu *pt = iommupt_from_domain(domain);
	struct pt_iommu_amdv1_hw_info info;
	struct pt_iommu_amdv1 *amdv1;

	amdv1 = container_of(pt, struct pt_iommu_amdv1, iommu);
	pt_iommu_amdv1_hw_info(amdv1, &info);
	part->format = NOIOMMU_DOMAIN_SER_AMDV1;
	ser->length = sizeof(*part);
	ser->top_pa = info.host_pt_root;
	ser->top_level = info.mode - 1;
	ser->vasz_lg2 = amdv1->amdpt.common.max_vasz_lg2;
	return pt->ops->preserve(pt);
}

static void noiommu_unpreserve_domain(struct iommu_domain *domain,
				      const struct iommu_domain_ser *ser)
{
	struct pt_iommu *pt = iommupt_from_domain(domain);

	pt->ops->unpreserve(pt);
}

static int noiommu_can_replace(struct device *dev)
{
	return 0;
}

static int noiommu_preserve_device(struct device *dev,
				   struct iommu_domain *domain,
				   struct iommu_device_ser *ser)
{
	int ret;

	ret = liveupdate_require(!to_pci_dev(dev)->is_virtfn, &rule_iommu_vf,
				 "%s", dev_name(dev));
	if (!ret)
		dev_warn(dev, "liveupdate: no IOMMU keeps it to its memory, nor will one in the next kernel\n");
	return ret;
}

static void noiommu_unpreserve_device(struct device *dev,
				      const struct iommu_device_ser *ser)
{
}

/* There is no entry that could say something else. */
static const char *noiommu_compare_device(struct device *dev,
					  const struct iommu_ser_view *view,
					  const struct iommu_device_ser *ser)
{
	return NULL;
}

static void noiommu_change_top(struct pt_iommu *pt, phys_addr_t top_pa,
			       unsigned int top_level)
{
}

static spinlock_t *noiommu_get_top_lock(struct pt_iommu *pt)
{
	return &container_of(pt, struct noiommu_restored, amdv1.iommu)->lock;
}

static const struct pt_iommu_driver_ops noiommu_driver_ops = {
	.get_top_lock = noiommu_get_top_lock,
	.change_top = noiommu_change_top,
};

static void noiommu_restored_free(struct iommu_domain *domain)
{
	struct noiommu_restored *r =
		container_of(domain, struct noiommu_restored, domain);

	pt_iommu_deinit(&r->amdv1.iommu);
	kfree(r);
}

static const struct iommu_domain_ops noiommu_restored_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.free = noiommu_restored_free,
};

/* With the features of iommufd's own, so that the two can be compared. */
static struct iommu_domain *
noiommu_restore_domain(struct iommu_device *iommu,
		       const struct iommu_domain_ser *ser)
{
	struct pt_iommu_amdv1_cfg cfg = {
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE),
		.common.hw_max_vasz_lg2 = 64,
		.common.hw_max_oasz_lg2 = 52,
		.starting_level = ser->top_level,
	};
	struct noiommu_restored *r;
	int ret;

	r = kzalloc_obj(*r);
	if (!r)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&r->lock);
	r->amdv1.iommu.nid = NUMA_NO_NODE;
	r->amdv1.iommu.driver_ops = &noiommu_driver_ops;
	ret = pt_iommu_amdv1_restore(&r->amdv1, &cfg, ser->top_pa);
	if (ret) {
		kfree(r);
		return ERR_PTR(ret);
	}
	r->domain.ops = &noiommu_restored_ops;
	return &r->domain;
}

static void noiommu_show_iommu(struct liveupdate_view *v,
			       const struct iommu_hw_ser *hw)
{
	liveupdate_show_word(v, "type", "none");
}

static void noiommu_show_domain(struct liveupdate_view *v,
				const struct iommu_domain_ser *domain)
{
	liveupdate_show_word(v, "format", "amdv1");
}

/*
 * What is not here is done to a unit that is hardware, and this one is on no list
 * of such units.
 */
const struct iommu_liveupdate_ops iommu_liveupdate_noiommu_ops = {
	.name = "noiommu",
	.checks = &noiommu_ser_driver,
	.compatible = NOIOMMU_LIVEUPDATE_COMPATIBLE,
	.identify = noiommu_identify,
	.preserve_iommu = noiommu_preserve_iommu,
	.unpreserve_iommu = noiommu_unpreserve_iommu,
	.preserve_domain = noiommu_preserve_domain,
	.unpreserve_domain = noiommu_unpreserve_domain,
	.can_replace = noiommu_can_replace,
	.preserve_device = noiommu_preserve_device,
	.unpreserve_device = noiommu_unpreserve_device,
	.compare_device = noiommu_compare_device,
	.restore_domain = noiommu_restore_domain,
	.show_iommu = noiommu_show_iommu,
	.show_domain = noiommu_show_domain,
};

/* For the domains of iommufd, which can be a module */
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_noiommu_ops, "IOMMUFD_INTERNAL");

static bool host_has_iommu(void)
{
	guard(spinlock)(&iommu_device_lock);
	return !list_empty(&iommu_device_list);
}

/* The unit of a host without any, or NULL */
static struct iommu_device *find_noiommu_unit(void)
{
	return host_has_iommu() ? NULL : &noiommu_unit;
}

/* The unit of a device that no IOMMU driver has */
static struct iommu_device *noiommu_unit_of(struct device *dev)
{
	return &noiommu_unit;
}

/* Does the handover come from a host without an IOMMU? */
static bool noiommu_came;

static bool came_without_iommu(void)
{
	return noiommu_came;
}

static const struct iommu_hw_ser *find_noiommu_ser(void)
{
	static const struct iommu_liveupdate_unit unit = {};
	const struct iommu_hw_ser *hw = find_incoming_iommu(NOIOMMU_OPS, &unit);

	return IS_ERR(hw) ? NULL : hw;
}

/*
 * Read the handover: after PCI has found its devices, before any IOMMU driver asks, and
 * not under the lock of a group.
 */
static int __init noiommu_read(void)
{
	noiommu_came = is_kho_boot() && find_noiommu_ser();
	return 0;
}
fs_initcall(noiommu_read);

/* As when the device behind an IOMMU is probed */
static const char *noiommu_attach(const struct iommu_device_ser *ser)
{
	struct iommu_restored *r;

	guard(mutex)(&iommu_liveupdate_lock);
	r = restored_get(ser->domain);
	if (IS_ERR(r))
		return "its domain cannot be restored";
	attach_restored(r, ser);
	return NULL;
}

/* NULL if the device can go on, or why not. */
static const char *noiommu_take(const struct iommu_device_ser *ser)
{
	struct pci_dev *pdev;
	const char *why = NULL;

	pdev = pci_get_domain_bus_and_slot(ser->segment, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
	if (!pdev || !pci_liveupdate_running(pdev))
		why = "the PCI device is gone or was refused";
	else if (pdev->is_virtfn)
		why = rule_iommu_vf.why;
	else if (pdev->dev.iommu || host_has_iommu())
		why = now_iommu;
	else
		why = noiommu_attach(ser);
	if (!why)
		pci_warn(pdev, "liveupdate: goes on with its DMA, and no IOMMU keeps it to its memory\n");
	pci_dev_put(pdev);
	return why;
}

/*
 * It came running, and what translated for it in the previous kernel does not here. By
 * now no driver will ask for its entry any more. A physical function that came for its
 * virtual ones is a bus master, too, which an IOMMU had blocked.
 */
static void noiommu_refuse_others(void)
{
	struct pci_dev *pdev = NULL;
	u32 i;

	for_each_pci_dev(pdev)
		if (pci_liveupdate_incoming(pdev) && !pdev->dev.iommu &&
		    pdev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    !iommu_liveupdate_device_restored(&pdev->dev))
			pci_liveupdate_refuse(pdev, "no IOMMU translates for it in this kernel");

	guard(mutex)(&iommu_liveupdate_lock);
	for (i = 0; incoming && !host_has_iommu() && i < MAX_DEVICES; i++)
		if (incoming->state[i] == DEV_PENDING)
			drop_incoming(i);
}

/**
 * iommu_liveupdate_gone() - A device is out of the machine
 * @dev: The device. It was reset, or does not respond any more.
 *
 * It can reach no memory. One that came without an IOMMU leaves its restored domain
 * only now; behind an IOMMU it has done so when it was blocked.
 */
void iommu_liveupdate_gone(struct device *dev)
{
	const struct iommu_device_ser *ser;

	if (!came_without_iommu())
		return;
	ser = iommu_liveupdate_incoming_device(dev);
	if (ser)
		drop_incoming_free(ser - incoming->ho.devices);
}

/**
 * iommu_liveupdate_waits_for_reset() - Is a device that is found a removed one?
 * @dev: The device. PCI does not know it as incoming.
 *
 * Return: true if one at its place came without an IOMMU, and has not left its restored
 * domain: it was removed and could not be reset.
 */
bool iommu_liveupdate_waits_for_reset(struct device *dev)
{
	return came_without_iommu() && iommu_liveupdate_device_restored(dev);
}

/* Late: by now the drivers of IOMMUs have all devices that they come to have. */
static int __init noiommu_adopt(void)
{
	const struct iommu_device_ser *ser = NULL;
	const struct iommu_hw_ser *hw = noiommu_came ? find_noiommu_ser() : NULL;
	const char *why;

	if (!is_kho_boot())
		return 0;
	if (hw && !host_has_iommu())
		set_adopted(hw, &noiommu_unit);
	while (hw && (ser = iommu_liveupdate_next_incoming(hw, ser))) {
		why = noiommu_take(ser);
		if (why)
			iommu_liveupdate_drop_incoming(ser, why);
		else
			add_taint(TAINT_USER, LOCKDEP_STILL_OK);
	}
	noiommu_refuse_others();
	return 0;
}
late_initcall(noiommu_adopt);

static int __init noiommu_init(void)
{
	return iommu_liveupdate_register(NOIOMMU_OPS);
}
core_initcall(noiommu_init);

#else /* CONFIG_IOMMU_LIVEUPDATE_NOIOMMU */

static struct iommu_device *find_noiommu_unit(void)
{
	return NULL;
}

static struct iommu_device *noiommu_unit_of(struct device *dev)
{
	return NULL;
}

static bool came_without_iommu(void)
{
	return false;
}

#endif

#endif /* __IOMMU_LIVEUPDATE_NOIOMMU_H */
