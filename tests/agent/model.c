// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent's decision (agent/decide.c, the object file that ships) in a world that is made
 * up: two VMs, two operators, a disk, and an agent that can be killed, ended and started
 * again. All orders are walked through in which these can act. A VM answers, fails, lies,
 * dies, is silent, has a call under way in its session, so that nobody sees what it holds, or
 * lets go of its session by itself; a command goes on late, dies, leaves a VM, or comes
 * second, and attaches or aborts; files are written back, or are not, or too late; services
 * end, or do not; who has file systems stand still is killed; somebody else has the device; the seal fails; the
 * kernel does not jump.
 *
 * The law: never a jump in which a VM is lost that has undone, or has not preserved, and was
 * not left behind on purpose. The end of a VM's process is the VM's own, but not that of one
 * which is kept for the next update, and does not run. Others, which show what leads there: a
 * step begins when all VMs have truly done the one before; whatever has begun has a deadline,
 * and what is due is done; a VM has not failed because its session was busy for a moment, nor
 * an update because somebody else had the device for one; no VM is asked, and no service ends,
 * before the agent has the session for its record; when an update has ended, nothing of it is
 * left; an agent that is to end does not jump any more, and ends as soon as no update is
 * running. Where services are to end, they do so only after files could be written back, and
 * before the VMs preserve; the jump finds them ended and file systems standing still, and
 * nobody else does: no VM goes on while its file system stands still, and services run again
 * when there was no jump. In the record, a step that has begun is over before the next one
 * begins, and a jump comes after all.
 *
 *   model WORLD|all   which world, see worlds[]; ends with 1 if a law is broken
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decide.h"

#define VMS	2
#define COMMANDS 2
#define ROOM	4		/* all are root's, who leaves no room to others */
#define QUEUE	5
#define MS	1000

enum truth { RUNNING, HOLDS, STANDS_STILL };

/* The names in the record of when a step begins, and is over. */
static const struct {
	const char *begin, *end;
	bool orderly;			/* where services end */
} times[] = {
	{ "sync", "synced" }, { "services", "services_ended", true }, { "sync_again", "synced_again", true },
	{ "preserve", "preserved" }, { "suspend", "suspended" }, { "flush", "flushed" },
	{ "count", "counted" }, { "seal", "sealed" },
};

#define TIMES	(sizeof(times) / sizeof(times[0]))

/* How often each thing may happen. */
struct budget {
	uint8_t vm_dies, vm_fails, vm_lies, vm_lets_go, vanish, busy;
	uint8_t cmd_dies, leave, leave_silent, second, sync_fails, seal_fails, stays;
	uint8_t kill, end, list_lost, keeper_dies, other, held;
	uint8_t silence;
};

static const struct {
	const char *name;
	bool kept, orderly;
	struct budget budget;
	bool passed_on;			/* the first VM is kept for the next update */
} worlds[] = {
	{ "vms", false, false, { .vm_dies = 1, .vm_fails = 1, .vm_lies = 1, .vm_lets_go = 1, .vanish = 1, .seal_fails = 1,
			  .stays = 1, .silence = 1 } },
	{ "commands", false, false, { .cmd_dies = 1, .leave = 1, .leave_silent = 1, .second = 1, .silence = 1, .stays = 1,
			       .sync_fails = 1, .vm_fails = 1 } },
	{ "busy", false, false, { .busy = 1, .vm_lies = 1, .vanish = 1, .leave_silent = 1, .silence = 1, .second = 1 } },
	{ "others", false, false, { .other = 2, .busy = 1, .leave_silent = 1, .silence = 2 } },
	{ "agent", false, false, { .kill = 1, .end = 1, .second = 1, .silence = 1, .cmd_dies = 1, .vm_dies = 1, .list_lost = 1,
			    .leave_silent = 1 } },
	{ "kept", true, false, { .kill = 1, .end = 1, .second = 1, .silence = 1, .vm_lies = 1, .vm_dies = 1, .cmd_dies = 1 } },
	{ "pass-on", false, false, { .vm_dies = 2, .vm_fails = 1, .leave = 1, .second = 1, .stays = 1, .kill = 1, .end = 1, .sync_fails = 1 }, true },
	{ "orderly", false, true, { .sync_fails = 1, .silence = 1, .second = 1, .kill = 1, .end = 1, .vm_fails = 1,
				    .stays = 1, .vm_dies = 1, .list_lost = 1 } },
	{ "device", false, true, { .held = 2, .silence = 1, .second = 1, .end = 1 } },
	{ "product", false, false, { .vm_dies = 1, .vm_fails = 1, .silence = 1, .cmd_dies = 1, .second = 1, .kill = 1, .sync_fails = 1,
				     .seal_fails = 1 } },
	{ "upgraded", false, false, { .vm_dies = 1, .vm_fails = 1, .silence = 1, .cmd_dies = 1, .second = 1, .end = 1, .list_lost = 1,
				      .sync_fails = 1 } },
	{ "keeper", false, true, { .keeper_dies = 1, .busy = 1, .silence = 1, .second = 1, .end = 1 } },
};

