// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * Unit tests of what hands over PASIDs, with a directory and tables in memory that are
 * laid out by the driver's own accessors (pasid.h). The core, which keeps pages, and the
 * unit, whose caches are flushed, are stand-ins that note down what they are told.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/sort.h>

#include "liveupdate_check.h"
#include "../iommu-pages.h"

/* What pasid.h needs of iommu.h, which a kernel that is a process cannot include */
#define VTD_PAGE_MASK	GENMASK_ULL(63, 12)

struct dmar_domain;
struct intel_iommu {
	struct ida domain_ida;
};

#include "pasid.h"

enum {
	MAX_PASID = 512 * 64,
	NR_TABLES = MAX_PASID / 64,
	MOST_KEPT = 600,
	FIRST_DID = 2,
	NR_DOMAINS = 3,
	/* One is on the device itself, one on another device, one on PASIDs only. */
	OWN = 0,
	OTHER = 1,
	ALONE = 2,
};

/* The test that runs; one after the other. */
static struct fixture {
	struct intel_iommu iommu;
	struct pasid_table pasids;
	struct pasid_dir_entry *dir;
	u8 domain[MAX_PASID];
	void *tops[NR_DOMAINS];
	struct iommu_hw_ser *iommus;
	struct iommu_domain_ser *domains;
	struct iommu_device_ser *devices;
	u64 context[4];
	void *entry;
	/* What the core and the unit were told */
	void *kept[MOST_KEPT];
	unsigned int nr_kept;
	void *flushed[MOST_KEPT];
	unsigned int nr_flushed;
	phys_addr_t taken[MOST_KEPT];
	size_t size[MOST_KEPT];
	unsigned int nr_taken;
	u64 claimed[MOST_KEPT];
	unsigned int nr_claimed;
	/* So many calls succeed before one fails; then all do. */
	unsigned int until_keep, until_domain, until_id;
	bool refuse_keep, refuse_domain, refuse_id;
} *now;

static bool fails(bool *refuse, unsigned int *until)
{
	if (!*refuse || (*until)--)
		return false;
	*refuse = false;
	return true;
}

static int iommu_liveupdate_keep(void *table)
{
	if (fails(&now->refuse_keep, &now->until_keep))
		return -ENOMEM;
	now->kept[now->nr_kept++] = table;
	return 0;
}

static bool iommu_liveupdate_kept(void *table)
{
	unsigned int i;

	for (i = 0; i < now->nr_kept; i++)
		if (now->kept[i] == table)
			return true;
	return false;
}

static void iommu_liveupdate_unkeep(void *table)
{
	unsigned int i;

	for (i = 0; i < now->nr_kept; i++) {
		if (now->kept[i] != table)
			continue;
		now->kept[i] = now->kept[--now->nr_kept];
		return;
	}
}

static void *iommu_pages_restore(phys_addr_t phys, size_t size)
{
	now->taken[now->nr_taken] = phys;
	now->size[now->nr_taken++] = size;
	return phys_to_virt(phys);
}

static void __iommu_flush_cache(struct intel_iommu *iommu, void *addr, int size)
{
	now->flushed[now->nr_flushed++] = addr;
}

static int failing_ida_alloc_range(struct ida *ida, unsigned int min,
				   unsigned int max, gfp_t gfp)
{
	if (fails(&now->refuse_id, &now->until_id))
		return -ENOMEM;
	return ida_alloc_range(ida, min, max, gfp);
}

#define ida_alloc_range	failing_ida_alloc_range
#include "liveupdate_pasid.h"
#undef ida_alloc_range

static u16 did_of(unsigned int domain)
{
	/* Not in the order of the domains */
	static const u16 dids[NR_DOMAINS] = { 9, 3, 0x1234 };

	return dids[domain];
}

static int domain_of(struct device *dev, u32 pasid)
{
	return fails(&now->refuse_domain, &now->until_domain) ? -ENOENT :
		now->domain[pasid];
}

static struct pasid_entry *entry_of(u32 pasid)
{
	struct pasid_entry *table;

	table = get_pasid_table_from_pde(&now->dir[pasid >> PASID_PDE_SHIFT]);
	return table ? &table[pasid & PASID_PTE_MASK] : NULL;
}

/* As intel_pasid_get_entry() and pasid_pte_config_second_level() do it */
static struct pasid_entry *attach(struct kunit *test, u32 pasid, unsigned int domain)
{
	struct pasid_dir_entry *pde = &now->dir[pasid >> PASID_PDE_SHIFT];
	struct pasid_entry *pte;

