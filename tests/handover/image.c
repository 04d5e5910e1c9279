// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kho/abi/hugetlb.h>
#include <linux/kho/abi/hugetlb_memfd.h>
#include <linux/kho/abi/igb.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kho/abi/iommu_v1.h>
#include <linux/kho/abi/iommufd.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/pci.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/mm.h>
#include <linux/pci_regs.h>

#include "../../kernel/src/drivers/iommu/amd/liveupdate_check.h"
#include "../../kernel/src/drivers/iommu/arm/arm-smmu-v3/liveupdate_check.h"
#include "../../kernel/src/drivers/iommu/intel/liveupdate_check.h"
#include "../../kernel/src/drivers/net/ethernet/intel/igb/igb_liveupdate_check.h"
#include "image.h"

const char *const page_names[P_NR] = {
	[P_ROOT] = "root",	[P_IOMMUS] = "iommus",
	[P_DOMAINS] = "domains", [P_DEVICES] = "devices",
	[P_UNIT] = "unit",	[P_CTX] = "ctx",
	[P_DIR0] = "dir0",	[P_DIR1] = "dir1",
	[P_PT0] = "pt0",	[P_PT1] = "pt1",
	[P_TOP0] = "top0",	[P_PDP0] = "pdp0",
	[P_PD0] = "pd0",	[P_LEAF0] = "leaf0",
	[P_TOP1] = "top1",	[P_PDP1] = "pdp1",
	[P_PD1] = "pd1",	[P_LEAF1] = "leaf1",
	[P_PCI] = "pci",	[P_IOMMUFD] = "iommufd",
	[P_VFIO] = "vfio",	[P_MEMFD] = "memfd",
	[P_SPARE] = "spare",	[P_V1_ROOT] = "v1-root",
	[P_V1_IOMMUS] = "v1-iommus", [P_V1_DOMAINS] = "v1-domains",
	[P_V1_DEVICES] = "v1-devices", [P_MEMFD_SER] = "memfd-ser",
	[P_MEMFD_CHUNK] = "memfd-chunk", [P_MEMFD_LIST] = "memfd-list",
	[P_FOLIO] = "folio",	[P_HUGE_SER] = "huge-ser",
	[P_HUGE_LIST] = "huge-list", [P_HUGE0] = "huge0",
	[P_HUGE1] = "huge1",	[P_POOLS] = "pools",
	[P_PCI_VFS] = "pci-vfs", [P_PFS] = "pfs",
	[P_PF_DRIVER] = "pf-driver", [P_LIST0] = "list0",
	[P_LIST1] = "list1",	[P_PT2] = "pt2",
	[P_TOP2] = "top2",
};

/* What has been written since the last reset, so that it is cheap. */
#define UNDO_MAX	4096

static struct page {
	u8 *now;		/* what the checks read */
	u8 *good[M_NR];
	size_t touched;		/* nothing beyond was written to */
	bool preserved;
	bool claimed;
} pages[P_NR];

static struct {
	u8 page;
	u32 offset;
} undo[UNDO_MAX];
static unsigned int nr_undo;
static enum image_mode mode;
static bool judge_v1, judge_plain, undo_all = true;

unsigned int image_order(enum page_name page)
{
	switch (page) {
	case P_IOMMUS:
	case P_DOMAINS:
	case P_DEVICES:
		return get_order(IOMMU_SER_ARRAY_SIZE);
	case P_V1_IOMMUS:
	case P_V1_DOMAINS:
	case P_V1_DEVICES:
		return get_order(IOMMU_SER_V1_ARRAY_SIZE);
	case P_FOLIO:
	case P_HUGE0:
	case P_HUGE1:
		return 2;
	default:
		return 0;
	}
}

static size_t page_bytes(enum page_name page)
{
	return PAGE_SIZE << image_order(page);
}

static enum page_name page_at(u64 pa)
{
	u64 n = (pa - PAGE_PA(0)) / 0x1000000;

	return pa >= PAGE_PA(0) && n < P_NR && pa == PAGE_PA(n) ? n : P_NR;
}

static const void *mem_get(struct liveupdate_mem *mem, u64 pa,
			   unsigned int order)
{
	enum page_name page = page_at(pa);

	(void)mem;
	if (page == P_NR || !pages[page].preserved || image_order(page) != order)
		return NULL;
	return pages[page].now;
}

static bool mem_claim(struct liveupdate_mem *mem, u64 pa)
{
	enum page_name page = page_at(pa);

	(void)mem;
	if (page == P_NR)
		abort();	/* It was never got. */
	if (pages[page].claimed)
		return false;
	pages[page].claimed = true;
	return true;
}

static struct liveupdate_mem memory = { mem_get, mem_claim };

static u64 *words(u8 **to, enum page_name page)
{
	return (u64 *)to[page];
}

