/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What the driver of AMD-Vi demands of what is to be preserved, or was */

LIVEUPDATE_RULE(amd_sme, EOPNOTSUPP, "the memory of this host is encrypted (SME)");
LIVEUPDATE_RULE(amd_snp, EOPNOTSUPP, "SEV-SNP is on, on this host");
LIVEUPDATE_RULE(amd_alias, EOPNOTSUPP, "it has more than one requester id");
LIVEUPDATE_RULE(amd_shared_id, EOPNOTSUPP,
		"another device has its requester id, by the IVRS table");
LIVEUPDATE_RULE(amd_firmware, EOPNOTSUPP,
		"firmware lets its interrupts or messages pass, by the IVRS table");
LIVEUPDATE_RULE(amd_detached, EINVAL, "AMD-Vi has it attached to another domain");
LIVEUPDATE_RULE(amd_guest, EOPNOTSUPP, "it has a guest page table (GCR3)");
LIVEUPDATE_RULE(amd_ats, EOPNOTSUPP, "its ATS is on");
LIVEUPDATE_RULE(amd_dirty, EBUSY, "its dirty tracking is on; switch it off first");
LIVEUPDATE_RULE(amd_host, EOPNOTSUPP,
		"only a HWPT with host page tables takes the place of a restored one");