struct vm_truth {
	bool alive, connected;		/* connected to the agent that runs now */
	bool had;			/* it was registered, and lives or left something */
	uint8_t is;			/* enum truth */
	bool fd;			/* its own descriptor of the session */
	uint8_t queued;
	struct { uint8_t want; uint32_t number; } order[QUEUE];
	bool left;			/* on purpose */
	bool lied;			/* it says that it stands still */
	bool passed_on;
};

struct session {
	bool agent;			/* the agent has a descriptor */
	bool busy;			/* a call is under way in it */
	uint8_t files;
};

struct world {
	struct decide d;
	struct vm vm[ROOM];
	struct vm_truth truth[VMS];
	struct session session[VMS];
	bool own, record;		/* the agent's own session, and what is in it */
	bool held;			/* somebody else has the device: nobody can make a session */
	bool other_busy;		/* a call is under way in a session that is no VM's */
	bool up;
	bool kept;
	bool list_lost;
	uint8_t starts;
	enum { NEW, BEGUN, GONE, OVER } command[COMMANDS];
	bool second_aborts;
	uint32_t syncing[2];		/* what the helper is to do: now, and before */
	bool synced;			/* what was asked for last */
	bool to_stand_still;		/* once that is done */
	bool orderly, still;
	enum { SERVE, STOP, STOPPED } services;
	bool silent_go;
	uint8_t begun, over;		/* of times[], in the record */
	struct budget b;
	bool exits, owns, counts, seals, jumps;
	bool replied_ok;
};

static struct world *now;
static const char *const names[VMS] = { "a", "b" };
static unsigned long long states, steps, jumps, ends;
static char trail[4096];

static int client_of(const struct world *w, int i)
{
	return 100 + w->starts * 10 + i;
}

static void broken(const char *law)
{
	printf("FAIL %s\n  after:%s\n", law, trail);
	exit(1);
}

static int index_of(const struct vm *v)
{
	for (int i = 0; i < VMS; i++)
		if (!strcmp(v->name, names[i]))
			return i;
	return -1;
}

/* What is in a session goes when nobody has it. */
static void tidy(struct world *w, int i)
{
	if (!w->session[i].agent && !w->truth[i].fd) {
		w->session[i].files = 0;
		w->session[i].busy = false;
	}
}

/* A VM is carried over if its session is there, and it counts on it. */
static bool is_safe(const struct world *w, int i, bool stands_still)
{
	const struct vm_truth *t = &w->truth[i];

	if (!t->had || t->left)
		return true;
	if (!w->session[i].files || (!w->session[i].agent && !t->fd))
		return false;
	return !t->alive || t->is == STANDS_STILL || (t->is == HOLDS && (!stands_still || t->lied));
}

static void check_step(struct world *w, const char *step)
{
	bool suspend = !strcmp(step, "suspend"), counted = !strcmp(step, "seal") || !strcmp(step, "jump");
	bool later = counted || !strcmp(step, "flush") || !strcmp(step, "count");

	for (int i = 0; i < VMS && (suspend || later); i++) {
		const struct vm_truth *t = &w->truth[i];

		if (counted && !is_safe(w, i, true))
			broken("all have been counted, and a VM is not ready");
		/* What its session holds is looked at later, once and for all. */
		if (t->alive && !t->left && (t->is == RUNNING || (later && t->is == HOLDS && !t->lied)))
			broken(suspend ? "the VMs are to suspend, and one has not preserved" :
					 "the jump comes nearer, and a VM is not suspended");
	}
	if (strcmp(step, "sync") && strcmp(step, "undo") && strcmp(step, "undone") && strcmp(step, "partly") && !w->own)
		broken("an update goes on, and the agent has no session for its record");
	if ((!strcmp(step, "preserve") || !strcmp(step, "count")) && !w->synced)
		broken("files are not written back, and the update goes on");
	if (!strcmp(step, "preserve") && w->orderly && w->services != STOPPED)
		broken("services have not ended, and VMs are to preserve");
}

