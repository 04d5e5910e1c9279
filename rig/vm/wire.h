/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The wire. Each numbered frame that comes in is counted and answered; in between a word
 * goes out now and then, so that the referee hears of the VM when nothing comes in. What
 * is said is struct word, which rig/referee/wire.py reads.
 */
#ifndef RIG_VM_WIRE_H
#define RIG_VM_WIRE_H

#include <stdint.h>

enum word_kind { WORD_STATUS = 1, WORD_ANSWER, WORD_END };

struct word {
	uint32_t magic;
	uint16_t version, kind;
	uint64_t seq;			/* of the frame that is answered */
	uint64_t counted;		/* frames so far, with this one */
	uint32_t crc, length;		/* of what has come in */
	uint64_t mono_ns, real_ns, tsc;
	uint64_t acknowledged;		/* records of the journal */
	uint64_t backwards;		/* steps of a clock */
	uint32_t cpus;
	uint32_t sounds;		/* interrupts of the audio device; only in WORD_STATUS and WORD_END */
} __attribute__((packed));

/*
 * Brings the network device up, and waits until frames can go out. With vm.plug=1 it may go away afterwards,
 * and is waited for until it is there again.
 */
void wire_open(unsigned int cpus);
/* What the frame says that ends wire_serve(): as in rig/referee/wire.py. */
enum wire_end { WIRE_GOES_ON, WIRE_LAST, WIRE_REBOOT };
/* Counts and answers until the frame that says that it is the last one, or that the VM is to boot again. */
enum wire_end wire_serve(void);
/* The last word, and until the device has it. */
void wire_close(void);

#endif
