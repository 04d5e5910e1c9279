/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What is in the place of KHO where there is none: see kho_native.c */
#ifndef _LINUX_KHO_NATIVE_H
#define _LINUX_KHO_NATIVE_H

#include <linux/types.h>

struct folio;

int kho_native_preserve_folio(struct folio *folio);
void kho_native_unpreserve_folio(struct folio *folio);
bool kho_native_is_preserved(phys_addr_t phys, unsigned int order);
void *kho_native_restore(phys_addr_t phys, size_t size);
unsigned long kho_native_jump(void);
unsigned long kho_native_nodes(void);

#ifdef CONFIG_KHO_NATIVE_TEST
/* Their headers have stubs only. To be included after these. */
#define kho_preserve_folio	kho_native_preserve_folio
#define kho_unpreserve_folio	kho_native_unpreserve_folio
#define kho_is_preserved	kho_native_is_preserved
#define iommu_pages_restore	kho_native_restore
#define iommu_pages_adopt	kho_native_restore

#endif
#endif
