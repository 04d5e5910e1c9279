/* SPDX-License-Identifier: GPL-2.0-only */
/* Two IOMMUs without hardware, three devices behind them, and two kernels. */
#ifndef MODEL_H
#define MODEL_H

#include <linux/iommu-liveupdate.h>
#include <linux/liveupdate_rule.h>
#include <linux/pci.h>

enum { NR_UNITS = 2, NR_DEVICES = 3, NR_DOMAINS = 2, ENTRIES = 8 };

/* Where a unit fails to be adopted */
enum model_failure {
	FAILS_NOT,
	FAILS_COMPARE,
	FAILS_POLICY,
	FAILS_ADOPT,
	FAILS_UNUSED,
	NR_FAILURES,
};

/**
 * struct model_unit - An IOMMU
 * @iommu: What the kernel knows of it.
 * @on: It translates. If it does not, all goes through.
 * @table: An entry for each device: 0 is blocked, else the topmost table.
 * @fails: Where, in the next kernel.
 * @silent: No interrupt comes through.
 * @cannot_walk: Tables as there are below the topmost one it cannot read.
 * @walks: How often its driver has looked at the tables of a domain.
 */
struct model_unit {
	struct iommu_device iommu;
	bool on;
	u64 *table;
	enum model_failure fails;
	bool silent;
	bool cannot_walk;
	unsigned int walks;
};

struct model_domain {
	struct iommu_domain domain;
	void *top;
};

struct model_device {
	struct pci_dev pci;
	struct dev_iommu di;
	struct iommu_domain *domain;	/* of its group */
	void *may_reach;		/* the topmost table that is its own */
	bool attach_fails;
	bool probe_fails;
	unsigned int adopted;		/* with its unit; how often */
	unsigned int forgotten;
};

extern struct model {
	struct model_unit units[NR_UNITS];
	struct model_device devices[NR_DEVICES];
	bool jumped;
	unsigned int restored;		/* domains that there are */
	unsigned int fail_at;		/* which allocation fails */
	const char *rule;		/* the last that was broken */
	bool verbose;
} model;

__printf(1, 2) void model_fault(const char *format, ...);

void *page_alloc(void);
void page_free(void *p);
bool page_in_use(const void *p);
unsigned int pages_used(void);
unsigned int pages_preserved(void);
void pages_reset(void);
void pages_jump(void);

#endif
