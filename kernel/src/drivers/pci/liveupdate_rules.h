/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __PCI_LIVEUPDATE_RULES_H
#define __PCI_LIVEUPDATE_RULES_H

/* What the PCI core demands of a device that is to be preserved */

LIVEUPDATE_RULE(pci_again, EEXIST, "it is preserved already");
LIVEUPDATE_RULE(pci_unfinished, EBUSY, "the session that it came with is not finished");
LIVEUPDATE_RULE(pci_sleep, EBUSY, "the machine is about to suspend or hibernate");
LIVEUPDATE_RULE(pci_suspended, EBUSY, "it is runtime suspended");
LIVEUPDATE_RULE(pci_pf_late, EOPNOTSUPP,
		"its physical function was preserved before virtual functions were switched on");
LIVEUPDATE_RULE(pci_pf_first, ENOENT,
		"preserve its physical function first, which user space drives; in any session");
LIVEUPDATE_RULE(pci_pf_driver, EOPNOTSUPP,
		"the driver of its physical function cannot take that over; igb and pci-pf-stub can, and so does none");
LIVEUPDATE_RULE(pci_pf_handover, EBUSY,
		"the next kernel would refuse what the driver of the physical function hands over");
LIVEUPDATE_RULE(pci_pf_bars, EOPNOTSUPP,
		"a VF BAR of its physical function has no address in its register");
LIVEUPDATE_RULE(pci_pf_link, EOPNOTSUPP, "its physical function depends on another one");
LIVEUPDATE_RULE(pci_pf_d0, EBUSY, "its physical function is not in D0, or may leave it");
LIVEUPDATE_RULE(pci_pf_full, ENOSPC,
		"there is no room for one more physical function; end all sessions that preserve devices to get more");
LIVEUPDATE_RULE(pci_endpoint, EOPNOTSUPP, "its header type is not that of an endpoint");
LIVEUPDATE_RULE(pci_alias, EOPNOTSUPP, "its DMA has a requester ID other than its own");
LIVEUPDATE_RULE(pci_silent, ENODEV, "it does not respond");
LIVEUPDATE_RULE(pci_d0, EBUSY, "it is not in D0");
LIVEUPDATE_RULE(pci_bridge, EOPNOTSUPP, "a bridge above it is not a PCI Express port");
LIVEUPDATE_RULE(pci_bridge_d0, EBUSY, "a bridge above it is not in D0");
LIVEUPDATE_RULE(pci_full, ENOSPC,
		"the list is full; end all sessions that preserve devices to get a larger one");
LIVEUPDATE_RULE(pci_held, EBUSY, "it is being reset or unbound");

/* It has to be as it was described; the next kernel asks this, too. */
LIVEUPDATE_RULE(pci_id, EBUSY, "vendor or device ID differs from the handover");
LIVEUPDATE_RULE(pci_class, EBUSY, "class or revision differs from the handover");
LIVEUPDATE_RULE(pci_header, EBUSY, "header type differs from the handover");
LIVEUPDATE_RULE(pci_buses, EBUSY, "bus numbers differ from the handover");
LIVEUPDATE_RULE(pci_ari, EBUSY, "ARI setting differs from the handover");
LIVEUPDATE_RULE(pci_acs, EBUSY, "ACS control differs from the handover");
LIVEUPDATE_RULE(pci_function, EBUSY, "it is a virtual function in one place and none in the other");
LIVEUPDATE_RULE(pci_sriov_unknown, EOPNOTSUPP, "this kernel does not know SR-IOV");
LIVEUPDATE_RULE(pci_sriov, EBUSY, "SR-IOV is not as the handover says");
LIVEUPDATE_RULE(pci_sriov_vfs, EBUSY, "number or place of virtual functions differs");
LIVEUPDATE_RULE(pci_sriov_bars, EBUSY, "VF BARs or page size differ from the handover");

/* All of the list, as the next kernel asks it */
LIVEUPDATE_RULE(pci_list, EBUSY, "the next kernel would refuse it");

/* What is refused is the sleep, not the device. */
LIVEUPDATE_RULE(pci_stopped, EBUSY,
		"suspend and hibernation would stop it; they are refused until its session is undone or finished");

#endif /* __PCI_LIVEUPDATE_RULES_H */