/* The record has a time. */
static void note(struct world *w, const char *what)
{
	if (!strcmp(what, "undo") && w->begun != w->over)
		broken("the VMs are to undo, and the record has a step that is not over");
	for (unsigned int i = 0; i < TIMES; i++) {
		if (!strcmp(what, times[i].begin)) {
			if (w->begun >> i)
				broken("a step begins in the record after a later one, or twice");
			if (w->begun != w->over)
				broken("a step begins in the record, and the one before is not over");
			w->begun |= 1 << i;
		} else if (!strcmp(what, times[i].end)) {
			if (!(w->begun >> i & 1) || w->over >> i & 1)
				broken("a step is over in the record that has not begun, or was over before");
			w->over |= 1 << i;
		}
	}
}

static bool act(void *arg, const struct action *a)
{
	struct world *w = now;
	int i = a->vm ? index_of(a->vm) : -1;
	struct vm_truth *t = i >= 0 ? &w->truth[i] : NULL;

	(void)arg;
	switch (a->kind) {
	case ACT_ORDER:
		if (a->want == CONTINUO_WANT_UNDO && w->still)
			broken("a VM is to go on, and its file system stands still");
		if (!t || !t->alive || a->client != client_of(w, i) || t->queued == QUEUE)
			return false;
		t->order[t->queued].want = a->want;
		t->order[t->queued++].number = a->number;
		break;
	case ACT_RELEASE:
		if (!a->vm) {
			w->own = false;
		} else if (t) {
			w->session[i].agent = false;
			tidy(w, i);
			/* A VM that died, and is undone now, is not there any more. */
			if (!t->alive && (w->d.step == STEP_UNDO || !w->d.updating))
				t->had = false;
		}
		break;
	case ACT_STATE:
		if (t && a->vm->state == VM_FAILED && a->vm->said && t->alive && t->is == HOLDS && w->session[i].agent &&
		    w->session[i].busy && w->d.now_us < w->d.phase.deadline_us)
			broken("a VM has failed, and its session was only busy");
		if (!t || a->vm->state != VM_LEFT || t->left)
			break;
		if (w->d.step != STEP_NONE && t->alive && t->connected && !t->queued)
			broken("a VM is left behind that has answered");
		if (w->d.step != STEP_NONE && !w->silent_go)
			broken("a VM is left behind, and nobody has said so");
		t->left = true;
		break;
	case ACT_STEP:
		check_step(w, a->text);
		break;
	case ACT_RECORD:
		w->begun = 0;
		w->over = 0;
		break;
	case ACT_AT:
		note(w, a->text);
		break;
	case ACT_REPLY:
		w->replied_ok = !a->err;
		break;
	case ACT_SYNC:
		w->syncing[1] = w->syncing[0];
		w->syncing[0] = a->number;
		w->synced = false;
		w->to_stand_still = a->ms;
		break;
	case ACT_SERVICES:
		if (!w->own)
			broken("services end, and the agent has no session for its record");
		if (!w->synced)
			broken("services end, and nobody knows whether files can be written back");
		for (unsigned int i = 0; i < w->d.vms; i++)
			if (w->vm[i].state == VM_AWAY)
				broken("services end, and a VM has not come back");
		w->syncing[1] = w->syncing[0];
		w->syncing[0] = a->number;
		w->synced = false;
		w->services = STOP;
		break;
	case ACT_HELPER_LEFT:
		w->still = false;
		w->to_stand_still = false;
		break;
	case ACT_SERVICES_BACK:
		if (w->services == SERVE)
			broken("services start that have not ended");
		w->services = SERVE;
		/* Whoever has died is not a matter of the next update. */
		for (int i = 0; i < VMS; i++)
			w->truth[i].had &= w->truth[i].alive || w->session[i].agent;
		break;
	case ACT_OWN:
		w->owns = true;
		break;
	case ACT_COUNT:
		w->counts = true;
		break;
	case ACT_SEAL:
		w->seals = true;
		break;
	case ACT_JUMP:
		w->jumps = true;
		break;
	case ACT_EXIT:
		w->exits = true;
		if (w->d.updating)
			broken("the agent ends in the middle of an update");
		break;
	default:
		break;
	}
	return true;
}

/* --- what the driver does between two events --- */

static void go_down(struct world *w)
{
	w->up = false;
	w->own = false;
	w->exits = false;
	memset(w->syncing, 0, sizeof(w->syncing));
	w->begun = 0;
	w->over = 0;
	/* The helper sees that, and has them go on. */
	w->still = false;
	w->to_stand_still = false;
	for (int i = 0; i < VMS; i++) {
		w->truth[i].connected = false;
		if (!w->kept) {
			w->session[i].agent = false;
			w->truth[i].had &= w->truth[i].alive;
		}
		tidy(w, i);
	}
	for (int k = 0; k < COMMANDS; k++)
		if (w->command[k] != NEW)
			w->command[k] = OVER;
	memset(&w->d, 0, sizeof(w->d));
	memset(w->vm, 0, sizeof(w->vm));
}