	if (!pasid_pde_is_present(pde)) {
		void *table = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);

		KUNIT_ASSERT_NOT_NULL(test, table);
		pde->val = virt_to_phys(table) | PASID_PTE_PRESENT;
	}
	pte = entry_of(pasid);
	pasid_clear_entry(pte);
	pasid_set_domain_id(pte, did_of(domain));
	pasid_set_slptr(pte, virt_to_phys(now->tops[domain]));
	pasid_set_address_width(pte, now->domains[domain].top_level - 1);
	pasid_set_translation_type(pte, PASID_ENTRY_PGTT_SL_ONLY);
	pasid_set_fault_enable(pte);
	pasid_set_present(pte);
	now->domain[pasid] = domain;
	return pte;
}

static const void *get(struct liveupdate_mem *mem, u64 pa, unsigned int order)
{
	void *table = phys_to_virt(pa);

	return !order && (iommu_liveupdate_kept(table) || table == now->entry) ?
		       table : NULL;
}

static bool claim(struct liveupdate_mem *mem, u64 pa)
{
	unsigned int i;

	for (i = 0; i < now->nr_claimed; i++)
		if (now->claimed[i] == pa)
			return false;
	now->claimed[now->nr_claimed++] = pa;
	return true;
}

static const struct iommu_ser_driver *driver(u16 type)
{
	return &vtd_ser_driver;
}

static struct intel_device_ser *part_of(unsigned int device)
{
	return (struct intel_device_ser *)now->devices[device].part;
}

/* What the next kernel says of the list, and of what hardware reads */
static const char *check(void)
{
	struct liveupdate_mem mem = { .get = get, .claim = claim };
	const struct iommu_ser_view view = {
		.mem = &mem,
		.driver = driver,
		.iommus = now->iommus,
		.domains = now->domains,
		.devices = now->devices,
	};
	const struct vtd_unit unit = {
		.scalable = true,
		.haw = 52,
		.sagaw = BIT(1) | BIT(2),
		.first_did = FIRST_DID,
		.end_did = 0x10000,
	};

	now->nr_claimed = 0;
	now->devices[0].length = device_part_length(part_of(0));
	return vtd_ser_driver.check_device(&view, 0) ?:
	       vtd_check_device(&view, &unit, &now->devices[0],
				part_of(0)->entry_pa, now->context);
}

static int preserve(void)
{
	memset(&part_of(0)->max_pasid, 0, sizeof(*part_of(0)) -
	       offsetof(struct intel_device_ser, max_pasid));
	part_of(0)->entry_pa = virt_to_phys(now->entry);
	return preserve_pasids(NULL, &now->pasids, part_of(0), domain_of);
}

static struct intel_pasid_ser *list_of(const struct intel_device_ser *part)
{
	return phys_to_virt(part->pasids_pa);
}

static void test_list_none(struct kunit *test)
{
	struct intel_device_ser *part = part_of(0);

	KUNIT_EXPECT_EQ(test, list_pasids(now->dir, MAX_PASID, NULL, 0), 0);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	KUNIT_EXPECT_EQ(test, part->nr_pasids, 0);
	KUNIT_EXPECT_EQ(test, part->pasids_pa, 0);
	KUNIT_EXPECT_EQ(test, device_part_length(part), INTEL_DEVICE_SER_V2_SIZE);
	/* The directory and the first table */
	KUNIT_EXPECT_EQ(test, now->nr_kept, 2);
	now->context[0] &= ~BIT_ULL(3);
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");
	unpreserve_pasids(part);
	KUNIT_EXPECT_EQ(test, now->nr_kept, 0);
}

/* At the ends of tables and of the directory, and with nothing in between */
static void test_list(struct kunit *test)
{
	static const u32 pasids[] = { 1, 63, 64, 129, 0x2000, MAX_PASID - 1 };
	struct intel_pasid_ser list[ARRAY_SIZE(pasids)] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pasids); i++)
		attach(test, pasids[i], i % NR_DOMAINS);
	KUNIT_EXPECT_EQ(test, list_pasids(now->dir, MAX_PASID, list, 2), ARRAY_SIZE(pasids));
	KUNIT_EXPECT_EQ(test, list[1].pasid, 63);
	KUNIT_EXPECT_EQ(test, list[2].pasid, 0);
	KUNIT_EXPECT_EQ(test, list_pasids(now->dir, MAX_PASID, list, ARRAY_SIZE(list)),
			ARRAY_SIZE(pasids));
	for (i = 0; i < ARRAY_SIZE(pasids); i++) {
		KUNIT_EXPECT_EQ(test, list[i].pasid, pasids[i]);
		KUNIT_EXPECT_EQ(test, list[i].did, did_of(i % NR_DOMAINS));
	}
	/* Of a directory that is smaller no more is read. */
	KUNIT_EXPECT_EQ(test, list_pasids(now->dir, 128, NULL, 0), 3);
}

