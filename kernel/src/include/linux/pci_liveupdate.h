/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_PCI_LIVEUPDATE_H
#define _LINUX_PCI_LIVEUPDATE_H

#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/types.h>

struct liveupdate_file_handler;

/**
 * struct pci_liveupdate_pf_ops - The driver of a physical function hands over
 * @compatible: Version string of what it hands over, shorter than
 *	%PCI_PF_DRIVER_COMPATIBLE_LEN. It is in kernel/liveupdate/luo_formats_list.h.
 * @size: Length in bytes of that, 1 to %PCI_PF_DRIVER_MAX_SIZE.
 * @fill: Write it to the buffer, which is zeroed and has @size bytes. In reboot(2), once for
 *	each virtual function, and once more after @stop.
 * @check: Is what was handed over for a physical function good? NULL, or the rule that it
 *	breaks, a constant string. Asked after @fill, and of the next kernel's driver before
 *	its probe.
 * @stop: In the shutdown: end the physical function's own DMA and its interrupts. Its virtual
 *	functions notice nothing.
 *
 * Of a driver that does more for its virtual functions than switching them on and off. As long as
 * pci_liveupdate_keeps_vfs() says so, it does nothing that they would notice, whoever asks for it.
 * The probe of the next kernel's driver asks pci_liveupdate_pf_handover().
 */
struct pci_liveupdate_pf_ops {
	const char *compatible;
	size_t size;
	void (*fill)(struct pci_dev *pf, void *data);
	const char *(*check)(struct pci_dev *pf, const void *data);
	void (*stop)(struct pci_dev *pf);
};

/**
 * enum pci_liveupdate_bit - Bits of &struct pci_dev.liveupdate.
 * @PCI_LIVEUPDATE_OUTGOING: Will be handed over to the next kernel.
 * @PCI_LIVEUPDATE_FROZEN: Outgoing, and reboot(2) is under way.
 * @PCI_LIVEUPDATE_INCOMING: Came from the previous kernel and is not finished.
 * @PCI_LIVEUPDATE_REFUSED: Was a bus master when it came and could not be
 *	taken over; still to be reset, and without a driver until then.
 * @PCI_LIVEUPDATE_PM: Runtime PM is held because of the device being incoming.
 * @PCI_LIVEUPDATE_NO_BUS_RESET: %PCI_DEV_FLAGS_NO_BUS_RESET is set because of
 *	the device being incoming or frozen.
 * @PCI_LIVEUPDATE_LOST_IRQS: Its interrupts were off during a live update, and
 *	nobody has opened it anew since.
 * @PCI_LIVEUPDATE_UNMASK: INTx was to be unmasked while the device was frozen.
 * @PCI_LIVEUPDATE_ROUTE: It is enabled, and nobody has looked up yet where INTx goes to.
 * @PCI_LIVEUPDATE_FOR_VFS: Incoming for its virtual functions alone: its own DMA
 *	does not go on, or has been finished.
 * @PCI_LIVEUPDATE_STOP: With the bit before: to be stopped and reset when no
 *	virtual function needs it any more.
 * @PCI_LIVEUPDATE_BAR0: The first of %PCI_STD_NUM_BARS bits: the BAR is
 *	%IORESOURCE_PCI_FIXED because of the device being incoming.
 * @PCI_LIVEUPDATE_VF_BAR0: The same for the VF BARs of a physical function.
 */
enum pci_liveupdate_bit {
	PCI_LIVEUPDATE_OUTGOING,
	PCI_LIVEUPDATE_FROZEN,
	PCI_LIVEUPDATE_INCOMING,
	PCI_LIVEUPDATE_REFUSED,
	PCI_LIVEUPDATE_PM,
	PCI_LIVEUPDATE_NO_BUS_RESET,
	PCI_LIVEUPDATE_LOST_IRQS,
	PCI_LIVEUPDATE_UNMASK,
	PCI_LIVEUPDATE_ROUTE,
	PCI_LIVEUPDATE_FOR_VFS,
	PCI_LIVEUPDATE_STOP,
	PCI_LIVEUPDATE_BAR0,
	PCI_LIVEUPDATE_VF_BAR0 = PCI_LIVEUPDATE_BAR0 + PCI_STD_NUM_BARS,
};

#ifdef CONFIG_PCI_LIVEUPDATE
/**
 * pci_liveupdate_outgoing() - Will this device be handed over?
 * @dev: PCI device, bridges included.
 *
 * Return: true from pci_liveupdate_preserve() to pci_liveupdate_unpreserve().
 */
static inline bool pci_liveupdate_outgoing(const struct pci_dev *dev)
{
	return test_bit(PCI_LIVEUPDATE_OUTGOING, &dev->liveupdate);
}

/**
 * pci_liveupdate_incoming() - Is this device working since the last kernel?
 * @dev: PCI device, bridges included.
 *
 * Return: true from the device's enumeration to pci_liveupdate_finish(), or
 * to pci_liveupdate_refuse().
 */