static void check_quiet(struct world *w)
{
	if (!w->up)
		return;
	if (w->d.step != STEP_NONE && !decide_due(&w->d))
		broken("an update has begun, and nothing is due");
	for (unsigned int i = 0; i < w->d.vms; i++)
		if (w->vm[i].state == VM_ASKED && w->vm[i].said && w->d.phase.want == CONTINUO_WANT_PRESERVE && !w->d.look_us)
			broken("a VM has answered, and nobody looks at its session");
	if (w->d.updating && w->d.owner < 0 && w->d.step == STEP_NONE)
		broken("an update is nobody's, and does not end");
	if (w->d.updating)
		return;
	if (w->d.ending)
		broken("the agent was to end, the update has ended, and it goes on");
	if (w->still)
		broken("an update has ended, and file systems stand still");
	if (w->services != SERVE)
		broken("an update has ended, and services have not started again");
	if (w->own || w->d.own)
		broken("an update has ended, and the agent's session is there");
	for (int i = 0; i < VMS; i++) {
		const struct vm_truth *t = &w->truth[i];

		if (w->session[i].agent && !t->queued && !w->kept)
			broken("an update has ended, and a VM's session is there");
		if (t->alive && t->connected && !t->queued && t->is != RUNNING && !w->kept)
			broken("an update has ended, and a VM has not been told");
	}
}

static void jump(struct world *w)
{
	jumps++;
	if (w->d.ending)
		broken("a jump, and the agent was to end");
	if (w->orderly && w->services != STOPPED)
		broken("a jump, and services have not ended");
	if (w->orderly != w->still)
		broken(w->still ? "a jump at once, and file systems stand still" : "a jump, and file systems do not stand still");
	if (!w->record)
		broken("the next kernel's agent would know nothing");
	for (unsigned int i = 0; i < TIMES; i++)
		if ((!times[i].orderly || w->orderly) != (w->over >> i & 1))
			broken("a jump, and the record does not have when each step was");
	/* It would wait for these. */
	if (w->other_busy)
		broken("a jump, and a call is under way in a session that is no VM's");
	for (int i = 0; i < VMS; i++) {
		if (w->session[i].busy)
			broken("a jump, and a call is under way in a session");
		if (!is_safe(w, i, true))
			broken("a VM is lost");
	}
}

/* As agent/update.c: nothing else comes in between. */
static void follow(struct world *w)
{
	for (;;) {
		if (w->owns) {
			bool waits = w->held && w->d.now_us < w->d.own_until_us;

			w->owns = false;
			if (w->own)
				broken("the agent makes its session, and has it");
			w->own = !w->held;
			decide_owned(&w->d, w->held ? EAGAIN : 0, "somebody has the device");
			if (waits && w->d.step != STEP_SYNC)
				broken("somebody has the device for a moment, and the update does not wait");
		} else if (w->counts) {
			bool waits = w->d.step == STEP_COUNT && w->d.now_us < w->d.count_us;
			bool busy = false;
			int files[ROOM] = {};

			w->counts = false;
			for (unsigned int i = 0; i < w->d.vms; i++) {
				int k = index_of(&w->vm[i]);

				if (k < 0)
					continue;
				files[i] = w->session[k].busy ? BUSY : w->session[k].files;
				busy |= w->session[k].busy && w->vm[i].state != VM_LEFT;
				waits &= w->session[k].busy || files[i] || w->vm[i].state == VM_LEFT;
			}
			decide_counted(&w->d, files, w->other_busy ? "other" : NULL, NULL);
			if (waits && busy && w->d.step != STEP_COUNT)
				broken("a session is busy for a moment, and the count does not wait");
		} else if (w->seals) {
			bool fails = w->b.seal_fails == 2;

			w->seals = false;
			if (!w->own)
				broken("the record is to be preserved, and the agent has no session for it");
			w->record = !fails;
			/* As agent/record.c: it has to be in what goes over. */
			if (!fails)
				note(w, "sealed");
			decide_sealed(&w->d, fails ? ENOSPC : 0, fails ? "no space" : "");
		} else if (w->jumps) {
			w->jumps = false;
			/* As agent/update.c, which looks. */
			if (w->d.still && !w->still) {
				decide_stayed(&w->d, EIO, "the keeper");
				continue;
			}
			jump(w);
			decide_stayed(&w->d, EBUSY, "a device");
		} else {
			break;
		}
	}
	if (!w->d.updating) {
		for (int i = 0; i < VMS; i++)
			w->truth[i].left = false;
		w->silent_go = false;
		w->begun = 0;
		w->over = 0;
		for (int k = 0; k < COMMANDS; k++)
			if (w->command[k] == GONE)
				w->command[k] = OVER;
	}
	if (w->exits)
		go_down(w);
	check_quiet(w);
}

