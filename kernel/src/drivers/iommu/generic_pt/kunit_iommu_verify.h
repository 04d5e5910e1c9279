/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * Tests of verify(): see iommu_pt_verify.h
 *
 * What two tables shall translate is kept in two models, one word for each of
 * some thousand pages. The tables are built from the models in pieces of random
 * length, so that they differ in their leaf sizes; the models say whether they
 * have to be equal and what the first difference is.
 */
#include <linux/prandom.h>

enum {
	/* A window of so many smallest pages is mapped. */
	VERIFY_PAGES = 4096,
	VERIFY_ROUNDS = 40,
};

/* What a page of a model translates to: an address, with this in its bit 0 */
#define VERIFY_READ_ONLY	1ULL
#define VERIFY_NOTHING		U64_MAX

struct verify_test {
	struct kunit_iommu_priv peer;
	struct rnd_state rnd;
	pt_vaddr_t base;
	u64 model[2][VERIFY_PAGES];
};

static unsigned int verify_below(struct verify_test *vt, unsigned int n)
{
	return prandom_u32_state(&vt->rnd) % n;
}

static struct kunit_iommu_priv *verify_side(struct kunit *test,
					    struct verify_test *vt,
					    unsigned int side)
{
	return side ? &vt->peer : test->priv;
}

/* Another table, of the same format, before init() or restore(). */
static void verify_prepare(struct kunit *test, struct kunit_iommu_priv *to,
			   const struct pt_iommu_table_cfg *cfg)
{
	struct kunit_iommu_priv *priv = test->priv;

	memset(to, 0, sizeof(*to));
	spin_lock_init(&to->top_lock);
	to->cfg = *cfg;
	to->dummy_dev = priv->dummy_dev;
	to->fmt_table.iommu.nid = NUMA_NO_NODE;
	to->fmt_table.iommu.driver_ops = &pt_kunit_driver_ops;
	to->fmt_table.iommu.iommu_device = priv->dummy_dev;
	to->domain.ops = &kunit_pt_ops;
	to->iommu = &to->fmt_table.iommu;
}

/* A second table, of the same format, with room for the same addresses. */
static void verify_init_peer(struct kunit *test, struct verify_test *vt,
			     const struct pt_iommu_table_cfg *cfg)
{
	struct kunit_iommu_priv *peer = &vt->peer;
	int ret;

	verify_prepare(test, peer, cfg);
	ret = pt_iommu_init(&peer->fmt_table, &peer->cfg, GFP_KERNEL);
	KUNIT_ASSERT_NO_ERRNO(test, ret);
}

static struct verify_test *verify_begin(struct kunit *test)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct verify_test *vt;

	if (IS_32BIT)
		kunit_skip(test, "The window does not fit into 32 bits");
	vt = kunit_kzalloc(test, sizeof(*vt), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vt);
	prandom_seed_state(&vt->rnd, 0x636f6e74696e756f);
	verify_init_peer(test, vt, &priv->cfg);
	return vt;
}

static void verify_end(struct verify_test *vt)
{
	pt_iommu_deinit(vt->peer.iommu);
}

/* Somewhere in the lower part of the addresses, at any alignment. */
static void verify_choose_base(struct kunit *test, struct verify_test *vt)
{
	struct kunit_iommu_priv *priv = test->priv;
	unsigned int lg2 = min(priv->common->max_vasz_lg2, 45U) - 1;
	u64 page = (u64)prandom_u32_state(&vt->rnd) << 16;

	page = log2_mod(page ^ prandom_u32_state(&vt->rnd),
			lg2 - priv->smallest_pgsz_lg2 - 1);
	if (verify_below(vt, 2))
		page = log2_set_mod(page, 0, 9);
	vt->base = log2_mul(page, priv->smallest_pgsz_lg2);
}

static u64 verify_oa_of(struct kunit *test, u64 page)
{
	struct kunit_iommu_priv *priv = test->priv;

	return log2_mod(log2_mul(page, priv->smallest_pgsz_lg2),
			min(priv->common->max_oasz_lg2, 44U));
}

