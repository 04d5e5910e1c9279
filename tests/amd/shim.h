/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as drivers/iommu/amd/liveupdate.c needs beyond what the core needs:
 * each header that it includes and that is not ours is this one (see check).
 */
#ifndef AMD_SHIM_H
#define AMD_SHIM_H

#include "../iommu/shim.h"

typedef u16 __u16;
typedef u64 __u64;

#define __iomem
#define rootfs_initcall(f)	extern int shim_unused
#define core_initcall(f)	extern int shim_unused
#define subsys_initcall_sync(f)	extern int shim_unused
#define ALLOW_ERROR_INJECTION(f, type) extern int shim_unused
#define BIT_ULL(n)		(1ull << (n))
#define GENMASK_ULL(h, l)	(~0ull << (l) & ~0ull >> (63 - (h)))
#define FIELD_GET(mask, v)	(((v) & (mask)) >> __builtin_ctzll(mask))
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v), model_stored(&(x)))
/* Hardware reads an entry at any time: what has it now? */
void model_stored(const void *p);

#define DTE_IRQ_REMAP_ENABLE	1ull
#define set_bit(n, map)		__set_bit(n, map)
#define bitmap_zalloc(n, gfp)	((unsigned long *)shim_zalloc((n) / 8, true))
#define bitmap_free(p)		free(p)

/* Domain ids of the restored domains, and those that the driver's allocator gave out */
struct ida { bool used[65536]; };
#define DEFINE_IDA(name)	struct ida name
int ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp);
static inline bool ida_exists(struct ida *ida, unsigned int id) { return ida->used[id]; }
static inline void ida_free(struct ida *ida, unsigned int id) { ida->used[id] = false; }
static inline void ida_destroy(struct ida *ida) { memset(ida, 0, sizeof(*ida)); }

#define raw_spin_lock_init(l)	((l)->held = false)

enum { CC_ATTR_HOST_MEM_ENCRYPT };
#define cc_platform_has(attr)	false
#define is_kdump_kernel()	false
extern struct { unsigned int x86_phys_bits; } boot_cpu_data;

/* Registers are memory that the model looks at. */
u64 readq(const void *reg);
void writeq(u64 value, void *reg);
#define readl_poll_timeout_atomic(reg, v, done, us, limit) ((v) = readq(reg), !(done))
void *ioremap(phys_addr_t pa, size_t size);
#define iounmap(p)		((void)(p))

struct acpi_table_header { char signature[4]; u32 length; };
#define ACPI_SIG_IVRS		"IVRS"
#define ACPI_FAILURE(s)		(s)
int acpi_get_table(const char *signature, int n, struct acpi_table_header **table);
#define acpi_put_table(t)	((void)(t))

#undef pci_domain_nr
#define pci_domain_nr(bus)	model_segment(pdev)
unsigned int model_segment(struct pci_dev *pdev);
#define pci_for_each_dma_alias(pdev, fn, data) model_each_alias(pdev, fn, data)
int model_each_alias(struct pci_dev *pdev, int (*fn)(struct pci_dev *, u16, void *), void *data);

void pci_liveupdate_back_stop(u16 segment, u16 bdf);

struct iommu_ser_view;
void liveupdate_show_word(struct liveupdate_view *v, const char *key, const char *word);
void liveupdate_show_pa(struct liveupdate_view *v, const char *key, u64 pa);

#endif