/* --- what a VM does --- */

static void let_go(struct world *w, int i)
{
	struct vm_truth *t = &w->truth[i];

	t->fd = false;
	if (t->connected && w->session[i].agent) {
		w->session[i].agent = false;
		decide_released(&w->d, names[i]);
	}
	tidy(w, i);
}

enum manner { WELL, FAILS, LIES };

static void obey(struct world *w, int i, enum manner manner)
{
	struct vm_truth *t = &w->truth[i];
	uint8_t want = t->order[0].want;
	uint32_t number = t->order[0].number;
	const char *why = manner == FAILS ? "no room" : NULL;

	t->queued--;
	memmove(&t->order[0], &t->order[1], sizeof(t->order[0]) * (QUEUE - 1));
	memset(&t->order[QUEUE - 1], 0, sizeof(t->order[0]));
	if (manner == WELL && want == CONTINUO_WANT_PRESERVE) {
		let_go(w, i);
		if (!t->connected || decide_forbids(&w->d, names[i])) {
			why = "no session";
		} else {
			w->session[i] = (struct session){ .agent = true, .files = 2 };
			t->fd = true;
			t->is = HOLDS;
		}
	} else if (manner == WELL && want == CONTINUO_WANT_SUSPEND) {
		t->is = STANDS_STILL;
	} else if (manner == LIES && want == CONTINUO_WANT_SUSPEND) {
		/* Nobody can see that; it has preserved. */
		t->lied = true;
	} else if (want == CONTINUO_WANT_UNDO) {
		/* It may say what it likes, it goes on. */
		let_go(w, i);
		t->is = RUNNING;
		t->lied = false;
	}
	if (t->connected)
		decide_answer(&w->d, client_of(w, i), number, why);
}

/* Its connection has ended. */
static void notice(struct world *w, int i)
{
	struct vm_truth *t = &w->truth[i];

	t->queued = 0;
	memset(t->order, 0, sizeof(t->order));
	t->fd = false;
	t->is = RUNNING;
	tidy(w, i);
	if (!w->up)
		return;
	decide_register(&w->d, client_of(w, i), 0, names[i]);
	t->connected = w->replied_ok;
	if (t->passed_on)
		decide_keeps(&w->d, client_of(w, i));
}

static void die(struct world *w, int i)
{
	const struct vm *v = w->up ? decide_find(&w->d, names[i]) : NULL;
	struct vm_truth *t = &w->truth[i];

	t->alive = false;
	t->fd = false;
	t->queued = 0;
	memset(t->order, 0, sizeof(t->order));
	/* Its death is its own, but for what it has said is to be carried over, and while services end. */
	t->had = (t->had && t->connected && w->services != SERVE && v && v->state != VM_LEFT) ||
		 (t->had && t->connected && t->passed_on && w->d.updating && v && v->state != VM_LEFT) ||
		 (w->session[i].agent && v && (v->state == VM_PRESERVED || v->state == VM_SUSPENDED ||
					       (v->state == VM_ASKED && v->want == CONTINUO_WANT_SUSPEND)));
	tidy(w, i);
	if (t->connected)
		decide_gone(&w->d, client_of(w, i));
	t->connected = false;
}

/* --- the agent starts --- */

static void start(struct world *w)
{
	w->starts++;
	w->up = true;
	w->d = (struct decide){ .act = act, .room = ROOM };
	w->d.vm = w->vm;
	decide_init(&w->d);
	/* As agent.c: what the one before has left. */
	w->services = SERVE;
	for (int i = 0; i < VMS && w->starts > 1; i++)
		if (w->truth[i].alive && !w->list_lost)
			decide_away(&w->d, names[i], 0);
	if (w->list_lost)
		decide_away(&w->d, VM_UNKNOWN, 0);
	w->list_lost = false;
}

/* --- all that can happen next --- */

