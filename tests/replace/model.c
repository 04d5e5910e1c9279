// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hitless replace, and a hardware that makes the most of each moment
 *
 * What the hardware caches: the entry (context cache, PASID cache), a translation by DID
 * (IOTLB), and a translation in the device (device-TLB, if ATS is on). Whenever the driver
 * has written to memory or had something forgotten, the hardware looks all of it up anew
 * that it does not have: the entry in memory; by the cached entry, what the IOTLB has not;
 * by the IOTLB, what the device has not. So what is forgotten too early is back at once.
 *
 * Seen to hold: the device never reaches anything but the old or the new tables, what is
 * cached for a DID was always translated by its own tables or is the temporary DID's; and
 * when the old domain loses its cache tags and its DID, which is when it can be freed, none
 * of the caches has anything of it. The order of what was done is printed with -v.
 *
 * Each attach is tried in legacy mode, and in scalable mode with second stage and first stage;
 * with ATS and without, with caching mode and without.
 */
#include "../../kernel/src/drivers/iommu/intel/replace.c"

enum { OLD = 0x11000, NEW = 0x22000, BUS = 3, DEVFN = 0x10, SID = BUS << 8 | DEVFN, OLD_DID = 7, NEW_DID = 9, TMP_DID = 12, DIDS = 16 };
enum mode { LEGACY, SECOND_STAGE, FIRST_STAGE, MODES };

/* An entry as far as hardware goes by it; top 0: not there */
struct way { u64 top; u16 did; };

static struct {
	enum mode mode;
	bool ats, let_go, tagged;
	struct context_entry context __attribute__((aligned(16)));
	struct pasid_entry pasid[64] __attribute__((aligned(64)));
	struct way entry;		/* context or PASID cache */
	u64 iotlb[DIDS];
	u64 device;			/* device-TLB */
} hw;

static struct intel_iommu unit;
static struct pci_dev pdev;
static struct device_domain_info info;
static struct dmar_domain old, new;
static bool verbose;
static unsigned int failures, looks;
static const char *now;

static void complain(const char *what)
{
	failures++;
	printf("%s%s%s: %s\n", now, hw.ats ? ", ATS" : "", unit.cap ? ", caching mode" : "", what);
}

static void did(const char *what, unsigned int id)
{
	if (verbose)
		printf("  %s %u\n", what, id);
}

static struct way in_memory(void)
{
	if (hw.mode == LEGACY)
		return (struct way){ hw.context.lo & VTD_PAGE_MASK, context_domain_id(&hw.context) };
	return (struct way){ hw.pasid[0].val[hw.mode == SECOND_STAGE ? 0 : 2] & VTD_PAGE_MASK,
			     pasid_get_domain_id(&hw.pasid[0]) };
}

static bool present(void)
{
	return hw.mode == LEGACY ? context_present(&hw.context) : pasid_pte_is_present(&hw.pasid[0]);
}

static void look_up(void)
{
	struct way *way = &hw.entry;

	looks++;
	if (!present())
		complain("the entry is not present");
	if (!way->top)
		*way = in_memory();
	if (way->did >= DIDS || (way->top != OLD && way->top != NEW)) {
		complain("the entry leads to nowhere");
		return;
	}
	if ((way->did == OLD_DID && way->top != OLD) || (way->did == NEW_DID && way->top != NEW))
		complain("the entry has the domain id of one domain and the tables of the other");
	if (!hw.iotlb[way->did])
		hw.iotlb[way->did] = way->top;
	if (hw.ats && !hw.device)
		hw.device = hw.iotlb[way->did];
}

static void check_gone(void)
{
	if (hw.entry.top == OLD)
		complain("the entry of the old domain is still cached");
	for (unsigned int i = 0; i < DIDS; i++)
		if (hw.iotlb[i] == OLD)
			complain("translations of the old domain are still cached");
	if (hw.device == OLD)
		complain("the device still has translations of the old domain");
	if (hw.iotlb[TMP_DID])
		complain("the temporary domain id is given back, and something is cached under it");
}

