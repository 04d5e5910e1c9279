/* SPDX-License-Identifier: GPL-2.0-only */
/* To be the old QEMU for a new one, which is started for it. */
#ifndef GIVE_H
#define GIVE_H

#include "describe.h"
#include "vm.h"

/*
 * @bytes:  of the channel, with the ids that are right now.
 * @fd:     of each of its descriptors.
 * @backing: the file that each memory of the description is in; not its own.
 * @pid:    the new QEMU; 0 if none has been started.
 * @finish: what is to be done when it has accepted the VM, and before that runs; 0, or -1 with
 *	    why(). NULL for nothing.
 */
struct giving {
	struct described description;
	uint8_t *bytes;
	size_t size;
	struct channel channel;
	int fd[CHANNEL_FDS];
	int backing[BACKINGS];
	const void *stream;
	size_t stream_size;
	pid_t pid;
	int (*finish)(struct giving *g);
};

/* Starts the new QEMU, which waits for the channel then. 0, or -1 with why(). */
int give_start(struct giving *g, struct vm *vm);

/* Ends the new QEMU, which has not taken the VM. */
void give_stop(struct giving *g, struct vm *vm);

/*
 * Gives it all there is, and lets the VM run if it ran. Then @vm is a VM under a QEMU that
 * runs, whose process is a child of this one. Asked again after a failure, it starts another
 * QEMU: the VM has not run meanwhile. 0, or -1 with why().
 */
int give(struct giving *g, struct vm *vm, uint64_t until);

/*
 * The VM that has been suspended, to a new QEMU in this kernel: the old one has ended. Its
 * devices have to be where that had them. 0, or -1 with why().
 */
int give_again(struct vm *vm, uint64_t until);

#endif