static void attach_some(struct kunit *test)
{
	attach(test, 5, ALONE);
	attach(test, 700, OTHER);
	attach(test, 701, OWN);
	attach(test, 6, OTHER);
	attach(test, MAX_PASID - 1, ALONE);
}

static void test_preserve(struct kunit *test)
{
	static const u32 order[] = { 6, 700, 701, 5, MAX_PASID - 1 };
	struct intel_device_ser *part = part_of(0);
	const struct intel_pasid_ser *list;
	unsigned int i;

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	KUNIT_ASSERT_EQ(test, part->nr_pasids, ARRAY_SIZE(order));
	KUNIT_EXPECT_EQ(test, part->max_pasid, MAX_PASID);
	KUNIT_EXPECT_EQ(test, part->pasid_pa, virt_to_phys(now->dir));
	KUNIT_EXPECT_EQ(test, device_part_length(part), sizeof(*part));
	list = list_of(part);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		KUNIT_EXPECT_EQ(test, list[i].pasid, order[i]);
		KUNIT_EXPECT_EQ(test, list[i].domain, now->domain[order[i]]);
		KUNIT_EXPECT_EQ(test, list[i].did, did_of(now->domain[order[i]]));
	}
	/* The directory, three tables, and the list */
	KUNIT_EXPECT_EQ(test, now->nr_kept, 5);
	KUNIT_EXPECT_TRUE(test, iommu_liveupdate_kept(list_of(part)));
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");
	unpreserve_pasids(part);
	KUNIT_EXPECT_EQ(test, now->nr_kept, 0);
}

/* Each step fails once. */
static void test_preserve_fails(struct kunit *test)
{
	unsigned int step;
	int ret;

	attach_some(test);
	for (step = 0; ; step++) {
		now->refuse_keep = true;
		now->until_keep = step;
		ret = preserve();
		if (!ret)
			break;
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_EXPECT_EQ(test, now->nr_kept, 0);
		KUNIT_EXPECT_EQ(test, part_of(0)->nr_pasids, 0);
	}
	KUNIT_EXPECT_EQ(test, step, 5);
	now->refuse_keep = false;
	unpreserve_pasids(part_of(0));
	for (step = 0; step < 5; step++) {
		now->refuse_domain = true;
		now->until_domain = step;
		KUNIT_EXPECT_EQ(test, preserve(), -ENOENT);
		KUNIT_EXPECT_EQ(test, now->nr_kept, 0);
	}
}

/* A page is full, and then there is one more. */
static void test_preserve_many(struct kunit *test)
{
	u32 pasid;

	for (pasid = 1; pasid <= INTEL_DEVICE_SER_MAX_PASIDS; pasid++)
		attach(test, pasid * 3, pasid % NR_DOMAINS);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	KUNIT_EXPECT_EQ(test, part_of(0)->nr_pasids, INTEL_DEVICE_SER_MAX_PASIDS);
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");
	unpreserve_pasids(part_of(0));
	attach(test, MAX_PASID - 1, OWN);
	KUNIT_EXPECT_EQ(test, preserve(), -E2BIG);
	KUNIT_EXPECT_EQ(test, now->nr_kept, 0);
}

/* What changes after the list was made is told by the checks. */
static void test_check(struct kunit *test)
{
	struct pasid_entry *pte;

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);

	pte = attach(test, 7, OWN);
	KUNIT_EXPECT_STREQ(test, check(), "it has a PASID that was not handed over");
	pasid_clear_entry(pte);
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");

	pasid_clear_entry(entry_of(5));
	KUNIT_EXPECT_STREQ(test, check(), "a listed PASID has no entry");
	attach(test, 5, OTHER);
	KUNIT_EXPECT_STREQ(test, check(), "its PASID entry refers to other tables");
	attach(test, 5, ALONE);
	pasid_set_domain_id(entry_of(5), did_of(OWN));
	KUNIT_EXPECT_STREQ(test, check(), "its PASID entry has another domain id");
	pasid_set_domain_id(entry_of(5), did_of(ALONE));
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");

	attach(test, 200, OWN);
	KUNIT_EXPECT_STREQ(test, check(), "a PASID table of it was not preserved");
}