static void good_device(u8 **to, unsigned int i, bool scalable)
{
	static const u16 bdf[] = { DEV0_BDF, DEV1_BDF };
	static const u16 did[] = { DEV0_DID, DEV1_DID };
	enum page_name top = i ? P_TOP1 : P_TOP0;
	struct iommu_domain_ser *dom = (struct iommu_domain_ser *)to[P_DOMAINS] + i;
	struct iommu_device_ser *dev = (struct iommu_device_ser *)to[P_DEVICES] + i;
	struct intel_domain_ser *dom_part = (struct intel_domain_ser *)dom->part;
	struct intel_device_ser *dev_part = (struct intel_device_ser *)dev->part;
	u64 *ctx, *pte;

	*dom = (struct iommu_domain_ser) {
		.flags = IOMMU_SER_USED,
		.type = IOMMU_SER_TYPE_INTEL,
		.length = sizeof(*dom_part),
		.top_pa = PAGE_PA(top),
		.top_level = 3,
		.vasz_lg2 = 48,
	};
	dom_part->format = INTEL_DOMAIN_SER_VTDSS;
	*dev = (struct iommu_device_ser) {
		.flags = IOMMU_SER_USED,
		.type = IOMMU_SER_TYPE_INTEL,
		.length = INTEL_DEVICE_SER_V2_SIZE,
		.bdf = bdf[i],
		.domain = i,
	};
	dev_part->did = did[i];
	dev_part->entry_pa = PAGE_PA(P_CTX);
	for (unsigned int level = 3; level; level--)
		words(to, top + 3 - level)[i] = PAGE_PA(top + 4 - level) | 3;
	/* 4 KiB at the end, 2 MiB in the middle, nothing else */
	words(to, top + 3)[511] = 0x5000 | 3;
	words(to, top + 2)[256] = 0x40000000 | 0x80 | 1;

	ctx = words(to, P_CTX) + bdf[i] * (scalable ? 4 : 2);
	if (!scalable) {
		ctx[0] = PAGE_PA(top) | 1;
		ctx[1] = (u64)did[i] << 8 | 2;
		return;
	}
	dev_part->max_pasid = 512 * 64;
	dev_part->pasid_pa = PAGE_PA(i ? P_DIR1 : P_DIR0);
	ctx[0] = dev_part->pasid_pa | 2 << 9 | 1;
	words(to, i ? P_DIR1 : P_DIR0)[0] = PAGE_PA(i ? P_PT1 : P_PT0) | 1;
	pte = words(to, i ? P_PT1 : P_PT0);
	pte[0] = PAGE_PA(top) | 2 << 6 | 2 << 2 | 1;
	pte[1] = did[i];
}

/* "9.6 Scalable-Mode PASID Table Entry", of a domain that is @index */
static void good_pasid(u8 **to, enum page_name table, u32 pasid,
		       enum page_name list, u32 index)
{
	static const enum page_name tops[] = { P_TOP0, P_TOP1, P_TOP2 };
	static const u16 did[] = { DEV0_DID, DEV1_DID, PASIDS_DID };
	struct iommu_device_ser *dev = (struct iommu_device_ser *)to[P_DEVICES] +
				       (list == P_LIST1);
	struct intel_device_ser *part = (struct intel_device_ser *)dev->part;
	struct intel_pasid_ser *listed = (struct intel_pasid_ser *)to[list];
	u64 *pte = words(to, table) + pasid % 64 * 8;
	struct iommu_domain_ser *dom = (struct iommu_domain_ser *)to[P_DOMAINS] + index;

	dev->length = sizeof(*part);
	part->pasids_pa = PAGE_PA(list);
	listed[part->nr_pasids++] = (struct intel_pasid_ser) {
		.pasid = pasid, .domain = index, .did = did[index],
	};
	pte[0] = PAGE_PA(tops[index]) | 2 << 6 | (dom->top_level - 1) << 2 | 1;
	pte[1] = did[index];
}

/*
 * The first device has PASIDs in two tables: one is in its own domain, one in that of the
 * second device, and one in a third domain, with a PASID of the second device. The third
 * domain has a level less, and the list is not in the order of its PASIDs.
 */
static void good_pasids(u8 **to)
{
	struct iommu_domain_ser *dom = (struct iommu_domain_ser *)to[P_DOMAINS] + 2;

	*dom = dom[-1];
	dom->top_pa = PAGE_PA(P_TOP2);
	dom->top_level = 2;
	dom->vasz_lg2 = 39;
	words(to, P_CTX)[DEV0_BDF * 4] |= 8;
	words(to, P_CTX)[DEV1_BDF * 4] |= 8;
	words(to, P_DIR0)[1] = PAGE_PA(P_PT2) | 1;
	good_pasid(to, P_PT2, 65, P_LIST0, 0);
	good_pasid(to, P_PT0, 1, P_LIST0, 1);
	good_pasid(to, P_PT0, 63, P_LIST0, 2);
	good_pasid(to, P_PT1, 7, P_LIST1, 2);
}

static void good_pci(u8 *page)
{
	struct pci_ser *ser = (struct pci_ser *)page;

	ser->version = PCI_SER_VERSION_1;
	ser->nr_devices = 3;
	ser->devices[0] = (struct pci_dev_ser) {
		.bdf = 0x0010, .vendor = 0x1b36, .device = 0x000c,
		.flags = PCI_DEV_SER_BRIDGE | PCI_DEV_SER_ACS, .acs_ctrl = 0x1d,
		.users = 1, .hdr_type = PCI_HEADER_TYPE_BRIDGE,
		.secondary = 1, .subordinate = 2,
	};
	ser->devices[1] = (struct pci_dev_ser) {
		.bdf = DEV0_BDF, .vendor = 0x8086, .device = 0x10c9, .users = 1,
	};
	ser->devices[2] = (struct pci_dev_ser) {
		.bdf = 0x0100, .vendor = 0x8086, .device = 0x2668, .users = 1,
	};
}

static struct pci_dev_ser vf_of(u16 pf, u16 bdf)
{
	return (struct pci_dev_ser) {
		.bdf = bdf, .vendor = 0x8086, .device = 0x10ca,
		.flags = PCI_DEV_SER_VF | PCI_DEV_SER_ACS, .users = 1, .pf = pf,
	};
}

