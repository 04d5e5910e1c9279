// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damage one thing of the handover on purpose: liveupdate.corrupt=NAME[:BDF]
 *
 * Written to /sys/module/liveupdate/parameters/corrupt before the kexec. The
 * damage is done by the outgoing kernel in the last moment before the jump, after
 * all else that it does for the handover. BDF (0000:00:04.0) says whose entry is
 * meant; without it the first device's. Each name is in the table below; what the
 * next kernel says of it is in rig/cases/handover.py.
 *
 * What hardware itself reads goes on being read until the next kernel has
 * decided. A damage there leaves its translations as they are, but for reserved
 * bits, for which the hardware may refuse requests of that device.
 */
#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho/abi/intel_iommu.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/pci.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/liveupdate_lab.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/sysfs.h>

enum {
	MAX_SPEC	= 64,
	NR_DEVICES	= IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_device_ser),
	NR_DOMAINS	= IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_domain_ser),
	NR_IOMMUS	= IOMMU_SER_ARRAY_SIZE / sizeof(struct iommu_hw_ser),
};

/* Intel VT-d specification, "9.1 Root Entry" to "9.6 PASID Table Entry" */
#define VTD_ADDR	GENMASK_ULL(51, 12)
#define VTD_PRESENT	BIT_ULL(0)

/* Registers of an IOMMU: no RAM. And an address that no machine has. */
#define MMIO_PA		0xfed90000ull
#define BEYOND_PA	BIT_ULL(51)

/**
 * struct victim - What can be damaged, found before the damage is done
 * @iommu:   Root of the IOMMU handover.
 * @hw:      The unit in front of @device.
 * @domains: The array.
 * @domain:  The domain of @device.
 * @devices: The array.
 * @device:  The device that is meant.
 * @other:   Another preserved device, or NULL.
 * @root:    Root entry in front of @device, one half in scalable mode.
 * @ctx:     Context entry of @device.
 * @dir:     PASID directory of @device, or NULL.
 * @pasid:   First PASID table of @device, or NULL.
 * @pci:     The PCI list.
 * @pci_dev: Entry of @device in it.
 * @bridge:  The bridge right above the device, or NULL.
 * @iommufd: An iommufd.
 * @vfio:    The VFIO file of @device.
 * @memfd:   A memfd with more than one folio.
 * @folios:  The first page of its list of folios.
 */
struct victim {
	struct iommu_ser *iommu;
	struct iommu_hw_ser *hw;
	struct iommu_domain_ser *domains;
	struct iommu_domain_ser *domain;
	struct iommu_device_ser *devices;
	struct iommu_device_ser *device;
	struct iommu_device_ser *other;
	u64 *root;
	u64 *ctx;
	u64 *dir;
	u64 *pasid;
	struct pci_ser *pci;
	struct pci_dev_ser *pci_dev;
	struct pci_dev_ser *bridge;
	struct iommufd_ser *iommufd;
	struct vfio_pci_ser *vfio;
	struct memfd_luo_ser *memfd;
	struct memfd_luo_folio_ser *folios;
};

/* The driver's parts */

static struct intel_hw_ser *hw_part(struct iommu_hw_ser *hw)
{
	return (struct intel_hw_ser *)hw->part;
}

static struct intel_domain_ser *domain_part(struct iommu_domain_ser *domain)
{
	return (struct intel_domain_ser *)domain->part;
}

static struct intel_device_ser *device_part(struct iommu_device_ser *device)
{
	return (struct intel_device_ser *)device->part;
}

/* RAM that is in use, and not preserved. */
static u64 foreign_pa(void)
{
	return page_to_phys(ZERO_PAGE(0));
}

/* Root of the IOMMU handover */

static void iommu_version(struct victim *v)
{
	v->iommu->version += 1000;
}

static void iommu_reserved(struct victim *v)
{
	v->iommu->reserved = 1;
}

static void iommus_mmio(struct victim *v)
{
	v->iommu->iommus_pa = MMIO_PA;
}

static void iommus_beyond(struct victim *v)
{
	v->iommu->iommus_pa = BEYOND_PA;
}

static void domains_foreign(struct victim *v)
{
	v->iommu->domains_pa = foreign_pa();
}

