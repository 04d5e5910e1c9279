/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * How fast are comparison and building of page tables, and how fast are they
 * preserved, restored and adopted, beside memcmp() and memcpy() of the same tables?
 *
 * A benchmark, not a test: it says what it measured, one line of JSON after
 * "bench: ", and judges nothing. bench_gib= says how many GiB of IOVA space
 * are mapped; without it there is nothing to do. Addresses are made up, so that
 * only the tables take memory: 2 MiB for each GiB in leaves of 4 KiB, twice.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

enum {
	BENCH_ROUNDS = 7,
	/* Of a time that is too short for the clock, this many in one go. */
	BENCH_AT_LEAST_US = 2000,
};

static unsigned int bench_gib;
module_param(bench_gib, uint, 0444);
MODULE_PARM_DESC(bench_gib, "GiB of IOVA space for the benchmark; 0 for none");

/*
 * The pages with the leaves of a table, in the order of a walk. Those above hold
 * addresses of tables, which are never equal, and are few.
 */
struct bench_pages {
	void **page;
	unsigned long n, room;
};

struct bench {
	struct verify_test *vt[3];
	struct bench_pages pages[2];
};

static int __bench_collect(struct pt_range *range, void *arg,
			   unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct bench_pages *pages = arg;
	bool leaves = true;
	int ret;

	for_each_pt_level_entry(&pts) {
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		leaves = false;
		ret = pt_descend(&pts, arg, __bench_collect);
		if (ret)
			return ret;
	}
	if (!leaves)
		return 0;
	if (pages->n < pages->room)
		pages->page[pages->n] = table;
	pages->n++;
	return 0;
}

static void bench_collect(struct kunit *test, struct pt_iommu *iommu,
			  struct bench_pages *pages)
{
	struct pt_range range;
	unsigned int pass;

	/* Counted first, then written down. */
	for (pass = 0; pass < 2; pass++) {
		range = pt_top_range(common_from_iommu(iommu));
		pages->n = 0;
		KUNIT_ASSERT_NO_ERRNO(test, pt_walk_range(&range,
							  __bench_collect,
							  pages));
		if (pass)
			return;
		pages->page = vmalloc_array(pages->n, sizeof(*pages->page));
		KUNIT_ASSERT_NOT_NULL(test, pages->page);
		pages->room = pages->n;
	}
}

static void bench_map(struct kunit *test, struct kunit_iommu_priv *priv,
		      unsigned long pgsize)
{
	u64 size = (u64)bench_gib << 30, done;
	size_t mapped;
	int ret;

	priv->domain.pgsize_bitmap = pgsize;
	/* In pieces, as user space maps memory. */
	for (done = 0; done < size; done += mapped) {
		mapped = 0;
		ret = priv->iommu->ops->map_range(priv->iommu, done,
						  (1ULL << 40) + done, SZ_1G,
						  IOMMU_READ | IOMMU_WRITE,
						  GFP_KERNEL, &mapped);
		KUNIT_ASSERT_NO_ERRNO(test, ret);
		KUNIT_ASSERT_EQ(test, mapped, SZ_1G);
		cond_resched();
	}
}

static int bench_memcmp(struct bench *b)
{
	unsigned long i;

	for (i = 0; i < b->pages[0].n; i++)
		if (memcmp(b->pages[0].page[i], b->pages[1].page[i], SZ_4K))
			return 1;
	return 0;
}

/* To one place, so that it is the reading that is measured. */
static int bench_memcpy(struct bench *b)
{
	static u8 into[SZ_4K];
	unsigned long i;

	for (i = 0; i < b->pages[0].n; i++) {
		memcpy(into, b->pages[0].page[i], SZ_4K);
		barrier_data(into);
	}
	return 0;
}

static int bench_verify(struct bench *b, unsigned int side)
{
	struct pt_iommu *other = b->vt[side]->peer.iommu;
	struct pt_iommu_difference diff;

	return other->ops->verify(b->vt[0]->peer.iommu, other,
				  PT_IOMMU_NO_WINDOW, &diff);
}

enum bench_what { WHAT_MEMCMP, WHAT_MEMCPY, WHAT_VERIFY, WHAT_UNLIKE, WHAT_NR };

static int bench_once(struct bench *b, enum bench_what what)
{
	switch (what) {
	case WHAT_MEMCMP:
		return bench_memcmp(b);
	case WHAT_MEMCPY:
		return bench_memcpy(b);
	case WHAT_VERIFY:
		return bench_verify(b, 1);
	default:
		return bench_verify(b, 2);
	}
}