static void good_pci_vfs(u8 *page)
{
	struct pci_ser *ser = (struct pci_ser *)page;

	/* One of the PFs goes on itself. */
	ser->version = PCI_SER_VERSION;
	ser->sriov_pa = PAGE_PA(P_PFS);
	ser->nr_devices = 6;
	ser->devices[0] = (struct pci_dev_ser) {
		.bdf = 0x0010, .vendor = 0x1b36, .device = 0x000c,
		.flags = PCI_DEV_SER_BRIDGE | PCI_DEV_SER_ARI,
		.users = 4, .hdr_type = PCI_HEADER_TYPE_BRIDGE,
		.secondary = 1, .subordinate = 2,
	};
	ser->devices[1] = (struct pci_dev_ser) {
		.bdf = PF0_BDF, .vendor = 0x8086, .device = 0x10c9,
		.flags = PCI_DEV_SER_PF | PCI_DEV_SER_FOR_VFS, .users = 2,
	};
	ser->devices[2] = (struct pci_dev_ser) {
		.bdf = PF1_BDF, .vendor = 0x8086, .device = 0x10c9,
		.flags = PCI_DEV_SER_PF, .users = 2,
	};
	ser->devices[3] = vf_of(PF0_BDF, VF00_BDF);
	ser->devices[4] = vf_of(PF1_BDF, VF10_BDF);
	ser->devices[5] = vf_of(PF0_BDF, VF02_BDF);
}

static void good_pfs(u8 *page)
{
	struct pci_sriov_list_ser *list = (struct pci_sriov_list_ser *)page;

	list->nr_pfs = 2;
	/* 64-bit VF BARs, the first one beyond 4 GiB */
	list->pfs[0] = (struct pci_sriov_ser) {
		.bdf = PF0_BDF, .ctrl = 0x19, .initial_vfs = 8, .num_vfs = 4,
		.offset = PF0_OFFSET, .stride = PF0_STRIDE, .vf_device = 0x10ca,
		.page_size = 1,
		.bar = { 0x0000000c, 0x40, 0, 0xe0010004, 0, 0 },
		.bar_size_lg2 = { 34, 0, 0, 14, 0, 0 },
		.driver_pa = PAGE_PA(P_PF_DRIVER),
	};
	/* 32-bit ones, the last one up to 4 GiB; and one VF needs no stride */
	list->pfs[1] = (struct pci_sriov_ser) {
		.bdf = PF1_BDF, .ctrl = 0x19, .initial_vfs = 8, .num_vfs = 1,
		.offset = PF1_OFFSET, .vf_device = 0x10ca, .page_size = 1,
		.bar = { 0xe0100000, 0, 0, 0, 0, 0xfffff000 },
		.bar_size_lg2 = { 14, 0, 0, 0, 0, 12 },
	};
}

static void good_pf_driver(u8 *page)
{
	struct pci_pf_driver_ser *driver = (struct pci_pf_driver_ser *)page;
	struct igb_pf_ser *igb = (struct igb_pf_ser *)driver->data;

	strcpy(driver->compatible, IGB_LIVEUPDATE_COMPATIBLE);
	driver->size = sizeof(*igb);
	*igb = (struct igb_pf_ser) {
		.version = IGB_PF_SER_VERSION, .nr_vfs = 4, .rate_link_speed = 1000,
	};
	/* The first one has all there is, the second one more multicast addresses than are kept. */
	igb->vfs[0] = (struct igb_vf_ser) {
		.mac = { 0x52, 0x54, 0, 0, 0, 1 }, .nr_mc_hashes = 2,
		.flags = IGB_VF_SER_PF_SET_MAC | IGB_VF_SER_TRUSTED | IGB_VF_SER_SPOOFCHK |
			 IGB_VF_SER_CLEAR_TO_SEND,
		.vlan = 4095, .qos = 7, .tx_rate = 1000, .mc_hashes = { 0xfff, 0x123 },
	};
	igb->vfs[1].nr_mc_hashes = IGB_SER_MAX_MC_HASHES;
	for (unsigned int i = 0; i < IGB_SER_MC_HASHES; i++)
		igb->vfs[1].mc_hashes[i] = i;
}

/* What was written and is read is what it was. */
static void came_back(u8 **to, const struct iommu_ser_v1_arrays *v1)
{
	const struct iommu_ser_v1_view view = {
		.iommus = v1->iommus,
		.domains = v1->domains,
		.devices = v1->devices,
	};
	struct iommu_ser_arrays back = {
		.iommus = calloc(1, IOMMU_SER_ARRAY_SIZE),
		.domains = calloc(1, IOMMU_SER_ARRAY_SIZE),
		.devices = calloc(1, IOMMU_SER_ARRAY_SIZE),
	};

	vtd_ser_v1_ops.read(&view, &back);
	if (memcmp(back.iommus, to[P_IOMMUS], IOMMU_SER_ARRAY_SIZE) ||
	    memcmp(back.domains, to[P_DOMAINS], IOMMU_SER_ARRAY_SIZE) ||
	    memcmp(back.devices, to[P_DEVICES], IOMMU_SER_ARRAY_SIZE)) {
		fprintf(stderr, "what was written as the version before is read as something else\n");
		exit(1);
	}
	free(back.iommus);
	free(back.domains);
	free(back.devices);
}

