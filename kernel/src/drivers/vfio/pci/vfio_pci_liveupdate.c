// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Live update of vfio-pci devices
 *
 * The file of a VFIO cdev that is driven by vfio-pci can be preserved in a Live
 * Update session. The device goes on with its DMA while the kernel is replaced
 * by kexec. In the next kernel the session gives back a file of the device.
 *
 * Happy path:
 *
 * 1. User space has opened the cdev, bound it to an iommufd and attached it to
 *    a HWPT that is marked with a token. It preserves the memory (memfd), then
 *    the iommufd, then the file of the cdev, all in one session. The device
 *    can be used on; its mappings are frozen.
 *
 * 2. reboot(2): .freeze() checks that all still is as it was. From here on
 *    interrupts cannot be set up, nor configuration space written (-EBUSY), see
 *    vfio_pci_liveupdate_core.c. Then the devices are shut down, see
 *    drivers/pci/liveupdate.c: for this one it means that its interrupts are
 *    disabled. They are not handed over.
 *
 * 3. The next kernel: the device is found running. Opening its cdev or its
 *    group gives -EBUSY. User space retrieves the file from the session;
 *    vfio-pci is bound to the device at that point if it is not yet. Nobody
 *    need do that beforehand, and no other driver can have the device.
 *
 * 4. User space binds the file to the iommufd that it retrieved from the same
 *    session; any other gives -EPERM. The device is opened as it is: no reset,
 *    no bus master clear, no power transition; configuration space and BARs are
 *    those of the running device, MSI, MSI-X and INTx are off. Where INTx goes to is
 *    looked up when it is connected, see pci_liveupdate_enable_device(). The device is
 *    attached to the restored HWPT already, so the next VFIO_DEVICE_ATTACH_IOMMUFD_PT is
 *    a replace. User space sets up interrupts again and looks at the device
 *    once for what it would have signalled meanwhile.
 *
 * 5. User space attaches the HWPT that it has rebuilt, and finishes the
 *    session. The device is like any other from now on: it can be reset, and is
 *    reset when the last file is closed.
 *
 * Unhappy paths:
 *
 * - *Cannot be preserved*: each refusal is told in the log. A group's file, a
 *   file that is not bound (-EINVAL), a display, a device in a low power state or
 *   with low power entry engaged (-EBUSY), an iommufd that is not preserved in this
 *   session (-ENOENT), and what iommufd and the PCI core refuse. BARs may be exported
 *   (dma-buf): that ends with this kernel. A device that goes on cannot have them in
 *   its HWPT, which iommufd sees to; DMA of devices that are not preserved ends with this
 *   kernel anyway.
 * - *Undone before the jump*: closing the session calls .unpreserve(); nothing
 *   is left.
 * - *Changed before the jump*: user space has put the device to sleep or detached
 *   it since. .freeze() fails, reboot(2) gives the error back and nothing has
 *   changed. While reboot(2) is under way, resets and low power states give -EBUSY.
 * - *Virtual functions, and who may open them*: see vfio_pci_liveupdate_core.c.
 * - *The handover cannot be used*: the PCI core or the IOMMU code has refused
 *   the device; it is blocked and reset. Retrieving the file gives -ENODEV. The
 *   session can be finished, since nothing of the device runs any more.
 * - *The data of the file is damaged*: retrieving it gives -EINVAL. It is not
 *   known which device was meant, and it may be running. The session cannot be
 *   finished, so that its memory stays where it is.
 * - *No IOMMU translates for it* (VFIO's no-IOMMU mode): retrieving the file gives
 *   -EPERM without CAP_SYS_RAWIO, or if vfio.enable_unsafe_noiommu_mode is off. The
 *   device goes on, and retrieving it can be tried again.
 * - *Asked to do what would stop it*: VFIO_DEVICE_RESET, hot reset, function
 *   level reset by a write to configuration space and low power states give
 *   -EBUSY, or do nothing, until the session is finished.
 * - *User space crashes*: the session holds the file, so the device is not
 *   closed. It goes on with its DMA to where the restored HWPT says, or the one
 *   that the process had attached. The next process retrieves the session and
 *   the same file, and starts over: binding a bound file to the same iommufd
 *   gives the same id. Once nothing is waited for any more, the end of the
 *   process finishes the session, and the device is closed as any other.
 * - *Removed*: waits for the file to be closed, if there is one. Otherwise see
 *   drivers/pci/liveupdate.c.
 * - *Opening fails halfway*: the device is let go as it is, running, and can be
 *   bound again.
 * - *Finished too early*: as long as the file is not retrieved, or the device is
 *   still attached to the restored HWPT, finishing the session gives -EBUSY.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/iommu-liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_kho_mem.h>
#include <linux/liveupdate_retry.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include <linux/vfio.h>
#include <linux/vfio_liveupdate.h>

#include "vfio_pci_liveupdate.h"
#include "vfio_pci_liveupdate_rules.h"
#include "vfio_pci_priv.h"

/* The layout is a contract; see include/linux/kho/abi/vfio_pci.h. */
static_assert(sizeof(struct vfio_pci_ser) == 32);
static_assert(offsetof(struct vfio_pci_ser, bdf) == 8);
static_assert(offsetof(struct vfio_pci_ser, vf_token) == 16);

static struct pci_driver *vfio_pci_liveupdate_driver;
static const struct vfio_device_ops *vfio_pci_liveupdate_ops;
static unsigned int vfio_pci_liveupdate_registered;

static struct vfio_pci_core_device *vfio_pci_liveupdate_vdev(struct file *file)
{
	return container_of(vfio_liveupdate_device(file),
			    struct vfio_pci_core_device, vdev);
}

/* The version that this handler writes */
static u32 handler_version(const struct liveupdate_file_handler *handler)
{
	return strcmp(handler->compatible, VFIO_PCI_LIVEUPDATE_COMPATIBLE_V1) ?
	       VFIO_PCI_SER_VERSION : VFIO_PCI_SER_VERSION_1;
}

static bool has_token(struct vfio_pci_core_device *vdev, u32 version)
{
	return vfio_pci_core_liveupdate_token(vdev, NULL) ==
	       (version == VFIO_PCI_SER_VERSION);
}

/*
 * Claims files that cannot be preserved, too, so as to be able to say why. The version
 * before is written for what has no token.
 */
static bool
vfio_pci_liveupdate_can_preserve(struct liveupdate_file_handler *handler,
				 struct file *file)
{
	struct vfio_device *device = vfio_liveupdate_device(file);

	return device && device->ops == vfio_pci_liveupdate_ops &&
	       has_token(vfio_pci_liveupdate_vdev(file), handler_version(handler));
}

/* May the device be handed over in the state that it is in? */
static int vfio_pci_liveupdate_check(struct vfio_pci_core_device *vdev,
				     struct file *file, u32 version)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	lockdep_assert_held(&vdev->vdev.dev_set->lock);

	ret = liveupdate_require(!vfio_liveupdate_check_bound(file) &&
				 vdev->vdev.iommufd_device, &rule_vfio_unbound,
				 "%s", pci_name(pdev));
	if (ret)
		return ret;

	guard(rwsem_read)(&vdev->memory_lock);
	return liveupdate_require(has_token(vdev, version),
				  &rule_vfio_vf_token, "%s", pci_name(pdev)) ?:
	       liveupdate_require(!vdev->vdev.mig_ops, &rule_vfio_migration,
				  "%s", pci_name(pdev)) ?:
	       liveupdate_require(!pci_is_vga(pdev) &&
				  !vfio_pci_is_intel_display(pdev) &&
				  !vdev->has_vga && !vdev->num_regions,
				  &rule_vfio_display, "%s", pci_name(pdev)) ?:
	       liveupdate_require(!vdev->pm_runtime_engaged &&
				  pdev->current_state == PCI_D0,
				  &rule_vfio_low_power, "%s", pci_name(pdev));
}