/* Runs of pages that follow each other, with and without permission to write. */
static void verify_fill(struct kunit *test, struct verify_test *vt)
{
	struct kunit_iommu_priv *priv = test->priv;
	u64 first = log2_div(vt->base, priv->smallest_pgsz_lg2);
	unsigned int i = 0;
	u64 page;

	while (i < VERIFY_PAGES) {
		unsigned int n = 1 + verify_below(vt, 1 << verify_below(vt, 12));
		unsigned int kind = verify_below(vt, 8);

		/* Large leaves need addresses that are aligned alike. */
		page = (u64)prandom_u32_state(&vt->rnd) << 9;
		page += verify_below(vt, 4) ? first + i : verify_below(vt, 512);
		for (; n && i < VERIFY_PAGES; n--, i++, page++) {
			vt->model[0][i] = !kind ? VERIFY_NOTHING :
				verify_oa_of(test, page) |
				(kind == 1 ? VERIFY_READ_ONLY : 0);
		}
	}
	memcpy(vt->model[1], vt->model[0], sizeof(vt->model[0]));
}

/* How many pages from @i on, @most at most, can be mapped together? */
static unsigned int verify_run_of(struct kunit *test, const u64 *model,
				  unsigned int i, unsigned int most)
{
	struct kunit_iommu_priv *priv = test->priv;
	unsigned int n;

	most = min(most, VERIFY_PAGES - i);
	for (n = 1; n < most; n++)
		if (model[i + n] == VERIFY_NOTHING ||
		    model[i + n] != model[i] + n * priv->smallest_pgsz)
			break;
	return n;
}

static void verify_build(struct kunit *test, struct verify_test *vt,
			 unsigned int side, bool pieces)
{
	struct kunit_iommu_priv *priv = test->priv;
	const u64 *model = vt->model[side];
	unsigned int i, n;
	int ret;

	for (i = 0; i < VERIFY_PAGES; i += n) {
		unsigned int most = pieces ? 1 + verify_below(vt, 1 << verify_below(vt, 11)) :
					     VERIFY_PAGES;

		n = verify_run_of(test, model, i, most);
		if (model[i] == VERIFY_NOTHING)
			continue;
		ret = iommu_map(&verify_side(test, vt, side)->domain,
				vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2),
				model[i] & ~VERIFY_READ_ONLY,
				log2_mul((u64)n, priv->smallest_pgsz_lg2),
				model[i] & VERIFY_READ_ONLY ?
					IOMMU_READ : IOMMU_READ | IOMMU_WRITE,
				GFP_KERNEL);
		KUNIT_ASSERT_NO_ERRNO_FN(test, "map", ret);
	}
}

static void verify_clear(struct kunit *test, struct verify_test *vt,
			 unsigned int side)
{
	struct kunit_iommu_priv *priv = test->priv;
	const u64 *model = vt->model[side];
	unsigned int i, n;

	/* A leaf is unmapped whole, so unmap what was mapped together. */
	for (i = 0; i < VERIFY_PAGES; i += n) {
		n = verify_run_of(test, model, i, VERIFY_PAGES);
		if (model[i] != VERIFY_NOTHING)
			iommu_unmap(&verify_side(test, vt, side)->domain,
				    vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2),
				    log2_mul((u64)n, priv->smallest_pgsz_lg2));
	}
}

static int verify_both(struct kunit *test, struct verify_test *vt,
		       struct pt_iommu_difference *diff)
{
	struct kunit_iommu_priv *priv = test->priv;

	return priv->iommu->ops->verify(priv->iommu, vt->peer.iommu,
					PT_IOMMU_NO_WINDOW, diff);
}

