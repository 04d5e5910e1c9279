/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent decides: whom it asks for what, when an update of the host is given up,
 * and whether it jumps. This code does no I/O and does not look at a clock. Each function
 * below is an event; what is to be done about it goes out by decide.act(). The model in
 * tests/agent links the same object file, and walks through the orders of events.
 *
 * An update ("go") takes these steps:
 *
 *   sync      the agent makes the session that its record will be in, and waits for the device if
 *	       somebody else has it: VMs do not stand still for that later. Then files are written
 *	       back, while the VMs run
 *   services  if that was asked for: other services of the host end, and what is mounted for
 *	       nobody is unmounted; then "sync" once more, for what they have written
 *   preserve  each VM preserves, and its session then holds files
 *   suspend   each VM stops its virtual CPUs
 *   flush     what was written since is written back; after "services" the file systems then
 *	       stand still
 *   count     does the session of each VM hold what it held when the VM had preserved? One in
 *	       which a call is under way is looked at again, for COUNT_MS at most. So is one that
 *	       is none of theirs, for as long as a step may take: the jump would wait for it
 *   seal      the agent's own record is preserved
 *   jump      the kernel is replaced: this does not come back, or fails
 *
 * Each of the first six has a deadline. The last two have none of their own, and need none:
 *
 *   seal      The kernel gets a memfd that nobody else has, in a session that is there since "sync". Calls in other sessions go on
 *	       beside it: they share luo_session_serialize_rwsem, which only reboot(2) takes for itself.
 *	       The record's file is in memory (docs/agent.md).
 *   jump      reboot(2) waits for every call that is under way in a session, of whoever, and for as
 *	       long as that takes. So "count" has waited for these, and nothing is heard in between. It
 *	       cannot be left to a helper and given up: nobody can call it back, and it would jump after
 *	       the undo. It waits for a suspend of the machine, too; that is refused, by the rule
 *	       pci_stopped, while a device is preserved. Whoever has the kexec lock makes it fail (EBUSY).
 *
 * Whatever goes wrong in any of them, an abort, and
 * the end of the agent lead to
 *
 *   undo      file systems go on, then each VM as before; services start again
 *
 * and to nowhere else. No other place jumps: so none can jump after an undo.
 *
 * ACT_AT says when each step begins, and when it is over, well or not. What is said after the
 * record was preserved does not go over: "jump" has no such times, and begins when "seal" is over.
 */
#ifndef DECIDE_H
#define DECIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"

#define MOST_VMS		1024
#define MOST_VMS_PER_USER	64	/* of users other than root */
#define ROOT_VMS		16	/* that no user takes away from root */

/*
 * Stands for VMs that an earlier agent could not write down. It can be left by its name, and
 * not because it is silent: nobody knows whether there are any.
 */
#define VM_UNKNOWN		"unknown-vms"

/* Room for a sentence: with what is in front of it a message has 512 bytes (docs/agent.md). */
#define MOST_WHY		500
/* So much of the name of what hangs is said: the rest of the sentence has room behind it. */
#define MOST_AT			350
/* A name of so many bytes is said once more, as it is given to --leave. */
#define MOST_AT_TWICE		150

/* How long the VMs have to undo if whoever updated the host is gone, or the agent ends. */
#define UNDO_MS			10000

/* What a session holds in which a call is under way: nobody can see it. Less than any number of files. */
#define BUSY			(-1)
/* After so long it is looked at again. */
#define LOOK_AGAIN_US		5000
/* So long the count waits for such a session, before the jump, when all VMs stand still. */
#define COUNT_MS		20

/*
 * VM_AWAY: registered with an earlier agent; its process lives, and has not registered
 * again.
 */
enum vm_state {
	VM_IDLE, VM_ASKED, VM_PRESERVED, VM_SUSPENDED, VM_FAILED, VM_SILENT, VM_LEFT, VM_AWAY,
};