static inline bool pci_liveupdate_incoming(const struct pci_dev *dev)
{
	return test_bit(PCI_LIVEUPDATE_INCOMING, &dev->liveupdate);
}

/**
 * pci_liveupdate_running() - Does the DMA of this device go on since the last kernel?
 * @dev: PCI device.
 *
 * Return: true while it is incoming, unless it is a physical function that is so for
 * its virtual functions alone.
 */
static inline bool pci_liveupdate_running(const struct pci_dev *dev)
{
	return pci_liveupdate_incoming(dev) &&
	       !test_bit(PCI_LIVEUPDATE_FOR_VFS, &dev->liveupdate);
}

/**
 * pci_liveupdate_blocked() - Is this device a bus master that may not reach anything?
 * @dev: PCI device.
 *
 * Return: true while it is a physical function that is incoming for its virtual
 * functions alone. If a driver took it over and is finished, that driver keeps it, and
 * nobody else can have it.
 */
static inline bool pci_liveupdate_blocked(const struct pci_dev *dev)
{
	return pci_liveupdate_incoming(dev) &&
	       test_bit(PCI_LIVEUPDATE_FOR_VFS, &dev->liveupdate);
}

/**
 * pci_liveupdate_begins_empty() - Must this device not begin with an identity domain?
 * @dev: PCI device.
 *
 * Return: true of a physical function that is incoming and has virtual ones. It stays a bus
 * master for them when nobody has it any more, and then does DMA by its default domain.
 */
static inline bool pci_liveupdate_begins_empty(struct pci_dev *dev)
{
	return pci_liveupdate_blocked(dev) ||
	       (pci_liveupdate_incoming(dev) && pci_num_vf(dev));
}

/**
 * pci_liveupdate_keeps_vfs() - Must this device keep SR-IOV as it is?
 * @dev: PCI device.
 *
 * Return: true if it is a physical function of which a virtual one is preserved, or
 * came with a live update that is not finished.
 */
static inline bool pci_liveupdate_keeps_vfs(struct pci_dev *dev)
{
	return pci_num_vf(dev) && dev->liveupdate &
	       (BIT(PCI_LIVEUPDATE_OUTGOING) | BIT(PCI_LIVEUPDATE_INCOMING));
}

/**
 * pci_liveupdate_frozen() - Is this device about to be handed over?
 * @dev: PCI device, bridges included.
 *
 * Return: true from pci_liveupdate_freeze() to pci_liveupdate_unfreeze(): user
 * space still runs, but must not change anything of the device any more.
 */
static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return test_bit(PCI_LIVEUPDATE_FROZEN, &dev->liveupdate);
}

/* The same for any device, for the driver core */
static inline bool pci_liveupdate_keeps_vfs_of(struct device *dev)
{
	return dev_is_pci(dev) && pci_liveupdate_keeps_vfs(to_pci_dev(dev));
}

/**
 * pci_liveupdate_keeps_driver() - May this device not lose its driver now?
 * @dev: Any device; locked.
 *
 * Return: true if it is a PCI device that is frozen: its driver would wait for user
 * space with the lock of the device, which is shut down next. Or if it is a physical
 * function whose virtual ones are carried over: its driver would take them away.
 */
static inline bool pci_liveupdate_keeps_driver(struct device *dev)
{
	return dev_is_pci(dev) && (pci_liveupdate_frozen(to_pci_dev(dev)) ||
				   pci_liveupdate_keeps_vfs(to_pci_dev(dev)));
}

/**
 * pci_liveupdate_held() - Must this device not be stopped now?
 * @dev: PCI device, bridges included.
 *
 * Return: true while the device is incoming, or outgoing and frozen: it must
 * not be reset and not leave D0. A physical function whose virtual ones are preserved
 * must not from the preserve on: those who use them are others than who resets it.
 */
static inline bool pci_liveupdate_held(struct pci_dev *dev)
{
	return dev->liveupdate & (BIT(PCI_LIVEUPDATE_INCOMING) |
				  BIT(PCI_LIVEUPDATE_FROZEN)) ||
	       pci_liveupdate_keeps_vfs(dev);
}

/**
 * pci_liveupdate_refused() - Is this device still to be reset?
 * @dev: PCI device.
 *
 * Return: true from the moment when the device was refused to its reset: nobody may
 * make it a bus master.
 */
static inline bool pci_liveupdate_refused(const struct pci_dev *dev)
{
	return test_bit(PCI_LIVEUPDATE_REFUSED, &dev->liveupdate);
}

/**
 * pci_liveupdate_lost_irqs() - May the device have raised interrupts in vain?
 * @dev: PCI device.
 *
 * Return: true from the enumeration of a device that came with a live update
 * to pci_liveupdate_opened().
 */
static inline bool pci_liveupdate_lost_irqs(const struct pci_dev *dev)
{
	return test_bit(PCI_LIVEUPDATE_LOST_IRQS, &dev->liveupdate);
}

