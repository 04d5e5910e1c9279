/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _ARCH_X86_LAPIC_KNOWN_H
#define _ARCH_X86_LAPIC_KNOWN_H

#ifdef CONFIG_LIVEUPDATE
void lapic_timer_known(void);
#else
static inline void lapic_timer_known(void)
{
}
#endif

#endif