static int vfio_pci_liveupdate_preserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	struct pci_dev *pdev = vdev->pdev;
	struct iommufd_device *idev;
	struct iommufd_ctx *ictx;
	struct vfio_pci_ser *ser;
	int ret;

	guard(mutex)(&vdev->vdev.dev_set->lock);
	ret = vfio_pci_liveupdate_check(vdev, args->file,
					handler_version(args->handler));
	if (ret)
		return ret;

	ictx = vfio_iommufd_device_ictx(&vdev->vdev);
	ret = liveupdate_require(!iommufd_liveupdate_in_session(ictx, args->session),
				 &rule_vfio_iommufd, "%s", pci_name(pdev));
	if (ret)
		return ret;

	ser = kho_alloc_preserve(sizeof(*ser));
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	idev = vdev->vdev.iommufd_device;
	ret = iommufd_device_liveupdate_preserve(idev);
	if (ret)
		goto err_free;

	ret = pci_liveupdate_preserve(pdev);
	if (ret)
		goto err_iommufd;

	ser->version = handler_version(args->handler);
	if (ser->version == VFIO_PCI_SER_VERSION)
		vfio_pci_core_liveupdate_token(vdev, ser->vf_token);
	ser->segment = pci_domain_nr(pdev->bus);
	ser->bdf = pci_dev_id(pdev);
	args->serialized_data = virt_to_phys(ser);
	args->private_data = ser;
	return 0;

