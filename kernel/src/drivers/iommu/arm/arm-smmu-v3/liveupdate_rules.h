/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What the driver of the SMMUv3 demands of what is to be preserved, or was */

LIVEUPDATE_RULE(smmuv3_alone, EOPNOTSUPP, "this machine has more than one SMMUv3");
LIVEUPDATE_RULE(smmuv3_streams, EOPNOTSUPP, "it has more than one StreamID");
LIVEUPDATE_RULE(smmuv3_detached, EINVAL, "the SMMUv3 has it attached to another domain");
LIVEUPDATE_RULE(smmuv3_ats, EOPNOTSUPP, "its ATS is on, behind an SMMUv3");
LIVEUPDATE_RULE(smmuv3_stall, EOPNOTSUPP, "its faults stall it");
LIVEUPDATE_RULE(smmuv3_pasid, EOPNOTSUPP, "it has PASIDs in use, or more than 1024 of them");
LIVEUPDATE_RULE(smmuv3_stage, EOPNOTSUPP,
		"only a HWPT of stage 1 takes the place of a restored one");
