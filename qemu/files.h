/* SPDX-License-Identifier: GPL-2.0-only */
/* What a descriptor of QEMU's is, and what is done with those of devices. */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_DIR	"/sys/bus/pci/devices"

enum file_kind { FILE_UNKNOWN, FILE_MEMORY, FILE_IOMMUFD, FILE_DEVICE, FILE_EVENT };

/* What it is, found out by what it can do and not by what somebody calls it. */
enum file_kind file_kind(int fd);
/* For people, as /proc has it. */
const char *file_path(int fd);
/* Two descriptors of one file? */
bool file_same(int a, int b);
/* Is it a memfd that cannot change its size, nor its seals? */
bool file_sealed(int fd);

/* Does the device's own driver save its state (VFIO_DEVICE_FEATURE_MIGRATION)? */
bool device_migrates(int cdev);
/* Does the kernel let others do DMA to its BARs (dma-buf)? */
bool device_exports_bars(int cdev);
/*
 * Does QEMU reset the device through its bus? As QEMU sees it: the kernel has no reset of the device alone, or only one
 * that goes through a power state. 1, 0, or -1 with why().
 */
int device_bus_reset(int cdev);
/*
 * Does the device in this folder of sysfs ask who binds it for a token: is it a virtual function whose physical one VFIO
 * has, or does it have virtual functions itself, which the next kernel asks for?
 */
bool device_asks_token(const char *folder);
/* Which interrupts it has in use. */
enum device_irq { IRQ_NONE, IRQ_INTX, IRQ_MSI, IRQ_MSIX };
const char *irq_name(enum device_irq irq);
enum device_irq irq_named(const char *name);
/* Of a device with so many vectors that have an eventfd; -1 with why(). */
int device_irq(int cdev);

/* Can HWPTs of the device track what it writes? */
bool device_tracks(int iommufd, uint32_t device);
/* A HWPT with flags; -1 with why(), and errno. */
int hwpt_make(int iommufd, uint32_t device, uint32_t ioas, uint32_t flags, uint32_t *hwpt);
/* VFIO_DEVICE_SET_IRQS with @n eventfds from vector 0 on; -1: no eventfd. */
int irq_set(int cdev, unsigned int index, unsigned int action, const int *eventfd, unsigned int n);

#endif
