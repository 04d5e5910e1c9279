// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damage the handover on purpose: liveupdate.corrupt=BDF,EDIT[,EDIT...]
 *
 * Written to /sys/module/liveupdate/parameters/corrupt before the kexec. The
 * damage is done by the outgoing kernel in the last moment before the jump, after
 * all else that it does for the handover. BDF (0000:00:04.0) is the device that is
 * meant. What an edit is says damage.c; here is only where things are. The damages
 * that are tried, and what the next kernel says of each, are in tests/damages.
 *
 * What hardware itself reads goes on being read until the next kernel has
 * decided. A damage there leaves its translations as they are, but for reserved
 * bits, for which the hardware may refuse requests of that device.
 */
#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho/abi/luo.h>
#include <linux/liveupdate_lab.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../../../fs/guestmemfs/guestmemfs.h"
#include "damage.h"

#define MAX_SPEC	256

/* Intel VT-d specification, "9.1 Root Entry" to "9.6 PASID Table Entry" */
#define VTD_ADDR	GENMASK_ULL(51, 12)
#define VTD_PRESENT	BIT_ULL(0)

static struct luo_ser *handover;
static char corrupt_spec[MAX_SPEC];
static const char *corrupt_edits;	/* in there, or NULL */
static u32 corrupt_segment;
static u16 corrupt_bdf;

/**
 * liveupdate_corrupt_note() - Something is handed over that can be damaged
 * @luo: Root of it all.
 */
void liveupdate_corrupt_note(struct luo_ser *luo)
{
	handover = luo;
}

/* "Device Table Entry Format" of the AMD IOMMU specification: four words */
static void find_entry(struct damage_victim *v)
{
	const struct amd_hw_ser *hw = (void *)v->hw->part;

	v->dte = phys_to_virt(hw->table_pa);
	v->dte += v->device->bdf * 4;
	v->top = phys_to_virt(v->domain->top_pa);
}

/* "Stream Table Entry", "Context Descriptor" of Arm's SMMUv3 specification: eight words */
static void find_stream(struct damage_victim *v)
{
	const struct smmuv3_device_ser *device = (void *)v->device->part;
	const struct smmuv3_hw_ser *hw = (void *)v->hw->part;

	v->ste = phys_to_virt(device->l2_pa ?: hw->strtab_pa);
	v->ste += (device->l2_pa ? device->sid & 0xff : device->sid) * 8;
	v->cd = phys_to_virt(device->cd_pa);
	v->top = phys_to_virt(v->domain->top_pa);
}

static void find_tables(struct damage_victim *v)
{
	const struct intel_device_ser *device = (void *)v->device->part;
	const struct intel_hw_ser *hw = (void *)v->hw->part;
	bool scalable = hw->flags & INTEL_HW_SER_SCALABLE;
	unsigned int devfn = v->device->bdf & 0xff;

	v->root = phys_to_virt(hw->root_pa);
	v->root += PCI_BUS_NUM(v->device->bdf) * 2;
	if (scalable && devfn >= 0x80)
		v->root++;
	v->ctx = phys_to_virt(device->entry_pa);
	v->ctx += scalable ? devfn % 0x80 * 4 : devfn * 2;
	if (!scalable)
		v->stranger = v->ctx + 2 * (7 - PCI_FUNC(devfn));
	v->top = phys_to_virt(v->domain->top_pa);
	if (!device->pasid_pa)
		return;
	v->dir = phys_to_virt(device->pasid_pa);
	if (!(v->dir[0] & VTD_PRESENT))
		return;
	v->pasid = phys_to_virt(v->dir[0] & VTD_ADDR);
	v->pasid_entry = (struct damage_pasid *)v->pasid;
	if (device->nr_pasids)
		v->listed = phys_to_virt(device->pasids_pa);
}

