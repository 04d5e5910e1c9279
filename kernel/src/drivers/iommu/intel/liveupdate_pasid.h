/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * PASIDs of a device that goes on: a part of liveupdate.c, which is also built into unit
 * tests, with stand-ins for the core and for the unit (liveupdate_pasid_kunit.c).
 */
#ifndef __INTEL_IOMMU_LIVEUPDATE_PASID_H
#define __INTEL_IOMMU_LIVEUPDATE_PASID_H

/**
 * DOC: PASIDs besides the first one
 *
 * References are to the "Intel Virtualization Technology for Directed I/O Architecture
 * Specification": "9.4 Scalable-Mode Context-Entry", "9.5 Scalable-Mode PASID Directory
 * Entry", "9.6 Scalable-Mode PASID Table Entry".
 *
 * In scalable mode a device has a directory of PASID tables. The entry of PASID 0
 * translates what the device requests without a PASID, and is what the part of a device
 * in the handover speaks of. Each other PASID that is present has a place in a list, which
 * is a page of its own: the PASID, its domain and its domain id. Directory and tables are
 * kept with or without such PASIDs.
 *
 * The shutdown leaves the entries of what is listed and removes all others. The next
 * kernel checks that there are those entries and no others (liveupdate_check.c), and takes
 * their domain ids out of the unit's allocator. A device that is refused loses the
 * entries of all its PASIDs.
 *
 * So far nothing has a list. iommufd does not carry the attachments of PASIDs, so nobody
 * in the next kernel could have them, replace their domains, or say when these can be
 * freed. Preserve refuses a device that has one attached (rule vtd_pasid), and a kernel
 * that is handed a list all the same refuses the device (check_entry()). No emulated
 * device has PASIDs: what is here runs in the unit tests only.
 */

static unsigned int max_pde(u32 max_pasid)
{
	return max_pasid >> PASID_PDE_SHIFT;
}

/*
 * The next PASID behind @pasid that is present, which @pasid becomes; NULL if there is
 * none. All that looks for PASIDs besides the first one begins with IOMMU_NO_PASID here.
 */
static struct pasid_entry *next_pasid(struct pasid_dir_entry *dir,
				      u32 max_pasid, u32 *pasid)
{
	u32 next = *pasid + 1;

	while (next < max_pasid) {
		struct pasid_entry *table;

		table = get_pasid_table_from_pde(&dir[next >> PASID_PDE_SHIFT]);
		if (!table) {
			next = (next | PASID_PTE_MASK) + 1;
			continue;
		}
		if (pasid_pte_is_present(&table[next & PASID_PTE_MASK])) {
			*pasid = next;
			return &table[next & PASID_PTE_MASK];
		}
		next++;
	}
	return NULL;
}

/*
 * All PASIDs besides the first one, in their order, and as far as there is @room. What
 * domains they are in the tables do not say. Returns how many there are.
 */
static u32 list_pasids(struct pasid_dir_entry *dir, u32 max_pasid,
		       struct intel_pasid_ser *list, u32 room)
{
	struct pasid_entry *pte;
	u32 pasid = IOMMU_NO_PASID;
	u32 nr = 0;

	while ((pte = next_pasid(dir, max_pasid, &pasid))) {
		if (nr < room) {
			list[nr].pasid = pasid;
			list[nr].did = pasid_get_domain_id(pte);
		}
		nr++;
	}
	return nr;
}

/* --- outgoing --- */

static void unpreserve_pasid_tables(struct pasid_dir_entry *dir, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		void *table = get_pasid_table_from_pde(&dir[i]);

		if (table)
			iommu_liveupdate_unkeep(table);
	}
	iommu_liveupdate_unkeep(dir);
}

static int preserve_pasid_tables(struct pasid_dir_entry *dir, u32 max_pasid)
{
	unsigned int i;
	int ret;

	ret = iommu_liveupdate_keep(dir);
	if (ret)
		return ret;
	for (i = 0; i < max_pde(max_pasid); i++) {
		void *table = get_pasid_table_from_pde(&dir[i]);

		if (!table)
			continue;
		ret = iommu_liveupdate_keep(table);
		if (ret) {
			unpreserve_pasid_tables(dir, i);
			return ret;
		}
	}
	return 0;
}

static int compare_listed(const void *a, const void *b)
{
	const struct intel_pasid_ser *p = a, *q = b;

	if (p->did != q->did)
		return p->did < q->did ? -1 : 1;
	return p->pasid < q->pasid ? -1 : p->pasid > q->pasid;
}

/*
 * Describe and keep the list of a device's PASIDs, of which there are some. @domain_of
 * says which domain of the handover one is attached to: its index, or -ENOENT.
 */
static int preserve_list(struct device *dev, struct pasid_dir_entry *dir,
			 struct intel_device_ser *part,
			 int (*domain_of)(struct device *dev, u32 pasid))
{
	struct intel_pasid_ser *list;
	u32 i, nr;
	int ret;

	list = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);
	if (!list)
		return -ENOMEM;
	nr = list_pasids(dir, part->max_pasid, list, INTEL_DEVICE_SER_MAX_PASIDS);
	ret = nr <= INTEL_DEVICE_SER_MAX_PASIDS ? 0 : -E2BIG;
	for (i = 0; !ret && i < nr; i++) {
		int index = domain_of(dev, list[i].pasid);

		if (index < 0)
			ret = index;
		else
			list[i].domain = index;
	}
	if (!ret)
		ret = iommu_liveupdate_keep(list);
	if (ret) {
		iommu_free_pages(list);
		return ret;
	}
	sort(list, nr, sizeof(*list), compare_listed, NULL);
	part->pasids_pa = virt_to_phys(list);
	part->nr_pasids = nr;
	return 0;
}

