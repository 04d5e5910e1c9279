// SPDX-License-Identifier: GPL-2.0-only
/*
 * Panic at a named place on purpose: liveupdate.panic_at=PLACE[:HOW]
 *
 * For the cases of the way back: the next kernel boots with this. A place is a call of
 * liveupdate_panic_at(), or the name of an initcall level: "early" is before the way
 * back is armed, "armed" is the first moment after it. HOW is one of:
 *
 * locked	with the locks held that the way back needs
 * spin		it does not panic: the CPU does nothing any more, with interrupts off
 *
 * and without it the kernel just panics.
 */
#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/console.h>
#include <linux/dmar.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/liveupdate_lab.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/pci.h>
#include <linux/string.h>

#include <asm/pci_x86.h>
#include <asm/processor.h>

#include "../../../drivers/iommu/intel/iommu.h"

static char panic_where[32];

static void take_locks(void)
{
	struct dmar_drhd_unit *drhd;

	local_irq_disable();
	raw_spin_lock(&pci_config_lock);
	list_for_each_entry(drhd, &dmar_drhd_units, list) {
		if (!drhd->iommu)
			continue;
		raw_spin_lock(&drhd->iommu->register_lock);
		if (drhd->iommu->qi)
			raw_spin_lock(&drhd->iommu->qi->q_lock);
	}
	amd_liveupdate_take_locks();
}

/**
 * liveupdate_panic_at() - Here the kernel panics, if it was told to
 * @place: Name of the place.
 */
void liveupdate_panic_at(const char *place)
{
	const char *how;

	if (!str_has_prefix(panic_where, place))
		return;
	how = panic_where + strlen(place);
	if (*how && *how != ':')
		return;
	if (!strcmp(how, ":locked"))
		take_locks();
	if (!strcmp(how, ":spin")) {
		/* On the console at once: nobody prints it later. */
		nbcon_cpu_emergency_enter();
		pr_info("from here on this CPU does nothing any more\n");
		nbcon_cpu_emergency_exit();
		local_irq_disable();
		for (;;)
			cpu_relax();
	}
	panic("told to at the place \"%s\"", place);
}

#define PANIC_AT(level, place)				\
static int __init panic_##place(void)			\
{							\
	liveupdate_panic_at(#place);			\
	return 0;					\
}							\
level(panic_##place)

PANIC_AT(early_initcall, early);
PANIC_AT(pure_initcall, armed);
PANIC_AT(late_initcall_sync, late);

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param_string(panic_at, panic_where, sizeof(panic_where), 0444);
