/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
/* Memory of the previous kernel, for the functions of liveupdate_check.h */
#ifndef _LINUX_LIVEUPDATE_KHO_MEM_H
#define _LINUX_LIVEUPDATE_KHO_MEM_H

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate_check.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/xarray.h>

/**
 * struct liveupdate_kho_mem - Memory that KHO has kept
 * @mem: What the checks see of it.
 * @gfp: How to get memory for @claimed.
 * @claimed: The pages that are used for something.
 * @starved: There was no memory for @claimed.
 */
struct liveupdate_kho_mem {
	struct liveupdate_mem mem;
	gfp_t gfp;
	struct xarray claimed;
	bool starved;
};

static inline const void *liveupdate_kho_get(struct liveupdate_mem *mem, u64 pa,
					     unsigned int order)
{
	return kho_is_preserved(pa, order) ? phys_to_virt(pa) : NULL;
}

/* Out of memory counts as claimed: what cannot be checked is refused. */
static inline bool liveupdate_kho_claim(struct liveupdate_mem *mem, u64 pa)
{
	struct liveupdate_kho_mem *kho =
		container_of(mem, struct liveupdate_kho_mem, mem);

	int err;

	/* Once for each table: there can be half a million. */
	cond_resched();
	err = xa_insert(&kho->claimed, PHYS_PFN(pa), xa_mk_value(1),
			kho->gfp);
	kho->starved |= err == -ENOMEM;
	return !err;
}

static inline void liveupdate_kho_mem_init(struct liveupdate_kho_mem *kho)
{
	kho->mem.get = liveupdate_kho_get;
	kho->mem.claim = liveupdate_kho_claim;
	kho->gfp = GFP_KERNEL;
	kho->starved = false;
	xa_init(&kho->claimed);
}

static inline void liveupdate_kho_mem_destroy(struct liveupdate_kho_mem *kho)
{
	xa_destroy(&kho->claimed);
}

#endif /* _LINUX_LIVEUPDATE_KHO_MEM_H */
