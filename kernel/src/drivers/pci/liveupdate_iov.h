/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __PCI_LIVEUPDATE_IOV_H
#define __PCI_LIVEUPDATE_IOV_H

#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_rule.h>
#include <linux/types.h>

#include "liveupdate_rules.h"

struct pci_dev;

/* All but pci_liveupdate_iov_in_use() and ..._add() are called under the lock of liveupdate.c. */
#ifdef CONFIG_PCI_LIVEUPDATE_IOV
bool pci_liveupdate_iov_alone(struct pci_dev *pf);
bool pci_liveupdate_iov_addressed(struct pci_dev *pf);
bool pci_liveupdate_iov_in_use(struct pci_dev *dev);
struct pci_sriov_list_ser *pci_liveupdate_iov_alloc(void);
bool pci_liveupdate_iov_room(const struct pci_sriov_list_ser *list);
void pci_liveupdate_iov_insert(struct pci_sriov_list_ser *list,
			       struct pci_dev *pf);
u32 pci_liveupdate_iov_remove(struct pci_sriov_list_ser *list,
			      struct pci_dev *pf);
const struct liveupdate_rule *
pci_liveupdate_iov_differs(struct pci_dev *dev, const struct pci_dev_ser *entry,
			   const struct pci_sriov_list_ser *list);
bool pci_liveupdate_iov_sizes(struct pci_dev *pf,
			      const struct pci_sriov_list_ser *list, u32 *sizes);
void pci_liveupdate_iov_release(struct pci_dev *pf);
void pci_liveupdate_iov_add(struct pci_dev *pf);
#else
static inline bool pci_liveupdate_iov_alone(struct pci_dev *pf)
{
	return false;
}

static inline bool pci_liveupdate_iov_addressed(struct pci_dev *pf)
{
	return false;
}

static inline bool pci_liveupdate_iov_in_use(struct pci_dev *dev)
{
	return false;
}

static inline struct pci_sriov_list_ser *pci_liveupdate_iov_alloc(void)
{
	return NULL;
}

static inline bool
pci_liveupdate_iov_room(const struct pci_sriov_list_ser *list)
{
	return false;
}

static inline void pci_liveupdate_iov_insert(struct pci_sriov_list_ser *list,
					     struct pci_dev *pf)
{
}

static inline u32 pci_liveupdate_iov_remove(struct pci_sriov_list_ser *list,
					    struct pci_dev *pf)
{
	return 0;
}

/* Whatever has to do with virtual functions is not there for such a kernel. */
static inline const struct liveupdate_rule *
pci_liveupdate_iov_differs(struct pci_dev *dev, const struct pci_dev_ser *entry,
			   const struct pci_sriov_list_ser *list)
{
	return entry->flags & (PCI_DEV_SER_PF | PCI_DEV_SER_VF) ?
	       &rule_pci_sriov_unknown : NULL;
}

static inline bool
pci_liveupdate_iov_sizes(struct pci_dev *pf,
			 const struct pci_sriov_list_ser *list, u32 *sizes)
{
	return false;
}

static inline void pci_liveupdate_iov_release(struct pci_dev *pf)
{
}

static inline void pci_liveupdate_iov_add(struct pci_dev *pf)
{
}
#endif

#endif /* __PCI_LIVEUPDATE_IOV_H */
