/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * Tests of preserve(), restore() and adopt(): see iommu_pt_liveupdate.h and
 * iommu_pt_adopt.h
 *
 * The previous kernel is this one: its table is preserved, forgets its pages,
 * and is restored into another one (see kho_native.c). What the restored table
 * translates is in model 0 of verify_test, what shall adopt it in model 1.
 */
#ifdef CONFIG_KHO_NATIVE_TEST

#include <linux/kho_native.h>
#include <linux/vmstat.h>

#define pt_iommu_restore CONCATENATE(CONCATENATE(pt_iommu_, PTPFX), restore)

/* What was not committed is given up; pages that are left then are a leak. */
static long liveupdate_pages(void)
{
	return global_node_page_state(NR_IOMMU_PAGES);
}

/* What restore() took the last time, for the benchmark */
static u64 liveupdate_restore_ns;

/*
 * Preserve @from, jump, and restore its tables into @to, which was not set up
 * yet; @from is empty then. False if a table of this configuration begins with
 * another depth than that of @from.
 */
static bool liveupdate_jump(struct kunit *test, struct verify_test *vt,
			    struct kunit_iommu_priv *from,
			    struct kunit_iommu_priv *to)
{
	struct pt_common *common = common_from_iommu(from->iommu);
	unsigned int level = pt_top_get_level(common);
	phys_addr_t top = virt_to_phys(pt_top_range(common).top_table);
	void *empty;
	bool same;
	int ret;

	verify_init_peer(test, vt, &from->cfg);
	same = pt_top_get_level(common_from_iommu(vt->peer.iommu)) == level;
	verify_end(vt);
	if (!same)
		return false;

	ret = from->iommu->ops->preserve(from->iommu);
	KUNIT_ASSERT_NO_ERRNO_FN(test, "preserve", ret);
	KUNIT_ASSERT_GE(test, kho_native_jump(), 1);
	empty = iommu_alloc_pages_node_sz(NUMA_NO_NODE, GFP_KERNEL,
					  log2_to_int(PT_TABLEMEM_LG2SZ));
	KUNIT_ASSERT_NOT_NULL(test, empty);
	pt_top_set(common, empty, level);

	verify_prepare(test, to, &from->cfg);
	liveupdate_restore_ns = ktime_get_ns();
	ret = pt_iommu_restore(&to->fmt_table, &to->cfg, top);
	liveupdate_restore_ns = ktime_get_ns() - liveupdate_restore_ns;
	KUNIT_ASSERT_NO_ERRNO_FN(test, "restore", ret);
	return true;
}

/* Map model 1 into the peer, up to the first failure. */
static int liveupdate_map(struct kunit *test, struct verify_test *vt,
			  bool pieces)
{
	struct kunit_iommu_priv *priv = test->priv;
	const u64 *model = vt->model[1];
	unsigned int i, n;
	int ret;

	for (i = 0; i < VERIFY_PAGES; i += n) {
		n = verify_run_of(test, model, i,
				  pieces ? 1 + verify_below(vt, 700) :
					   VERIFY_PAGES);
		if (model[i] == VERIFY_NOTHING)
			continue;
		ret = iommu_map(&vt->peer.domain,
				vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2),
				model[i] & ~VERIFY_READ_ONLY,
				log2_mul((u64)n, priv->smallest_pgsz_lg2),
				model[i] & VERIFY_READ_ONLY ?
					IOMMU_READ : IOMMU_READ | IOMMU_WRITE,
				GFP_KERNEL);
		if (ret)
			return ret;
	}
	return 0;
}

/* What is between the pages of model 1 must not be translated. */
static int liveupdate_check_gaps(struct kunit *test, struct verify_test *vt)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu *peer = vt->peer.iommu;
	u64 next = 0, page;
	unsigned int i;
	int ret;

	for (i = 0; i < VERIFY_PAGES; i++) {
		if (vt->model[1][i] == VERIFY_NOTHING)
			continue;
		page = vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2);
		if (next < page) {
			ret = peer->ops->adopt_check(peer, next, page - 1);
			if (ret)
				return ret;
		}
		next = page + priv->smallest_pgsz;
	}
	return peer->ops->adopt_check(peer, next, U64_MAX);
}

/* The first page that is mapped, and is not as in the restored table. */
static unsigned int liveupdate_first_wrong(struct verify_test *vt)
{
	unsigned int i;

	for (i = 0; i < VERIFY_PAGES; i++)
		if (vt->model[1][i] != VERIFY_NOTHING &&
		    vt->model[1][i] != vt->model[0][i])
			break;
	return i;
}

static void liveupdate_spoil(struct kunit *test, struct verify_test *vt,
			     unsigned int n)
{
	for (; n; n--) {
		u64 *page = &vt->model[1][verify_below(vt, VERIFY_PAGES)];

		switch (verify_below(vt, 3)) {
		case 0:
			*page = VERIFY_NOTHING;
			break;
		case 1:
			*page = verify_oa_of(test, prandom_u32_state(&vt->rnd));
			break;
		case 2:
			if (*page != VERIFY_NOTHING)
				*page ^= VERIFY_READ_ONLY;
			break;
		}
	}
}