err_iommufd:
	iommufd_device_liveupdate_unpreserve(idev);
err_free:
	kho_unpreserve_free(ser);
	return ret;
}

static void vfio_pci_liveupdate_unpreserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	pci_liveupdate_unpreserve(vdev->pdev);
	iommufd_device_liveupdate_unpreserve(vdev->vdev.iommufd_device);
	kho_unpreserve_free(args->private_data);
}

static void __vfio_pci_liveupdate_unfreeze(struct vfio_pci_core_device *vdev)
{
	pci_liveupdate_unfreeze(vdev->pdev);
	vfio_pci_core_liveupdate_unfreeze(vdev);
}

/* First nothing can change any more, then it is looked at. */
static int vfio_pci_liveupdate_freeze(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	int ret;

	guard(mutex)(&vdev->vdev.dev_set->lock);
	ret = pci_liveupdate_freeze(vdev->pdev);
	if (ret) {
		/* It was frozen for a moment. */
		vfio_pci_core_liveupdate_unfreeze(vdev);
		return ret;
	}
	vfio_pci_core_liveupdate_freeze(vdev);

	ret = vfio_pci_liveupdate_check(vdev, args->file,
					handler_version(args->handler));
	if (ret)
		goto err_unfreeze;

	ret = iommufd_device_liveupdate_freeze(vdev->vdev.iommufd_device);
	if (ret)
		goto err_unfreeze;
	return 0;

err_unfreeze:
	__vfio_pci_liveupdate_unfreeze(vdev);
	return ret;
}

static void vfio_pci_liveupdate_unfreeze(struct liveupdate_file_op_args *args)
{
	__vfio_pci_liveupdate_unfreeze(vfio_pci_liveupdate_vdev(args->file));
}

/*
 * NULL, and why, if the data of a file cannot be used. It is asked whenever somebody
 * looks or tries to finish. So it does not write to the log: retrieving the file does,
 * which fails for good, and the view says it at any time.
 */
static struct vfio_pci_ser *
vfio_pci_liveupdate_ser(const struct liveupdate_file_op_args *args,
			const char **why)
{
	const struct vfio_pci_ser *ser;
	struct liveupdate_kho_mem kho;

	liveupdate_kho_mem_init(&kho);
	*why = vfio_pci_ser_check(&kho.mem, args->serialized_data,
				  handler_version(args->handler), &ser);
	liveupdate_kho_mem_destroy(&kho);
	return *why ? NULL : (struct vfio_pci_ser *)ser;
}