enum kind {
	VM_OBEYS, VM_FAILS, VM_LIES, VM_DIES, VM_LETS_GO, VM_NOTICES, GETS_BUSY, IS_FREE, VANISH, CMD_BEGINS, CMD_LEAVES,
	CMD_GOES, CMD_GOES_SILENT, CMD_DIES, CMD_ATTACHES, CMD_ABORTS, LOOK, TIME, SYNCED, SYNC_FAILS,
	SYNCED_LATE, SEAL_FAILS, KILL, END, START, LIST_LOST, KEEPER_DIES, OTHER_BUSY, OTHER_FREE,
	HELD, LET_GO, TRY_AGAIN, KINDS,
};

static const char *const kind_name[KINDS] = {
	"obeys", "fails", "lies", "dies", "lets-go", "notices", "gets-busy", "is-free", "vanish", "begin", "leave",
	"go", "go-silent", "cmd-dies", "attach", "abort", "look", "time", "synced", "sync-fails", "synced-late", "seal-fails", "kill", "end",
	"start", "list-lost", "keeper-dies", "other-busy", "other-free", "held", "let-go", "try-again",
};

/* It is to preserve, and can make a session, and put nothing into it. */
static bool can_make(struct world *w, int i)
{
	return w->truth[i].queued && w->truth[i].order[0].want == CONTINUO_WANT_PRESERVE && !decide_forbids(&w->d, names[i]);
}

/* Would a look at the sessions that is due find what the one before has not found? */
static bool finds(const struct world *w)
{
	/* That is the first one behind an answer. */
	if (w->d.look_us <= 1)
		return w->d.look_us;
	for (unsigned int i = 0; i < w->d.vms; i++) {
		int k = index_of(&w->vm[i]);
		bool busy = k >= 0 && w->session[k].busy;

		if (w->d.step == STEP_COUNT && (busy || w->other_busy))
			return false;
		if (w->d.step != STEP_COUNT && w->vm[i].state == VM_ASKED && w->vm[i].said && !busy)
			return true;
	}
	return w->d.step == STEP_COUNT;
}

/* Does the count wait for a VM? */
static bool is_busy(const struct world *w)
{
	for (unsigned int i = 0; i < w->d.vms; i++) {
		int k = index_of(&w->vm[i]);

		if (k >= 0 && w->session[k].busy && w->vm[i].state != VM_LEFT)
			return true;
	}
	return false;
}

/* Time passes. */
static void pass(struct world *w, uint64_t until_us)
{
	w->d.now_us = until_us;
	decide_time(&w->d);
	follow(w);
	if (w->up && decide_due(&w->d) && decide_due(&w->d) <= until_us)
		broken("something is due, and is not done");
}

