/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What the IOMMU core demands of what is to be preserved */

LIVEUPDATE_RULE(iommu_units, ENOSPC,
		"the machine has more IOMMU units than the handover has room for");
LIVEUPDATE_RULE(iommu_domain_kind, EOPNOTSUPP,
		"its IOMMU's driver cannot preserve a domain of this kind");
LIVEUPDATE_RULE(iommu_domain_again, EBUSY, "its domain is preserved already");
LIVEUPDATE_RULE(iommu_domains, ENOSPC, "too many domains are preserved");
LIVEUPDATE_RULE(iommu_none, EOPNOTSUPP, "it has no IOMMU translation");
LIVEUPDATE_RULE(iommu_mixed, EOPNOTSUPP,
		"no IOMMU translates for it, and the host has one for other devices");
LIVEUPDATE_RULE(iommu_vf, EOPNOTSUPP,
		"it is a virtual function, and no IOMMU would block its physical function");
LIVEUPDATE_RULE(iommu_group, EOPNOTSUPP, "it shares its IOMMU group");
LIVEUPDATE_RULE(iommu_rmrr, EOPNOTSUPP, "firmware needs a 1:1 mapping (RMRR) for it");
LIVEUPDATE_RULE(iommu_unmarked, ENOENT,
		"its HWPT is not preserved; mark it and preserve the iommufd first");
LIVEUPDATE_RULE(iommu_again, EBUSY, "its translation is preserved already");
LIVEUPDATE_RULE(iommu_detached, EINVAL, "it is not attached to the HWPT");
LIVEUPDATE_RULE(iommu_driver, EOPNOTSUPP, "its IOMMU does not support live update");
LIVEUPDATE_RULE(iommu_devices, ENOSPC, "too many devices are preserved");
LIVEUPDATE_RULE(iommu_moved, EBUSY, "it is not attached to the HWPT that it was preserved with");
LIVEUPDATE_RULE(iommu_joined, EBUSY, "it shares its IOMMU group now");
LIVEUPDATE_RULE(iommu_changed, EBUSY, "the next kernel would refuse it as it is now");
LIVEUPDATE_RULE(iommu_no_way_back, EOPNOTSUPP,
		"a back image is loaded, and there is no way back behind this kind of IOMMU, or without one");
LIVEUPDATE_RULE(iommu_unconfirmed, EBUSY,
		"the update is not confirmed yet, and there is a way back from it");
LIVEUPDATE_RULE(iommu_paging, EOPNOTSUPP,
		"only a paging HWPT takes the place of a restored one without a gap");
