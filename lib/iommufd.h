/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copyright (c) 2026 The Continuo authors */
/* What vm.c needs of an iommufd beyond the public calls. */
#ifndef IOMMUFD_H
#define IOMMUFD_H

#include "internal.h"

/* What a process that died has adopted a restored HWPT into; -ENOENT if none has. */
int find_adopted(struct continuo *ctx, int iommufd, uint32_t restored,
		 uint32_t *ioas, uint32_t *hwpt);

/* As the public calls, with the flags that the HWPT had when it was made. */
int alloc_hwpt(struct continuo *ctx, int iommufd, uint32_t device, uint32_t ioas,
	       uint32_t flags, uint32_t *hwpt);
int adopt_hwpt(struct continuo *ctx, int iommufd, uint32_t restored, uint32_t ioas,
	       uint32_t device, uint32_t flags, uint32_t hwpt_flags, uint32_t *hwpt,
	       struct continuo_difference *diff, size_t size);

#endif
