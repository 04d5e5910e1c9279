/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM under a QEMU that runs: what the agent's orders do to it. docs/qemu.md has the
 * states and what each event does to them.
 *
 *   RUNNING     as it was started
 *   MOVED       its devices are on an address space of ours, which has the guest's memory
 *   PRESERVED   that, the memory and the devices are in a session
 *   SUSPENDED   its virtual CPUs have stopped, and all there is of it is in the session
 */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "args.h"
#include "backing.h"
#include "capture.h"
#include "continuo.h"
#include "map.h"
#include "parts.h"
#include "qmp.h"

enum vm_state { VM_RUNNING, VM_MOVED, VM_PRESERVED, VM_SUSPENDED };

/* What a descriptor of the channel is for. */
enum vm_use { USE_MEMORY, USE_IOMMUFD, USE_DEVICE, USE_EVENT };

#define VM_HWPTS	CHANNEL_DEVICES

/*
 * @agent, @dir: where the agent listens (NULL: where agents do), and where our sockets are.
 * @agent_fd:   the connection to the agent that was handed in, in place of @agent; -1. It is @ctx's.
 * @no_p2p:     its devices do no DMA to each other's BARs, which is not carried over.
 * @room:       bytes for QEMU's stream.
 * @patience_us: for an answer of QEMU's.
 * @line:       QEMU's arguments, without those of ours.
 * @pid, @child: QEMU's process, and whether it is a child of this one.
 * @learned:    the channel as it was when the VM was preserved; its descriptors are open.
 * @suspended:  the same when it was suspended.
 * @use:        of each descriptor of @learned.
 * @backing:    memory that is not in the channel, since QEMU opens it by a path.
 * @parts:      what it was made of when it was started, or taken.
 * @piece:      the guest's memory as it was mapped.
 * @stream:     the connection over which QEMU waits for a new QEMU's word; -1.
 * @ran:        it ran before it was stopped by us.
 * @stopped:    it was stopped by us.
 * @stopped_ms: when, by the wall clock.
 * @disturbed:  something has happened to the VM that makes what was learned wrong.
 */
struct vm {
	const char *name, *agent, *dir;
	int agent_fd;
	bool no_p2p;
	uint64_t room, patience_us;

	struct continuo *ctx;
	struct args line;
	pid_t pid;
	bool child;
	struct qmp qmp;
	const struct channel_format *format;

	enum vm_state state;
	struct capture learned, suspended;
	enum vm_use use[CHANNEL_FDS];
	struct backings backing;
	struct parts parts;
	struct map_piece *piece;
	int pieces;
	int iommufd;
	uint32_t ioas, hwpt[VM_HWPTS];
	unsigned int hwpts, hwpt_of[CHANNEL_DEVICES];
	bool tracks[VM_HWPTS];
	struct continuo_vm *described;
	int session, memory;
	void *at;
	size_t size;
	int stream;
	bool ran, stopped;
	int64_t stopped_ms;
	char disturbed[120];
};

/* Functions return 0, or -1 with why(). */

void vm_init(struct vm *vm);
void vm_free(struct vm *vm);
/* Makes DIR if it is missing; then it is that user's. */
int vm_make_dir(const struct vm *vm, uid_t uid, gid_t gid);
/* DIR/NAME.SUFFIX, valid until the program ends. */
const char *vm_path(const struct vm *vm, const char *suffix);

/*
 * What the VM is made of now is what it was started with. Without it, what can be seen from its
 * arguments has to do.
 */
int vm_know(struct vm *vm, uint64_t until);

/*
 * Does anything stand against a live update of the QEMU that runs? Says each thing, and
 * returns how many there were; -1 if it could not be asked.
 */
int vm_check(struct vm *vm, uint64_t until);

/*
 * The part of it that what the process has open tells: devices that no argument tells of, and
 * what the kernel lets devices do. Says each thing, and returns how many there were.
 */
int vm_check_files(const struct vm *vm);

/* After a failure of these, vm_undo() has to be called. */
int vm_preserve(struct vm *vm, uint64_t until);
int vm_suspend(struct vm *vm, uint64_t until);
/*
 * Whatever has been done: the VM is as it was before, in this kernel. If it fails, such as
 * when QEMU does not answer, what could be done has been, and it can be called again.
 */
int vm_undo(struct vm *vm, uint64_t until);
/* QEMU has ended. */
void vm_gone(struct vm *vm);
/* What a broker before this one has done, and could not undo. */
int vm_mend(struct vm *vm, uint64_t until);

/* Says it, with the rule's name. */
void vm_refused(const struct rule *rule, const char *sentence);

#endif
