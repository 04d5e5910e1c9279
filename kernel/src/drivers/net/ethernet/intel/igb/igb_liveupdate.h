/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* Virtual functions that go on while the kernel is replaced; see igb_liveupdate.c. */
#ifndef _IGB_LIVEUPDATE_H_
#define _IGB_LIVEUPDATE_H_

#include <linux/pci_liveupdate.h>

/* In igb_adapter.flags: the device was taken over, and was not opened yet. */
#define IGB_FLAG_TAKEN_OVER	BIT(30)
/* The last time that a reset was due there was none. */
#define IGB_FLAG_NOT_RESET	BIT(31)

#ifdef CONFIG_PCI_LIVEUPDATE_IOV
extern const struct pci_liveupdate_pf_ops igb_liveupdate_pf_ops;

unsigned int igb_liveupdate_vfs(struct igb_adapter *adapter, unsigned int vfs);
unsigned int igb_liveupdate_restore(struct igb_adapter *adapter);
bool igb_liveupdate_failed(struct igb_adapter *adapter);
bool igb_liveupdate_holds(struct igb_adapter *adapter);
bool igb_liveupdate_keeps(struct igb_adapter *adapter);
bool igb_liveupdate_not_reset(struct igb_adapter *adapter);
bool igb_liveupdate_up(struct igb_adapter *adapter);
bool igb_liveupdate_forget(struct igb_adapter *adapter);
void igb_liveupdate_mta(struct igb_adapter *adapter);
#define IGB_LIVEUPDATE_PF_OPS	(&igb_liveupdate_pf_ops)
#else
#define IGB_LIVEUPDATE_PF_OPS	NULL

static inline unsigned int igb_liveupdate_vfs(struct igb_adapter *adapter,
					      unsigned int vfs)
{
	return vfs;
}

static inline unsigned int
igb_liveupdate_restore(struct igb_adapter *adapter)
{
	return 0;
}

static inline bool igb_liveupdate_failed(struct igb_adapter *adapter)
{
	return false;
}

static inline bool igb_liveupdate_holds(struct igb_adapter *adapter)
{
	return false;
}

static inline bool igb_liveupdate_keeps(struct igb_adapter *adapter)
{
	return false;
}

static inline bool igb_liveupdate_not_reset(struct igb_adapter *adapter)
{
	return false;
}

static inline bool igb_liveupdate_up(struct igb_adapter *adapter)
{
	return false;
}

static inline bool igb_liveupdate_forget(struct igb_adapter *adapter)
{
	return false;
}

static inline void igb_liveupdate_mta(struct igb_adapter *adapter)
{
}
#endif

#endif /* _IGB_LIVEUPDATE_H_ */
