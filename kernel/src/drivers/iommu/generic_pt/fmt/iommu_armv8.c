// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */
#define PT_FMT armv8
#define PT_SUPPORTED_FEATURES                                          \
	(BIT(PT_FEAT_FLUSH_RANGE) | BIT(PT_FEAT_FLUSH_RANGE_NO_GAPS) | \
	 BIT(PT_FEAT_DMA_INCOHERENT) | BIT(PT_FEAT_ARMV8_S2))

#include <linux/generic_pt/iommu.h>
#include "iommu_template.h"
