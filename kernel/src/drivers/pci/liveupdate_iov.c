// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Virtual functions that go on working while the kernel is replaced
 *
 * A virtual function (VF) does its DMA with a requester ID of its own, and the IOMMU
 * translates it as that of any device. What it needs of its physical function (PF) is
 * that this keeps SR-IOV on, stays in D0 and is not reset. So a PF is for its VFs what a
 * bridge is for the devices below it: it is in the list of drivers/pci/liveupdate.c
 * with a count of those VFs, and the next kernel leaves it as it is until the last one
 * of them is finished.
 *
 * Happy path:
 *
 * 1. When the first VF of a PF is preserved, the PF gets into the list, and its SR-IOV
 *    capability is described: VF Enable, number and place of the VFs, page size, VF BARs
 *    and the sizes of these. From here on nobody can switch SR-IOV off: not by
 *    sriov_numvfs, nor by taking its driver from the PF.
 *
 * 2. The freeze compares it with the hardware. At the shutdown the PF is left alone as a
 *    bridge is, but for its interrupts. It stays a bus master if it was one, since
 *    there is hardware whose VFs stand still otherwise. Its own DMA is blocked by the IOMMU,
 *    like that of all that is not preserved.
 *
 * 3. The next kernel finds the PF in the list and compares. Nothing is written to the
 *    SR-IOV capability: what is normally set is read, and the sizes of the VF BARs are
 *    those of the handover, because a BAR is sized by writing to it. As soon as its VF
 *    BARs are claimed, its VFs are added: at boot in an initcall between the claim and
 *    the setup of IOMMUs, so that these find VFs among the devices. There is no
 *    wait of a second, and VF Enable is not written.
 *
 * 4. A VF that is in the list is incoming, as any device. One that is not is an ordinary
 *    device, with bus mastering off, and gets a driver by itself only if VFs of that PF did in the
 *    previous kernel (sriov_drivers_autoprobe). Until the last VF is finished only pci-pf-stub may
 *    have the PF, or the driver that has handed something over for it. Its own DMA begins with
 *    an empty domain. So does that of a PF which user space had: it is no less a bus master
 *    when nobody has it any more.
 *
 * A driver that does more for its VFs than switching them on and off (&struct
 * pci_liveupdate_pf_ops) knows things that no register says: which addresses a tenant
 * may use, for one. It writes them into the handover. In the shutdown it stops the PF's own DMA
 * and leaves alone what its VFs need. In the next kernel it finds the device as it was, asks
 * pci_liveupdate_pf_handover(), and does not reset it. What was handed over is kept until
 * then, also when all VFs are finished: the tenants are using them.
 *
 * Unhappy paths:
 *
 * - *SR-IOV differs from the handover*: the PF is refused, and SR-IOV is set up as in any
 *   kernel, which switches it off. Its VFs are gone, and with them their DMA. The
 *   IOMMU removes their entries before memory is given back.
 * - *A VF differs*: it is refused alone, and its siblings go on.
 * - *The IOMMU refuses the PF's unit*: then it refuses the VFs as well. The PF's bus
 *   mastering is switched off at once, and it is reset when no VF is incoming any more.
 * - *VF BARs cannot be claimed*: the VFs are not found, and the IOMMU removes their
 *   entries, as those of a device that is gone. SR-IOV stays as it is.
 * - *The PF was refused, and a driver has a VF*: the PF is not reset and gets no driver
 *   until no driver has a VF.
 * - *Nobody comes for the PF*: it needs nobody. Without a driver it stays as it is.
 * - *The next kernel has no driver that reads what is handed over*: reboot(2) says so, and
 *   nothing has happened.
 * - *The PF's driver finds a fault with it*: its probe fails, and the PF stays as it is,
 *   without a driver.
 * - *The PF is taken out of its slot*: pciehp removes what is on the bus of the slot last
 *   first, so VFs before their PF. Each waits for who has its file, as any device of
 *   VFIO's. Where the PF is the first, as with ACPI's hotplug or for VFs on another bus,
 *   the removal waits where a driver would be taken from the PF, until no session has a
 *   VF of it. Either way it has the lock under which devices come and go, so that no
 *   other one is found or removed meanwhile. To end or undo a session takes no such lock,
 *   and neither does the jump.
 *
 * PCI Express Base Specification, "Single Root I/O Virtualization and Sharing".
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/pci.h>
#include <linux/list.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_rule.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate_iov.h"
#include "pci.h"