/* False if it cannot happen. */
static bool happen(struct world *w, enum kind kind, int i)
{
	struct vm_truth *t = &w->truth[i];
	int cmd = 1 + i;
	uint64_t due;
	bool done;

#define TAKE(what)	(w->b.what ? (w->b.what--, true) : false)
	switch (kind) {
	case VM_OBEYS:
		/* Its request for a session is waited for: it has not answered yet. */
		if (!t->alive || !t->queued || (w->held && t->order[0].want == CONTINUO_WANT_PRESERVE))
			return false;
		obey(w, i, WELL);
		break;
	case VM_FAILS:
		if (!t->alive || !t->queued || !TAKE(vm_fails))
			return false;
		obey(w, i, FAILS);
		break;
	case VM_LIES:
		if (!t->alive || !t->queued || !TAKE(vm_lies))
			return false;
		obey(w, i, LIES);
		break;
	case VM_DIES:
		if (!t->alive || !TAKE(vm_dies))
			return false;
		die(w, i);
		break;
	case VM_LETS_GO:
		if (!t->alive || !t->connected || !w->session[i].agent || !TAKE(vm_lets_go))
			return false;
		let_go(w, i);
		t->is = RUNNING;
		break;
	case VM_NOTICES:
		if (!t->alive || t->connected)
			return false;
		done = t->is == RUNNING && !t->fd && !t->queued;
		notice(w, i);
		/* It is not all done before it has registered with another agent. */
		if (done && !t->connected)
			return false;
		break;
	case GETS_BUSY:
		if (!t->alive || !t->connected || w->session[i].busy || (!w->session[i].agent && !can_make(w, i)) ||
		    !TAKE(busy))
			return false;
		w->session[i].agent = true;
		w->session[i].busy = true;
		break;
	case IS_FREE:
		if (!w->session[i].busy)
			return false;
		w->session[i].busy = false;
		break;
	case VANISH:
		/* Whatever the reason: only the kernel's own word counts. */
		if (!w->session[i].files || !TAKE(vanish))
			return false;
		w->session[i].files = 0;
		break;
	case CMD_BEGINS:
		if (!w->up || w->command[i] != NEW || (i && !TAKE(second)))
			return false;
		/* It looks at what nobody has taken over, and does not find what is gone. */
		for (int k = 0; k < VMS && !w->d.updating; k++)
			w->truth[k].had &= !w->truth[k].passed_on || w->truth[k].alive || w->session[k].agent;
		decide_begin(&w->d, cmd);
		w->command[i] = w->replied_ok ? BEGUN : OVER;
		break;
	case CMD_LEAVES:
		if (!w->up || w->command[i] != BEGUN || !TAKE(leave))
			return false;
		decide_leave(&w->d, cmd, names[0]);
		break;
	case CMD_GOES:
	case CMD_GOES_SILENT:
		if (!w->up || w->command[i] != BEGUN || (kind == CMD_GOES_SILENT && !TAKE(leave_silent)))
			return false;
		w->silent_go = kind == CMD_GOES_SILENT && w->d.owner == cmd;
		w->command[i] = GONE;
		if (w->orderly)
			decide_services(&w->d, cmd, 2 * MS);
		decide_go(&w->d, cmd, MS, kind == CMD_GOES_SILENT);
		break;
	case CMD_DIES:
		if (!w->up || (w->command[i] != BEGUN && w->command[i] != GONE) || !TAKE(cmd_dies))
			return false;
		w->command[i] = OVER;
		decide_gone(&w->d, cmd);
		break;
	case CMD_ATTACHES:
		if (!w->up || !i || w->command[i] != NEW || !TAKE(second))
			return false;
		w->replied_ok = true;
		w->command[i] = GONE;
		decide_attach(&w->d, cmd);
		break;
	case CMD_ABORTS:
		if (!w->up || !i || w->command[i] != NEW || !TAKE(second))
			return false;
		w->command[i] = GONE;
		decide_abort(&w->d, cmd);
		break;
	case LOOK:
		if (!w->up || !finds(w))
			return false;
		pass(w, w->d.look_us);
		break;
	case TIME:
		due = w->up ? decide_due(&w->d) : 0;
		if (!due)
			return false;
		/* The loop came too late to look, or each look has found that a session is busy. */
		if (w->d.look_us)
			due = w->d.step == STEP_COUNT ? (is_busy(w) ? w->d.count_us : w->d.others_us) : w->d.phase.deadline_us;
		if (w->d.own_us)
			due = w->d.own_until_us;
		/* With no silence left, everybody answers before it is too late. */
		if (!w->b.silence && w->d.step != STEP_UNDO)
			return false;
		if (w->b.silence && w->d.step != STEP_UNDO)
			w->b.silence--;
		pass(w, due);
		break;
	case SYNCED:
		if (!w->up || !w->syncing[0])
			return false;
		w->synced = w->services != STOP;
		if (w->services == STOP)
			w->services = STOPPED;
		else if (w->to_stand_still)
			w->still = true;
		due = w->syncing[0];
		w->syncing[0] = 0;
		decide_helped(&w->d, due, NULL);
		break;
	case SYNC_FAILS:
		if (!w->up || !w->syncing[0] || !TAKE(sync_fails))
			return false;
		due = w->syncing[0];
		w->syncing[0] = 0;
		decide_helped(&w->d, due, "the disk is full");
		break;
	case SYNCED_LATE:
		if (!w->up || !w->syncing[1])
			return false;
		due = w->syncing[1];
		w->syncing[1] = 0;
		decide_helped(&w->d, due, NULL);
		break;
	case SEAL_FAILS:
		if (w->b.seal_fails != 1)
			return false;
		w->b.seal_fails = 2;
		break;
	case KILL:
		if (!w->up || !TAKE(kill))
			return false;
		go_down(w);
		break;
	case END:
		if (!w->up || w->d.ending || !TAKE(end))
			return false;
		decide_end(&w->d);
		break;
	case START:
		if (w->up)
			return false;
		start(w);
		break;
	case LIST_LOST:
		if (!w->up || !TAKE(list_lost))
			return false;
		w->list_lost = true;
		break;
	case KEEPER_DIES:
		/* As agent/agent.c: all goes on then. The decision hears of it when it is to jump. */
		if (!w->up || !w->still || !TAKE(keeper_dies))
			return false;
		w->still = false;
		break;
	case OTHER_BUSY:
		if (w->other_busy || !TAKE(other))
			return false;
		w->other_busy = true;
		break;
	case OTHER_FREE:
		if (!w->other_busy)
			return false;
		w->other_busy = false;
		break;
	case HELD:
		if (w->held || !TAKE(held))
			return false;
		w->held = true;
		break;
	case LET_GO:
		if (!w->held)
			return false;
		w->held = false;
		break;
	case TRY_AGAIN:
		/* Before, it would find nothing else. */
		if (!w->up || !w->d.own_us || w->held)
			return false;
		pass(w, w->d.own_us);
		break;
	default:
		return false;
	}
	if (w->up)
		follow(w);
	return true;
}