static void devices_misaligned(struct victim *v)
{
	v->iommu->devices_pa += 8;
}

static void devices_inside(struct victim *v)
{
	v->iommu->devices_pa = v->iommu->domains_pa + PAGE_SIZE;
}

static void arrays_same(struct victim *v)
{
	v->iommu->devices_pa = v->iommu->domains_pa;
}

/* An IOMMU unit */

static void unit_type(struct victim *v)
{
	v->hw->type = 99;
}

static void unit_flags(struct victim *v)
{
	v->hw->flags |= BIT(30);
}

static void unit_part_length(struct victim *v)
{
	v->hw->length--;
}

static void unit_part_behind(struct victim *v)
{
	v->hw->part[sizeof(v->hw->part) - 1] = 1;
}

static void unit_mode(struct victim *v)
{
	hw_part(v->hw)->flags ^= INTEL_HW_SER_SCALABLE;
}

static void unit_reg(struct victim *v)
{
	v->hw->id += SZ_4K;
}

static void unit_root(struct victim *v)
{
	hw_part(v->hw)->root_pa = device_part(v->device)->entry_pa;
}

/* A domain */

static void domain_flags(struct victim *v)
{
	v->domain->flags |= BIT(30);
}

static void domain_part_flags(struct victim *v)
{
	domain_part(v->domain)->flags |= BIT(30);
}

static void domain_format(struct victim *v)
{
	domain_part(v->domain)->format = 99;
}

static void domain_level(struct victim *v)
{
	v->domain->top_level = 9;
}

static void domain_bits(struct victim *v)
{
	v->domain->vasz_lg2 = 12;
}

static void domain_reserved(struct victim *v)
{
	v->domain->reserved[5] = 1;
}

static void domain_top_foreign(struct victim *v)
{
	v->domain->top_pa = foreign_pa();
}

static void domain_top_mmio(struct victim *v)
{
	v->domain->top_pa = MMIO_PA;
}

static void domain_top_other(struct victim *v)
{
	v->domain->top_pa = v->domains[v->other->domain].top_pa;
}

/* The highest addresses of a domain, which the rig does not use */
static void tables_stray(struct victim *v)
{
	u64 *top = phys_to_virt(v->domain->top_pa);

	top[511] = foreign_pa() | 3;
}

/* A device */

static void device_flags(struct victim *v)
{
	v->device->flags |= BIT(30);
}

static void device_type(struct victim *v)
{
	v->device->type = 99;
}

static void device_part_length(struct victim *v)
{
	v->device->length++;
}

static void device_segment(struct victim *v)
{
	v->device->segment = 7;
}

static void device_bdf(struct victim *v)
{
	v->device->bdf = PCI_DEVID(0, PCI_DEVFN(30, 7));
}

static void device_domain(struct victim *v)
{
	v->device->domain = U32_MAX;
}

static void device_domain_free(struct victim *v)
{
	v->device->domain = NR_DOMAINS - 1;
}

static void device_iommu(struct victim *v)
{
	v->device->iommu = NR_IOMMUS;
}

static void device_twice(struct victim *v)
{
	v->devices[NR_DEVICES - 1] = *v->device;
}

static void device_did(struct victim *v)
{
	device_part(v->device)->did += 100;
}

static void device_did_range(struct victim *v)
{
	device_part(v->device)->did = 0;
}

static void device_did_other(struct victim *v)
{
	device_part(v->device)->did = device_part(v->other)->did;
}

static void device_entry(struct victim *v)
{
	device_part(v->device)->entry_pa = foreign_pa();
}

static void device_max_pasid(struct victim *v)
{
	device_part(v->device)->max_pasid = U32_MAX;
}

static void device_pasid(struct victim *v)
{
	device_part(v->device)->pasid_pa = foreign_pa();
}

/* What the hardware reads */

static void root_rsvd(struct victim *v)
{
	*v->root |= BIT_ULL(1);
}

static void context_rsvd(struct victim *v)
{
	v->ctx[1] |= BIT_ULL(62);
}

static void context_top(struct victim *v)
{
	v->ctx[0] &= ~VTD_ADDR;
	v->ctx[0] |= v->domains[v->other->domain].top_pa;
}