static_assert(PCI_SRIOV_SER_BARS == PCI_SRIOV_NUM_BARS);

static bool is_64bit(u32 bar)
{
	return (bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
	       PCI_BASE_ADDRESS_MEM_TYPE_64;
}

/* What one page holds, and that is many: each PF has a card of its own, as a rule. */
#define MAX_PFS	((PAGE_SIZE - sizeof(struct pci_sriov_list_ser)) / \
		 sizeof(struct pci_sriov_ser))

/**
 * pci_liveupdate_iov_alone() - Does a PF work without another one?
 * @pf: The PF.
 *
 * Return: false if its Function Dependency Link names another PF.
 */
bool pci_liveupdate_iov_alone(struct pci_dev *pf)
{
	return pf->sriov->link == pf->devfn;
}

/**
 * pci_liveupdate_iov_addressed() - Do the registers say where the VF BARs are?
 * @pf: The PF; SR-IOV is on.
 *
 * Return: false if a VF BAR is where Enhanced Allocation says, for one.
 */
bool pci_liveupdate_iov_addressed(struct pci_dev *pf)
{
	unsigned int i;
	u32 bar, high;

	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++) {
		if (!pf->sriov->barsz[i])
			continue;
		pci_read_config_dword(pf, pf->sriov->pos + PCI_SRIOV_BAR + 4 * i, &bar);
		high = 0;
		if (is_64bit(bar))
			pci_read_config_dword(pf, pf->sriov->pos + PCI_SRIOV_BAR + 4 * i + 4,
					      &high);
		if (!high && !(bar & PCI_BASE_ADDRESS_MEM_MASK))
			return false;
	}
	return true;
}

/**
 * pci_liveupdate_iov_in_use() - Would the reset of a device take away a VF?
 * @dev: Any device, locked.
 *
 * Return: true if it is a PF of which a driver has a VF.
 */
bool pci_liveupdate_iov_in_use(struct pci_dev *dev)
{
	struct pci_dev *vf = NULL;

	if (!pci_num_vf(dev))
		return false;
	for_each_pci_dev(vf) {
		if (vf->is_virtfn && vf->physfn == dev && READ_ONCE(vf->dev.driver)) {
			pci_dev_put(vf);
			return true;
		}
	}
	return false;
}

/**
 * pci_liveupdate_iov_alloc() - Make room for PFs in the handover
 *
 * Return: an empty list, preserved; to be freed with kho_unpreserve_free(). NULL if
 * there is no memory.
 */
struct pci_sriov_list_ser *pci_liveupdate_iov_alloc(void)
{
	struct pci_sriov_list_ser *list = kho_alloc_preserve(PAGE_SIZE);

	return IS_ERR(list) ? NULL : list;
}

/**
 * pci_liveupdate_iov_room() - Is there room for one more PF?
 * @list: The list.
 *
 * Return: true if there is.
 */
bool pci_liveupdate_iov_room(const struct pci_sriov_list_ser *list)
{
	return list->nr_pfs < MAX_PFS;
}

/* What the registers say. The sizes cannot be read without writing to the BARs. */
static void describe(struct pci_dev *pf, int pos, struct pci_sriov_ser *ser)
{
	unsigned int i;

	memset(ser, 0, sizeof(*ser));
	ser->segment = pci_domain_nr(pf->bus);
	ser->bdf = pci_dev_id(pf);
	pci_read_config_word(pf, pos + PCI_SRIOV_CTRL, &ser->ctrl);
	pci_read_config_word(pf, pos + PCI_SRIOV_INITIAL_VF, &ser->initial_vfs);
	pci_read_config_word(pf, pos + PCI_SRIOV_NUM_VF, &ser->num_vfs);
	pci_read_config_word(pf, pos + PCI_SRIOV_VF_OFFSET, &ser->offset);
	pci_read_config_word(pf, pos + PCI_SRIOV_VF_STRIDE, &ser->stride);
	pci_read_config_word(pf, pos + PCI_SRIOV_VF_DID, &ser->vf_device);
	pci_read_config_dword(pf, pos + PCI_SRIOV_SYS_PGSIZE, &ser->page_size);
	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++)
		pci_read_config_dword(pf, pos + PCI_SRIOV_BAR + 4 * i,
				      &ser->bar[i]);
}