/* --- what the driver asks of the hardware --- */

void __iommu_flush_cache(struct intel_iommu *iommu, void *at, int size)
{
	did("written, bytes", size);
	look_up();
}

bool try_cmpxchg128(u128 *at, u128 *from, u128 to)
{
	memcpy(at, &to, sizeof(to));
	return true;
}

static void flush_context(struct intel_iommu *iommu, u16 id, u16 sid, u8 mask, u64 type)
{
	did("context cache, DID", id);
	if (sid != SID)
		complain("another device's context cache is invalidated");
	hw.entry.top = 0;
	look_up();
}

static void forget_did(u16 id)
{
	hw.iotlb[id % DIDS] = 0;
	look_up();
}

static void flush_iotlb(struct intel_iommu *iommu, u16 id, u64 addr, unsigned int size, u64 type)
{
	did("IOTLB, DID", id);
	forget_did(id);
}

/* It forgets the entry if that has this DID. */
void qi_flush_pasid_cache(struct intel_iommu *iommu, u16 id, u64 gran, u32 pasid)
{
	did("PASID cache, DID", id);
	if (hw.entry.did == id)
		hw.entry.top = 0;
	look_up();
}

void qi_flush_piotlb_all(struct intel_iommu *iommu, u16 id, u32 pasid)
{
	did("IOTLB of a PASID, DID", id);
	forget_did(id);
}

void qi_flush_dev_iotlb(struct intel_iommu *iommu, u16 sid, u16 pfsid, u16 qdep, u64 addr, unsigned int mask)
{
	did("device-TLB of", sid);
	if (sid != SID || addr || mask < 52)
		complain("not all of the device-TLB is invalidated");
	if (!hw.ats)
		complain("a device without ATS is told to forget");
	hw.device = 0;
	look_up();
}

void qi_flush_dev_iotlb_pasid(struct intel_iommu *iommu, u16 sid, u16 pfsid, u32 pasid, u16 qdep, u64 addr,
			      unsigned int mask)
{
	complain("a PASID's device-TLB is invalidated for requests without one");
}

void iommu_flush_write_buffer(struct intel_iommu *iommu)
{
}

/* --- the rest of the driver --- */

void cache_tag_unassign_domain(struct dmar_domain *d, struct device *dev, ioasid_t pasid)
{
	did("no more invalidations of what is unmapped from DID", d->did);
	if (d == &old)
		check_gone();
}

void domain_detach_iommu(struct dmar_domain *d, struct intel_iommu *iommu)
{
	did("given back: DID", d->did);
	if (d == &old) {
		check_gone();
		hw.let_go = true;
	}
}

int cache_tag_assign_domain(struct dmar_domain *d, struct device *dev, ioasid_t pasid)
{
	if (in_memory().top == d->top)
		complain("the hardware uses a domain that has no cache tags yet");
	hw.tagged = true;
	return 0;
}

int domain_attach_iommu(struct dmar_domain *d, struct intel_iommu *iommu)
{
	return 0;
}

int paging_domain_compatible(struct iommu_domain *domain, struct device *dev)
{
	return 0;
}

int ida_alloc_range(struct ida *ida, int from, int to, int gfp)
{
	return TMP_DID;
}

void ida_free(struct ida *ida, int id)
{
	check_gone();
}

struct device_domain_info *dev_iommu_priv_get(struct device *dev)
{
	return &info;
}

struct context_entry *iommu_context_addr(struct intel_iommu *iommu, u8 bus, u8 devfn, int alloc)
{
	return &hw.context;
}

int pci_for_each_dma_alias(struct pci_dev *p, int (*fn)(struct pci_dev *, u16, void *), void *data)
{
	return fn(p, SID, data);
}

void list_move(struct list_head *item, struct list_head *head)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = head->next;
	item->prev = head;
	head->next->prev = item;
	head->next = item;
}

