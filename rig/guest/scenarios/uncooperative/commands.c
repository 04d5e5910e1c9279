// SPDX-License-Identifier: GPL-2.0-only
/*
 * A user space that does not do what a live update asks of it. With idle=1 in
 * the options of an update, nobody resumes in the next kernel until one of
 * these commands says so:
 *
 *	uncoop states		resume, and at each step try all that can be asked
 *				of a device then; the answers are "cell" events
 *	uncoop incoming		what can be asked before anything is retrieved
 *	uncoop preserve		preserve all, and do not jump
 *	uncoop preserved	what can be asked between preserve and jump
 *	uncoop stopped		the same for what stops the device; undone again
 *	uncoop resume [HOW]	resume, over what dead processes left behind;
 *				without-nic: that device was removed;
 *				by-closing: close the session, do not finish it
 *	uncoop charged		resume in a memory cgroup, and say what it has
 *	uncoop kill STEP	a process resumes up to STEP and gets SIGKILL
 *	uncoop order		processes retrieve in odd orders, and exit
 *	uncoop punch		a process retrieves the memory, throws out of it what
 *				the network device writes to, and exits
 *	uncoop replace-page	throw a piece out of the memory; say whether the iommufd
 *				can be preserved
 *	uncoop preserve-unprivileged	a process that may not do raw I/O preserves the
 *				network device
 *	uncoop retrieve-unprivileged	it is retrieved before no-IOMMU mode is allowed, and
 *				then by a process that may not do raw I/O
 *	uncoop elsewhere	a process rebuilds all with other pages than the device
 *				writes to, and keeps what it got
 *	uncoop verify-elsewhere	a process rebuilds all as for "elsewhere", compares, and exits
 *	uncoop frozen		what can be done to the huge pages of a memfd that is preserved, and
 *				when that is undone
 *	uncoop starve		a process gets half of the memory, and exits
 *	uncoop short		a process that may not open files, and exits
 *	uncoop fed		a process retrieves what the two above could not
 *	uncoop limited GROUP	processes retrieve the memory in a cgroup that does not allow for
 *				it, and in the same one when it does; GROUP: hugetlb, rsvd or memory
 *	uncoop give-up [size]	as starve, with nothing preserved but memory: finish; size: this
 *				kernel has no huge pages of the memory's size
 *	uncoop no-handler	a process retrieves what it can, and exits
 *	uncoop work		fill and read memory, as other programs would
 *	uncoop memory		say what the kernel's memory is used for
 *	uncoop leaves		say how many tables it takes to map all of the memory
 *	uncoop remove DEV	have a process remove a device by sysfs, and wait
 *				for as long as that takes
 *	uncoop rescan		have removed devices found again
 *	uncoop look DEV		say what a device's command register is
 *	uncoop close DEV	give a device back
 *	uncoop start		take the devices from reset to DMA again
 *	uncoop sleep STATE	have the machine sleep, in that state of the device
 *	uncoop going-to-sleep	preserve while the machine goes to sleep; undone again
 *	uncoop pasids		attach and move PASIDs of a preserved device; undone again
 *	uncoop reboot		try the jump; say why it is refused
 *	uncoop undo		close the session before the jump
 *	uncoop leave		jump into the next kernel with nothing preserved
 *
 * All state that a process needs is in the session's files, so a process takes
 * over where another one died by starting from the beginning. STEP is a name
 * that rig_resume() gives to rig_reached.
 */
#include <string.h>

#include "core/array.h"
#include "core/control.h"
#include "devices/workload.h"
#include "scenarios/uncooperative/before_jump.h"
#include "scenarios/uncooperative/commands.h"
#include "scenarios/uncooperative/frozen_file.h"
#include "scenarios/uncooperative/limited.h"
#include "scenarios/uncooperative/machine_sleep.h"
#include "scenarios/uncooperative/memory_use.h"
#include "scenarios/uncooperative/odd_processes.h"
#include "scenarios/uncooperative/pasids.h"
#include "scenarios/uncooperative/removal.h"
#include "scenarios/uncooperative/states.h"
#include "scenarios/uncooperative/takeover.h"

static const struct {
	const char *name;
	void (*run)(struct rig *r, const char *arg);
} acts[] = {
	{ "states", uncoop_states },
	{ "incoming", uncoop_incoming },
	{ "preserve", uncoop_preserve },
	{ "preserved", uncoop_preserved },
	{ "start", uncoop_start },
	{ "stopped", uncoop_stopped },
	{ "resume", uncoop_resume },
	{ "charged", uncoop_charged },
	{ "kill", uncoop_kill },
	{ "order", uncoop_order },
	{ "punch", uncoop_punch },
	{ "replace-page", uncoop_replace_page },
	{ "preserve-unprivileged", uncoop_preserve_unprivileged },
	{ "retrieve-unprivileged", uncoop_retrieve_unprivileged },
	{ "elsewhere", uncoop_elsewhere },
	{ "verify-elsewhere", uncoop_verify_elsewhere },
	{ "frozen", uncoop_frozen },
	{ "starve", uncoop_starve },
	{ "short", uncoop_short },
	{ "fed", uncoop_fed },
	{ "limited", uncoop_limited },
	{ "give-up", uncoop_give_up },
	{ "no-handler", uncoop_no_handler },
	{ "work", uncoop_work },
	{ "memory", uncoop_memory },
	{ "leaves", uncoop_leaves },
	{ "remove", uncoop_remove },
	{ "rescan", uncoop_rescan },
	{ "look", uncoop_look },
	{ "close", uncoop_close },
	{ "sleep", uncoop_sleep },
	{ "going-to-sleep", uncoop_going_to_sleep },
	{ "pasids", uncoop_pasids },
	{ "reboot", uncoop_reboot },
	{ "undo", uncoop_undo },
	{ "leave", uncoop_leave },
};

void uncoop(struct rig *r, char *args)
{
	char *arg = strchr(args, ' ');

	if (arg)
		*arg++ = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(acts); i++) {
		if (!strcmp(args, acts[i].name)) {
			acts[i].run(r, arg ? arg : "");
			return;
		}
	}
	emit("error", ",\"text\":\"uncoop: there is nothing called '%s'\"",
	     args);
}