/*
 * @client:   Its connection; -1 if that has ended, or has not come yet.
 * @away:     It was registered with an earlier agent, and has not come back.
 * @want:     What it was asked last, by an order of @number.
 * @asked_us: When; @took_us: until it answered.
 * @said:     It has answered, while VM_ASKED, that it has preserved; its session has not shown it yet.
 * @files:    That its session held when it had preserved.
 * @kept:     It came with the last update, and does not run: who has registered it keeps it for this one.
 * @now:      It is part of the phase; @bad: and has not done what it was asked.
 */
struct vm {
	char name[CONTINUO_SESSION_NAME];
	uid_t uid;
	int client;
	bool away;
	enum vm_state state;
	enum continuo_want want;
	uint32_t number;
	uint64_t asked_us, took_us;
	bool said;
	bool kept;
	unsigned int files;
	bool now;
	enum { DID, SAID_NO, SAID_NOTHING } bad;
	char why[256];
};

enum step {
	STEP_NONE, STEP_SYNC, STEP_SERVICES, STEP_PRESERVE, STEP_SUSPEND, STEP_FLUSH, STEP_COUNT, STEP_SEAL,
	STEP_JUMP, STEP_UNDO,
};

enum action_kind {
	/* An order of action.number to a VM. False if it does not read what it is sent. */
	ACT_ORDER,
	/* Let go of the session of action.vm, or, without one, of the agent's own. */
	ACT_RELEASE,
	/* A VM has another state; it begins or ends something (action.text). */
	ACT_STATE, ACT_VM_AT,
	/* The host's part of the record. */
	ACT_RECORD, ACT_AT, ACT_OUTCOME,
	/* To action.client: how a VM stands (false if it cannot be told); which step comes. */
	ACT_TELL, ACT_STEP,
	/* To action.client: the last of an answer; action.err is 0, or a positive errno. */
	ACT_REPLY,
	/* End the connection of action.client. */
	ACT_DISCONNECT,
	/*
	 * Begin what takes long: decide_helped() says of action.number that it is done. Write
	 * files back, and, unless action.ms is 0, have the file systems stand still from then
	 * on, for so long at most; have services end.
	 */
	ACT_SYNC, ACT_SERVICES,
	/* Nobody waits any more for what was begun, or needs that it stands still. */
	ACT_HELPER_LEFT,
	/* Services start again. */
	ACT_SERVICES_BACK,
	/* Make the agent's own session, and say by decide_owned() at once whether that succeeded. */
	ACT_OWN,
	/* Say at once, by decide_counted(), what the sessions hold. */
	ACT_COUNT,
	/* Preserve the record, with when this was, and say by decide_sealed() whether that succeeded. */
	ACT_SEAL,
	/* Replace the kernel, if what is to stand still does. If it comes back, decide_stayed() says why. */
	ACT_JUMP,
	/*
	 * The VMs that are registered have changed. One that has come is to be written down before it hears
	 * so: the next agent waits for it. With one that is gone there is time until the end of the turn.
	 */
	ACT_LIST, ACT_LIST_LATER,
	/* The agent is to end. */
	ACT_EXIT,
};

struct action {
	enum action_kind kind;
	struct vm *vm;
	int client;
	enum continuo_want want;
	uint32_t number;
	uint32_t ms;
	int err;
	const char *text;
	const char *why;		/* of ACT_OUTCOME: NULL if it stays as it was */
};

struct decide {
	/* Set before the first event. */
	bool (*act)(void *arg, const struct action *action);
	void *arg;
	struct vm *vm;			/* room for @room of them */
	unsigned int room;

	/* Set before each event: CLOCK_MONOTONIC, in microseconds. */
	uint64_t now_us;