static void verify_expect(struct kunit *test, struct verify_test *vt)
{
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu_difference diff;
	unsigned int i, side;
	int ret;

	for (i = 0; i < VERIFY_PAGES; i++)
		if (vt->model[0][i] != vt->model[1][i])
			break;
	ret = verify_both(test, vt, &diff);
	if (i == VERIFY_PAGES) {
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "differ at %llx",
				    diff.iova);
		return;
	}
	KUNIT_ASSERT_EQ(test, ret, 1);
	KUNIT_ASSERT_EQ(test, diff.iova,
			vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2));
	for (side = 0; side < 2; side++) {
		u64 want = vt->model[side][i];

		KUNIT_ASSERT_EQ(test, diff.side[side].present,
				want != VERIFY_NOTHING);
		if (want != VERIFY_NOTHING)
			KUNIT_ASSERT_EQ(test, diff.side[side].oa,
					want & ~VERIFY_READ_ONLY);
	}
}

/* Random tables: equal ones, and ones with one to three differences. */
static void test_verify_random(struct kunit *test)
{
	struct verify_test *vt = verify_begin(test);
	unsigned int round, n;

	for (round = 0; round < VERIFY_ROUNDS; round++) {
		verify_choose_base(test, vt);
		verify_fill(test, vt);
		for (n = round % 4; n; n--) {
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
		verify_build(test, vt, 0, round & 4);
		verify_build(test, vt, 1, true);
		verify_expect(test, vt);
		verify_clear(test, vt, 0);
		verify_clear(test, vt, 1);
		/* What was unmapped leaves empty tables behind, or none. */
		KUNIT_ASSERT_EQ(test, verify_both(test, vt, &(struct pt_iommu_difference){}), 0);
	}
	verify_end(vt);
}

/* One large leaf against small ones, with each kind of difference in each. */
static void test_verify_sizes(struct kunit *test)
{
	struct verify_test *vt = verify_begin(test);
	struct kunit_iommu_priv *priv = test->priv;
	static const unsigned int at[] = { 0, 1, 2, 3, 255, 256, 510, 511 };
	unsigned int i, kind, small;
	struct pt_iommu_difference diff;
	const unsigned int n = 512;
	int ret;

	vt->base = log2_mul(1ULL, 9 + priv->smallest_pgsz_lg2);
	for (i = 0; i < VERIFY_PAGES; i++)
		vt->model[0][i] = i < n ? verify_oa_of(test, n * 3 + i) :
					  VERIFY_NOTHING;

	for (small = 0; small < 2; small++) {
		memcpy(vt->model[1], vt->model[0], sizeof(vt->model[0]));
		for (i = 0; i < n; i++) {
			ret = iommu_map(&verify_side(test, vt, small)->domain,
					vt->base + log2_mul((u64)i, priv->smallest_pgsz_lg2),
					vt->model[0][i], priv->smallest_pgsz,
					IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
			KUNIT_ASSERT_NO_ERRNO(test, ret);
		}
		verify_build(test, vt, !small, false);
		KUNIT_ASSERT_EQ(test, verify_both(test, vt, &diff), 0);
		KUNIT_ASSERT_TRUE(test, diff.sizes_differ);
		KUNIT_ASSERT_EQ(test, diff.size_iova, vt->base);
		verify_clear(test, vt, 0);
		verify_clear(test, vt, 1);
	}

	for (kind = 0; kind < 3; kind++) {
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			u64 *page = &vt->model[1][at[i]];

			memcpy(vt->model[1], vt->model[0],
			       sizeof(vt->model[0]));
			*page = kind == 0 ? VERIFY_NOTHING :
				kind == 1 ? *page ^ VERIFY_READ_ONLY :
					    *page ^ priv->smallest_pgsz;
			verify_build(test, vt, 0, false);
			verify_build(test, vt, 1, false);
			verify_expect(test, vt);
			verify_clear(test, vt, 0);
			verify_clear(test, vt, 1);
		}
	}
	verify_end(vt);
}

/* What the first table may know more of, and the second one may not. */
static void test_verify_window(struct kunit *test)
{
	static const struct { unsigned int at; bool in; } pages[] = {
		{ 99, false }, { 100, true }, { 700, true }, { 1123, true }, { 1124, false },
	};
	struct verify_test *vt = verify_begin(test);
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu_difference diff;
	struct pt_iommu_window window;
	unsigned int i, side;

	vt->base = log2_mul(1ULL, 9 + priv->smallest_pgsz_lg2);
	window.first = vt->base + log2_mul(100ULL, priv->smallest_pgsz_lg2);
	window.last = vt->base + log2_mul(1124ULL, priv->smallest_pgsz_lg2) - 1;
	for (i = 0; i < ARRAY_SIZE(pages) * 2; i++) {
		unsigned int at = pages[i / 2].at;
		bool same;

		side = i % 2;
		memset(vt->model, 0xff, sizeof(vt->model));
		vt->model[0][3] = verify_oa_of(test, 5);
		vt->model[1][3] = vt->model[0][3];
		vt->model[side][at] = verify_oa_of(test, 7);
		verify_build(test, vt, 0, false);
		verify_build(test, vt, 1, false);
		same = pages[i / 2].in && !side;
		KUNIT_ASSERT_EQ(test, priv->iommu->ops->verify(priv->iommu, vt->peer.iommu,
							       window, &diff), !same);
		KUNIT_ASSERT_EQ(test, diff.side[side].present, !same);
		verify_clear(test, vt, 0);
		verify_clear(test, vt, 1);
	}
	/* Another translation there is a difference. */
	vt->model[0][500] = verify_oa_of(test, 7);
	vt->model[1][500] = verify_oa_of(test, 8);
	verify_build(test, vt, 0, false);
	verify_build(test, vt, 1, false);
	KUNIT_ASSERT_EQ(test, priv->iommu->ops->verify(priv->iommu, vt->peer.iommu, window,
						       &diff), 1);
	verify_clear(test, vt, 0);
	verify_clear(test, vt, 1);
	verify_end(vt);
}

/* Tables of different depth, where the format has them. */
static void test_verify_depth(struct kunit *test)
{
#ifdef kunit_fmt_cfgs
	struct verify_test *vt = verify_begin(test);
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu_difference diff;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kunit_fmt_cfgs); i++) {
		struct pt_iommu_table_cfg cfg = kunit_fmt_cfgs[i];
		struct pt_range range;
		u64 last;

		if ((cfg.common.features ^ priv->cfg.common.features) &
		    KUNIT_FMT_FEATURES)
			continue;
		cfg.common.features = priv->cfg.common.features;
		cfg.common.hw_max_oasz_lg2 = priv->cfg.common.hw_max_oasz_lg2;
		if (!cfg.common.hw_max_vasz_lg2)
			cfg.common.hw_max_vasz_lg2 = PT_MAX_VA_ADDRESS_LG2;
		verify_end(vt);
		verify_init_peer(test, vt, &cfg);

		vt->base = 0;
		verify_fill(test, vt);
		verify_build(test, vt, 0, true);
		verify_build(test, vt, 1, true);
		verify_expect(test, vt);
		verify_clear(test, vt, 1);
		vt->model[1][77] = verify_oa_of(test, 0x1234567);
		verify_build(test, vt, 1, true);
		verify_expect(test, vt);
		verify_clear(test, vt, 1);
		verify_clear(test, vt, 0);

		/* One page that only the deeper table can hold. */
		range = pt_top_range(priv->common);
		last = log2_set_mod(range.last_va, 0, priv->smallest_pgsz_lg2);
		if (range.max_vasz_lg2 <=
		    pt_top_range(common_from_iommu(vt->peer.iommu)).max_vasz_lg2)
			continue;
		KUNIT_ASSERT_NO_ERRNO(test, iommu_map(&priv->domain, last, 0,
						      priv->smallest_pgsz,
						      IOMMU_READ, GFP_KERNEL));
		KUNIT_ASSERT_EQ(test, verify_both(test, vt, &diff), 1);
		KUNIT_ASSERT_EQ(test, diff.iova, last);
		KUNIT_ASSERT_TRUE(test, diff.side[0].present);
		KUNIT_ASSERT_FALSE(test, diff.side[1].present);
		iommu_unmap(&priv->domain, last, priv->smallest_pgsz);
	}
	verify_end(vt);