/* --- the walk: each state once, and how many orders lead on from it --- */

struct seen {
	uint64_t key[2];
	double orders;
};

static struct seen *seen;
static uint64_t room = 1 << 16, used;

static void hash(const struct world *w, uint64_t key[2])
{
	const uint64_t *at = (const uint64_t *)w;
	uint64_t a = 0x9e3779b97f4a7c15ull, b = 0xc2b2ae3d27d4eb4full;
	size_t vms = offsetof(struct world, vm) / 8, rest = offsetof(struct world, truth) / 8;

	for (size_t i = 0; i < sizeof(*w) / 8; i++) {
		/* Entries that are not in use are 0. */
		if (i >= vms + (w->d.vms * sizeof(struct vm) + 7) / 8 && i < rest)
			continue;
		a = (a ^ at[i]) * 0xff51afd7ed558ccdull;
		a ^= a >> 32;
		b = (b + at[i]) * 0xc4ceb9fe1a85ec53ull;
		b ^= b >> 29;
	}
	key[0] = a | 1;
	key[1] = b;
}

static struct seen *look_up(const uint64_t key[2])
{
	uint64_t i = key[0] % room;

	while (seen[i].key[0] && (seen[i].key[0] != key[0] || seen[i].key[1] != key[1]))
		i = (i + 1) % room;
	return &seen[i];
}

static void grow(void)
{
	struct seen *old = seen;
	uint64_t n = room;

	room *= 2;
	seen = calloc(room, sizeof(*seen));
	if (!seen)
		abort();
	for (uint64_t i = 0; i < n; i++)
		if (old[i].key[0])
			*look_up(old[i].key) = old[i];
	free(old);
}

static double walk(const struct world *from)
{
	size_t end = strlen(trail);
	double orders = 0;
	struct seen *s;
	uint64_t key[2];
	struct world w;

	hash(from, key);
	s = look_up(key);
	if (s->key[0])
		return s->orders;
	states++;
	for (int kind = 0; kind < KINDS; kind++) {
		int most = kind <= VANISH ? VMS : kind <= CMD_ABORTS ? COMMANDS : 1;

		for (int i = 0; i < most; i++) {
			w = *from;
			w.d.vm = w.vm;
			w.replied_ok = false;
			/* Time stands still, but for what is due. */
			w.d.now_us = 1;
			now = &w;
			snprintf(trail + end, sizeof(trail) - end, " %s%s", kind_name[kind],
				 most == 1 ? "" : kind <= VANISH ? (i ? ":b" : ":a") : (i ? ":2" : ":1"));
			if (happen(&w, kind, i)) {
				steps++;
				w.d.vm = NULL;
				orders += walk(&w);
			}
			trail[end] = 0;
		}
	}
	if (!orders) {
		orders = 1;
		ends++;
	}
	if (2 * ++used > room)
		grow();
	s = look_up(key);
	s->key[0] = key[0];
	s->key[1] = key[1];
	s->orders = orders;
	return orders;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const char *which = argv[argc - 1];
	bool found = false;

	for (unsigned int i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		struct world w;
		double orders, took;

		if (strcmp(which, "all") && strcmp(which, worlds[i].name))
			continue;
		found = true;
		seen = calloc(room, sizeof(*seen));
		states = steps = jumps = ends = used = 0;
		memset(&w, 0, sizeof(w));
		w.kept = worlds[i].kept;
		w.orderly = worlds[i].orderly;
		w.b = worlds[i].budget;
		now = &w;
		start(&w);
		for (int v = 0; v < VMS; v++) {
			w.truth[v] = (struct vm_truth){ .alive = true, .had = true, .passed_on = worlds[i].passed_on && !v };
			notice(&w, v);
		}
		w.d.vm = NULL;
		took = seconds();
		orders = walk(&w);
		took = seconds() - took;
		printf("%-9s %.4g orders, in %llu states and %llu steps; %llu jumps, %llu ends; each second %.2g orders and %.0f states\n",
		       worlds[i].name, orders, states, steps, jumps, ends, orders / took, states / took);
		free(seen);
		seen = NULL;
	}
	if (!found) {
		fputs("usage: model WORLD|all\n", stderr);
		return 2;
	}
	return 0;
}
