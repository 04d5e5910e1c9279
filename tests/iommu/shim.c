// SPDX-License-Identifier: GPL-2.0-only
/* Memory, KHO and PCI, as the model has them. */
#include <stdarg.h>

#include "model.h"

struct model model;
bool kexec_in_progress;
LIST_HEAD(iommu_device_list);
spinlock_t iommu_device_lock;

/* One table or array each; order 0 only. */
enum { PAGES = 64 };
static struct {
	u8 bytes[PAGE_SIZE];
} pool[PAGES] __attribute__((aligned(PAGE_SIZE)));
static struct page {
	bool used;
	bool preserved;		/* for the next kernel */
	bool came;		/* from the previous one, nobody has it yet */
} pages[PAGES];

void shim_bug(const char *what)
{
	model_fault("kernel bug: %s", what);
}

void shim_log(const char *format, ...)
{
	va_list args;

	if (!model.verbose)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

bool shim_fails(void)
{
	return model.fail_at && !--model.fail_at;
}

void *shim_zalloc(size_t size, bool nofail)
{
	return !nofail && shim_fails() ? NULL : calloc(1, size);
}

static struct page *page_of(const void *p)
{
	unsigned long n = ((unsigned long)p - (unsigned long)pool) / PAGE_SIZE;

	return (unsigned long)p < (unsigned long)pool || n >= PAGES ||
	       !IS_ALIGNED((unsigned long)p, PAGE_SIZE) ? NULL : &pages[n];
}

void *page_alloc(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		if (pages[i].used)
			continue;
		pages[i] = (struct page){ .used = true };
		return memset(&pool[i], 0, PAGE_SIZE);
	}
	abort();
}

void page_free(void *p)
{
	struct page *page = page_of(p);

	if (!page->used || page->preserved || page->came)
		model_fault("a page is freed that is %s",
			    page->used ? "preserved" : "free");
	page->used = false;
}

bool page_in_use(const void *p)
{
	return page_of(p) && page_of(p)->used;
}

unsigned int pages_used(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += pages[i].used;
	return n;
}

unsigned int pages_preserved(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += pages[i].preserved;
	return n;
}

void pages_reset(void)
{
	memset(pages, 0, sizeof(pages));
}

/* The jump: what is not preserved is anybody's. */
void pages_jump(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		pages[i] = (struct page){ .used = pages[i].preserved,
					  .came = pages[i].preserved };
}

unsigned int folio_order(struct folio *folio)
{
	(void)folio;
	return 0;
}

unsigned int get_order(size_t size)
{
	if (size > PAGE_SIZE)
		abort();
	return 0;
}

void *kho_alloc_preserve(size_t size)
{
	void *p;

	get_order(size);
	if (shim_fails())
		return ERR_PTR(-ENOMEM);
	p = page_alloc();
	page_of(p)->preserved = true;
	return p;
}

void folio_put(struct folio *folio)
{
	page_free(folio);
}

void kho_unpreserve_free(void *mem)
{
	kho_unpreserve_folio(mem);
	page_free(mem);
}

void kho_restore_free(void *mem)
{
	if (!kho_restore_folio(virt_to_phys(mem)))
		model_fault("a page is freed that did not come");
	page_free(mem);
}

int kho_preserve_folio(struct folio *folio)
{
	if (shim_fails())
		return -ENOMEM;
	if (page_of(folio)->preserved)
		model_fault("a page is preserved twice");
	page_of(folio)->preserved = true;
	return 0;
}

void kho_unpreserve_folio(struct folio *folio)
{
	if (!page_of(folio)->preserved)
		model_fault("a page is unpreserved that was not preserved");
	page_of(folio)->preserved = false;
}

bool kho_is_preserved(phys_addr_t phys, unsigned int order)
{
	struct page *page = page_of(phys_to_virt(phys));

	return page && !order && page->came;
}

struct folio *kho_restore_folio(phys_addr_t phys)
{
	if (!kho_is_preserved(phys, 0))
		return NULL;
	page_of(phys_to_virt(phys))->came = false;
	return phys_to_virt(phys);
}

bool is_kho_boot(void)
{
	return model.jumped;
}

struct shim_ioptdesc *folio_ioptdesc(struct folio *folio)
{
	static struct shim_ioptdesc desc;

	(void)folio;
	return &desc;
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(xa->slots); i++)
		if (xa->slots[i].entry && xa->slots[i].index == index)
			return xa->slots[i].entry;
	return NULL;
}

void xa_erase(struct xarray *xa, unsigned long index)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(xa->slots); i++)
		if (xa->slots[i].entry && xa->slots[i].index == index)
			xa->slots[i].entry = NULL;
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	unsigned int i;

	(void)gfp;
	if (!xa_load(xa, index) && shim_fails())
		return SHIM_XA_ENOMEM;
	xa_erase(xa, index);
	for (i = 0; i < ARRAY_SIZE(xa->slots) && xa->slots[i].entry; i++)
		;
	if (i == ARRAY_SIZE(xa->slots))
		abort();
	xa->slots[i].index = index;
	xa->slots[i].entry = entry;
	return NULL;
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	return xa_load(xa, index) ? -EBUSY :
				    xa_err(xa_store(xa, index, entry, gfp));
}

void xa_init(struct xarray *xa)
{
	memset(xa, 0, sizeof(*xa));
}

void xa_destroy(struct xarray *xa)
{
	xa_init(xa);
}

struct pci_dev *shim_next_pci(struct pci_dev *prev)
{
	unsigned int i = prev ? container_of(prev, struct model_device, pci) -
				model.devices + 1 : 0;

	return i < NR_DEVICES ? &model.devices[i].pci : NULL;
}

struct pci_dev *pci_get_domain_bus_and_slot(u32 domain, u8 number, u8 devfn)
{
	struct pci_dev *dev = NULL;

	(void)domain;
	for_each_pci_dev(dev)
		if (dev->bdf == (number << 8 | devfn))
			return dev;
	return NULL;
}

void pci_liveupdate_refuse(struct pci_dev *dev, const char *why)
{
	shim_log("  %s is stopped: %s\n", dev->dev.name, why);
	dev->master = false;
	dev->refused = true;
}

void pci_liveupdate_refuse_all(const char *why)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev)
		pci_liveupdate_refuse(dev, why);
}

bool pci_liveupdate_incoming(struct pci_dev *dev)
{
	return dev->master && !dev->refused;
}

/* No device here is a physical function. */
bool pci_liveupdate_running(struct pci_dev *dev)
{
	return pci_liveupdate_incoming(dev);
}

int iommu_group_for_each_dev(struct iommu_group *group, void *data,
			     int (*fn)(struct device *dev, void *data))
{
	return fn((struct device *)group, data);
}

void liveupdate_refused(const char *type, const char *by, const char *why,
			const char *id, ...)
{
	(void)type, (void)by, (void)why, (void)id;
}

int liveupdate_require(bool ok, const struct liveupdate_rule *rule,
		       const char *object, ...)
{
	(void)object;
	if (ok)
		return 0;
	shim_log("  refused: %s\n", rule->why);
	model.rule = rule->name;
	return rule->err;
}
