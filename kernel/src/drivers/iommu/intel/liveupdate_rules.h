/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What the driver of VT-d demands of what is to be preserved */

LIVEUPDATE_RULE(vtd_subdevice, EOPNOTSUPP, "another device does its DMA");
LIVEUPDATE_RULE(vtd_cpu, EOPNOTSUPP,
		"this CPU cannot replace its domain without a gap (no cmpxchg16b)");
LIVEUPDATE_RULE(vtd_pri, EOPNOTSUPP, "it uses page requests (PRI)");
LIVEUPDATE_RULE(vtd_alias, EOPNOTSUPP, "it has more than one requester id");
LIVEUPDATE_RULE(vtd_other_id, EOPNOTSUPP, "its requester id is not its own");
LIVEUPDATE_RULE(vtd_detached, EINVAL, "VT-d has it attached to another domain");
LIVEUPDATE_RULE(vtd_pasid, EOPNOTSUPP, "a PASID of it is attached");
LIVEUPDATE_RULE(vtd_pasids, E2BIG, "more PASIDs of it are attached than a list has room for");
LIVEUPDATE_RULE(vtd_dirty, EBUSY, "its dirty tracking is on; switch it off first");