static bool was_flushed(const void *addr)
{
	unsigned int i;

	for (i = 0; i < now->nr_flushed; i++)
		if (now->flushed[i] == addr)
			return true;
	return false;
}

/* The first PASID and those that are listed stay, and nothing else does. */
static void test_block(struct kunit *test)
{
	static const u32 stay[] = { 0, 5, 6, 700, 701, MAX_PASID - 1 };
	static const u32 go[] = { 1, 4, 7, 63, 702, MAX_PASID - 2 };
	struct pasid_entry before[ARRAY_SIZE(stay)], zero = {};
	unsigned int i;
	void *late;

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	for (i = 0; i < ARRAY_SIZE(go); i++)
		attach(test, go[i], i % NR_DOMAINS);
	/* In a table that is not kept */
	attach(test, 64, OWN);
	late = entry_of(64);
	for (i = 0; i < ARRAY_SIZE(stay); i++)
		before[i] = *entry_of(stay[i]);

	block_pasids(&now->iommu, part_of(0));
	for (i = 0; i < ARRAY_SIZE(stay); i++) {
		KUNIT_EXPECT_MEMEQ(test, entry_of(stay[i]), &before[i], sizeof(zero));
		KUNIT_EXPECT_FALSE(test, was_flushed(entry_of(stay[i])));
	}
	for (i = 0; i < ARRAY_SIZE(go); i++) {
		KUNIT_EXPECT_MEMEQ(test, entry_of(go[i]), &zero, sizeof(zero));
		KUNIT_EXPECT_TRUE(test, was_flushed(entry_of(go[i])));
	}
	KUNIT_EXPECT_EQ(test, now->dir[1].val, 0);
	KUNIT_EXPECT_TRUE(test, was_flushed(&now->dir[1]));
	KUNIT_EXPECT_EQ(test, now->nr_flushed, ARRAY_SIZE(go) + 1);
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");
	iommu_free_pages(late);
}

/* Without a list all but the first PASID go. */
static void test_block_all(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	attach(test, 1, OWN);
	attach(test, 63, OTHER);
	block_pasids(&now->iommu, part_of(0));
	KUNIT_EXPECT_EQ(test, list_pasids(now->dir, MAX_PASID, NULL, 0), 0);
	KUNIT_EXPECT_TRUE(test, pasid_pte_is_present(entry_of(0)));
	KUNIT_EXPECT_STREQ(test, check() ?: "", "");
}

static void test_take(struct kunit *test)
{
	unsigned int i;

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	take_pasid_tables(part_of(0));
	KUNIT_ASSERT_EQ(test, now->nr_taken, 4);
	KUNIT_EXPECT_EQ(test, now->taken[0], virt_to_phys(now->dir));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, now->size[i], SZ_4K);
	KUNIT_EXPECT_EQ(test, now->taken[1], virt_to_phys(entry_of(0)));
	KUNIT_EXPECT_EQ(test, now->taken[2], virt_to_phys(entry_of(700)) & PAGE_MASK);
	KUNIT_EXPECT_EQ(test, now->taken[3], virt_to_phys(entry_of(MAX_PASID - 1)) & PAGE_MASK);
}

/* Is it taken? Then it stays so. */
static bool is_taken(struct ida *ida, u16 did)
{
	if (ida_alloc_range(ida, did, did, GFP_KERNEL) < 0)
		return true;
	ida_free(ida, did);
	return false;
}

static unsigned int nr_taken(struct ida *ida)
{
	unsigned int domain, nr = 0;

	for (domain = 0; domain < NR_DOMAINS; domain++)
		nr += is_taken(ida, did_of(domain));
	return nr;
}

static void test_reserve(struct kunit *test)
{
	struct ida *ida = &now->iommu.domain_ida;
	struct intel_device_ser plain = { .did = did_of(OTHER) };

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	KUNIT_EXPECT_EQ(test, nr_taken(ida), 0);
	/* Another device has one of them. */
	KUNIT_EXPECT_NULL(test, reserve_dids(ida, &plain));
	KUNIT_EXPECT_EQ(test, nr_taken(ida), 1);
	KUNIT_EXPECT_NULL(test, reserve_dids(ida, part_of(0)));
	KUNIT_EXPECT_EQ(test, nr_taken(ida), NR_DOMAINS);
	/* A third one has the same. */
	KUNIT_EXPECT_NULL(test, reserve_dids(ida, part_of(0)));
	KUNIT_EXPECT_EQ(test, nr_taken(ida), NR_DOMAINS);
}