static void context_did(struct victim *v)
{
	v->ctx[1] += 100 << 8;
}

/* The entry of a device that nobody has heard of: of function 7. */
static void context_stranger(struct victim *v)
{
	size_t size = v->dir ? 4 : 2;

	memcpy(v->ctx + (7 - (v->device->bdf & 7)) * size, v->ctx,
	       size * sizeof(u64));
}

static void context_dir(struct victim *v)
{
	v->ctx[0] &= ~VTD_ADDR;
	v->ctx[0] |= device_part(v->other)->pasid_pa;
}

static void dir_foreign(struct victim *v)
{
	v->dir[1] = foreign_pa() | VTD_PRESENT;
}

static void pasid_rsvd(struct victim *v)
{
	v->pasid[1] |= BIT_ULL(62);
}

static void pasid_top(struct victim *v)
{
	v->pasid[0] &= ~VTD_ADDR;
	v->pasid[0] |= v->domains[v->other->domain].top_pa;
}

static void pasid_did(struct victim *v)
{
	v->pasid[1] += 100;
}

static void pasid_second(struct victim *v)
{
	memcpy(v->pasid + 8, v->pasid, 8 * sizeof(u64));
}

/* The PCI list */

static void pci_ser_version(struct victim *v)
{
	v->pci->version += 1000;
}

static void pci_ser_reserved(struct victim *v)
{
	v->pci->reserved = 1;
}

static void pci_ser_count(struct victim *v)
{
	v->pci->nr_devices = U32_MAX;
}

static void pci_ser_order(struct victim *v)
{
	struct pci_dev_ser *end = v->pci->devices + v->pci->nr_devices - 1;

	swap(v->pci->devices[0], *end);
}

static void pci_ser_twice(struct victim *v)
{
	v->pci->devices[1] = v->pci->devices[0];
}

static void pci_ser_flags(struct victim *v)
{
	v->pci_dev->flags |= BIT(30);
}

static void pci_ser_missing(struct victim *v)
{
	struct pci_dev_ser *end = v->pci->devices + --v->pci->nr_devices;

	memmove(v->pci_dev, v->pci_dev + 1,
		(end - v->pci_dev) * sizeof(*end));
}

static void pci_ser_device(struct victim *v)
{
	v->pci_dev->device ^= 1;
}

static void pci_ser_class(struct victim *v)
{
	v->pci_dev->class_rev ^= BIT(8);
}

static void pci_ser_bridge_bus(struct victim *v)
{
	v->bridge->subordinate++;
}

static void pci_ser_bridge_users(struct victim *v)
{
	v->bridge->users++;
}

/* Data of files */

static void iommufd_version(struct victim *v)
{
	v->iommufd->version += 1000;
}

static void iommufd_count(struct victim *v)
{
	v->iommufd->nr_hwpts = U32_MAX;
}

static void iommufd_token(struct victim *v)
{
	v->iommufd->hwpts[1].token = v->iommufd->hwpts[0].token;
}

static void iommufd_domain(struct victim *v)
{
	v->iommufd->hwpts[0].domain = NR_DOMAINS;
}

static void vfio_version(struct victim *v)
{
	v->vfio->version += 1000;
}

static void vfio_reserved(struct victim *v)
{
	v->vfio->reserved[2] = 1;
}

static void vfio_bdf(struct victim *v)
{
	v->vfio->bdf = PCI_DEVID(0, PCI_DEVFN(30, 7));
}

static void memfd_flags(struct victim *v)
{
	v->memfd->flags |= BIT(30);
}

static void memfd_count(struct victim *v)
{
	v->memfd->nr_folios = U64_MAX;
}

static void memfd_pages(struct victim *v)
{
	v->memfd->folios.total_pages = U32_MAX;
}

static void memfd_list(struct victim *v)
{
	struct kho_vmalloc_chunk *chunk = phys_to_virt(v->memfd->folios.first.phys);

	chunk->phys[0] = MMIO_PA;
}

static void memfd_foreign(struct victim *v)
{
	v->folios[0].pfn = PHYS_PFN(foreign_pa());
}

static void memfd_twice(struct victim *v)
{
	v->folios[1].pfn = v->folios[0].pfn;
}

