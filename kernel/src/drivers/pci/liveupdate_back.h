/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * PCI on the way back (kernel/liveupdate/luo_back.c): the next thing that happens is
 * that memory is overwritten. Whatever is not in the handover must not write to it any
 * more, and nothing of what is in it may raise an interrupt.
 *
 * Locks may be held by CPUs that do not run any more, lists may be halfway changed. So
 * each function is noted down when it is found, where it cannot go away, and its
 * registers are written past the PCI core. What was not found yet is as the kernel
 * before has left it: without bus mastering.
 */
#ifdef CONFIG_LIVEUPDATE_BACK

#include <asm/pci_x86.h>

#define PCI_BACK_CAPS_MAX	48	/* So many fit in config space. */

static struct {
	u16 segment;
	u16 bdf;
	u8 hdr_type;
} pci_back_devs[PCI_LIVEUPDATE_MAX];

static u32 pci_back_nr;

/* A device was found. */
static void pci_back_note(struct pci_dev *dev)
{
	u32 n = pci_back_nr;

	lockdep_assert_held(&pci_liveupdate.lock);
	if (!luo_back_armed())
		return;
	if (n == PCI_LIVEUPDATE_MAX) {
		pci_warn_once(dev, "liveupdate: it, or others, would only be blocked by the IOMMU on a way back: too many devices\n");
		return;
	}
	pci_back_devs[n].segment = pci_domain_nr(dev->bus);
	pci_back_devs[n].bdf = pci_dev_id(dev);
	pci_back_devs[n].hdr_type = dev->hdr_type;
	/* Paired with the acquire in pci_liveupdate_back(). */
	smp_store_release(&pci_back_nr, n + 1);
}

static u32 pci_back_read(u32 i, int reg, int len)
{
	u32 val = ~0u;

	raw_pci_read(pci_back_devs[i].segment, PCI_BUS_NUM(pci_back_devs[i].bdf),
		     pci_back_devs[i].bdf & 0xff, reg, len, &val);
	return val;
}

static void pci_back_write(u32 i, int reg, u16 val)
{
	raw_pci_write(pci_back_devs[i].segment, PCI_BUS_NUM(pci_back_devs[i].bdf),
		      pci_back_devs[i].bdf & 0xff, reg, 2, val);
}

static int pci_back_find_cap(u32 i, u8 id)
{
	unsigned int left = PCI_BACK_CAPS_MAX;
	u8 pos;

	if (!(pci_back_read(i, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = pci_back_read(i, PCI_CAPABILITY_LIST, 1) & ~3;
	while (pos >= 0x40 && left--) {
		u16 entry = pci_back_read(i, pos, 2);

		if ((entry & 0xff) == id)
			return pos;
		pos = entry >> 8 & ~3;
	}
	return 0;
}

/* As in pci_liveupdate_shutdown(). */
static void pci_back_quiet(u32 i)
{
	u16 val = pci_back_read(i, PCI_COMMAND, 2);
	int pos;

	pci_back_write(i, PCI_COMMAND, val | PCI_COMMAND_INTX_DISABLE);
	pos = pci_back_find_cap(i, PCI_CAP_ID_MSIX);
	val = pos ? pci_back_read(i, pos + PCI_MSIX_FLAGS, 2) : 0;
	if (val & PCI_MSIX_FLAGS_ENABLE) {
		pci_back_write(i, pos + PCI_MSIX_FLAGS, val | PCI_MSIX_FLAGS_MASKALL);
		pci_back_write(i, pos + PCI_MSIX_FLAGS, val & ~PCI_MSIX_FLAGS_ENABLE);
	}
	pos = pci_back_find_cap(i, PCI_CAP_ID_MSI);
	val = pos ? pci_back_read(i, pos + PCI_MSI_FLAGS, 2) : 0;
	if (val & PCI_MSI_FLAGS_ENABLE)
		pci_back_write(i, pos + PCI_MSI_FLAGS, val & ~PCI_MSI_FLAGS_ENABLE);
}

static bool pci_back_handed_over(u32 i)
{
	const struct pci_ser *ser = pci_liveupdate.in;
	u64 key = pci_ser_key(pci_back_devs[i].segment, pci_back_devs[i].bdf);
	u32 index;

	if (!ser)
		return false;
	index = pci_ser_lower_bound(ser, key);
	return index < ser->nr_devices &&
	       pci_ser_key(ser->devices[index].segment,
			   ser->devices[index].bdf) == key;
}

/**
 * pci_liveupdate_back() - Only what was handed over goes on
 *
 * Context: On the way back: one CPU, interrupts off, locks held by anybody.
 */
void pci_liveupdate_back(void)
{
	/* Paired with the release in pci_back_note(). */
	u32 i, n = smp_load_acquire(&pci_back_nr);
	u16 cmd;

	raw_spin_lock_init(&pci_config_lock);
	for (i = 0; i < n; i++) {
		cmd = pci_back_read(i, PCI_COMMAND, 2);
		if (PCI_POSSIBLE_ERROR(cmd))
			continue;
		if (pci_back_handed_over(i)) {
			pci_back_quiet(i);
		} else if (pci_back_devs[i].hdr_type == PCI_HEADER_TYPE_NORMAL) {
			pci_back_write(i, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
			/* Read back, so that it is there. */
			pci_back_read(i, PCI_COMMAND, 2);
		}
	}
}

/**
 * pci_liveupdate_back_stop() - The translation of a device is lost on the way back
 * @segment: PCI segment.
 * @bdf: Bus number and devfn. There need not be such a device.
 *
 * It does no DMA when this returns, handed over or not, found yet or not.
 *
 * Context: On the way back, after pci_liveupdate_back().
 */
void pci_liveupdate_back_stop(u16 segment, u16 bdf)
{
	u32 val = ~0u;

	raw_pci_read(segment, PCI_BUS_NUM(bdf), bdf & 0xff, PCI_HEADER_TYPE, 1, &val);
	if ((val & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return;
	raw_pci_read(segment, PCI_BUS_NUM(bdf), bdf & 0xff, PCI_COMMAND, 2, &val);
	raw_pci_write(segment, PCI_BUS_NUM(bdf), bdf & 0xff, PCI_COMMAND, 2,
		      val & ~PCI_COMMAND_MASTER);
	/* Read back, so that it is there. */
	raw_pci_read(segment, PCI_BUS_NUM(bdf), bdf & 0xff, PCI_COMMAND, 2, &val);
}

#else
static void pci_back_note(struct pci_dev *dev)
{
}
#endif