/* The device that was meant, with a reference; NULL if it is not there. */
static struct pci_dev *vfio_pci_liveupdate_pdev(const struct vfio_pci_ser *ser)
{
	return pci_get_domain_bus_and_slot(ser->segment, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
}

/*
 * As writing to driver_override and drivers_probe would. Without an IOMMU a device gets
 * its driver only if VFIO's no-IOMMU mode is allowed, and that can be done later.
 */
static int vfio_pci_liveupdate_bind(struct pci_dev *pdev)
{
	int ret;

	if (READ_ONCE(pdev->dev.driver))
		return 0;

	ret = device_set_driver_override(&pdev->dev,
					 vfio_pci_liveupdate_driver->name);
	if (ret)
		return ret;

	ret = device_driver_attach(&vfio_pci_liveupdate_driver->driver,
				   &pdev->dev);
	/* It does not matter who was first, as long as it is vfio-pci. */
	if (ret == -EBUSY)
		return 0;
	return ret == -EINVAL && !pdev->dev.iommu ? -EPERM : ret;
}

static int vfio_pci_liveupdate_reopen(struct liveupdate_file_op_args *args)
{
	struct pci_dev *pdev __free(pci_dev_put) = NULL;
	struct vfio_pci_core_device *vdev;
	struct vfio_pci_ser *ser;
	struct file *file;
	const char *why;
	int ret = 0;

	ser = vfio_pci_liveupdate_ser(args, &why);
	if (!ser) {
		pr_err("data of a vfio-pci file at %#llx refused: %s\n",
		       args->serialized_data, why);
		return -EINVAL;
	}

	pdev = vfio_pci_liveupdate_pdev(ser);
	if (!pdev) {
		pr_err("%04x:%02x:%02x.%d of a vfio-pci file is not there\n", ser->segment,
		       PCI_BUS_NUM(ser->bdf), PCI_SLOT(ser->bdf),
		       PCI_FUNC(ser->bdf));
		return -ENODEV;
	}
	if (!pci_liveupdate_running(pdev)) {
		pci_err(pdev, "liveupdate: cannot be retrieved: was not taken over\n");
		return -ENODEV;
	}

	/* Which knows who may open a VF, whosever session the PF is in. */
	if (pdev->is_virtfn && pci_liveupdate_running(pci_physfn(pdev)))
		ret = vfio_pci_liveupdate_bind(pci_physfn(pdev));
	if (!ret)
		ret = vfio_pci_liveupdate_bind(pdev);
	if (ret) {
		/* If for want of memory, user space can try as often as it likes. */
		dev_err_ratelimited(&pdev->dev,
				    "liveupdate: cannot be retrieved: cannot bind %s: %pe\n",
				    vfio_pci_liveupdate_driver->name,
				    ERR_PTR(ret));
		return ret;
	}

	guard(device)(&pdev->dev);
	if (pdev->driver != vfio_pci_liveupdate_driver) {
		pci_err(pdev, "liveupdate: cannot be retrieved: is not bound to %s\n",
			vfio_pci_liveupdate_driver->name);
		return -ENODEV;
	}

	vdev = dev_get_drvdata(&pdev->dev);
	why = vfio_pci_core_liveupdate_came(vdev, ser->version == VFIO_PCI_SER_VERSION ?
						  ser->vf_token : NULL);
	if (why) {
		pci_err(pdev, "liveupdate: cannot be retrieved: %s\n", why);
		return -EINVAL;
	}
	file = vfio_liveupdate_open(&vdev->vdev);
	if (IS_ERR(file))
		return PTR_ERR(file);
	args->file = file;
	return 0;
}

static int vfio_pci_liveupdate_retrieve(struct liveupdate_file_op_args *args)
{
	int ret = vfio_pci_liveupdate_reopen(args);

	/*
	 * A device that got its driver keeps it; no other one can have it. EPERM says
	 * that no IOMMU translates for it, and that the process may not have it.
	 */
	args->retry = liveupdate_transient(ret) || ret == -EPERM;
	return ret;
}

static bool vfio_pci_liveupdate_can_finish(struct liveupdate_file_op_args *args)
{
	struct pci_dev *pdev __free(pci_dev_put) = NULL;
	struct vfio_pci_ser *ser;
	const char *why;

	if (!args->retrieve_status || luo_back_armed())
		return false;

	if (args->retrieve_status > 0) {
		struct vfio_pci_core_device *vdev =
			vfio_pci_liveupdate_vdev(args->file);

		return !iommu_liveupdate_device_restored(&vdev->pdev->dev);
	}

	/* It can go if the device has gone, or was stopped. */
	ser = vfio_pci_liveupdate_ser(args, &why);
	if (!ser)
		return false;
	pdev = vfio_pci_liveupdate_pdev(ser);
	return !pdev || !pci_liveupdate_running(pdev);
}

/*
 * When the device was opened there was no state that could be restored at
 * close. There is now, since a reset is allowed again: the settings that the
 * device has, but not that it is running.
 */
static void vfio_pci_liveupdate_save_state(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	lockdep_assert_held(&vdev->vdev.dev_set->lock);
	if (!vdev->vdev.open_count || vdev->pci_saved_state)
		return;

	guard(rwsem_write)(&vdev->memory_lock);
	pci_save_state(pdev);
	pdev->saved_config_space[PCI_COMMAND / 4] &= ~PCI_COMMAND_MASTER;
	vdev->pci_saved_state = pci_store_saved_state(pdev);
	if (!vdev->pci_saved_state)
		pci_dbg(pdev, "%s: Couldn't store saved state\n", __func__);
}

static void vfio_pci_liveupdate_finish(struct liveupdate_file_op_args *args)
{
	const char *why;

	if (args->retrieve_status > 0) {
		struct vfio_pci_core_device *vdev =
			vfio_pci_liveupdate_vdev(args->file);

		guard(mutex)(&vdev->vdev.dev_set->lock);
		if (pci_liveupdate_incoming(vdev->pdev))
			vfio_pci_liveupdate_save_state(vdev);
		pci_liveupdate_finish(vdev->pdev);
	}
	kho_restore_free(vfio_pci_liveupdate_ser(args, &why));
}

static void vfio_pci_liveupdate_show(struct liveupdate_view *v,
				     const struct liveupdate_file_op_args *args)
{
	const struct vfio_pci_ser *ser = args->private_data;
	const char *why = NULL;
	bool bound;

	if (v->incoming)
		ser = vfio_pci_liveupdate_ser(args, &why);
	if (why) {
		liveupdate_show_word(v, "by", "vfio");
		liveupdate_show_text(v, "why", why);
	}
	if (!ser)
		return;
	liveupdate_show_bdf(v, "device", ser->segment, ser->bdf);
	if (!args->file) {
		if (!args->retrieve_status)
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_BIND);
		return;
	}
	/* May change any moment; that is all that this lets one see. */
	bound = READ_ONCE(vfio_pci_liveupdate_vdev(args->file)->vdev.iommufd_device);
	liveupdate_show_word(v, "bound", bound ? "yes" : "no");
	if (v->incoming && !bound)
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_BIND);
}