/* By the kernel's own functions, which is a test of these, too. */
static void good_v1(u8 **to)
{
	struct iommu_ser_v1 *root = (struct iommu_ser_v1 *)to[P_V1_ROOT];
	struct iommu_ser_view view = {
		.iommus = (struct iommu_hw_ser *)to[P_IOMMUS],
		.domains = (struct iommu_domain_ser *)to[P_DOMAINS],
		.devices = (struct iommu_device_ser *)to[P_DEVICES],
	};
	struct iommu_ser_v1_arrays v1 = {
		.iommus = (struct iommu_hw_ser_v1 *)to[P_V1_IOMMUS],
		.domains = (struct iommu_domain_ser_v1 *)to[P_V1_DOMAINS],
		.devices = (struct iommu_device_ser_v1 *)to[P_V1_DEVICES],
	};
	struct iommu_device_ser *device = (struct iommu_device_ser *)to[P_DEVICES];
	struct intel_device_ser *part = (struct intel_device_ser *)device->part;

	*root = (struct iommu_ser_v1) {
		.version = IOMMU_SER_V1_VERSION,
		.iommus_pa = PAGE_PA(P_V1_IOMMUS),
		.domains_pa = PAGE_PA(P_V1_DOMAINS),
		.devices_pa = PAGE_PA(P_V1_DEVICES),
	};
	if (!vtd_ser_v1_ops.holds(&view))
		abort();
	/* Even if the PASIDs are all that the version before has no place for. */
	part->nr_pasids = 1;
	if (vtd_ser_v1_ops.holds(&view))
		abort();
	part->nr_pasids = 0;
	vtd_ser_v1_ops.write(&view, &v1);
	came_back(to, &v1);
}

static void good_memfd(u8 **to)
{
	struct memfd_luo_ser *ser = (struct memfd_luo_ser *)to[P_MEMFD_SER];
	struct kho_vmalloc_chunk *chunk = (struct kho_vmalloc_chunk *)to[P_MEMFD_CHUNK];
	struct memfd_luo_folio_ser *folios = (struct memfd_luo_folio_ser *)to[P_MEMFD_LIST];

	*ser = (struct memfd_luo_ser) {
		.pos = 0x123,
		.size = 4 * PAGE_SIZE + 1,
		.nr_folios = 2,
		.folios.first.phys = PAGE_PA(P_MEMFD_CHUNK),
		.folios.total_pages = 1,
	};
	chunk->phys[0] = PAGE_PA(P_MEMFD_LIST);
	folios[0] = (struct memfd_luo_folio_ser) {
		.pfn = PAGE_PA(P_FOLIO) >> PAGE_SHIFT,
		.flags = MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE,
	};
	folios[1] = (struct memfd_luo_folio_ser) {
		.pfn = PAGE_PA(P_MEMFD) >> PAGE_SHIFT,
		.index = 4,
	};
}

/*
 * What is handed over of a memfd of huge pages that is in so many runs: its head has a page of its own.
 * The worst is that its folios are all apart, the best that they follow each other. docs/handover.md
 * has the figures.
 */
#define HUGE_BYTES(runs) \
	(PAGE_SIZE + ((runs) + HUGETLB_MEMFD_RUNS - 1) / HUGETLB_MEMFD_RUNS * sizeof(struct hugetlb_memfd_list))
#define HUGE_FOLIOS(order)	((1ul << 40) / (PAGE_SIZE << (order)))	/* of 1 TiB */

_Static_assert(sizeof(struct hugetlb_memfd_run) == 8, "8 bytes a run");
_Static_assert(sizeof(struct hugetlb_memfd_list) == 4096, "and 16 of a page for the next one");
_Static_assert(HUGE_BYTES(HUGE_FOLIOS(9)) * 100 <= HUGE_FOLIOS(9) * 805, "2 MiB, all apart: at most 8.05 bytes each");
_Static_assert(HUGE_BYTES(HUGE_FOLIOS(18)) <= 16384, "1 GiB, all apart: 16 KiB for 1 TiB");
_Static_assert(HUGE_FOLIOS(9) <= HUGETLB_MEMFD_RUN_MAX && HUGE_BYTES(1) == 8192, "contiguous: 8 KiB for 1 TiB");

static void good_hugetlb(u8 **to)
{
	struct hugetlb_memfd_ser *ser = (struct hugetlb_memfd_ser *)to[P_HUGE_SER];
	struct hugetlb_memfd_list *list = (struct hugetlb_memfd_list *)to[P_HUGE_LIST];
	struct hugetlb_ser *pools = (struct hugetlb_ser *)to[P_POOLS];

	*ser = (struct hugetlb_memfd_ser) {
		.pos = 0x123,
		.size = 8 * PAGE_SIZE,
		.order = 2,
		.list = PAGE_PA(P_HUGE_LIST),
	};
	list->nr = 2;
	for (unsigned int i = 0; i < 2; i++) {
		list->run[i].first = PAGE_PA(P_HUGE0 + i) >> (PAGE_SHIFT + 2);
		list->run[i].nr = 1;
	}
	pools->nr_pools = 2;
	pools->pool[0] = (struct hugetlb_pool_ser){ .order = 9, .nr = 2 };
	pools->pool[1] = (struct hugetlb_pool_ser){ .order = 9, .nid = 1 };
}