	unsigned int vms;
	uint32_t numbers;
	/* Who updates the host, -1 if nobody; it can be gone while an update goes on. */
	int owner;
	bool updating, recording, sealed, ending;
	enum step step;
	/* Who waits for its end: who has begun it or attached to it, who aborted it; or -1. */
	int watcher, aborter;
	bool leave_silent;
	uint32_t timeout_ms;
	/* How an update ends that has been given up. */
	int err;
	char why[MOST_WHY];
	/* What takes long and is under way: until when, 0 if nothing is; and what it is at. */
	uint32_t helper_number;
	uint64_t helper_us;
	char helper_at[MOST_AT + sizeof("...")];
	bool helper_can_leave;
	/* How long services have to end, 0 if they do not; they are ended; all stands still. */
	uint32_t services_ms;
	bool ended, still;
	/* The agent's own session is there; if not, when it is tried again, and for the last time. */
	bool own;
	uint64_t own_us, own_until_us;
	/*
	 * When it is looked again at what sessions hold, 0 if nobody waits for that; the end of "count",
	 * and its end if only somebody else's session is waited for.
	 */
	uint64_t look_us, count_us, others_us;
	/* Until when those who are suspended, step by step, wait for more; 0 if none do. */
	uint64_t patience_us;
	/* What the VMs are asked now; @asker is -1 if nobody waits for it. */
	struct {
		bool on, all;
		int asker;
		enum continuo_want want;
		uint32_t timeout_ms;
		uint64_t deadline_us;
	} phase;
};

extern const char *const vm_state_name[];
extern const char *const step_name[];

void decide_init(struct decide *d);

/* --- what VMs do --- */

void decide_register(struct decide *d, int client, uid_t uid, const char *name);
/* The VM that this connection has registered, if it has, is kept: an update that it was lost to does not jump. */
void decide_keeps(struct decide *d, int client);
/* @why: NULL if it was done. */
void decide_answer(struct decide *d, int client, uint32_t number, const char *why);
/* Somebody had the agent let go of the session of that name. */
void decide_released(struct decide *d, const char *name);

/* --- what operators do --- */

void decide_begin(struct decide *d, int client);
void decide_ask(struct decide *d, int client, enum continuo_want want, const char *name,
		uint32_t timeout_ms);
void decide_leave(struct decide *d, int client, const char *name);
void decide_vms(struct decide *d, int client);
/* Have services end before the jump. */
void decide_services(struct decide *d, int client, uint32_t timeout_ms);
void decide_go(struct decide *d, int client, uint32_t timeout_ms, bool leave_silent);
/* Be told how the update ends that is running. */
void decide_attach(struct decide *d, int client);
void decide_abort(struct decide *d, int client);
/* Is the host being updated? Whoever asks is about to change what it would go over to. */
void decide_running(struct decide *d, int client);

/* --- what happens --- */

/* A connection has ended. */
void decide_gone(struct decide *d, int client);
/* It is the time that decide_due() has said, or later. */
void decide_time(struct decide *d);
/* What takes long comes to @where now: a file system or a service, or what nobody can do without. */
void decide_helping(struct decide *d, uint32_t number, const char *where, bool can_leave);
/* @why: NULL if all of it is done. */
void decide_helped(struct decide *d, uint32_t number, const char *why);
/*
 * @files: of each VM, in the order of decide.vm, or BUSY; @other: a session that is no VM's, and BUSY,
 * or NULL; @why: if nobody can know, why; else NULL.
 */
void decide_counted(struct decide *d, const int *files, const char *other, const char *why);
/*
 * @err: 0, or a positive errno: EAGAIN if somebody else has the device, EINPROGRESS if the session of
 * the update before is still being closed; @why is needed for these only at decide.own_until_us.
 */
void decide_owned(struct decide *d, int err, const char *why);
void decide_sealed(struct decide *d, int err, const char *why);
void decide_stayed(struct decide *d, int err, const char *why);
/* A VM was registered with an agent before this one, and its process lives. */
void decide_away(struct decide *d, const char *name, uid_t uid);
/* It lives no more. */
void decide_dead(struct decide *d, const char *name);
/* The agent is to end. */
void decide_end(struct decide *d);

/* May it change anything now? Replies if not. */
bool decide_may(struct decide *d, int client);
/* Why no session of that name can be made now; or NULL. */
const char *decide_forbids(struct decide *d, const char *name);
/* When something is due; 0 if nothing is. */
uint64_t decide_due(const struct decide *d);
struct vm *decide_find(struct decide *d, const char *name);

#endif