/* At each step: what it took is given back, and what another one has is not. */
static void test_reserve_fails(struct kunit *test)
{
	struct ida *ida = &now->iommu.domain_ida;
	struct intel_device_ser plain = { .did = did_of(OTHER) };
	unsigned int step;

	attach_some(test);
	KUNIT_ASSERT_EQ(test, preserve(), 0);
	KUNIT_ASSERT_NULL(test, reserve_dids(ida, &plain));
	for (step = 0; step <= part_of(0)->nr_pasids; step++) {
		now->refuse_id = true;
		now->until_id = step;
		KUNIT_EXPECT_STREQ(test, reserve_dids(ida, part_of(0)), "out of memory");
		KUNIT_EXPECT_EQ(test, nr_taken(ida), 1);
		KUNIT_EXPECT_TRUE(test, is_taken(ida, did_of(OTHER)));
	}
}

static void describe_domains(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < NR_DOMAINS; i++) {
		struct iommu_domain_ser *dom = &now->domains[i];

		now->tops[i] = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);
		KUNIT_ASSERT_NOT_NULL(test, now->tops[i]);
		dom->flags = IOMMU_SER_USED;
		dom->type = IOMMU_SER_TYPE_INTEL;
		dom->top_pa = virt_to_phys(now->tops[i]);
		dom->top_level = i == ALONE ? 2 : 3;
	}
}

static void describe_unit(void)
{
	struct intel_hw_ser *part = (struct intel_hw_ser *)now->iommus[0].part;

	now->iommus[0].flags = IOMMU_SER_USED;
	now->iommus[0].type = IOMMU_SER_TYPE_INTEL;
	part->flags = INTEL_HW_SER_SCALABLE;
}

static void describe_device(void)
{
	struct iommu_device_ser *d = &now->devices[0];

	d->flags = IOMMU_SER_USED;
	d->type = IOMMU_SER_TYPE_INTEL;
	d->domain = OWN;
	part_of(0)->did = did_of(OWN);
	/* As context_entry_set_pasid_table(): PDTS 2 is 512 entries; PASIDs, and present */
	now->context[0] = virt_to_phys(now->dir) | 2 << 9 | BIT(3) | 1;
}

static int pasid_test_init(struct kunit *test)
{
	now = kvzalloc_obj(*now);
	KUNIT_ASSERT_NOT_NULL(test, now);
	ida_init(&now->iommu.domain_ida);
	now->iommus = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL);
	now->domains = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL);
	now->devices = kvzalloc(IOMMU_SER_ARRAY_SIZE, GFP_KERNEL);
	now->dir = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);
	now->entry = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);
	KUNIT_ASSERT_TRUE(test, now->iommus && now->domains && now->devices &&
			  now->dir && now->entry);
	now->pasids.table = now->dir;
	now->pasids.max_pasid = MAX_PASID;
	describe_domains(test);
	describe_unit();
	describe_device();
	attach(test, IOMMU_NO_PASID, OWN);
	return 0;
}

static void pasid_test_exit(struct kunit *test)
{
	unsigned int i;

	if (part_of(0)->nr_pasids && iommu_liveupdate_kept(list_of(part_of(0))))
		unpreserve_pasids(part_of(0));
	for (i = 0; i < NR_TABLES; i++)
		iommu_free_pages(get_pasid_table_from_pde(&now->dir[i]));
	for (i = 0; i < NR_DOMAINS; i++)
		iommu_free_pages(now->tops[i]);
	iommu_free_pages(now->dir);
	iommu_free_pages(now->entry);
	kvfree(now->iommus);
	kvfree(now->domains);
	kvfree(now->devices);
	ida_destroy(&now->iommu.domain_ida);
	kvfree(now);
}

static struct kunit_case pasid_test_cases[] = {
	KUNIT_CASE(test_list_none),
	KUNIT_CASE(test_list),
	KUNIT_CASE(test_preserve),
	KUNIT_CASE(test_preserve_fails),
	KUNIT_CASE(test_preserve_many),
	KUNIT_CASE(test_check),
	KUNIT_CASE(test_block),
	KUNIT_CASE(test_block_all),
	KUNIT_CASE(test_take),
	KUNIT_CASE(test_reserve),
	KUNIT_CASE(test_reserve_fails),
	{}
};

static struct kunit_suite pasid_test_suite = {
	.name = "intel_liveupdate_pasid_test",
	.init = pasid_test_init,
	.exit = pasid_test_exit,
	.test_cases = pasid_test_cases,
};

kunit_test_suite(pasid_test_suite);

MODULE_DESCRIPTION("Unit tests of the handover of PASIDs by the driver of VT-d");
MODULE_LICENSE("GPL");