void pt_iommu_vtdss_hw_info(void *pt, struct pt_iommu_vtdss_hw_info *i)
{
	*i = (struct pt_iommu_vtdss_hw_info){ container_of(pt, struct dmar_domain, sspt)->top, 2 };
}

void pt_iommu_x86_64_hw_info(void *pt, struct pt_iommu_x86_64_hw_info *i)
{
	*i = (struct pt_iommu_x86_64_hw_info){ container_of(pt, struct dmar_domain, fspt)->top, 4 };
}

void pasid_pte_config_first_level(struct intel_iommu *iommu, struct pasid_entry *pte, phys_addr_t top, u16 id, int flags)
{
	*pte = (struct pasid_entry){ { 1 | 1 << 6, id, top } };
}

void pasid_pte_config_second_level(struct intel_iommu *iommu, struct pasid_entry *pte, struct dmar_domain *d, u16 id)
{
	*pte = (struct pasid_entry){ { 1 | 2 << 6 | d->top, id } };
}

/* --- one attach --- */

static void domain_init(struct dmar_domain *d, u64 top, u16 id)
{
	memset(d, 0, sizeof(*d));
	d->domain.type = __IOMMU_DOMAIN_PAGING;
	d->top = top;
	d->did = id;
	d->first_stage = hw.mode == FIRST_STAGE;
	INIT_LIST_HEAD(&d->devices);
	INIT_LIST_HEAD(&d->dev_pasids);
}

static void attach(enum mode mode, bool ats, bool caching)
{
	static const char *const names[] = { "legacy mode", "second stage", "first stage" };
	struct pasid_dir_entry dir[64] = { { hw.pasid } };
	struct pasid_table table = { dir, 4096 };
	int ret;

	memset(&hw, 0, sizeof(hw));
	hw.mode = mode;
	hw.ats = ats;
	now = names[mode];
	unit = (struct intel_iommu){
		.scalable = mode != LEGACY,
		.cap = caching,
		.max_domain_id = DIDS,
		.flush = { flush_context, flush_iotlb },
	};
	domain_init(&old, OLD, OLD_DID);
	domain_init(&new, NEW, NEW_DID);
	old.domain.restored = true;
	info = (struct device_domain_info){
		.dev = &pdev.dev, .iommu = &unit, .bus = BUS, .devfn = DEVFN,
		.ats_enabled = ats, .domain_attached = true, .domain = &old,
		.pasid_table = &table,
	};
	INIT_LIST_HEAD(&info.link);
	list_move(&info.link, &old.devices);
	hw.context = (struct context_entry){ 1 | ats << 2 | OLD, 2 | OLD_DID << 8 };
	if (mode == SECOND_STAGE)
		pasid_pte_config_second_level(&unit, &hw.pasid[0], &old, OLD_DID);
	else
		pasid_pte_config_first_level(&unit, &hw.pasid[0], OLD, OLD_DID, 0);
	look_up();

	if (verbose)
		printf("%s%s%s\n", now, ats ? ", ATS" : "", caching ? ", caching mode" : "");
	if (!intel_replace_domain(&new.domain, &pdev.dev, IOMMU_NO_PASID, &old.domain, &ret) || ret)
		complain("it is not replaced");
	if (!hw.let_go || !hw.tagged || info.domain != &new)
		complain("the driver does not know that it is replaced");
	if (in_memory().top != NEW || in_memory().did != NEW_DID)
		complain("the hardware does not have the new domain");
	if (mode == LEGACY && FIELD_GET(CONTEXT_LO_TT, hw.context.lo) != ats)
		complain("the entry says something else of ATS");
}

int main(int argc, char **argv)
{
	verbose = argc > 1;
	for (enum mode mode = LEGACY; mode < MODES; mode++)
		for (unsigned int i = 0; i < 4; i++)
			attach(mode, i & 1, i & 2);
	printf("%u attaches, %u moments, %u complaints\n", MODES * 4, looks, failures);
	return failures ? 1 : 0;
}
