/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as drivers/iommu/liveupdate.c needs, to run it in a process:
 * each header that it includes is this one (see check). What it does to memory, PCI
 * and KHO is in model.c, which looks at it.
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
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
typedef u32 __le32;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef u32 ioasid_t;

#define __packed		__attribute__((packed))
#define __maybe_unused		__attribute__((unused))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define __init
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1ul << PAGE_SHIFT)
#define PHYS_PFN(pa)		((unsigned long)((pa) >> PAGE_SHIFT))
#define IS_ALIGNED(x, a)	(!((x) & ((a) - 1)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BIT(n)			(1ul << (n))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_NOFAIL		0
#define F_SEAL_SEAL		1
#define F_SEAL_SHRINK		2
#define F_SEAL_GROW		4
#define ENOTSUPP		524

#define IS_ERR(p)		((unsigned long)(p) >= -4095ul)
#define IS_ERR_OR_NULL(p)	(!(p) || IS_ERR(p))
#define PTR_ERR(p)		((long)(p))
#define ERR_PTR(e)		((void *)(long)(e))
#define ERR_CAST(p)		((void *)(p))

#define THIS_MODULE		NULL
#define EXPORT_SYMBOL_GPL(name)
#define EXPORT_SYMBOL_NS_GPL(name, ns)
#define module_param(...)	extern int shim_unused
#define MODULE_PARM_DESC(...)	extern int shim_unused
#define WARN_ON(c)		({ bool bad_ = (c); if (bad_) shim_bug(#c); bad_; })
#define pr_err(...)		shim_log(__VA_ARGS__)
#define pr_info(...)		shim_log(__VA_ARGS__)
#define dev_dbg(dev, ...)	shim_log(__VA_ARGS__)
#define dev_warn(dev, ...)	shim_log(__VA_ARGS__)
void shim_bug(const char *what);
__printf(1, 2) void shim_log(const char *format, ...);

/* One thread: a lock is held or not, and who takes it twice has a bug. */
struct mutex { bool held; };
typedef struct mutex spinlock_t;
#define DEFINE_MUTEX(name)	struct mutex name
#define DEFINE_SPINLOCK(name)	spinlock_t name
#define lockdep_assert_held(l)	WARN_ON(!(l)->held)
#define lockdep_assert_not_held(l) WARN_ON((l)->held)

static inline struct mutex *shim_lock(struct mutex *lock)
{
	lockdep_assert_not_held(lock);
	lock->held = true;
	return lock;
}

static inline void shim_unlock(struct mutex **lock)
{
	(*lock)->held = false;
}

#define SHIM_CAT(a, b)		a##b
#define SHIM_NAME(a, b)		SHIM_CAT(a, b)
#define guard(type)		guard_##type
#define guard_mutex(l) struct mutex *SHIM_NAME(guard_, __COUNTER__) \
	__attribute__((cleanup(shim_unlock), unused)) = shim_lock(l)
#define guard_spinlock(l)	guard_mutex(l)
#define scoped_guard(type, l) \
	for (struct mutex *guard_ __attribute__((cleanup(shim_unlock))) = \
	     shim_lock(l), *once_ = guard_; once_; once_ = NULL)

struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name)		struct list_head name = { &name, &name }
#define list_for_each_entry(p, head, member) \
	for (p = container_of((head)->next, __typeof__(*p), member); \
	     &p->member != (head); \
	     p = container_of(p->member.next, __typeof__(*p), member))

static inline void list_add_tail(struct list_head *new, struct list_head *head)
{
	new->prev = head->prev;
	new->next = head;
	head->prev->next = new;
	head->prev = new;
}

#define BITS_PER_LONG		64
#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]

static inline bool test_bit(unsigned int n, const unsigned long *map)
{
	return map[n / 64] >> n % 64 & 1;
}

static inline void __set_bit(unsigned int n, unsigned long *map)
{
	map[n / 64] |= 1ul << n % 64;
}

static inline void __clear_bit(unsigned int n, unsigned long *map)
{
	map[n / 64] &= ~(1ul << n % 64);
}

static inline bool test_and_set_bit(unsigned int n, unsigned long *map)
{
	bool was = test_bit(n, map);

	__set_bit(n, map);
	return was;
}

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, (bits + 63) / 64 * sizeof(long));
}

#define __assign_bit(n, map, v)	((v) ? __set_bit(n, map) : __clear_bit(n, map))

struct xarray { struct { unsigned long index; void *entry; } slots[64]; };
#define DEFINE_XARRAY(name)	struct xarray name
#define xa_mk_value(v)		((void *)((unsigned long)(v) << 1 | 1))
#define xa_to_value(e)		((unsigned long)(e) >> 1)
#define xa_err(e)		((e) == SHIM_XA_ENOMEM ? -ENOMEM : 0)
#define SHIM_XA_ENOMEM		((void *)-1l)
void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
void *xa_load(struct xarray *xa, unsigned long index);
void xa_erase(struct xarray *xa, unsigned long index);
int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
void xa_init(struct xarray *xa);
void xa_destroy(struct xarray *xa);
static inline void cond_resched(void) {}

/* Memory that can run out: shim_fails() says when. */
bool shim_fails(void);
void *shim_zalloc(size_t size, bool nofail);
#define kzalloc_obj(o, ...)	((__typeof__(o) *)shim_zalloc(sizeof(o), false))
#define kvzalloc_obj(o, ...)	((__typeof__(o) *)shim_zalloc(sizeof(o), true))
#define kvzalloc(size, gfp)	shim_zalloc(size, true)
#define kfree(p)		free(p)
#define kvfree(p)		free(p)