static void memfd_order(struct victim *v)
{
	swap(v->folios[0].index, v->folios[1].index);
}

#define DAMAGE(fn) { #fn, fn }

static const struct {
	const char *name;
	void (*fn)(struct victim *v);
} damages[] = {
	DAMAGE(iommu_version),
	DAMAGE(iommu_reserved),
	DAMAGE(iommus_mmio),
	DAMAGE(iommus_beyond),
	DAMAGE(domains_foreign),
	DAMAGE(devices_misaligned),
	DAMAGE(devices_inside),
	DAMAGE(arrays_same),
	DAMAGE(unit_type),
	DAMAGE(unit_flags),
	DAMAGE(unit_part_length),
	DAMAGE(unit_part_behind),
	DAMAGE(unit_mode),
	DAMAGE(unit_reg),
	DAMAGE(unit_root),
	DAMAGE(domain_flags),
	DAMAGE(domain_part_flags),
	DAMAGE(domain_format),
	DAMAGE(domain_level),
	DAMAGE(domain_bits),
	DAMAGE(domain_reserved),
	DAMAGE(domain_top_foreign),
	DAMAGE(domain_top_mmio),
	DAMAGE(domain_top_other),
	DAMAGE(tables_stray),
	DAMAGE(device_flags),
	DAMAGE(device_type),
	DAMAGE(device_part_length),
	DAMAGE(device_segment),
	DAMAGE(device_bdf),
	DAMAGE(device_domain),
	DAMAGE(device_domain_free),
	DAMAGE(device_iommu),
	DAMAGE(device_twice),
	DAMAGE(device_did),
	DAMAGE(device_did_range),
	DAMAGE(device_did_other),
	DAMAGE(device_entry),
	DAMAGE(device_max_pasid),
	DAMAGE(device_pasid),
	DAMAGE(root_rsvd),
	DAMAGE(context_rsvd),
	DAMAGE(context_top),
	DAMAGE(context_did),
	DAMAGE(context_stranger),
	DAMAGE(context_dir),
	DAMAGE(dir_foreign),
	DAMAGE(pasid_rsvd),
	DAMAGE(pasid_top),
	DAMAGE(pasid_did),
	DAMAGE(pasid_second),
	DAMAGE(pci_ser_version),
	DAMAGE(pci_ser_reserved),
	DAMAGE(pci_ser_count),
	DAMAGE(pci_ser_order),
	DAMAGE(pci_ser_twice),
	DAMAGE(pci_ser_flags),
	DAMAGE(pci_ser_missing),
	DAMAGE(pci_ser_device),
	DAMAGE(pci_ser_class),
	DAMAGE(pci_ser_bridge_bus),
	DAMAGE(pci_ser_bridge_users),
	DAMAGE(iommufd_version),
	DAMAGE(iommufd_count),
	DAMAGE(iommufd_token),
	DAMAGE(iommufd_domain),
	DAMAGE(vfio_version),
	DAMAGE(vfio_reserved),
	DAMAGE(vfio_bdf),
	DAMAGE(memfd_flags),
	DAMAGE(memfd_count),
	DAMAGE(memfd_pages),
	DAMAGE(memfd_list),
	DAMAGE(memfd_foreign),
	DAMAGE(memfd_twice),
	DAMAGE(memfd_order),
};

static struct luo_ser *handover;
static char corrupt_spec[MAX_SPEC];
static int corrupt_index = -1;

/**
 * liveupdate_corrupt_note() - Something is handed over that can be damaged
 * @luo: Root of it all.
 */
void liveupdate_corrupt_note(struct luo_ser *luo)
{
	handover = luo;
}

static bool parse_bdf(const char *text, u32 *segment, u16 *bdf)
{
	unsigned int bus, slot, fn;

	if (sscanf(text, "%x:%x:%x.%u", segment, &bus, &slot, &fn) != 4)
		return false;
	*bdf = PCI_DEVID(bus, PCI_DEVFN(slot, fn));
	return true;
}