static void good_image(u8 **to, enum image_mode m)
{
	const bool scalable = m != M_LEGACY;
	struct iommu_ser *root = (struct iommu_ser *)to[P_ROOT];
	struct iommu_hw_ser *hw = (struct iommu_hw_ser *)to[P_IOMMUS];
	struct intel_hw_ser *hw_part = (struct intel_hw_ser *)hw->part;
	struct iommufd_ser *fd = (struct iommufd_ser *)to[P_IOMMUFD];
	struct vfio_pci_ser *vfio = (struct vfio_pci_ser *)to[P_VFIO];

	*root = (struct iommu_ser) {
		.version = IOMMU_SER_VERSION,
		.iommus_pa = PAGE_PA(P_IOMMUS),
		.domains_pa = PAGE_PA(P_DOMAINS),
		.devices_pa = PAGE_PA(P_DEVICES),
	};
	*hw = (struct iommu_hw_ser) {
		.flags = IOMMU_SER_USED,
		.type = IOMMU_SER_TYPE_INTEL,
		.length = sizeof(*hw_part),
		.id = 0xfed90000,
	};
	hw_part->root_pa = PAGE_PA(P_UNIT);
	hw_part->flags = scalable ? INTEL_HW_SER_SCALABLE : 0;
	words(to, P_UNIT)[0] = PAGE_PA(P_CTX) | 1;
	good_device(to, 0, scalable);
	good_device(to, 1, scalable);
	good_v1(to);
	if (m == M_PASIDS)
		good_pasids(to);
	good_pci(to[P_PCI]);
	good_pci_vfs(to[P_PCI_VFS]);
	good_pfs(to[P_PFS]);
	good_pf_driver(to[P_PF_DRIVER]);
	fd->version = IOMMUFD_SER_VERSION;
	fd->nr_hwpts = 2;
	for (u32 i = 0; i < 2; i++) {
		fd->hwpts[i].token = 0x11 + i;
		fd->hwpts[i].domain = i;
	}
	vfio->version = VFIO_PCI_SER_VERSION;
	vfio->bdf = DEV0_BDF;
	memset(to[P_MEMFD], 0xa5, PAGE_SIZE);
	good_memfd(to);
	good_hugetlb(to);
}

void image_init(void)
{
	for (unsigned int m = 0; m < M_NR; m++) {
		u8 *to[P_NR];

		for (unsigned int i = 0; i < P_NR; i++) {
			pages[i].good[m] = calloc(1, page_bytes(i));
			to[i] = pages[i].good[m];
		}
		good_image(to, m);
	}
	/* Each on its own: the sanitizer sees what reads beyond it. */
	for (unsigned int i = 0; i < P_NR; i++)
		pages[i].now = malloc(page_bytes(i));
}

void image_reset(enum image_mode m, bool v1, bool plain)
{
	bool all = undo_all || mode != m;

	for (unsigned int i = 0; i < P_NR; i++) {
		if (all)
			memcpy(pages[i].now, pages[i].good[m], page_bytes(i));
		pages[i].preserved = true;
		pages[i].claimed = false;
		pages[i].touched = 0;
	}
	for (unsigned int i = 0; i < nr_undo && !all; i++)
		memcpy(pages[undo[i].page].now + undo[i].offset,
		       pages[undo[i].page].good[m] + undo[i].offset, 8);
	nr_undo = 0;
	undo_all = false;
	mode = m;
	judge_v1 = v1;
	judge_plain = plain;
}

bool image_put(enum page_name page, size_t offset, unsigned int len, u64 value)
{
	if (page >= P_NR || len > 8 || offset + len > page_bytes(page))
		return false;
	memcpy(pages[page].now + offset, &value, len);
	if (pages[page].touched < offset + len)
		pages[page].touched = offset + len;
	if (nr_undo == UNDO_MAX) {
		undo_all = true;
		return true;
	}
	undo[nr_undo].page = page;
	undo[nr_undo++].offset = offset + 8 > page_bytes(page) ?
				 page_bytes(page) - 8 : offset;
	return true;
}

void image_drop(enum page_name page)
{
	pages[page].preserved = false;
}

/*
 * Of guestmemfs it is seen only that the damages can be done: what its checks say is for
 * tests/guestmemfs.
 */
static struct {
	struct damage_layout layout[2];
	struct guestmemfs_state state;
	struct guestmemfs_inode inode[4];
	struct guestmemfs_extent extent[4];
	u64 file;
} guestmem;

void image_victim(struct damage_victim *v, bool vf)
{
	*v = (struct damage_victim) {
		.foreign = PAGE_PA(P_NR),
		.iommu = (void *)pages[P_ROOT].now,
		.hw = (void *)pages[P_IOMMUS].now,
		.domain = (void *)pages[P_DOMAINS].now,
		.device = (void *)pages[P_DEVICES].now,
		.devices = (void *)pages[P_DEVICES].now,
		.root = (void *)pages[P_UNIT].now,
		.ctx = (u64 *)pages[P_CTX].now + DEV0_BDF * (mode == M_LEGACY ? 2 : 4),
		.dte = (u64 *)pages[P_UNIT].now + DEV0_BDF * AMD_DTE_WORDS,
		.ste = (u64 *)pages[P_FOLIO].now + DEV0_BDF * SMMUV3_ENTRY_WORDS,
		.cd = (u64 *)pages[P_DIR0].now,
		.top = (void *)pages[P_TOP0].now,
		.pci = (void *)pages[vf ? P_PCI_VFS : P_PCI].now,
		.pfs = vf ? (void *)pages[P_PFS].now : NULL,
		.iommufd = (void *)pages[P_IOMMUFD].now,
		.vfio = (void *)pages[P_VFIO].now,
		.memfd = (void *)pages[P_MEMFD_SER].now,
		.chunk = (void *)pages[P_MEMFD_CHUNK].now,
		.folio = (void *)pages[P_MEMFD_LIST].now,
		.huge = (void *)pages[P_HUGE_SER].now,
		.runs = (void *)pages[P_HUGE_LIST].now,
		.run = (void *)((struct hugetlb_memfd_list *)pages[P_HUGE_LIST].now)->run,
		.pools = (void *)pages[P_POOLS].now,
		.layout = guestmem.layout,
		.state = &guestmem.state,
		.inode = guestmem.inode,
		.extent = guestmem.extent,
		.guestmem = &guestmem.file,
	};
	v->other = v->device + 1;
	v->other_domain = v->domain + 1;
	v->bridge = &v->pci->devices[0];
	v->pci_dev = &v->pci->devices[vf ? 3 : 1];
	if (vf) {
		v->pf = &v->pci->devices[1];
		v->sriov = &v->pfs->pfs[0];
		v->driver = (void *)pages[P_PF_DRIVER].now;
		v->igb = (void *)v->driver->data;
	}
	if (mode != M_LEGACY) {
		v->dir = (void *)pages[P_DIR0].now;
		v->pasid = (void *)pages[P_PT0].now;
		v->pasid_entry = (void *)pages[P_PT0].now;
		v->listed = mode == M_PASIDS ? (void *)pages[P_LIST0].now : NULL;
	} else {
		v->stranger = v->ctx + 2 * (7 - (DEV0_BDF & 7));
	}
}