/* A page of the model is a folio, and its address is the physical one. */
struct folio;
#define virt_to_phys(p)		((u64)(unsigned long)(p))
#define phys_to_virt(pa)	((void *)(unsigned long)(pa))
#define virt_to_folio(p)	((struct folio *)(p))
#define folio_pfn(f)		PHYS_PFN((unsigned long)(f))
#define folio_address(f)	((void *)(f))
unsigned int folio_order(struct folio *folio);
unsigned int get_order(size_t size);
void *kho_alloc_preserve(size_t size);
void kho_unpreserve_free(void *mem);
void kho_restore_free(void *mem);
void folio_put(struct folio *folio);
int kho_preserve_folio(struct folio *folio);
void kho_unpreserve_folio(struct folio *folio);
bool kho_is_preserved(phys_addr_t phys, unsigned int order);
struct folio *kho_restore_folio(phys_addr_t phys);
bool is_kho_boot(void);
extern bool kexec_in_progress;
struct shim_ioptdesc { bool incoherent; };
struct shim_ioptdesc *folio_ioptdesc(struct folio *folio);
#define folio_page(f, n)	(f)
#define folio_pgdat(f)		(f)
#define memcg_kmem_charge_page(...) ((void)0)
#define mod_node_page_state(...) ((void)0)
#define lruvec_stat_mod_folio(f, what, n) ((void)(n))

struct dev_iommu;
struct iommu_device;
struct iommu_domain;
struct iommu_group;
struct liveupdate_view;
struct liveupdate_session;

struct device {
	const char *name;
	struct dev_iommu *iommu;
	struct iommu_group *iommu_group;
};

struct pci_dev {
	struct device dev;
	u16 bdf;
	bool master;		/* can do DMA */
	bool refused;
};

#define dev_name(d)		((d)->name)
#define dev_is_pci(d)		((void)(d), true)
#define to_pci_dev(d)		container_of(d, struct pci_dev, dev)
#define pci_domain_nr(bus)	0
#define pci_dev_id(p)		((p)->bdf)
#define PCI_BUS_NUM(bdf)	((bdf) >> 8)
#define PCI_SLOT(bdf)		((bdf) >> 3 & 0x1f)
#define PCI_FUNC(bdf)		((bdf) & 7)
struct pci_dev *pci_get_domain_bus_and_slot(u32 domain, u8 number, u8 devfn);
struct pci_dev *shim_next_pci(struct pci_dev *prev);
#define pci_dev_put(p)		((void)(p))
#define for_each_pci_dev(p)	while ((p = shim_next_pci(p)))
void pci_liveupdate_refuse(struct pci_dev *dev, const char *why);
void pci_liveupdate_refuse_all(const char *why);
bool pci_liveupdate_incoming(struct pci_dev *dev);
bool pci_liveupdate_running(struct pci_dev *dev);

struct iommu_ops {
	const struct iommu_liveupdate_ops *liveupdate;
	struct iommu_domain *blocked_domain;
};

struct iommu_domain_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old);
	void (*free)(struct iommu_domain *domain);
};

#define __IOMMU_DOMAIN_PAGING	(1u << 0)
struct iommu_domain {
	unsigned int type;
	const struct iommu_domain_ops *ops;
	const struct iommu_ops *owner;
	void *iopf_handler;
	struct iommu_domain_ser *preserved;
	struct iommu_restored *restored;
};

struct iommu_device {
	struct device *dev;
	struct list_head list;
	const struct iommu_ops *ops;
	struct iommu_hw_ser *liveupdate_ser;
};

struct dev_iommu {
	struct iommu_device *iommu_dev;
	struct iommu_device_ser *preserved;
	u32 attach_deferred;
};

enum { IOMMU_RESV_DIRECT, IOMMU_RESV_DIRECT_RELAXABLE };
struct iommu_resv_region {
	struct list_head list;
	int type;
};

extern struct list_head iommu_device_list;
extern spinlock_t iommu_device_lock;
#define dev_iommu_ops(dev)	((dev)->iommu->iommu_dev->ops)
#define iommu_get_resv_regions(dev, list)	((void)(list))
#define iommu_put_resv_regions(dev, list)	((void)(list))
int iommu_group_for_each_dev(struct iommu_group *group, void *data,
			     int (*fn)(struct device *dev, void *data));
struct iommu_domain *iommu_get_domain_for_dev(struct device *dev);

struct file;
#define memfd_get_seals(f)	((void)(f), 0)

struct liveupdate_file_handler;
struct liveupdate_flb;
struct liveupdate_flb_op_args {
	struct liveupdate_flb *flb;
	u64 data;
	void *obj;
};

struct liveupdate_flb_ops {
	int (*preserve)(struct liveupdate_flb_op_args *args);
	void (*unpreserve)(struct liveupdate_flb_op_args *args);
	int (*retrieve)(struct liveupdate_flb_op_args *args);
	void (*finish)(struct liveupdate_flb_op_args *args);
	const struct liveupdate_flb_versions *versions;
	void *owner;
};

struct liveupdate_flb {
	const struct liveupdate_flb_ops *ops;
	const char compatible[48];
};

#define liveupdate_register_flb(fh, flb) ((void)(fh), (void)(flb), 0)
int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **obj);
#define liveupdate_flb_put_incoming(flb) ((void)(flb))
__printf(4, 5) void liveupdate_refused(const char *type, const char *by,
				       const char *why, const char *id, ...);
#define liveupdate_refused_pci(...) ((void)0)

/* What debugfs shows is not looked at here. */
#define __IOMMU_LIVEUPDATE_SHOW_H

#endif