static void find_iommu(struct damage_victim *v)
{
	struct iommu_domain_ser *domains = phys_to_virt(v->iommu->domains_pa);
	struct iommu_hw_ser *hws = phys_to_virt(v->iommu->iommus_pa);
	unsigned int i;

	v->devices = phys_to_virt(v->iommu->devices_pa);
	for (i = 0; i < IOMMU_SER_MAX_DEVICES; i++) {
		struct iommu_device_ser *d = &v->devices[i];

		if (!(d->flags & IOMMU_SER_USED))
			continue;
		if (d->segment == corrupt_segment && d->bdf == corrupt_bdf)
			v->device = d;
		else if (!v->other)
			v->other = d;
	}
	if (v->other)
		v->other_domain = &domains[v->other->domain];
	if (!v->device)
		return;
	v->domain = &domains[v->device->domain];
	v->hw = &hws[v->device->iommu];
	if (v->hw->type == IOMMU_SER_TYPE_AMD)
		find_entry(v);
	else if (v->hw->type == IOMMU_SER_TYPE_SMMUV3)
		find_stream(v);
	else
		find_tables(v);
}

/* The device is a virtual function. */
static void find_pf(struct damage_victim *v)
{
	u32 i;

	for (i = 0; i < v->pci->nr_devices; i++) {
		struct pci_dev_ser *d = &v->pci->devices[i];

		if (d->segment == v->pci_dev->segment && d->bdf == v->pci_dev->pf)
			v->pf = d;
	}
	v->pfs = phys_to_virt(v->pci->sriov_pa);
	for (i = 0; i < v->pfs->nr_pfs; i++) {
		struct pci_sriov_ser *s = &v->pfs->pfs[i];

		if (s->segment == v->pci_dev->segment && s->bdf == v->pci_dev->pf)
			v->sriov = s;
	}
	if (!v->sriov || !v->sriov->driver_pa)
		return;
	v->driver = phys_to_virt(v->sriov->driver_pa);
	if (!strcmp(v->driver->compatible, IGB_LIVEUPDATE_COMPATIBLE))
		v->igb = (void *)v->driver->data;
}

static void find_pci(struct damage_victim *v)
{
	u32 i;

	for (i = 0; i < v->pci->nr_devices; i++) {
		struct pci_dev_ser *d = &v->pci->devices[i];

		if (d->segment == v->device->segment &&
		    d->bdf == v->device->bdf)
			v->pci_dev = d;
		if (d->flags & PCI_DEV_SER_BRIDGE &&
		    d->segment == v->device->segment &&
		    d->secondary == v->device->bdf >> 8)
			v->bridge = d;
	}
	if (v->pci_dev && v->pci_dev->flags & PCI_DEV_SER_VF && v->pci->sriov_pa)
		find_pf(v);
}

/* Is @compatible a version of this format? */
static bool is_format(const char *compatible, const char *format)
{
	return str_has_prefix(compatible, format);
}

/* What goes with files (FLB) */
static void *find_flb(const char *format)
{
	struct luo_flb_header_ser *header = phys_to_virt(handover->flbs_pa);
	struct luo_flb_ser *flbs = (void *)(header + 1);
	u64 i;

	for (i = 0; i < header->count; i++)
		if (is_format(flbs[i].name, format))
			return phys_to_virt(flbs[i].data);
	return NULL;
}

/* The first file of a session; with @device, the one of this device. */
static struct luo_file_ser *find_file_of(const struct luo_session_ser *session,
					 const char *format,
					 const struct iommu_device_ser *device)
{
	struct kho_block_header_ser *block;
	u64 i, pa;

	for (pa = session->file_set_ser.files; pa; pa = block->next) {
		struct luo_file_ser *files;

		block = phys_to_virt(pa);
		files = (void *)(block + 1);
		for (i = 0; i < block->count; i++) {
			struct vfio_pci_ser *vfio;

			if (!is_format(files[i].compatible, format))
				continue;
			if (!device)
				return &files[i];
			vfio = phys_to_virt(files[i].data);
			if (vfio->segment == device->segment && vfio->bdf == device->bdf)
				return &files[i];
		}
	}
	return NULL;
}

static struct luo_file_ser *find_entry_of(const char *format,
					  const struct iommu_device_ser *device)
{
	struct kho_block_header_ser *block;
	struct luo_file_ser *found;
	u64 i, pa;

	for (pa = handover->sessions_pa; pa; pa = block->next) {
		struct luo_session_ser *sessions;

		block = phys_to_virt(pa);
		sessions = (void *)(block + 1);
		for (i = 0; i < block->count; i++) {
			found = find_file_of(&sessions[i], format, device);
			if (found)
				return found;
		}
	}
	return NULL;
}