/**
 * pci_liveupdate_opened() - A device begins anew
 * @dev: PCI device, not incoming.
 */
static inline void pci_liveupdate_opened(struct pci_dev *dev)
{
	clear_bit(PCI_LIVEUPDATE_LOST_IRQS, &dev->liveupdate);
}

int pci_liveupdate_register_flb(struct liveupdate_file_handler *fh);
void pci_liveupdate_wait(struct device *dev);

int pci_liveupdate_preserve(struct pci_dev *dev);
void pci_liveupdate_unpreserve(struct pci_dev *dev);
int pci_liveupdate_freeze(struct pci_dev *dev);
void pci_liveupdate_unfreeze(struct pci_dev *dev);

#ifdef CONFIG_LIVEUPDATE_BACK
void pci_liveupdate_back(void);
void pci_liveupdate_back_stop(u16 segment, u16 bdf);
#else
static inline void pci_liveupdate_back_stop(u16 segment, u16 bdf)
{
}
#endif

int pci_liveupdate_enable_device(struct pci_dev *dev);
int pci_liveupdate_route_intx(struct pci_dev *dev);

void pci_liveupdate_finish(struct pci_dev *dev);
void pci_liveupdate_refuse(struct pci_dev *dev, const char *reason);
void pci_liveupdate_refuse_all(const char *reason);

#ifdef CONFIG_PCI_LIVEUPDATE_IOV
bool pci_liveupdate_pf_handover(struct pci_dev *pf,
				const struct pci_liveupdate_pf_ops *ops, void *data);
void pci_liveupdate_pf_taken(struct pci_dev *pf);
#endif

/* Called by the PCI core */
void pci_liveupdate_setup(struct pci_dev *dev);
void pci_liveupdate_add(struct pci_dev *dev);
int pci_liveupdate_probe(const struct pci_driver *drv, struct pci_dev *dev);
void pci_liveupdate_remove(struct pci_dev *dev);
void pci_liveupdate_removed(struct pci_dev *dev);
bool pci_liveupdate_shutdown(struct pci_dev *dev);
int pci_liveupdate_reset_bus(struct pci_bus *bus, struct pci_slot *slot);
bool pci_liveupdate_inherit_buses(void);
bool pci_liveupdate_claim_config(void);
bool pci_liveupdate_sriov_sizes(struct pci_dev *dev, u32 *sizes);
int pci_liveupdate_sriov_buses(struct pci_dev *dev);
#else
static inline int pci_liveupdate_sriov_buses(struct pci_dev *dev)
{
	return 0;
}

static inline bool pci_liveupdate_begins_empty(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_keeps_vfs_of(struct device *dev)
{
	return false;
}

static inline bool pci_liveupdate_sriov_sizes(struct pci_dev *dev, u32 *sizes)
{
	return false;
}

static inline bool pci_liveupdate_running(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_keeps_vfs(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_lost_irqs(const struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_opened(struct pci_dev *dev)
{
}

static inline bool pci_liveupdate_outgoing(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_incoming(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_keeps_driver(struct device *dev)
{
	return false;
}

static inline void pci_liveupdate_wait(struct device *dev)
{
}

static inline bool pci_liveupdate_held(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_refused(const struct pci_dev *dev)
{
	return false;
}

static inline int
pci_liveupdate_register_flb(struct liveupdate_file_handler *fh)
{
	return -EOPNOTSUPP;
}

static inline int pci_liveupdate_preserve(struct pci_dev *dev)
{
	return -EOPNOTSUPP;
}

static inline void pci_liveupdate_unpreserve(struct pci_dev *dev)
{
}

static inline int pci_liveupdate_freeze(struct pci_dev *dev)
{
	return -EOPNOTSUPP;
}

static inline void pci_liveupdate_unfreeze(struct pci_dev *dev)
{
}

static inline int pci_liveupdate_enable_device(struct pci_dev *dev)
{
	return pci_enable_device(dev);
}

static inline int pci_liveupdate_route_intx(struct pci_dev *dev)
{
	return 0;
}

static inline void pci_liveupdate_finish(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_refuse(struct pci_dev *dev,
					 const char *reason)
{
}

static inline void pci_liveupdate_refuse_all(const char *reason)
{
}

static inline void pci_liveupdate_setup(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_add(struct pci_dev *dev)
{
}

static inline int pci_liveupdate_probe(const struct pci_driver *drv,
				       struct pci_dev *dev)
{
	return 0;
}

static inline void pci_liveupdate_remove(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_removed(struct pci_dev *dev)
{
}

static inline bool pci_liveupdate_shutdown(struct pci_dev *dev)
{
	return false;
}

static inline int
pci_liveupdate_reset_bus(struct pci_bus *bus, struct pci_slot *slot)
{
	return 0;
}

static inline bool pci_liveupdate_inherit_buses(void)
{
	return false;
}

static inline bool pci_liveupdate_claim_config(void)
{
	return false;
}
#endif

#endif /* _LINUX_PCI_LIVEUPDATE_H */