/* Is it refused if it has to be, and taken over if it can be? */
static void liveupdate_adopt(struct kunit *test, struct verify_test *vt,
			     struct kunit_iommu_priv *restored, bool sizes)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu *peer = vt->peer.iommu;
	bool equal = !memcmp(vt->model[0], vt->model[1], sizeof(vt->model[0]));
	unsigned int wrong = liveupdate_first_wrong(vt);
	struct pt_iommu_difference diff, other;
	long pages;
	int ret;

	pages = liveupdate_pages();
	ret = peer->ops->adopt(peer, restored->iommu, &diff, sizes);
	KUNIT_ASSERT_NO_ERRNO_FN(test, "adopt", ret);
	ret = liveupdate_map(test, vt, !sizes);
	/* Nothing is written but where sizes alone are adopted. */
	if (!sizes)
		KUNIT_ASSERT_EQ(test, liveupdate_pages(), pages);
	if (ret) {
		KUNIT_ASSERT_EQ(test, ret, -EILSEQ);
		if (diff.sizes_differ) {
			/* A leaf that the model no longer has as a whole. */
			KUNIT_ASSERT_TRUE(test, sizes);
			KUNIT_ASSERT_FALSE(test, equal);
			return;
		}
		KUNIT_ASSERT_LT(test, wrong, VERIFY_PAGES);
		KUNIT_ASSERT_EQ(test, diff.iova,
				vt->base + log2_mul((u64)wrong, priv->smallest_pgsz_lg2));
		KUNIT_ASSERT_TRUE(test, diff.side[1].present);
		KUNIT_ASSERT_EQ(test, diff.side[1].oa,
				vt->model[1][wrong] & ~VERIFY_READ_ONLY);
		KUNIT_ASSERT_EQ(test, diff.side[0].present,
				vt->model[0][wrong] != VERIFY_NOTHING);
		return;
	}
	KUNIT_ASSERT_EQ(test, wrong, VERIFY_PAGES);
	ret = liveupdate_check_gaps(test, vt);
	if (!equal) {
		KUNIT_ASSERT_EQ(test, ret, 1);
		return;
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = restored->iommu->ops->verify(restored->iommu, peer, PT_IOMMU_NO_WINDOW, &other);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_FALSE(test, other.sizes_differ);
	KUNIT_ASSERT_NO_ERRNO(test, peer->ops->adopt_commit(peer));

	/* From here on it is a table like any other. */
	verify_build(test, vt, 0, true);
	verify_expect(test, vt);
	verify_clear(test, vt, 0);
	verify_clear(test, vt, 1);
	KUNIT_ASSERT_EQ(test, verify_both(test, vt, &other), 0);
}

static void liveupdate_rounds(struct kunit *test, bool sizes)
{
	struct verify_test *vt = verify_begin(test);
	struct kunit_iommu_priv *priv = test->priv;
	struct kunit_iommu_priv *restored;
	unsigned int round, done = 0;
	long pages;

	verify_end(vt);
	restored = kunit_kzalloc(test, sizeof(*restored), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, restored);

	for (round = 0; round < VERIFY_ROUNDS; round++) {
		verify_choose_base(test, vt);
		verify_fill(test, vt);
		liveupdate_spoil(test, vt, round % 4);
		verify_build(test, vt, 0, round & 4);
		pages = liveupdate_pages();
		if (!liveupdate_jump(test, vt, priv, restored)) {
			verify_clear(test, vt, 0);
			continue;
		}
		done++;
		verify_init_peer(test, vt, &priv->cfg);
		liveupdate_adopt(test, vt, restored, sizes);
		verify_end(vt);
		pt_iommu_deinit(restored->iommu);
		/* Of the first table nothing but the top is left, or its tables of before. */
		KUNIT_ASSERT_LE(test, liveupdate_pages(), pages);
	}
	if (!pt_feature(priv->common, PT_FEAT_DYNAMIC_TOP))
		KUNIT_ASSERT_EQ(test, done, VERIFY_ROUNDS);
}

/* Random tables that are adopted, by equal ones and by ones that differ. */
static void test_liveupdate_adopt(struct kunit *test)
{
	liveupdate_rounds(test, false);
}

/* The same, of the sizes of the leaves alone. */
static void test_liveupdate_sizes(struct kunit *test)
{
	liveupdate_rounds(test, true);
}

/* Preserve and undo it, several times; a page is restored once. */
static void test_liveupdate_preserve(struct kunit *test)
{
	struct verify_test *vt = verify_begin(test);
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_common *common = priv->common;
	phys_addr_t top;
	unsigned int i;

	verify_choose_base(test, vt);
	verify_fill(test, vt);
	verify_build(test, vt, 0, true);
	verify_build(test, vt, 1, true);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_NO_ERRNO(test, priv->iommu->ops->preserve(priv->iommu));
		priv->iommu->ops->unpreserve(priv->iommu);
	}
	top = virt_to_phys(pt_top_range(common).top_table);
	KUNIT_ASSERT_EQ(test, kho_native_jump(), 0);
	KUNIT_ASSERT_FALSE(test, kho_is_preserved(top, 0));
	KUNIT_ASSERT_NULL(test, iommu_pages_restore(top, PAGE_SIZE));
	/* Nothing has happened to the table. */
	verify_expect(test, vt);
	verify_clear(test, vt, 0);
	verify_clear(test, vt, 1);
	verify_end(vt);
}

static struct kunit_case liveupdate_test_cases[] = {
	KUNIT_CASE_FMT(test_liveupdate_preserve),
	KUNIT_CASE_FMT(test_liveupdate_adopt),
	KUNIT_CASE_FMT(test_liveupdate_sizes),
	{},
};

static struct kunit_suite NS(liveupdate_suite) = {
	.name = __stringify(NS(iommu_liveupdate_test)),
	.init = pt_kunit_iommu_init,
	.exit = pt_kunit_iommu_exit,
	.test_cases = liveupdate_test_cases,
};

kunit_test_suites(&NS(liveupdate_suite));

#endif