static void *find_file(const char *format, const struct iommu_device_ser *device)
{
	const struct luo_file_ser *file = find_entry_of(format, device);

	return file ? phys_to_virt(file->data) : NULL;
}

#if IS_ENABLED(CONFIG_GUESTMEMFS)
static void find_guestmemfs(struct damage_victim *v)
{
	const struct guestmemfs_image *image = &guestmemfs.image;
	struct luo_file_ser *file = find_entry_of("guestmemfs-file-", NULL);

	if (file)
		v->guestmem = (void *)&file->data;
	if (!image->state)
		return;
	/* The layout that is used can be each of the two in front of it. */
	v->layout = (void *)image->state - 2 * GUESTMEMFS_PAGE;
	v->state = image->state;
	v->inode = image->inodes;
	v->extent = image->extents;
}
#else
static void find_guestmemfs(struct damage_victim *v)
{
}
#endif

static void find_files(struct damage_victim *v)
{
	v->iommufd = find_file("iommufd-", NULL);
	v->vfio = find_file("vfio-pci-", v->device);
	v->memfd = find_file("memfd-", NULL);
	v->huge = find_file("hugetlb-memfd-", NULL);
	v->pools = find_flb("hugetlb-v");
	if (v->huge && v->huge->list) {
		v->runs = phys_to_virt(v->huge->list);
		v->run = (void *)v->runs->run;
	}
	if (!v->memfd || !v->memfd->nr_folios)
		return;
	v->chunk = phys_to_virt(v->memfd->folios.first.phys);
	v->folio = phys_to_virt(v->chunk->phys[0]);
}

/**
 * liveupdate_corrupt() - Do the damage that was asked for
 *
 * Context: The last thing before the jump; one CPU, no locks.
 */
void liveupdate_corrupt(void)
{
	/* RAM that is in use, and not preserved. */
	struct damage_victim v = { .foreign = page_to_phys(ZERO_PAGE(0)) };
	const char *why;

	if (!corrupt_edits || !handover)
		return;
	/* Of this version: the one before has its fields elsewhere. */
	v.iommu = find_flb(IOMMU_LIVEUPDATE_COMPATIBLE);
	v.pci = find_flb("pci-");
	if (!v.iommu || !v.pci)
		return;
	find_iommu(&v);
	if (!v.device) {
		pr_err("corrupt=%s: no such device is preserved\n",
		       corrupt_spec);
		return;
	}
	find_pci(&v);
	find_files(&v);
	find_guestmemfs(&v);
	why = damage_do(&v, corrupt_edits);
	if (why)
		pr_err("corrupt=%s: not done: %s\n", corrupt_spec, why);
	else
		pr_warn("corrupt=%s: done\n", corrupt_spec);
}

static const char *corrupt_parse(void)
{
	unsigned int bus, slot, fn;
	int len = 0;

	if (sscanf(corrupt_spec, "%x:%x:%x.%u,%n", &corrupt_segment, &bus,
		   &slot, &fn, &len) != 4 || !len)
		return "it does not begin with a device and a comma";
	corrupt_bdf = PCI_DEVID(bus, PCI_DEVFN(slot, fn));
	return damage_do(NULL, corrupt_spec + len);
}

static int corrupt_set(const char *val, const struct kernel_param *kp)
{
	const char *why;

	corrupt_edits = NULL;
	if (strscpy(corrupt_spec, val) < 0) {
		corrupt_spec[0] = 0;
		return -E2BIG;
	}
	strim(corrupt_spec);
	if (!*corrupt_spec)
		return 0;
	why = corrupt_parse();
	if (why) {
		pr_err("corrupt=%s: %s\n", corrupt_spec, why);
		corrupt_spec[0] = 0;
		return -EINVAL;
	}
	pr_warn("the handover will be damaged on purpose (%s), never do this in production\n",
		corrupt_spec);
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	corrupt_edits = strchr(corrupt_spec, ',') + 1;
	return 0;
}

static int corrupt_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", corrupt_spec);
}

static const struct kernel_param_ops corrupt_ops = {
	.set = corrupt_set,
	.get = corrupt_get,
};

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param_cb(corrupt, &corrupt_ops, NULL, 0644);