/* Undo preserve_pasids(), also of a device in legacy mode, which has none. */
static void unpreserve_pasids(const struct intel_device_ser *part)
{
	void *list = phys_to_virt(part->pasids_pa);

	if (!part->pasid_pa)
		return;
	if (part->nr_pasids) {
		iommu_liveupdate_unkeep(list);
		iommu_free_pages(list);
	}
	unpreserve_pasid_tables(phys_to_virt(part->pasid_pa),
				max_pde(part->max_pasid));
}

/*
 * Describe the PASIDs of a device in @part, and keep what hardware reads to get to their
 * domains.
 */
static int preserve_pasids(struct device *dev, const struct pasid_table *pasids,
			   struct intel_device_ser *part,
			   int (*domain_of)(struct device *dev, u32 pasid))
{
	struct pasid_dir_entry *dir = pasids->table;
	int ret;

	ret = preserve_pasid_tables(dir, pasids->max_pasid);
	if (ret)
		return ret;
	part->pasid_pa = virt_to_phys(dir);
	part->max_pasid = pasids->max_pasid;
	if (!list_pasids(dir, pasids->max_pasid, NULL, 0))
		return 0;
	ret = preserve_list(dev, dir, part, domain_of);
	if (ret)
		unpreserve_pasids(part);
	return ret;
}

/* The length of the part of a device: what has no list ends before it. */
static u16 device_part_length(const struct intel_device_ser *part)
{
	return part->nr_pasids ? sizeof(*part) : INTEL_DEVICE_SER_V2_SIZE;
}

static bool is_listed(const struct intel_device_ser *part, u32 pasid)
{
	const struct intel_pasid_ser *list = phys_to_virt(part->pasids_pa);
	u32 i;

	for (i = 0; i < part->nr_pasids; i++)
		if (list[i].pasid == pasid)
			return true;
	return false;
}

/*
 * All PASIDs of a device that goes on but the first and those that are listed; there
 * should be none, as the freeze has looked. A table that was not kept goes with its
 * directory entry. The caller has hardware forget all of it.
 */
static void block_pasids(struct intel_iommu *iommu,
			 const struct intel_device_ser *part)
{
	struct pasid_dir_entry *dir = phys_to_virt(part->pasid_pa);
	struct pasid_entry *pte;
	u32 pasid = IOMMU_NO_PASID;
	unsigned int i;

	for (i = 0; i < max_pde(part->max_pasid); i++) {
		struct pasid_entry *table = get_pasid_table_from_pde(&dir[i]);

		if (!table || iommu_liveupdate_kept(table))
			continue;
		WRITE_ONCE(dir[i].val, 0);
		__iommu_flush_cache(iommu, &dir[i], sizeof(dir[i]));
	}
	while ((pte = next_pasid(dir, part->max_pasid, &pasid))) {
		if (is_listed(part, pasid))
			continue;
		pasid_clear_present(pte);
		pasid_clear_entry(pte);
		__iommu_flush_cache(iommu, pte, sizeof(*pte));
	}
}

/* --- incoming --- */

/* KHO was asked for each of these pages before. */
static void take_pasid_tables(const struct intel_device_ser *part)
{
	unsigned int i, n = max_pde(part->max_pasid);
	struct pasid_dir_entry *dir;

	dir = iommu_pages_restore(part->pasid_pa, n * sizeof(*dir));
	for (i = 0; dir && i < n; i++)
		if (pasid_pde_is_present(&dir[i]))
			iommu_pages_restore(dir[i].val & PDE_PFN_MASK, SZ_4K);
}

/*
 * Nobody else may get an id that hardware uses: those of a device and of its PASIDs.
 * Another device may have them, too. If this fails, those that it took are given back.
 */
static const char *reserve_dids(struct ida *ida,
				const struct intel_device_ser *part)
{
	const struct intel_pasid_ser *list = phys_to_virt(part->pasids_pa);
	DECLARE_BITMAP(taken, INTEL_DEVICE_SER_MAX_PASIDS + 1) = {};
	u16 did = part->did;
	u32 i;
	int ret;

	for (i = 0; i <= part->nr_pasids; i++) {
		if (i)
			did = list[i - 1].did;
		ret = ida_alloc_range(ida, did, did, GFP_KERNEL);
		if (ret >= 0)
			__set_bit(i, taken);
		else if (ret != -ENOSPC)
			goto undo;
	}
	return NULL;

undo:
	for_each_set_bit(i, taken, INTEL_DEVICE_SER_MAX_PASIDS + 1)
		ida_free(ida, i ? list[i - 1].did : part->did);
	return "out of memory";
}

#endif /* __INTEL_IOMMU_LIVEUPDATE_PASID_H */