void image_written(void (*note)(void *data, enum page_name page, size_t offset,
				u64 value), void *data)
{
	for (unsigned int i = 0; i < P_NR; i++) {
		const u8 *now = pages[i].now, *good = pages[i].good[mode];

		for (size_t at = 0; at < page_bytes(i); at += 8) {
			u64 value;

			if (!memcmp(now + at, good + at, 8))
				continue;
			memcpy(&value, now + at, 8);
			image_put(i, at, 8, value);
			note(data, i, at, value);
		}
	}
}

/* --- as the kernel does it, in the same order --- */

/*
 * How many entries of an array can be in use. The kernel goes through all of
 * them; here most of the time would go into entries that were never written.
 */
static u32 entries(enum page_name page, size_t size)
{
	size_t n = (pages[page].touched + size - 1) / size;

	if (n > page_bytes(page) / size)
		n = page_bytes(page) / size;
	return n > 3 ? n : 3;
}

static char *out_at, *out_end;

static void refuse(const char *what, unsigned int i, const char *why)
{
	int n;

	if (!why)
		return;
	n = i == ~0u ? snprintf(out_at, out_end - out_at, "%s: %s\n", what, why) :
		       snprintf(out_at, out_end - out_at, "%s %u: %s\n", what, i, why);
	out_at = out_at + n < out_end ? out_at + n : out_end - 1;
}

/* The entry of @bdf in a context table, if it is present. */
static const u64 *context(const u64 *table, unsigned int step, u16 bdf)
{
	const u64 *ctx = table + (bdf & (512 / step - 1)) * step;

	return ctx[0] & 1 ? ctx : NULL;
}

static void judge_unit(const struct iommu_ser_view *view,
		       const struct vtd_unit *unit, u32 index)
{
	const struct iommu_hw_ser *hw = &view->iommus[index];
	const u64 *root = view->mem->get(view->mem, intel_hw_part(hw)->root_pa, 0);
	unsigned int step = unit->scalable ? 4 : 2;
	const u64 *tables[512] = {};
	unsigned int slot;
	u32 i;

	/* 256 buses; two halves of a bus in scalable mode, else every other word */
	for (slot = 0; slot < 512; slot += unit->scalable ? 1 : 2) {
		const char *why;

		if (!(root[slot] & 1))
			continue;
		why = vtd_check_root_slot(view->mem, unit, root[slot]);
		refuse("bus", slot / 2, why);
		if (!why)
			tables[slot] = view->mem->get(view->mem,
						      root[slot] & ~0xfffull, 0);
	}
	for (i = 0; i < entries(P_DEVICES, sizeof(view->devices[0])); i++) {
		const struct iommu_device_ser *d = &view->devices[i];
		const u64 *ctx = NULL;

		if (!(d->flags & IOMMU_SER_USED) || d->iommu != index)
			continue;
		slot = d->bdf >> 8 << 1 | (unit->scalable && d->bdf & 0x80);
		if (tables[slot])
			ctx = context(tables[slot], step, d->bdf);
		refuse("device", i, ctx ?
		       vtd_check_device(view, unit, d, root[slot] & ~0xfffull, ctx) :
		       "it has no context entry");
	}
}

/* The register is what the good handover says; its size is the last word of P_SPARE. */
static void judge_amd_unit(const struct iommu_ser_view *view,
			   const struct amd_unit *unit, u32 index)
{
	const struct amd_hw_ser *part = amd_hw_part(&view->iommus[index]);
	const u64 *table = view->mem->get(view->mem, part->table_pa,
					  get_order(part->table_size));
	const u64 reg = PAGE_PA(P_UNIT) | ((u64 *)pages[P_SPARE].now)[511];
	const char *why = amd_check_table_register(part, reg);
	u32 i;

	refuse("unit", index, why);
	for (i = 0; !why && i < entries(P_DEVICES, sizeof(view->devices[0])); i++) {
		const struct iommu_device_ser *d = &view->devices[i];
		const u64 *dte = table + d->bdf * AMD_DTE_WORDS;

		if (!(d->flags & IOMMU_SER_USED) || d->iommu != index)
			continue;
		refuse("device", i, amd_check_device(view, unit, d, dte));
	}
}

static void judge_amd(const struct iommu_ser_view *view)
{
	static const struct amd_unit unit = { .paddr_bits = 39, .vasz_lg2 = 48 };
	u32 i;

	for (i = 0; i < entries(P_IOMMUS, sizeof(view->iommus[0])); i++)
		if ((view->iommus[i].flags & IOMMU_SER_USED) &&
		    view->iommus[i].type == IOMMU_SER_TYPE_AMD)
			judge_amd_unit(view, &unit, i);
	for (i = 0; i < entries(P_DOMAINS, sizeof(view->domains[0])); i++)
		if ((view->domains[i].flags & IOMMU_SER_USED) &&
		    view->domains[i].type == IOMMU_SER_TYPE_AMD)
			refuse("tables", i,
			       amd_check_tables(&memory, &unit, &view->domains[i]));
}

