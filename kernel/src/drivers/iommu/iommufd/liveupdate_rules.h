/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What iommufd demands of itself, its HWPTs, their memory and their devices */

LIVEUPDATE_RULE(iommufd_token, EADDRINUSE, "its token is that of another HWPT of the iommufd");
LIVEUPDATE_RULE(iommufd_changed, EBUSY, "a mark was changed while it was preserved; try again");
LIVEUPDATE_RULE(iommufd_unmarked, EINVAL,
		"no HWPT is marked (IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE)");
LIVEUPDATE_RULE(iommufd_hwpt, EOPNOTSUPP, "it has a fault queue or is a nesting parent");
LIVEUPDATE_RULE(iommufd_memfd, EINVAL,
		"it was not mapped from a file of memory (IOMMU_IOAS_MAP_FILE), or is a BAR (dma-buf)");
LIVEUPDATE_RULE(iommufd_seals, EINVAL,
		"its memfd did not have F_SEAL_SEAL, F_SEAL_GROW and F_SEAL_SHRINK when it was mapped");
LIVEUPDATE_RULE(iommufd_file, ENOENT,
		"its file is not preserved in this session; preserve it first");
LIVEUPDATE_RULE(iommufd_unmapped, EINVAL, "it is not mapped");
LIVEUPDATE_RULE(iommufd_page_gone, EINVAL, "its page is no longer in the file");
LIVEUPDATE_RULE(iommufd_other_page, EINVAL, "the file has another page there now");
LIVEUPDATE_RULE(iommufd_rawio, EPERM,
		"no IOMMU translates for it, which takes CAP_SYS_RAWIO");
LIVEUPDATE_RULE(iommufd_detached, EINVAL, "it is not attached to a HWPT of an IOAS");
LIVEUPDATE_RULE(iommufd_elsewhere, EINVAL,
		"no IOMMU translates for it, and it goes on with other memory than the HWPT maps");
LIVEUPDATE_RULE(iommufd_unconfirmed, EBUSY,
		"the update is not confirmed yet, and there is a way back from it");
LIVEUPDATE_RULE(iommufd_left, EBUSY, "it is no longer attached to a HWPT of an IOAS");
