/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as drivers/iommu/intel/replace.c needs, to run it in a process:
 * each header that it includes is this one (see check). What it asks of the hardware is
 * in model.c, which is the hardware.
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef unsigned __int128 u128;
typedef u64 phys_addr_t;
typedef u32 ioasid_t;

#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BIT(n)			(1ul << (n))
#define BIT_ULL(n)		(1ull << (n))
#define GENMASK_ULL(h, l)	((~0ull << (l)) & (~0ull >> (63 - (h))))
#define FIELD_GET(mask, v)	(((v) & (mask)) / ((mask) & -(mask)))
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, v)	((x) = (v))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define WARN_ON_ONCE(c)		(!!(c))
#define GFP_KERNEL		0

struct va_format {
	const char *fmt;
	va_list *va;
};
#define dev_err_ratelimited(dev, ...)	((void)0)
#define dev_dbg(dev, ...)		((void)0)

/* One thread */
struct lock { int held; };
#define spin_lock(l)		((l)->held++)
#define spin_lock_nested(l, n)	((l)->held++)
#define spin_unlock(l)		((l)->held--)
#define lockdep_assert_held(l)	((void)(l))
#define guard(kind)		(void)

struct list_head { struct list_head *next, *prev; };
#define INIT_LIST_HEAD(l)	((l)->next = (l)->prev = (l))
#define list_for_each_entry(pos, head, member)					\
	for (pos = container_of((head)->next, __typeof__(*pos), member);	\
	     &pos->member != (head);						\
	     pos = container_of(pos->member.next, __typeof__(*pos), member))
void list_move(struct list_head *item, struct list_head *head);

#define system_has_cmpxchg128()	true
bool try_cmpxchg128(u128 *at, u128 *old, u128 new);

/* PCI */
struct device { int unused; };
struct pci_dev { struct device dev; };
#define to_pci_dev(d)		container_of(d, struct pci_dev, dev)
#define dev_is_pci(d)		((void)(d), true)
#define pci_device_is_present(p) ((void)(p), true)
#define PCI_DEVID(bus, devfn)	((u16)((bus) << 8 | (devfn)))
#define PCI_BUS_NUM(x)		((x) >> 8 & 0xff)
#define PCI_SLOT(x)		((x) >> 3 & 0x1f)
#define PCI_FUNC(x)		((x) & 7)
int pci_for_each_dma_alias(struct pci_dev *pdev,
			   int (*fn)(struct pci_dev *, u16, void *), void *data);

/* The driver */
#define IOMMU_NO_PASID		0
#define __IOMMU_DOMAIN_PAGING	1
#define IDA_START_DID		2
#define MAX_AGAW_PFN_WIDTH	52
#define VTD_PAGE_MASK		(~0xfffull)
#define PASID_PDE_SHIFT		6
#define PASID_PTE_MASK		63
#define PT_FEAT_DMA_INCOHERENT	0
enum { SINGLE_DEPTH_NESTING = 1 };
enum { CONTEXT_TT_MULTI_LEVEL = 0, CONTEXT_TT_DEV_IOTLB = 1 };
enum { DMA_CCMD_MASK_NOBIT, DMA_CCMD_DEVICE_INVL, DMA_TLB_DSI_FLUSH, QI_PC_PASID_SEL };
enum { PASID_FLAG_FL5LP = 1, PASID_FLAG_PAGE_SNOOP = 2, PASID_FLAG_PWSNP = 4 };

struct context_entry { u64 lo, hi; };
struct pasid_entry { u64 val[8]; };
struct pasid_dir_entry { struct pasid_entry *table; };
struct pasid_table { void *table; u32 max_pasid; };
struct ida { int next; };

struct intel_iommu {
	struct lock lock, did_lock;
	struct ida domain_ida;
	int max_domain_id;
	bool scalable, caching;
	struct {
		void (*flush_context)(struct intel_iommu *iommu, u16 did, u16 sid, u8 mask, u64 type);
		void (*flush_iotlb)(struct intel_iommu *iommu, u16 did, u64 addr, unsigned int size, u64 type);
	} flush;
	u64 cap, ecap;
};
#define sm_supported(iommu)	((iommu)->scalable)
#define cap_caching_mode(cap)	((cap) & 1)
#define ecap_sc_support(ecap)	true

