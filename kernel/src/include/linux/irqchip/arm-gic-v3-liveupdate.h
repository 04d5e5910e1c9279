/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What becomes of the GICv3 when the kernel is replaced; see irq-gic-v3-its-liveupdate.h. */
#ifndef _LINUX_IRQCHIP_ARM_GIC_V3_LIVEUPDATE_H
#define _LINUX_IRQCHIP_ARM_GIC_V3_LIVEUPDATE_H

#if defined(CONFIG_KEXEC_HANDOVER) && defined(CONFIG_ARM_GIC_V3_ITS)
void its_liveupdate_quiesce(void);
#else
static inline void its_liveupdate_quiesce(void) {}
#endif

#endif /* _LINUX_IRQCHIP_ARM_GIC_V3_LIVEUPDATE_H */