static const struct liveupdate_file_ops vfio_pci_liveupdate_file_ops = {
	.can_preserve = vfio_pci_liveupdate_can_preserve,
	.preserve = vfio_pci_liveupdate_preserve,
	.unpreserve = vfio_pci_liveupdate_unpreserve,
	.freeze = vfio_pci_liveupdate_freeze,
	.unfreeze = vfio_pci_liveupdate_unfreeze,
	.retrieve = vfio_pci_liveupdate_retrieve,
	.can_finish = vfio_pci_liveupdate_can_finish,
	.finish = vfio_pci_liveupdate_finish,
	.show = vfio_pci_liveupdate_show,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler vfio_pci_liveupdate_handlers[] = {
	{
		.ops = &vfio_pci_liveupdate_file_ops,
		.compatible = VFIO_PCI_LIVEUPDATE_COMPATIBLE_V1,
	},
	{
		.ops = &vfio_pci_liveupdate_file_ops,
		.compatible = VFIO_PCI_LIVEUPDATE_COMPATIBLE,
	},
};

static int vfio_pci_liveupdate_register(struct liveupdate_file_handler *handler)
{
	int ret;

	ret = liveupdate_register_file_handler(handler);
	if (ret)
		return ret;
	ret = pci_liveupdate_register_flb(handler) ?:
	      iommu_liveupdate_register_flb(handler);
	/* Takes the FLBs with it. */
	if (ret)
		liveupdate_unregister_file_handler(handler);
	return ret;
}

/**
 * vfio_pci_liveupdate_init() - Make files of vfio-pci preservable
 * @driver: The driver; registered.
 * @ops: The operations of its VFIO devices.
 *
 * vfio-pci works without it, so an error is only told.
 */
void vfio_pci_liveupdate_init(struct pci_driver *driver,
			      const struct vfio_device_ops *ops)
{
	unsigned int i;
	int ret;

	vfio_pci_liveupdate_driver = driver;
	vfio_pci_liveupdate_ops = ops;

	for (i = 0; i < ARRAY_SIZE(vfio_pci_liveupdate_handlers); i++) {
		ret = vfio_pci_liveupdate_register(&vfio_pci_liveupdate_handlers[i]);
		if (ret == -EOPNOTSUPP)
			return;	/* No liveupdate=on */
		if (ret)
			goto err;
		vfio_pci_liveupdate_registered++;
	}
	return;

err:
	vfio_pci_liveupdate_cleanup();
	vfio_pci_liveupdate_registered = 0;
	pr_warn("devices cannot be preserved: %pe\n", ERR_PTR(ret));
}

/**
 * vfio_pci_liveupdate_cleanup() - Undo vfio_pci_liveupdate_init()
 *
 * There is no preserved file: each one holds a reference to the module.
 */
void vfio_pci_liveupdate_cleanup(void)
{
	unsigned int i = vfio_pci_liveupdate_registered;

	while (i--)
		liveupdate_unregister_file_handler(&vfio_pci_liveupdate_handlers[i]);
}

MODULE_IMPORT_NS("IOMMUFD");
