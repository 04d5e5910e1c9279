/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in the VM of vmm.c, and drives its device, which is QEMU's "edu". There are two:
 * guest_edu.c, software of the VMM's that stands for a guest, and guest_kvm.c, a virtual CPU.
 * Each is a program with vmm.c.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>

/* QEMU's docs/specs/edu.rst has the device: its registers in BAR 0, and its own memory. */
#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_DMA		0x98
#define DMA_START	1
#define DMA_TO_RAM	2
#define EDU_BUFFER	0x40000

/* Where the VM's memory is, for the device and for a virtual CPU. */
#define RAM_ADDRESS	0x100000

struct machine {
	char *ram;
	volatile char *bar;		/* BAR 0 of the device */
	uint64_t ram_bytes, bar_bytes;
};

/* A sealed memfd for what is to be known of the guest in the next kernel; -1 if nothing is. */
int guest_state(void);
/* It begins. */
void guest_begin(const struct machine *m);
/* It stops, and what is to be known of it is in its memfd. */
void guest_suspend(void);
/* It goes on in the kernel in which it was suspended. */
void guest_go_on(void);
/* It goes on in the next kernel; @state: that memfd, or -1. */
void guest_come(const struct machine *m, int state);

/* vmm.c's: end with a message. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* vmm.c's: say what is news, and of which VM. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
