/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __PCI_LIVEUPDATE_IOV_H
#define __PCI_LIVEUPDATE_IOV_H

#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_rule.h>
#include <linux/types.h>

#include "liveupdate_rules.h"

struct pci_dev;

struct pci_driver;

/*
 * All but pci_liveupdate_iov_in_use(), ..._add(), ..._stop(), ..._hands_over() and ..._forget() are
 * called under the lock of liveupdate.c.
 */
#ifdef CONFIG_PCI_LIVEUPDATE_IOV
bool pci_liveupdate_iov_alone(struct pci_dev *pf);
bool pci_liveupdate_iov_addressed(struct pci_dev *pf);
bool pci_liveupdate_iov_in_use(struct pci_dev *dev);
struct pci_sriov_list_ser *pci_liveupdate_iov_alloc(void);
bool pci_liveupdate_iov_room(const struct pci_sriov_list_ser *list);
int pci_liveupdate_iov_alloc_driver(struct pci_dev *pf,
				    struct pci_pf_driver_ser **driver);
void pci_liveupdate_iov_insert(struct pci_sriov_list_ser *list,
			       struct pci_dev *pf,
			       struct pci_pf_driver_ser *driver);
void pci_liveupdate_iov_note_flags(struct pci_sriov_list_ser *list, bool reads);
bool pci_liveupdate_iov_has_flags(const struct pci_sriov_list_ser *list);
bool pci_liveupdate_iov_has_drivers(const struct pci_sriov_list_ser *list);
int pci_liveupdate_iov_ask_drivers(const struct pci_sriov_list_ser *list);
void *pci_liveupdate_iov_driver_at(const struct pci_sriov_list_ser *list, u64 pa);
int pci_liveupdate_iov_fill(const struct pci_sriov_list_ser *list,
			    struct pci_dev *pf);
void pci_liveupdate_iov_stop(const struct pci_sriov_list_ser *list,
			     struct pci_dev *pf);
void pci_liveupdate_iov_free(const struct pci_sriov_list_ser *list);
void pci_liveupdate_iov_take(struct pci_dev *pf,
			     const struct pci_sriov_list_ser *list);
void pci_liveupdate_iov_forget(struct pci_dev *pf);
bool pci_liveupdate_iov_hands_over(struct pci_dev *pf, const struct pci_driver *drv);
u32 pci_liveupdate_iov_remove(struct pci_sriov_list_ser *list,
			      struct pci_dev *pf);
const struct liveupdate_rule *
pci_liveupdate_iov_differs(struct pci_dev *dev, const struct pci_dev_ser *entry,
			   const struct pci_sriov_list_ser *list);
bool pci_liveupdate_iov_sizes(struct pci_dev *pf,
			      const struct pci_sriov_list_ser *list, u32 *sizes);
void pci_liveupdate_iov_inherit(struct pci_dev *pf,
				const struct pci_sriov_list_ser *list);
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

static inline int
pci_liveupdate_iov_alloc_driver(struct pci_dev *pf,
				struct pci_pf_driver_ser **driver)
{
	return 0;
}

static inline void pci_liveupdate_iov_insert(struct pci_sriov_list_ser *list,
					     struct pci_dev *pf,
					     struct pci_pf_driver_ser *driver)
{
}

static inline void
pci_liveupdate_iov_note_flags(struct pci_sriov_list_ser *list, bool reads)
{
}

static inline bool
pci_liveupdate_iov_has_flags(const struct pci_sriov_list_ser *list)
{
	return false;
}

static inline bool
pci_liveupdate_iov_has_drivers(const struct pci_sriov_list_ser *list)
{
	return false;
}

static inline int
pci_liveupdate_iov_ask_drivers(const struct pci_sriov_list_ser *list)
{
	return 0;
}

static inline void *
pci_liveupdate_iov_driver_at(const struct pci_sriov_list_ser *list, u64 pa)
{
	return NULL;
}

static inline int pci_liveupdate_iov_fill(const struct pci_sriov_list_ser *list,
					  struct pci_dev *pf)
{
	return 0;
}

static inline void pci_liveupdate_iov_stop(const struct pci_sriov_list_ser *list,
					   struct pci_dev *pf)
{
}

static inline void pci_liveupdate_iov_free(const struct pci_sriov_list_ser *list)
{
}

static inline void pci_liveupdate_iov_take(struct pci_dev *pf,
					   const struct pci_sriov_list_ser *list)
{
}

static inline void pci_liveupdate_iov_forget(struct pci_dev *pf)
{
}

static inline bool pci_liveupdate_iov_hands_over(struct pci_dev *pf,
						 const struct pci_driver *drv)
{
	return false;
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

static inline void
pci_liveupdate_iov_inherit(struct pci_dev *pf,
			   const struct pci_sriov_list_ser *list)
{
}

static inline void pci_liveupdate_iov_release(struct pci_dev *pf)
{
}

static inline void pci_liveupdate_iov_add(struct pci_dev *pf)
{
}
#endif

#endif /* __PCI_LIVEUPDATE_IOV_H */