static u32 list_index(const struct pci_sriov_list_ser *list, struct pci_dev *pf)
{
	u64 key = pci_ser_key(pci_domain_nr(pf->bus), pci_dev_id(pf));
	u32 i;

	for (i = 0; i < list->nr_pfs; i++)
		if (pci_ser_key(list->pfs[i].segment, list->pfs[i].bdf) >= key)
			break;
	return i;
}

/* What @pf's driver has to say goes here. */
static struct pci_pf_driver_ser *driver_of(const struct pci_sriov_list_ser *list,
					   struct pci_dev *pf)
{
	const struct pci_sriov_ser *ser;

	ser = pci_ser_find_sriov(list, pci_domain_nr(pf->bus), pci_dev_id(pf));
	return ser && ser->driver_pa ? phys_to_virt(ser->driver_pa) : NULL;
}

/**
 * struct came - What a driver has handed over for a PF
 * @list: In came_list.
 * @pf: The PF.
 * @driver: A copy, which stays when the handover is given back.
 */
struct came {
	struct list_head list;
	struct pci_dev *pf;
	struct pci_pf_driver_ser driver;
};

static LIST_HEAD(came_list);
static DEFINE_MUTEX(came_lock);	/* Protects came_list; nests inside that of liveupdate.c */

static struct came *find_came(struct pci_dev *pf)
{
	struct came *came;

	lockdep_assert_held(&came_lock);
	list_for_each_entry(came, &came_list, list)
		if (came->pf == pf)
			return came;
	return NULL;
}

static const struct pci_liveupdate_pf_ops *ops_of(struct pci_dev *pf)
{
	const struct pci_driver *drv = READ_ONCE(pf->driver);

	return drv ? drv->liveupdate_pf : NULL;
}

static struct pci_pf_driver_ser *alloc_driver(const char *compatible, u32 size)
{
	struct pci_pf_driver_ser *driver;

	driver = kho_alloc_preserve(struct_size(driver, data, size));
	if (IS_ERR(driver))
		return NULL;
	strscpy_pad(driver->compatible, compatible);
	driver->size = size;
	return driver;
}

/**
 * pci_liveupdate_iov_alloc_driver() - Make room for what the driver of a PF hands over
 * @pf: The PF.
 * @driver: On success, the room; NULL if there is nothing to be handed over. If something came
 *	for the PF and no driver has taken it over, that is in it, and is handed on.
 *
 * Return: 0, or -ENOMEM.
 */
int pci_liveupdate_iov_alloc_driver(struct pci_dev *pf,
				    struct pci_pf_driver_ser **driver)
{
	const struct pci_liveupdate_pf_ops *ops = ops_of(pf);
	struct came *came;

	*driver = NULL;
	if (ops) {
		*driver = alloc_driver(ops->compatible, ops->size);
		return *driver ? 0 : -ENOMEM;
	}
	guard(mutex)(&came_lock);
	came = find_came(pf);
	if (!came)
		return 0;
	*driver = alloc_driver(came->driver.compatible, came->driver.size);
	if (!*driver)
		return -ENOMEM;
	memcpy((*driver)->data, came->driver.data, came->driver.size);
	return 0;
}

/**
 * pci_liveupdate_iov_insert() - Describe the SR-IOV capability of a PF
 * @list: Where to; it has room, and does not have the PF.
 * @pf: The PF; SR-IOV is on.
 * @driver: Room for what its driver hands over, or NULL. Goes with pci_liveupdate_iov_remove().
 */
void pci_liveupdate_iov_insert(struct pci_sriov_list_ser *list,
			       struct pci_dev *pf,
			       struct pci_pf_driver_ser *driver)
{
	u32 at = list_index(list, pf);
	struct pci_sriov_ser *ser = &list->pfs[at];
	unsigned int i;

	memmove(ser + 1, ser, sizeof(*ser) * (list->nr_pfs - at));
	describe(pf, pf->sriov->pos, ser);
	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++)
		if (pf->sriov->barsz[i])
			ser->bar_size_lg2[i] = ilog2(pf->sriov->barsz[i]);
	if (driver)
		ser->driver_pa = virt_to_phys(driver);
	list->nr_pfs++;
}

/**
 * pci_liveupdate_iov_remove() - Undo pci_liveupdate_iov_insert()
 * @list: The list.
 * @pf: The PF.
 *
 * Return: how many PFs the list still has.
 */
u32 pci_liveupdate_iov_remove(struct pci_sriov_list_ser *list,
			      struct pci_dev *pf)
{
	u32 at = list_index(list, pf);
	struct pci_sriov_ser *ser = &list->pfs[at];

