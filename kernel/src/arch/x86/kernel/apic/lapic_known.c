// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */
/*
 * The local APIC's timer, whose frequency the kernel before this one has measured.
 *
 * A processor without TSC deadline, and without a word of CPUID on its crystal, has
 * to be measured: a tenth of a second in which VMs stand still. The frequency is that
 * of the hardware. lapic_timer_khz= says what it was, and it is compared with the time
 * stamp counter for a millisecond. If it is right within a hundredth it is taken, since
 * a tenth of a second measures better than a millisecond. If it is not, the parameter
 * is of another machine: the timer is measured as ever.
 */
#define pr_fmt(fmt) "APIC: " fmt

#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/printk.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/irq_vectors.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "lapic_known.h"

#define DIVISOR		16	/* APIC_TDR_DIV_16 */
#define CHECK_PER_S	1000	/* measured for one of so many parts of a second */
#define CLOSE		100	/* so many times the difference is not above the value */
#define LEAST_KHZ	1000	/* a slower one is not used */

static unsigned int lapic_known_khz __initdata;

static int __init lapic_known_setup(char *arg)
{
	return arg ? kstrtouint(arg, 0, &lapic_known_khz) : -EINVAL;
}
early_param("lapic_timer_khz", lapic_known_setup);

/* Leaves the timer stopped and masked, as it was. */
static unsigned int __init lapic_measure_khz(void)
{
	u64 cycles = div_u64((u64)tsc_khz * 1000, CHECK_PER_S);
	u32 divider, first, ticks;
	unsigned long flags;
	u64 begin, took;

	local_irq_save(flags);
	apic_write(APIC_LVTT, APIC_LVT_MASKED | LOCAL_TIMER_VECTOR);
	divider = apic_read(APIC_TDCR);
	apic_write(APIC_TDCR,
		   (divider & ~(APIC_TDR_DIV_1 | APIC_TDR_DIV_TMBASE)) |
		   APIC_TDR_DIV_16);
	apic_write(APIC_TMICT, U32_MAX);
	begin = rdtsc_ordered();
	first = apic_read(APIC_TMCCT);
	do {
		cpu_relax();
		took = rdtsc_ordered() - begin;
	} while (took < cycles);
	ticks = first - apic_read(APIC_TMCCT);
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TDCR, divider);
	local_irq_restore(flags);

	return mul_u64_u64_div_u64((u64)ticks * DIVISOR, tsc_khz, took);
}

/**
 * lapic_timer_known - take the timer's frequency from the command line
 *
 * Sets lapic_timer_period if lapic_timer_khz= was given and is true. Called on
 * the boot CPU, before the timer is used.
 */
void __init lapic_timer_known(void)
{
	unsigned int measured;

	if (!lapic_known_khz || lapic_timer_period || !tsc_khz ||
	    boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER))
		return;

	measured = lapic_measure_khz();
	if (lapic_known_khz < LEAST_KHZ ||
	    (u64)abs_diff(measured, lapic_known_khz) * CLOSE > measured) {
		pr_warn("lapic_timer_khz=%u is not used: the timer runs at about %u kHz\n",
			lapic_known_khz, measured);
		return;
	}
	pr_info("timer at %u kHz, as lapic_timer_khz= says\n", lapic_known_khz);
	lapic_timer_period = div_u64((u64)lapic_known_khz * 1000, HZ);
}