struct pt_common { unsigned int features; };
struct iommu_domain { unsigned int type; void *iopf_handler; bool restored; };
struct dmar_domain {
	struct iommu_domain domain;
	struct lock lock;
	struct list_head devices, dev_pasids;
	bool force_snooping, first_stage;
	u16 did;
	u64 top;
	struct { struct { struct pt_common common; } x86_64_pt; } fspt;
	struct { int unused; } sspt;
};
struct pt_iommu_vtdss_hw_info { u64 ssptptr; u8 aw; };
struct pt_iommu_x86_64_hw_info { u64 gcr3_pt; u8 levels; };
void pt_iommu_vtdss_hw_info(void *pt, struct pt_iommu_vtdss_hw_info *info);
void pt_iommu_x86_64_hw_info(void *pt, struct pt_iommu_x86_64_hw_info *info);

struct device_domain_info {
	struct device *dev;
	struct intel_iommu *iommu;
	u8 bus, devfn;
	u16 pfsid;
	u8 ats_qdep;
	bool ats_enabled, domain_attached;
	struct dmar_domain *domain;
	struct list_head link;
	struct pasid_table *pasid_table;
};
struct dev_pasid_info { struct list_head link_domain; struct device *dev; ioasid_t pasid; };

#define to_dmar_domain(d)	container_of(d, struct dmar_domain, domain)
#define iommu_domain_is_restored(d) ((d)->restored)
#define intel_domain_is_ss_paging(d) (!(d)->first_stage)
#define intel_domain_is_fs_paging(d) ((d)->first_stage)
#define dev_is_real_dma_subdevice(d) ((void)(d), false)
#define context_copied(i, b, d)	false
struct device_domain_info *dev_iommu_priv_get(struct device *dev);
struct context_entry *iommu_context_addr(struct intel_iommu *iommu, u8 bus, u8 devfn, int alloc);
#define get_pasid_table_from_pde(pde) ((pde)->table)

/* Entries, as in "9.3 Context Entry" and "9.6 Scalable-Mode PASID Table Entry" */
#define context_present(c)	((c)->lo & 1)
#define context_domain_id(c)	((u16)((c)->hi >> 8 & 0xffff))
static inline void context_set_address_root(struct context_entry *c, u64 top)
{
	c->lo = (c->lo & 0xfff) | top;
}
#define context_set_address_width(c, w)	((c)->hi |= (w))
#define context_set_domain_id(c, did)	((c)->hi |= (u64)(did) << 8)
#define pasid_pte_is_present(p)	((p)->val[0] & 1)
#define pasid_get_domain_id(p)	((u16)((p)->val[1] & 0xffff))
#define pasid_pte_get_pgtt(p)	((u16)((p)->val[0] >> 6 & 7))
void pasid_pte_config_first_level(struct intel_iommu *iommu, struct pasid_entry *pte,
				  phys_addr_t fsptptr, u16 did, int flags);
void pasid_pte_config_second_level(struct intel_iommu *iommu, struct pasid_entry *pte,
				   struct dmar_domain *domain, u16 did);

void __iommu_flush_cache(struct intel_iommu *iommu, void *at, int size);
void iommu_flush_write_buffer(struct intel_iommu *iommu);
void qi_flush_pasid_cache(struct intel_iommu *iommu, u16 did, u64 gran, u32 pasid);
void qi_flush_piotlb_all(struct intel_iommu *iommu, u16 did, u32 pasid);
void qi_flush_dev_iotlb(struct intel_iommu *iommu, u16 sid, u16 pfsid, u16 qdep, u64 addr, unsigned int mask);
void qi_flush_dev_iotlb_pasid(struct intel_iommu *iommu, u16 sid, u16 pfsid, u32 pasid, u16 qdep, u64 addr,
			      unsigned int mask);
#define quirk_extra_dev_tlb_flush(info, addr, pages, pasid, qdep) ((void)(info))

int paging_domain_compatible(struct iommu_domain *domain, struct device *dev);
int domain_attach_iommu(struct dmar_domain *d, struct intel_iommu *iommu);
void domain_detach_iommu(struct dmar_domain *d, struct intel_iommu *iommu);
int cache_tag_assign_domain(struct dmar_domain *d, struct device *dev, ioasid_t pasid);
void cache_tag_unassign_domain(struct dmar_domain *d, struct device *dev, ioasid_t pasid);
#define iopf_for_domain_set(d, dev)	0
#define iopf_for_domain_remove(d, dev)	((void)(d))
#define intel_iommu_drain_pasid_prq(dev, pasid) ((void)(dev))
#define domain_id_iommu(d, iommu)	((d)->did)
int ida_alloc_range(struct ida *ida, int from, int to, int gfp);
void ida_free(struct ida *ida, int id);

#endif