	if (ser->driver_pa)
		kho_unpreserve_free(phys_to_virt(ser->driver_pa));
	list->nr_pfs--;
	memmove(ser, ser + 1, sizeof(*ser) * (list->nr_pfs - at));
	/* Nothing that is no longer true is handed over. */
	memset(&list->pfs[list->nr_pfs], 0, sizeof(*ser));
	return list->nr_pfs;
}

/**
 * pci_liveupdate_iov_has_drivers() - Does a driver of a PF hand something over?
 * @list: The PFs.
 *
 * Return: true if one does.
 */
bool pci_liveupdate_iov_has_drivers(const struct pci_sriov_list_ser *list)
{
	u32 i;

	for (i = 0; i < list->nr_pfs; i++)
		if (list->pfs[i].driver_pa)
			return true;
	return false;
}

/**
 * pci_liveupdate_iov_note_flags() - Write down what user space has set of PFs
 * @list: The PFs.
 * @reads: The loaded kernel knows of flags. One that does not sets all PFs up as a kernel does
 *	by itself, which the log says: no VF that goes on notices.
 *
 * Context: In reboot(2), before it is decided which version of the list is written. What user
 * space sets from then on does not come over.
 */
void pci_liveupdate_iov_note_flags(struct pci_sriov_list_ser *list, bool reads)
{
	struct pci_sriov_ser *ser;

	for (ser = list->pfs; ser < list->pfs + list->nr_pfs; ser++) {
		struct pci_dev *pf __free(pci_dev_put) =
			pci_get_domain_bus_and_slot(ser->segment,
						    PCI_BUS_NUM(ser->bdf),
						    ser->bdf & 0xff);

		ser->flags = 0;
		if (!pf || !pf->is_physfn || READ_ONCE(pf->sriov->drivers_autoprobe))
			continue;
		if (reads)
			ser->flags = PCI_SRIOV_SER_NO_AUTOPROBE;
		else
			pci_warn_once(pf, "liveupdate: the loaded kernel does not know of sriov_drivers_autoprobe: there VFs that nobody has preserved get drivers\n");
	}
}

/**
 * pci_liveupdate_iov_has_flags() - Is there something that only the newest version holds?
 * @list: The PFs.
 *
 * Return: true if a PF has flags.
 */
bool pci_liveupdate_iov_has_flags(const struct pci_sriov_list_ser *list)
{
	u32 i;

	for (i = 0; i < list->nr_pfs; i++)
		if (list->pfs[i].flags)
			return true;
	return false;
}

/**
 * pci_liveupdate_iov_ask_drivers() - Does the loaded kernel read what drivers hand over?
 * @list: The PFs; NULL if there are none.
 *
 * Return: 0, or -ENOEXEC; the reason is in the log.
 */
int pci_liveupdate_iov_ask_drivers(const struct pci_sriov_list_ser *list)
{
	const struct pci_pf_driver_ser *driver;
	int ret = 0;
	u32 i;

	for (i = 0; list && i < list->nr_pfs && !ret; i++) {
		if (!list->pfs[i].driver_pa)
			continue;
		driver = phys_to_virt(list->pfs[i].driver_pa);
		ret = luo_format_ask(driver->compatible);
	}
	return ret;
}

/**
 * pci_liveupdate_iov_driver_at() - Is this what a driver of a PF hands over?
 * @list: The PFs; NULL if there are none.
 * @pa: A physical address.
 *
 * Return: that, or NULL.
 */
void *pci_liveupdate_iov_driver_at(const struct pci_sriov_list_ser *list, u64 pa)
{
	u32 i;

	for (i = 0; list && i < list->nr_pfs; i++)
		if (pa && list->pfs[i].driver_pa == pa)
			return phys_to_virt(pa);
	return NULL;
}

static void fill(struct pci_dev *pf, const struct pci_liveupdate_pf_ops *ops,
		 struct pci_pf_driver_ser *driver)
{
	memset(driver->data, 0, driver->size);
	ops->fill(pf, driver->data);
}

/**
 * pci_liveupdate_iov_fill() - Have the driver of a PF write down what it hands over
 * @list: The PFs; NULL if there are none.
 * @pf: Any device that is in the list of devices.
 *
 * The PF does not lose its driver as long as it is in the list.
 *
 * Return: 0, or -EBUSY if the next kernel would refuse it, or if the driver came after the
 * first VF had been preserved; the reason is in the log.
 */