/* The registers are what the handover says, but for bits in the last words of P_SPARE. */
static void judge_smmu_unit(const struct iommu_ser_view *view,
			    const struct smmuv3_unit *unit, u32 index)
{
	const struct smmuv3_hw_ser *part = smmuv3_hw_part(&view->iommus[index]);
	const u64 *spare = (const u64 *)pages[P_SPARE].now;
	bool two = smmuv3_is_two_level(part->strtab_cfg);
	u64 size = smmuv3_strtab_size(part->strtab_cfg);
	const u64 *table = view->mem->get(view->mem, part->strtab_pa, get_order(size));
	const char *why;
	u32 i;

	why = smmuv3_check_registers(part, part->strtab_pa ^ spare[510],
				     part->strtab_cfg ^ spare[511]);
	refuse("unit", index, why);
	for (i = 0; !why && two && i < size / 8; i++)
		refuse("streams", i << SMMUV3_SPLIT, smmuv3_check_l1(view, index, i, table[i]));
	for (i = 0; !why && i < entries(P_DEVICES, sizeof(view->devices[0])); i++) {
		const struct iommu_device_ser *d = &view->devices[i];
		const struct smmuv3_device_ser *dev = smmuv3_device_part(d);
		const u64 *stes = table, *ste, *cds;
		u32 sid = dev->sid;

		if (!(d->flags & IOMMU_SER_USED) || d->iommu != index)
			continue;
		if (two) {
			stes = view->mem->get(view->mem, dev->l2_pa,
					      get_order(SMMUV3_L2_SIZE));
			sid &= (1 << SMMUV3_SPLIT) - 1;
		}
		ste = stes + sid * SMMUV3_ENTRY_WORDS;
		cds = view->mem->get(view->mem, dev->cd_pa,
				     get_order(SMMUV3_ENTRY_SIZE << dev->s1cdmax));
		why = smmuv3_check_device(view, unit, d, ste, cds);
		refuse("device", i, why);
		/* The kernel does not even look at such an entry. */
		if (!why && smmuv3_ste_blocks(ste))
			abort();
		why = NULL;
	}
}

static void judge_smmu(const struct iommu_ser_view *view)
{
	static const struct smmuv3_unit unit = {
		.oas = 39, .ips = 2, .asid_bits = 8, .stalls = true,
	};
	u32 i;

	for (i = 0; i < entries(P_IOMMUS, sizeof(view->iommus[0])); i++)
		if ((view->iommus[i].flags & IOMMU_SER_USED) &&
		    view->iommus[i].type == IOMMU_SER_TYPE_SMMUV3)
			judge_smmu_unit(view, &unit, i);
	for (i = 0; i < entries(P_DOMAINS, sizeof(view->domains[0])); i++)
		if ((view->domains[i].flags & IOMMU_SER_USED) &&
		    view->domains[i].type == IOMMU_SER_TYPE_SMMUV3)
			refuse("tables", i,
			       smmuv3_check_tables(&memory, &unit, &view->domains[i]));
}

/* An IOMMU that finds no fault with anything of its own */
static const char *other_check(const struct iommu_ser_view *view, u32 i)
{
	(void)view, (void)i;
	return NULL;
}

static const struct iommu_ser_driver other_driver = {
	.type = OTHER_TYPE,
	.check_iommu = other_check,
	.check_domain = other_check,
	.check_device = other_check,
};

static const struct iommu_ser_driver *find_driver(u16 type)
{
	return type == IOMMU_SER_TYPE_INTEL ? &vtd_ser_driver :
	       type == IOMMU_SER_TYPE_AMD ? &amd_ser_driver :
	       type == IOMMU_SER_TYPE_SMMUV3 ? &smmuv3_ser_driver :
	       type == IOMMU_SER_TYPE_NOIOMMU ? &noiommu_ser_driver :
	       type == OTHER_TYPE ? &other_driver : NULL;
}

/* As the kernel does it: the arrays of this version are its own then. */
static const char *read_v1(struct iommu_ser_view *view)
{
	struct iommu_ser_arrays to = {
		.iommus = (struct iommu_hw_ser *)pages[P_IOMMUS].now,
		.domains = (struct iommu_domain_ser *)pages[P_DOMAINS].now,
		.devices = (struct iommu_device_ser *)pages[P_DEVICES].now,
	};
	struct iommu_ser_v1_view v1;
	const char *why;

	why = iommu_ser_v1_check(&memory, PAGE_PA(P_V1_ROOT), &v1);
	if (why)
		return why;
	for (enum page_name i = P_IOMMUS; i <= P_DEVICES; i++) {
		memset(pages[i].now, 0, page_bytes(i));
		pages[i].preserved = false;
		pages[i].touched = pages[i - P_IOMMUS + P_V1_IOMMUS].touched ?
				   page_bytes(i) : 0;
	}
	vtd_ser_v1_ops.read(&v1, &to);
	/* All of them are written to: undoing that is as much as beginning anew. */
	undo_all = true;
	view->mem = &memory;
	view->iommus = to.iommus;
	view->domains = to.domains;
	view->devices = to.devices;
	return NULL;
}