static void find_tables(struct victim *v)
{
	bool scalable = hw_part(v->hw)->flags & INTEL_HW_SER_SCALABLE;
	u64 *root = phys_to_virt(hw_part(v->hw)->root_pa);
	unsigned int devfn = v->device->bdf & 0xff;

	v->root = root + PCI_BUS_NUM(v->device->bdf) * 2;
	if (scalable && devfn >= 0x80)
		v->root++;
	v->ctx = phys_to_virt(device_part(v->device)->entry_pa);
	v->ctx += scalable ? devfn % 0x80 * 4 : devfn * 2;
	if (!device_part(v->device)->pasid_pa)
		return;
	v->dir = phys_to_virt(device_part(v->device)->pasid_pa);
	if (v->dir[0] & VTD_PRESENT)
		v->pasid = phys_to_virt(v->dir[0] & VTD_ADDR);
}

static void find_iommu(struct victim *v, u32 segment, int bdf)
{
	struct iommu_hw_ser *hws = phys_to_virt(v->iommu->iommus_pa);
	unsigned int i;

	v->domains = phys_to_virt(v->iommu->domains_pa);
	v->devices = phys_to_virt(v->iommu->devices_pa);
	for (i = 0; i < NR_DEVICES; i++) {
		struct iommu_device_ser *d = &v->devices[i];

		if (!(d->flags & IOMMU_SER_USED))
			continue;
		if (!v->device && (bdf < 0 || (d->segment == segment &&
					       d->bdf == bdf)))
			v->device = d;
		else if (!v->other)
			v->other = d;
	}
	if (!v->device)
		return;
	v->domain = &v->domains[v->device->domain];
	v->hw = &hws[v->device->iommu];
	find_tables(v);
}

static void find_pci(struct victim *v)
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
static void *find_file_of(const struct luo_session_ser *session,
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
			vfio = phys_to_virt(files[i].data);
			if (!device || (vfio->segment == device->segment &&
					vfio->bdf == device->bdf))
				return vfio;
		}
	}
	return NULL;
}

static void *find_file(const char *format,
		       const struct iommu_device_ser *device)
{
	struct kho_block_header_ser *block;
	void *found;
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

static void find_memfd(struct victim *v)
{
	const struct kho_vmalloc_chunk *chunk =
		phys_to_virt(v->memfd->folios.first.phys);

	v->folios = phys_to_virt(chunk->phys[0]);
}

/**
 * liveupdate_corrupt() - Do the damage that was asked for
 *
 * Context: The last thing before the jump; one CPU, no locks.
 */
void liveupdate_corrupt(void)
{
	const char *where = strchr(corrupt_spec, ':');
	struct victim v = {};
	u32 segment = 0;
	int bdf = -1;
	u16 id;

	if (corrupt_index < 0 || !handover)
		return;
	/* Of this version: the one before has its fields elsewhere. */
	v.iommu = find_flb(IOMMU_LIVEUPDATE_COMPATIBLE);
	v.pci = find_flb("pci-");
	v.iommufd = find_file("iommufd-", NULL);
	v.memfd = find_file("memfd-", NULL);
	if (!v.iommu || !v.pci || !v.iommufd || !v.memfd)
		return;
	if (where && parse_bdf(where + 1, &segment, &id))
		bdf = id;
	find_iommu(&v, segment, bdf);
	if (!v.device) {
		pr_err("corrupt=%s: no such device is preserved\n",
		       corrupt_spec);
		return;
	}
	find_pci(&v);
	v.vfio = find_file("vfio-pci-", v.device);
	find_memfd(&v);
	damages[corrupt_index].fn(&v);
	pr_warn("corrupt=%s: done\n", corrupt_spec);
}

static int corrupt_set(const char *val, const struct kernel_param *kp)
{
	size_t len = strcspn(val, ":\n");
	int i;

	corrupt_index = -1;
	strscpy(corrupt_spec, val);
	strim(corrupt_spec);
	if (!len)
		return 0;
	for (i = 0; i < ARRAY_SIZE(damages); i++)
		if (strlen(damages[i].name) == len &&
		    !strncmp(val, damages[i].name, len))
			break;
	if (i == ARRAY_SIZE(damages)) {
		pr_err("corrupt=%.*s: there is no damage of this name\n",
		       (int)len, val);
		return -EINVAL;
	}
	pr_warn("the handover will be damaged on purpose (%s), never do this in production\n",
		corrupt_spec);
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	corrupt_index = i;
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