/* Nanoseconds for one go. */
static u64 bench_time(struct kunit *test, struct bench *b, enum bench_what what)
{
	unsigned int n = 0;
	u64 begin, spent;

	begin = ktime_get_ns();
	do {
		KUNIT_ASSERT_EQ(test, bench_once(b, what), 0);
		n++;
		spent = ktime_get_ns() - begin;
	} while (spent < BENCH_AT_LEAST_US * NSEC_PER_USEC);
	return spent / n;
}

/* @ns: or what else was measured */
static void bench_say(const char *what, unsigned long pgsize,
		      unsigned long unlike, unsigned long pages, u64 ns)
{
	pr_info("bench: {\"format\":\"%s\",\"gib\":%u,\"leaf\":%lu,\"unlike\":%lu,\"pages\":%lu,\"what\":\"%s\",\"ns\":%llu}\n",
		__stringify(PTPFX_RAW), bench_gib, pgsize, unlike, pages, what,
		ns);
}

static void bench_pair(struct kunit *test, unsigned long pgsize,
		       unsigned long unlike)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct pt_iommu_table_cfg cfg = priv->cfg;
	u64 ns[WHAT_NR][BENCH_ROUNDS] = {}, map_ns[2];
	unsigned int i, round, what;

	KUNIT_ASSERT_NOT_NULL(test, b);
	/* For hardware that looks into the caches; a DMA mask is no limit then. */
	cfg.common.features &= ~BIT(PT_FEAT_DMA_INCOHERENT);
	for (i = 0; i < ARRAY_SIZE(b->vt); i++) {
		b->vt[i] = kunit_kzalloc(test, sizeof(*b->vt[i]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, b->vt[i]);
		verify_init_peer(test, b->vt[i], &cfg);
		if (i == 2 && !unlike)
			continue;
		map_ns[i & 1] = ktime_get_ns();
		bench_map(test, &b->vt[i]->peer, i == 2 ? unlike : pgsize);
		map_ns[i & 1] = ktime_get_ns() - map_ns[i & 1];
		if (i < 2)
			bench_collect(test, b->vt[i]->peer.iommu, &b->pages[i]);
	}
	KUNIT_ASSERT_EQ(test, b->pages[0].n, b->pages[1].n);

	/* All in turn, so that what else the machine does meets all of them. */
	for (round = 0; round < BENCH_ROUNDS; round++)
		for (what = 0; what < (unlike ? WHAT_NR : WHAT_UNLIKE); what++)
			ns[what][round] = bench_time(test, b, what);

	for (what = 0; what < (unlike ? WHAT_NR : WHAT_UNLIKE); what++) {
		static const char *const name[] = { "memcmp", "memcpy",
						    "verify", "verify_unlike" };

		for (round = 0; round < BENCH_ROUNDS; round++)
			bench_say(name[what], pgsize, unlike, b->pages[0].n,
				  ns[what][round]);
	}
	for (i = 0; i < 2 && !unlike; i++)
		bench_say("map", pgsize, 0, b->pages[0].n, map_ns[i]);

	for (i = 0; i < ARRAY_SIZE(b->vt); i++)
		verify_end(b->vt[i]);
	vfree(b->pages[0].page);
	vfree(b->pages[1].page);
}

#ifdef CONFIG_KHO_NATIVE_TEST
/*
 * One table goes from kernel to kernel: preserved, restored, adopted by an empty
 * one, which is the next to go. A second one is built anew each time.
 */
