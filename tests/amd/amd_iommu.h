/* SPDX-License-Identifier: GPL-2.0-only */
/* What of the driver's own headers its live update uses; see drivers/iommu/amd/amd_iommu_types.h. */
#ifndef AMD_IOMMU_H
#define AMD_IOMMU_H

enum { AMD_IOMMU_FLAG_TRANS_PRE_ENABLED = 1 };
enum { PD_MODE_V1 = 1, PD_MODE_V2 };
enum { MMIO_DEV_TABLE_OFFSET = 0, MMIO_CONTROL_OFFSET = 0x18, MMIO_STATUS_OFFSET = 0x2020, MMIO_CNTR_CONF_OFFSET = 0x4000 };
enum { MMIO_STATUS_EVT_RUN_MASK = 8, MMIO_STATUS_PPR_RUN_MASK = 0x80, MMIO_STATUS_GALOG_RUN_MASK = 0x100 };
enum { CONTROL_IOMMU_EN, CONTROL_EVT_LOG_EN = 2, CONTROL_EVT_INT_EN, CONTROL_CMDBUF_EN = 12, CONTROL_PPRLOG_EN,
       CONTROL_PPRINT_EN, CONTROL_GALOG_EN = 28, CONTROL_GAINT_EN };
#define PM_ADDR_MASK		0x000ffffffffff000ull

struct dev_table_entry { u64 data[4]; };

struct amd_iommu_pci_seg {
	u16 id, last_bdf;
	u32 dev_table_size;
	struct dev_table_entry *dev_table, *old_dev_tbl_cpy;
	struct amd_iommu **rlookup_table;
	u16 *alias_table;
};

struct amd_iommu {
	struct iommu_device iommu;
	struct amd_iommu_pci_seg *pci_seg;
	u8 *mmio_base;
	u64 mmio_phys;
	spinlock_t lock;
	int index, flags;
};

enum { UNITS = 3, SEGMENTS = 2 };
extern struct amd_iommu amd_units[UNITS];
extern struct amd_iommu_pci_seg amd_segments[SEGMENTS];
#define for_each_iommu(i)	for ((i) = amd_units; (i) < amd_units + UNITS; (i)++)
#define for_each_pci_segment(s)	for ((s) = amd_segments; (s) < amd_segments + SEGMENTS; (s)++)

struct pt_iommu_amdv1_hw_info { u64 host_pt_root; unsigned int mode; };
struct pt_iommu { const struct { int (*preserve)(struct pt_iommu *); void (*unpreserve)(struct pt_iommu *); } *ops; };
struct protection_domain {
	struct iommu_domain domain;
	struct pt_iommu iommu;
	struct { struct { struct { unsigned int max_vasz_lg2; } common; } amdpt; } amdv1;
	struct list_head viommu_list;
	int pd_mode;
	bool dirty_tracking;
	u16 id;
};

struct iommu_dev_data {
	struct protection_domain *domain;
	struct { void *gcr3_tbl; } gcr3_info;
	spinlock_t dte_lock;
	bool pasid_enabled, ppr, ats_enabled;
	u16 devid;
};

#define guard_spinlock_irqsave(l) guard_mutex(l)
#define list_empty(l)		((l)->next == (l))
#define to_pdomain(d)		container_of(d, struct protection_domain, domain)
#define pt_iommu_amdv1_hw_info(pt, info) (*(info) = (struct pt_iommu_amdv1_hw_info) {})
struct iommu_dev_data *dev_iommu_priv_get(struct device *dev);
struct amd_iommu *get_amd_iommu_from_dev(struct device *dev);

extern bool amd_iommu_irq_remap, irq_remapping_enabled, amd_iommu_snp_en;
extern unsigned int amd_iommu_hpt_vasize;
extern int amd_iommu_pgtable;
static inline bool translation_pre_enabled(struct amd_iommu *iommu)
{
	return iommu->flags & AMD_IOMMU_FLAG_TRANS_PRE_ENABLED;
}

struct dev_table_entry *amd_iommu_get_ivhd_dte_flags(u16 segment, u16 devid);
void amd_iommu_flush_all_caches(struct amd_iommu *iommu);
int amd_iommu_pdom_id_reserve(u16 id, gfp_t gfp);
void amd_iommu_pdom_id_free(int id);
void iommu_free_pages(void *p);

#include "liveupdate.h"

#endif