int pci_liveupdate_iov_fill(const struct pci_sriov_list_ser *list,
			    struct pci_dev *pf)
{
	const struct pci_liveupdate_pf_ops *ops = ops_of(pf);
	struct pci_pf_driver_ser *driver = driver_of(list, pf);
	const char *why;

	if (!ops || !pci_liveupdate_keeps_vfs(pf))
		return 0;
	if (driver && !strcmp(driver->compatible, ops->compatible)) {
		fill(pf, ops, driver);
		why = ops->check(pf, driver->data);
	} else {
		why = "its driver is a later one";
	}
	return liveupdate_require(!why, &rule_pci_pf_handover, "%s (%s)",
				  pci_name(pf), why ?: "no fault");
}

/**
 * pci_liveupdate_iov_stop() - The last that the driver of a PF does
 * @list: The PFs; NULL if there are none.
 * @pf: Any device.
 *
 * It stops the PF's own DMA, and writes down what it hands over once more: since it did so last,
 * user space and tenants may have changed something.
 *
 * Context: After the freeze, when the list does not change any more, so that this needs no lock;
 * the driver takes what it takes to have its interface down.
 */
void pci_liveupdate_iov_stop(const struct pci_sriov_list_ser *list,
			     struct pci_dev *pf)
{
	const struct pci_liveupdate_pf_ops *ops = ops_of(pf);
	struct pci_pf_driver_ser *driver = driver_of(list, pf);

	if (!ops || !driver)
		return;
	ops->stop(pf);
	fill(pf, ops, driver);
}

/**
 * pci_liveupdate_iov_free() - Give back the list of PFs that came
 * @list: The list.
 */
void pci_liveupdate_iov_free(const struct pci_sriov_list_ser *list)
{
	u32 i;

	for (i = 0; i < list->nr_pfs; i++)
		if (list->pfs[i].driver_pa)
			kho_restore_free(phys_to_virt(list->pfs[i].driver_pa));
	kho_restore_free((void *)list);
}

/**
 * pci_liveupdate_iov_take() - Keep what was handed over for a PF until its driver asks
 * @pf: The PF, which is taken over for its VFs.
 * @list: The PFs.
 */
void pci_liveupdate_iov_take(struct pci_dev *pf,
			     const struct pci_sriov_list_ser *list)
{
	const struct pci_pf_driver_ser *driver = driver_of(list, pf);
	struct came *came;

	if (!driver)
		return;
	/* Once, at boot: there is no second try, and VFs would be reset. */
	came = kvmalloc(struct_size(came, driver.data, driver->size),
			GFP_KERNEL | __GFP_NOFAIL);
	came->pf = pf;
	memcpy(&came->driver, driver, struct_size(driver, data, driver->size));
	guard(mutex)(&came_lock);
	list_add(&came->list, &came_list);
}

/**
 * pci_liveupdate_iov_forget() - Nobody takes a PF over any more
 * @pf: Any device.
 */
void pci_liveupdate_iov_forget(struct pci_dev *pf)
{
	struct came *came;

	guard(mutex)(&came_lock);
	came = find_came(pf);
	if (!came)
		return;
	list_del(&came->list);
	kvfree(came);
}

/* Nothing of it is used before it was checked. */
static bool is_good(const struct came *came, const struct pci_liveupdate_pf_ops *ops)
{
	const char *why;

	if (strcmp(came->driver.compatible, ops->compatible) ||
	    came->driver.size != ops->size)
		return false;
	why = ops->check(came->pf, came->driver.data);
	if (why)
		pci_err(came->pf, "liveupdate: handover of its driver (%s) cannot be used: %s\n",
			ops->compatible, why);
	return !why;
}

/**
 * pci_liveupdate_iov_hands_over() - Was something handed over that this driver reads?
 * @pf: A PF.
 * @drv: The driver; NULL: any.
 *
 * Return: true if there was, and nobody has taken the PF over yet.
 */
bool pci_liveupdate_iov_hands_over(struct pci_dev *pf, const struct pci_driver *drv)
{
	struct came *came;

	guard(mutex)(&came_lock);
	came = find_came(pf);
	if (!came || !drv)
		return came;
	return drv->liveupdate_pf && is_good(came, drv->liveupdate_pf);
}