static void bench_liveupdate(struct kunit *test, unsigned long pgsize)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu_table_cfg cfg = priv->cfg;
	struct kunit_iommu_priv *restored;
	struct verify_test *vt, *anew;
	struct pt_iommu_difference diff;
	struct kunit_iommu_priv *old;
	struct bench b = {};
	unsigned int round;
	unsigned long n;
	u64 t;
	int ret;

	vt = kunit_kzalloc(test, sizeof(*vt), GFP_KERNEL);
	anew = kunit_kzalloc(test, sizeof(*anew), GFP_KERNEL);
	old = kunit_kzalloc(test, sizeof(*old), GFP_KERNEL);
	restored = kunit_kzalloc(test, sizeof(*restored), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, vt && anew && old && restored);
	/* See bench_pair() */
	cfg.common.features &= ~BIT(PT_FEAT_DMA_INCOHERENT);
	verify_init_peer(test, vt, &cfg);
	bench_map(test, &vt->peer, pgsize);
	bench_collect(test, vt->peer.iommu, &b.pages[0]);
	n = b.pages[0].n;

	for (round = 0; round < BENCH_ROUNDS; round++) {
		/* By value: the table is not referred to from elsewhere. */
		*old = vt->peer;
		old->iommu = &old->fmt_table.iommu;

		t = ktime_get_ns();
		bench_memcpy(&b);
		bench_say("lu_memcpy", pgsize, 0, n, ktime_get_ns() - t);

		verify_init_peer(test, anew, &cfg);
		t = ktime_get_ns();
		bench_map(test, &anew->peer, pgsize);
		bench_say("lu_map", pgsize, 0, n, ktime_get_ns() - t);
		t = ktime_get_ns();
		ret = old->iommu->ops->verify(old->iommu, anew->peer.iommu,
					       PT_IOMMU_NO_WINDOW, &diff);
		bench_say("lu_verify", pgsize, 0, n, ktime_get_ns() - t);
		KUNIT_ASSERT_EQ(test, ret, 0);
		verify_end(anew);

		t = ktime_get_ns();
		ret = old->iommu->ops->preserve(old->iommu);
		bench_say("preserve", pgsize, 0, n, ktime_get_ns() - t);
		KUNIT_ASSERT_NO_ERRNO(test, ret);
		bench_say("kho_nodes", pgsize, 0, n, kho_native_nodes());
		t = ktime_get_ns();
		old->iommu->ops->unpreserve(old->iommu);
		bench_say("unpreserve", pgsize, 0, n, ktime_get_ns() - t);

		KUNIT_ASSERT_TRUE(test, liveupdate_jump(test, vt, old, restored));
		bench_say("restore", pgsize, 0, n, liveupdate_restore_ns);
		pt_iommu_deinit(old->iommu);

		verify_init_peer(test, vt, &cfg);
		t = ktime_get_ns();
		ret = vt->peer.iommu->ops->adopt(vt->peer.iommu, restored->iommu,
						 &diff, false);
		KUNIT_ASSERT_NO_ERRNO(test, ret);
		bench_map(test, &vt->peer, pgsize);
		ret = vt->peer.iommu->ops->adopt_check(vt->peer.iommu,
						       (u64)bench_gib << 30,
						       U64_MAX);
		bench_say("adopt", pgsize, 0, n, ktime_get_ns() - t);
		KUNIT_ASSERT_EQ(test, ret, 0);
		t = ktime_get_ns();
		ret = vt->peer.iommu->ops->adopt_commit(vt->peer.iommu);
		bench_say("commit", pgsize, 0, n, ktime_get_ns() - t);
		KUNIT_ASSERT_NO_ERRNO(test, ret);
		pt_iommu_deinit(restored->iommu);
	}
	verify_end(vt);
	vfree(b.pages[0].page);
}
#endif

static void bench_tables(struct kunit *test)
{
	struct kunit_iommu_priv *priv = test->priv;
	static bool done;

	if (!bench_gib)
		kunit_skip(test, "bench_gib is 0");
	if (done)
		kunit_skip(test, "one configuration of a format is enough");
	/* A width has a sign bit in some formats. */
	if (!(priv->info.pgsize_bitmap & SZ_2M) ||
	    priv->common->max_vasz_lg2 <= ilog2((u64)bench_gib << 30) + 1)
		kunit_skip(test, "not for this configuration");
	done = true;

	bench_pair(test, SZ_4K, 0);
	bench_pair(test, SZ_2M, 0);
	if (priv->info.pgsize_bitmap & SZ_1G)
		bench_pair(test, SZ_1G, 0);
	bench_pair(test, SZ_4K, SZ_2M);
#ifdef CONFIG_KHO_NATIVE_TEST
	bench_liveupdate(test, SZ_4K);
	bench_liveupdate(test, SZ_2M);
#endif
}

static struct kunit_case bench_cases[] = {
	KUNIT_CASE_FMT(bench_tables),
	{},
};

static struct kunit_suite NS(bench_suite) = {
	.name = __stringify(NS(iommu_bench)),
	.init = pt_kunit_iommu_init,
	.exit = pt_kunit_iommu_exit,
	.test_cases = bench_cases,
};

kunit_test_suites(&NS(bench_suite));