static void judge_iommu(const struct vtd_unit *units)
{
	struct iommu_ser_view view = { .driver = find_driver };
	const char *why;
	u32 i;

	why = judge_v1 ? read_v1(&view) :
			 iommu_ser_check(&memory, PAGE_PA(P_ROOT), &view);
	refuse("iommu list", ~0u, why);
	if (why)
		return;
	for (i = 0; i < entries(P_IOMMUS, sizeof(view.iommus[0])); i++) {
		if (!(view.iommus[i].flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_iommu(&view, i);
		refuse("iommu", i, why);
		if (why)
			image_put(P_IOMMUS, i * sizeof(view.iommus[0]), 4, 0);
	}
	for (i = 0; i < entries(P_DOMAINS, sizeof(view.domains[0])); i++) {
		if (!(view.domains[i].flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_domain(&view, i);
		refuse("domain", i, why);
		if (why)
			image_put(P_DOMAINS, i * sizeof(view.domains[0]), 4, 0);
	}
	for (i = 0; i < entries(P_DEVICES, sizeof(view.devices[0])); i++) {
		if (!(view.devices[i].flags & IOMMU_SER_USED))
			continue;
		why = iommu_ser_check_device(&view, i);
		refuse("device", i, why);
		if (why)
			image_put(P_DEVICES, i * sizeof(view.devices[0]), 4, 0);
	}
	for (i = 0; i < entries(P_IOMMUS, sizeof(view.iommus[0])); i++)
		if ((view.iommus[i].flags & IOMMU_SER_USED) &&
		    view.iommus[i].type == IOMMU_SER_TYPE_INTEL)
			judge_unit(&view, &units[!!(intel_hw_part(&view.iommus[i])->flags &
						    INTEL_HW_SER_SCALABLE)], i);
	for (i = 0; i < entries(P_DOMAINS, sizeof(view.domains[0])); i++)
		if ((view.domains[i].flags & IOMMU_SER_USED) &&
		    view.domains[i].type == IOMMU_SER_TYPE_INTEL)
			refuse("tables", i,
			       vtd_check_tables(&memory, &units[0], &view.domains[i]));
	judge_amd(&view);
	judge_smmu(&view);
}

/* A driver is asked only for what has the name and the size of its format. */
static void judge_driver(u64 pa)
{
	const struct pci_pf_driver_ser *driver = mem_get(&memory, pa, 0);

	if (!strcmp(driver->compatible, IGB_LIVEUPDATE_COMPATIBLE) &&
	    driver->size == sizeof(struct igb_pf_ser))
		refuse("igb", ~0u, igb_pf_ser_check((const struct igb_pf_ser *)driver->data));
}

static void judge_pci(const char *what, enum page_name page)
{
	const struct pci_sriov_list_ser *pfs = NULL;
	const struct pci_ser *pci;
	const char *why;

	why = pci_ser_check(&memory, PAGE_PA(page), 4096, &pci, &pfs);
	refuse(what, ~0u, why);
	/* As the kernel does for each device that it finds: nothing is read beyond. */
	for (u32 i = 0; !why && i < pci->nr_devices; i++) {
		const struct pci_dev_ser *entry = &pci->devices[i];
		const struct pci_sriov_ser *sriov;

		sriov = pci_ser_find_sriov(pfs, entry->segment, entry->bdf);
		if (!!sriov != !!(entry->flags & PCI_DEV_SER_PF))
			abort();
		if (sriov && sriov->driver_pa)
			judge_driver(sriov->driver_pa);
	}
}

/* The last one is not there. */
static u64 node_pages(u32 nid)
{
	static const u64 pages[] = { 2048, 1024, 0 };

	return pages[nid];
}

void image_judge(char *out, size_t len)
{
	const struct vtd_unit units[] = {
		{ .scalable = false, .haw = 39, .sagaw = 6, .large_pages = 1,
		  .device_tlb = !judge_plain, .first_did = 2, .end_did = 0x8000 },
		{ .scalable = true, .haw = 39, .sagaw = 6, .large_pages = 1,
		  .device_tlb = !judge_plain, .first_did = 2, .end_did = 0x8000 },
	};
	static const struct hugetlb_ser_limits limits = {
		.nodes = 3, .pages = 3072, .node_pages = node_pages,
	};
	const struct iommufd_ser *fd;
	const struct hugetlb_memfd_ser *huge;
	const struct memfd_luo_ser *memfd;
	const struct hugetlb_ser *pools;
	const struct vfio_pci_ser *vfio;
	u32 version, vfio_version;

	out_at = out;
	out_end = out + len;
	*out = 0;
	judge_iommu(units);
	judge_pci("pci list", P_PCI);
	judge_pci("pci list with VFs", P_PCI_VFS);
	/* Each version comes with a handler of its own; so does an unknown one. */
	memcpy(&version, pages[P_IOMMUFD].now, sizeof(version));
	if (version != IOMMUFD_SER_VERSION_V1)
		version = IOMMUFD_SER_VERSION;
	refuse("iommufd", ~0u, iommufd_ser_check(&memory, PAGE_PA(P_IOMMUFD),
						 version, &fd));
	memcpy(&vfio_version, pages[P_VFIO].now, sizeof(vfio_version));
	if (vfio_version != VFIO_PCI_SER_VERSION_1)
		vfio_version = VFIO_PCI_SER_VERSION;
	refuse("vfio", ~0u, vfio_pci_ser_check(&memory, PAGE_PA(P_VFIO),
					       vfio_version, &vfio));
	/* For each file the kernel begins to claim anew. */
	for (unsigned int i = 0; i < P_NR; i++)
		pages[i].claimed = false;
	refuse("memfd", ~0u, memfd_ser_check(&memory, PAGE_PA(P_MEMFD_SER), &memfd));
	for (unsigned int i = 0; i < P_NR; i++)
		pages[i].claimed = false;
	refuse("hugetlb memfd", ~0u, hugetlb_memfd_ser_check(&memory, PAGE_PA(P_HUGE_SER), &huge));
	refuse("pools", ~0u, hugetlb_ser_check(&memory, PAGE_PA(P_POOLS), &limits, &pools));
}