/**
 * pci_liveupdate_pf_handover() - What was handed over for a PF
 * @pf: The PF.
 * @ops: Of the driver that is being bound to it.
 * @data: On success, the &struct pci_liveupdate_pf_ops.size bytes that the driver of the previous
 *	kernel has written; @ops' own check has found no fault with them.
 *
 * A driver that gets something must not reset the PF, nor do anything else that its VFs would
 * notice.
 *
 * Context: In the probe of the driver.
 * Return: true if something was handed over, VFs are on, and pci_liveupdate_pf_taken() was
 * not called since.
 */
bool pci_liveupdate_pf_handover(struct pci_dev *pf,
				const struct pci_liveupdate_pf_ops *ops, void *data)
{
	struct came *came;

	guard(mutex)(&came_lock);
	came = find_came(pf);
	if (!came || !pci_num_vf(pf) || !is_good(came, ops))
		return false;
	memcpy(data, came->driver.data, came->driver.size);
	return true;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_pf_handover);

/**
 * pci_liveupdate_pf_taken() - A driver has taken a PF over
 * @pf: The PF.
 *
 * From here on it is the driver's own affair what its VFs notice, as soon as these are finished.
 */
void pci_liveupdate_pf_taken(struct pci_dev *pf)
{
	pci_liveupdate_iov_forget(pf);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_pf_taken);

/**
 * pci_liveupdate_iov_differs() - Is the SR-IOV capability as it was described?
 * @dev: Any device.
 * @entry: What the list says of it.
 * @list: The PFs; NULL if there are none.
 *
 * Return: NULL if @dev has no virtual functions in the list, or is as described;
 * else the rule that it breaks.
 */
const struct liveupdate_rule *
pci_liveupdate_iov_differs(struct pci_dev *dev, const struct pci_dev_ser *entry,
			   const struct pci_sriov_list_ser *list)
{
	int pos = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_SRIOV);
	const struct pci_sriov_ser *ser;
	struct pci_sriov_ser now;

	if (!(entry->flags & PCI_DEV_SER_PF))
		return NULL;
	ser = pci_ser_find_sriov(list, entry->segment, entry->bdf);
	if (!ser || !pos)
		return &rule_pci_sriov;
	describe(dev, pos, &now);
	if (now.ctrl != ser->ctrl || now.vf_device != ser->vf_device)
		return &rule_pci_sriov;
	if (now.num_vfs != ser->num_vfs || now.offset != ser->offset ||
	    now.stride != ser->stride || now.initial_vfs != ser->initial_vfs)
		return &rule_pci_sriov_vfs;
	if (now.page_size != ser->page_size ||
	    memcmp(now.bar, ser->bar, sizeof(now.bar)))
		return &rule_pci_sriov_bars;
	return NULL;
}

/**
 * pci_liveupdate_iov_sizes() - How large are VF BARs that must not be touched?
 * @pf: A PF that is incoming.
 * @list: The PFs; NULL if there are none.
 * @sizes: %PCI_SRIOV_NUM_BARS words, or NULL; see pci_liveupdate_sriov_sizes().
 *
 * Return: true if its VFs are on.
 */
bool pci_liveupdate_iov_sizes(struct pci_dev *pf,
			      const struct pci_sriov_list_ser *list, u32 *sizes)
{
	const struct pci_sriov_ser *ser;
	unsigned int i;
	u64 mask;

	ser = pci_ser_find_sriov(list, pci_domain_nr(pf->bus), pci_dev_id(pf));
	if (!ser || !sizes)
		return ser;
	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++) {
		sizes[i] = 0;
		if (!ser->bar_size_lg2[i])
			continue;
		mask = ~((1ull << ser->bar_size_lg2[i]) - 1);
		sizes[i] = (u32)mask | (ser->bar[i] & ~PCI_BASE_ADDRESS_MEM_MASK);
		if (is_64bit(ser->bar[i]))
			sizes[++i] = mask >> 32;
	}
	return true;
}

/**
 * pci_liveupdate_sriov_buses() - Read where the VFs of a PF are
 * @dev: The PF, of which pci_liveupdate_sriov_sizes() says that it is left alone; its
 *	&struct pci_sriov is there.
 *
 * Offset and stride are those of the present number of VFs, and so is the number of
 * buses: for other numbers NumVFs would have to be written.
 *
 * Return: 0.
 */
