/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* A part of init.c, with the functions that only that file has; see liveupdate.c. */

#ifdef CONFIG_IOMMU_LIVEUPDATE
/*
 * What iommu_disable() does, but for the unit itself. Nothing of what is switched off
 * should be on: the previous kernel has done the same.
 */
static void amd_liveupdate_disable_logs(struct amd_iommu *iommu)
{
	iommu_disable_command_buffer(iommu);
	iommu_feature_disable(iommu, CONTROL_EVT_INT_EN);
	iommu_disable_event_buffer(iommu);
	iommu_feature_disable(iommu, CONTROL_GALOG_EN);
	iommu_feature_disable(iommu, CONTROL_GAINT_EN);
	iommu_feature_disable(iommu, CONTROL_PPRLOG_EN);
	iommu_feature_disable(iommu, CONTROL_PPRINT_EN);
	iommu_disable_irtcachedis(iommu);
}

/*
 * early_enable_iommus() of a kernel that found a unit on after a live update: such a
 * unit is never off. It gets new buffers, and the device table that was kept or, where
 * that cannot be used, one in which everything is blocked.
 */
static bool amd_liveupdate_enable(void)
{
	struct amd_iommu *iommu;
	bool kept = false;

	/* First, so that all units of a segment get the same table. */
	for_each_iommu(iommu) {
		if (!amd_liveupdate_stays_on(iommu))
			continue;
		amd_liveupdate_take_table(iommu);
		kept = true;
	}
	if (!kept)
		return false;

	for_each_iommu(iommu) {
		if (!amd_liveupdate_stays_on(iommu)) {
			early_enable_iommu(iommu);
			continue;
		}
		amd_liveupdate_disable_logs(iommu);
		if (!amd_liveupdate_has_table(iommu))
			iommu_set_device_table(iommu);
		iommu_init_flags(iommu);
		iommu_enable_command_buffer(iommu);
		iommu_enable_gt(iommu);
		iommu_enable_ga(iommu);
		iommu_enable_xt(iommu);
		iommu_enable_irtcachedis(iommu);
		iommu_enable_2k_int(iommu);
		amd_iommu_flush_all_caches(iommu);
	}
	return true;
}
#else
static bool amd_liveupdate_enable(void)
{
	return false;
}
#endif