#else
	kunit_skip(test, "The format has one depth");
#endif
}

#ifdef PT_ITEM_PRESENT
/* The item that translates @va at @level; the tables above it are there. */
static u64 *verify_item(struct pt_iommu *table, pt_vaddr_t va,
			unsigned int level)
{
	struct pt_range range = pt_all_range(common_from_iommu(table));
	struct pt_state pts = pt_init_top(&range);

	for (;;) {
		pts.index = log2_mod(log2_div(va, pt_table_item_lg2sz(&pts)),
				     pt_num_items_lg2(&pts));
		if (pts.level == level)
			return pt_cur_table(&pts, u64) + pts.index;
		pts.type = pt_load_entry_raw(&pts);
		if (pts.type != PT_ENTRY_TABLE)
			return NULL;
		pts = pt_init(&range, pts.level - 1, pt_table_ptr(&pts));
	}
}

/*
 * Encodings that are reserved, at the lowest level and at the highest, in an item that is
 * mapped in the other table, in one that is not, and behind one that is not.
 */
static void test_verify_reserved(struct kunit *test)
{
	static const unsigned int at[] = { 0, 1, 5, VERIFY_PAGES - 1 };
	struct kunit_iommu_priv *priv = test->priv;
	struct pt_iommu_difference diff;
	struct verify_test *vt = verify_begin(test);
	u64 *item, good;
	unsigned int i;

	vt->base = 0;
	for (i = 0; i < VERIFY_PAGES; i++)
		vt->model[0][i] = i ? VERIFY_NOTHING : verify_oa_of(test, 99);
	vt->model[0][VERIFY_PAGES - 2] = verify_oa_of(test, 77);
	memcpy(vt->model[1], vt->model[0], sizeof(vt->model[0]));
	verify_build(test, vt, 0, false);
	verify_build(test, vt, 1, false);

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		item = verify_item(priv->iommu,
				   log2_mul((u64)at[i], priv->smallest_pgsz_lg2), 0);
		KUNIT_ASSERT_NOT_NULL(test, item);
		good = *item;
		*item = PT_ITEM_PRESENT;
		KUNIT_ASSERT_EQ(test, verify_both(test, vt, &diff), -EUCLEAN);
		*item = good;
	}
	/* No block is that large. */
	if (pt_top_get_level(priv->common) == PT_MAX_TOP_LEVEL) {
		item = verify_item(priv->iommu, 0, PT_MAX_TOP_LEVEL);
		item[3] = PT_ITEM_PRESENT;
		KUNIT_ASSERT_EQ(test, verify_both(test, vt, &diff), -EUCLEAN);
		item[3] = 0;
	}
	verify_expect(test, vt);
	verify_clear(test, vt, 0);
	verify_clear(test, vt, 1);
	verify_end(vt);
}

#endif

static struct kunit_case verify_test_cases[] = {
#ifdef PT_ITEM_PRESENT
	KUNIT_CASE_FMT(test_verify_reserved),
#endif
	KUNIT_CASE_FMT(test_verify_random),
	KUNIT_CASE_FMT(test_verify_sizes),
	KUNIT_CASE_FMT(test_verify_window),
	KUNIT_CASE_FMT(test_verify_depth),
	{},
};

static struct kunit_suite NS(verify_suite) = {
	.name = __stringify(NS(iommu_verify_test)),
	.init = pt_kunit_iommu_init,
	.exit = pt_kunit_iommu_exit,
	.test_cases = verify_test_cases,
};

kunit_test_suites(&NS(verify_suite));

#include "kunit_iommu_liveupdate.h"
#include "kunit_iommu_bench.h"