int pci_liveupdate_sriov_buses(struct pci_dev *dev)
{
	struct pci_sriov *iov = dev->sriov;
	u16 num_vfs;

	pci_read_config_word(dev, iov->pos + PCI_SRIOV_NUM_VF, &num_vfs);
	pci_read_config_word(dev, iov->pos + PCI_SRIOV_VF_OFFSET, &iov->offset);
	pci_read_config_word(dev, iov->pos + PCI_SRIOV_VF_STRIDE, &iov->stride);
	iov->max_VF_buses = pci_iov_virtfn_bus(dev, num_vfs - 1);
	return 0;
}

/**
 * pci_liveupdate_iov_release() - VF BARs may be moved again
 * @pf: Any device.
 */
void pci_liveupdate_iov_release(struct pci_dev *pf)
{
	unsigned int i;

	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++)
		if (test_and_clear_bit(PCI_LIVEUPDATE_VF_BAR0 + i, &pf->liveupdate))
			pf->resource[PCI_IOV_RESOURCES + i].flags &= ~IORESOURCE_PCI_FIXED;
}

/**
 * pci_liveupdate_iov_inherit() - What user space has set for a PF in the previous kernel
 * @pf: Any device that is incoming; VFs of it are not found yet.
 * @list: The PFs; NULL if there are none.
 */
void pci_liveupdate_iov_inherit(struct pci_dev *pf,
				const struct pci_sriov_list_ser *list)
{
	const struct pci_sriov_ser *ser;

	ser = pci_ser_find_sriov(list, pci_domain_nr(pf->bus), pci_dev_id(pf));
	if (ser && ser->flags & PCI_SRIOV_SER_NO_AUTOPROBE)
		pci_vf_drivers_autoprobe(pf, false);
}

/* The VF BARs stay where they are from now on. Are all of them claimed already? */
static bool fix_bars(struct pci_dev *pf)
{
	struct resource *res;
	bool claimed = true;
	unsigned int i;

	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++) {
		res = &pf->resource[PCI_IOV_RESOURCES + i];
		if (!res->flags)
			continue;
		if (!(res->flags & IORESOURCE_PCI_FIXED)) {
			res->flags |= IORESOURCE_PCI_FIXED;
			set_bit(PCI_LIVEUPDATE_VF_BAR0 + i, &pf->liveupdate);
		}
		claimed &= !!res->parent;
	}
	return claimed;
}

/**
 * pci_liveupdate_iov_add() - Find the VFs that came with their PF
 * @pf: Any device.
 *
 * Adds nothing as long as the VF BARs are not claimed. At boot they are claimed after
 * devices were added, so that pci_liveupdate_iov_boot() calls this again. A VF that
 * cannot be added does not keep the others from it; the IOMMU blocks it, as it does what
 * is not there.
 *
 * Context: Process; may sleep.
 */
void pci_liveupdate_iov_add(struct pci_dev *pf)
{
	struct pci_sriov *iov = pf->sriov;
	u16 num_vfs, i;
	int ret;

	if (!pf->is_physfn || pci_num_vf(pf) ||
	    !pci_liveupdate_sriov_sizes(pf, NULL) || !fix_bars(pf))
		return;

	pci_read_config_word(pf, iov->pos + PCI_SRIOV_INITIAL_VF, &iov->initial_VFs);
	pci_read_config_word(pf, iov->pos + PCI_SRIOV_NUM_VF, &num_vfs);
	for (i = 0; i < min(num_vfs, iov->initial_VFs); i++) {
		ret = pci_iov_add_virtfn(pf, i);
		if (ret)
			pci_err(pf, "liveupdate: virtual function %u cannot be added: %pe\n",
				i, ERR_PTR(ret));
	}
	iov->num_VFs = num_vfs;
	pci_dbg(pf, "liveupdate: %u virtual functions since the previous kernel\n",
		num_vfs);
}

/* All that the firmware and the previous kernel have assigned is claimed by now. */
static int __init pci_liveupdate_iov_boot(void)
{
	struct pci_dev *dev = NULL;

	if (!is_kho_boot())
		return 0;
	pci_lock_rescan_remove();
	for_each_pci_dev(dev) {
		pci_liveupdate_iov_add(dev);
		if (!pci_num_vf(dev) && pci_liveupdate_sriov_sizes(dev, NULL))
			pci_err(dev, "liveupdate: its VF BARs cannot be claimed: its virtual functions are not found\n");
	}
	pci_unlock_rescan_remove();
	return 0;
}
fs_initcall_sync(pci_liveupdate_iov_boot);
