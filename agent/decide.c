// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "decide.h"

const char *const vm_state_name[] = {
	[VM_IDLE] = "idle", [VM_ASKED] = "asked", [VM_PRESERVED] = "preserved",
	[VM_SUSPENDED] = "suspended", [VM_FAILED] = "failed", [VM_SILENT] = "silent",
	[VM_LEFT] = "left", [VM_AWAY] = "away",
};

const char *const step_name[] = {
	[STEP_NONE] = "none", [STEP_SYNC] = "sync", [STEP_SERVICES] = "services", [STEP_PRESERVE] = "preserve",
	[STEP_SUSPEND] = "suspend", [STEP_FLUSH] = "flush", [STEP_COUNT] = "count",
	[STEP_SEAL] = "seal", [STEP_JUMP] = "jump", [STEP_UNDO] = "undo",
};

static const struct {
	const char *word;
	const char *begin, *end;	/* in the record */
	enum vm_state done;
} orders[] = {
	[CONTINUO_WANT_PRESERVE] = { "preserve", "preserve", "preserved", VM_PRESERVED },
	[CONTINUO_WANT_SUSPEND] = { "suspend", "suspend", "suspended", VM_SUSPENDED },
	[CONTINUO_WANT_UNDO] = { "undo", "undo", "undone", VM_IDLE },
};

/*
 * When a step begins and is over, well or not, in the record. The second sync has names of its
 * own. The orders above have those of their steps.
 */
static const struct times {
	const char *begin, *end;
} times[] = {
	[STEP_SYNC] = { "sync", "synced" },
	[STEP_SERVICES] = { "services", "services_ended" },
	[STEP_FLUSH] = { "flush", "flushed" },
	[STEP_COUNT] = { "count", "counted" },
	[STEP_SEAL] = { "seal", "sealed" },
}, times_again = { "sync_again", "synced_again" };

/* --- actions --- */

static bool act(struct decide *d, const struct action *a)
{
	return d->act(d->arg, a);
}

static void simply(struct decide *d, enum action_kind kind)
{
	act(d, &(struct action){ .kind = kind });
}

/* NULL: the agent's own session. */
static void release(struct decide *d, struct vm *v)
{
	act(d, &(struct action){ .kind = ACT_RELEASE, .vm = v });
}

static void at(struct decide *d, const char *what)
{
	if (d->recording)
		act(d, &(struct action){ .kind = ACT_AT, .text = what });
}

static const struct times *times_of(const struct decide *d)
{
	return d->step == STEP_SYNC && d->ended ? &times_again : &times[d->step];
}

static void step_begins(struct decide *d)
{
	at(d, times_of(d)->begin);
}

static void step_is_over(struct decide *d)
{
	at(d, times_of(d)->end);
}

static void vm_at(struct decide *d, struct vm *v, const char *what)
{
	if (d->recording)
		act(d, &(struct action){ .kind = ACT_VM_AT, .vm = v, .text = what });
}

static void outcome(struct decide *d, const char *word, const char *why)
{
	if (d->recording)
		act(d, &(struct action){ .kind = ACT_OUTCOME, .text = word, .why = why });
}

static void __attribute__((format(printf, 4, 5)))
reply(struct decide *d, int client, int err, const char *fmt, ...)
{
	char text[MOST_WHY];
	va_list args;

	if (client < 0)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	act(d, &(struct action){ .kind = ACT_REPLY, .client = client, .err = err, .text = text });
}

static void fine(struct decide *d, int client)
{
	reply(d, client, 0, "%s", "");
}

static bool tell(struct decide *d, int client, struct vm *v)
{
	return act(d, &(struct action){ .kind = ACT_TELL, .client = client, .vm = v });
}

/* --- VMs --- */

struct vm *decide_find(struct decide *d, const char *name)
{
	for (unsigned int i = 0; i < d->vms; i++)
		if (!strcmp(d->vm[i].name, name))
			return &d->vm[i];
	return NULL;
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	/* All of it is written: the model compares states byte by byte. */
	memmove(to, from, n);
	memset(to + n, 0, size - n);
}

static void enter(struct decide *d, struct vm *v, enum vm_state state, const char *why)
{
	v->state = state;
	copy(v->why, sizeof(v->why), why);
	if (d->recording)
		act(d, &(struct action){ .kind = ACT_STATE, .vm = v });
}

static void forget(struct decide *d, struct vm *v)
{
	*v = d->vm[--d->vms];
	memset(&d->vm[d->vms], 0, sizeof(*v));
	simply(d, ACT_LIST_LATER);
}

static struct vm *add(struct decide *d, const char *name, uid_t uid, int client)
{
	struct vm *v = &d->vm[d->vms++];

	memset(v, 0, sizeof(*v));
	copy(v->name, sizeof(v->name), name);
	v->uid = uid;
	v->client = client;
	return v;
}

/* One that is neither ready to go over nor left behind; or NULL. */
static struct vm *unready(struct decide *d, enum vm_state ready)
{
	for (unsigned int i = 0; i < d->vms; i++)
		if (d->vm[i].state != ready && d->vm[i].state != VM_SUSPENDED &&
		    d->vm[i].state != VM_LEFT)
			return &d->vm[i];
	return NULL;
}

static struct vm *in_state(struct decide *d, enum vm_state state)
{
	for (unsigned int i = 0; i < d->vms; i++)
		if (d->vm[i].state == state)
			return &d->vm[i];
	return NULL;
}

/* --- phases: all VMs, or one, are asked something --- */

static void next_step(struct decide *d, enum step step);
static void give_up(struct decide *d, int err, const char *why);
static void end_update(struct decide *d, bool all);

/* The entries of VMs that are gone, and have nothing any more. */
static void clean(struct decide *d)
{
	/* From the last one, since the end of the array moves. */
	for (unsigned int i = d->vms; i-- > 0;)
		if (d->vm[i].client < 0 && d->vm[i].state == VM_IDLE)
			forget(d, &d->vm[i]);
}

static void leave(struct decide *d, struct vm *v)
{
	v->files = 0;
	enter(d, v, VM_LEFT, v->why);
	release(d, v);
}

static bool is_unknown_silent(struct decide *d)
{
	const struct vm *v = decide_find(d, VM_UNKNOWN);

	return v && v->now && v->bad == SAID_NOTHING;
}

/* A phase of an update has ended: what comes next? */
static void go_on(struct decide *d, bool failed, bool silent, const char *why)
{
	if (d->step == STEP_UNDO) {
		end_update(d, !failed && !silent);
		return;
	}
	if (failed || (silent && (!d->leave_silent || is_unknown_silent(d)))) {
		char text[MOST_WHY];

		snprintf(text, sizeof(text), "%s%s", why, failed || is_unknown_silent(d) ? "" :
			 "; see to it, or go on without it (--leave, --leave-silent)");
		give_up(d, failed ? ECANCELED : ETIMEDOUT, text);
		return;
	}
	for (unsigned int i = 0; silent && i < d->vms; i++)
		if (d->vm[i].now && d->vm[i].bad == SAID_NOTHING)
			leave(d, &d->vm[i]);
	next_step(d, d->step == STEP_PRESERVE ? STEP_SUSPEND : STEP_FLUSH);
}

static void end_phase(struct decide *d)
{
	const char *word = orders[d->phase.want].word;
	const struct vm *failed = NULL, *silent = NULL;
	int asker = d->phase.asker;
	char why[400] = "";

	d->phase.on = false;
	d->phase.asker = -1;
	d->look_us = 0;
	for (unsigned int i = 0; i < d->vms; i++) {
		if (d->vm[i].now && d->vm[i].bad == SAID_NO)
			failed = &d->vm[i];
		if (d->vm[i].now && d->vm[i].bad == SAID_NOTHING)
			silent = &d->vm[i];
	}
	if (failed)
		snprintf(why, sizeof(why), "VM %s could not %s: %s", failed->name, word, failed->why);
	else if (silent)
		snprintf(why, sizeof(why), "VM %s has not answered to %s in time%s", silent->name, word,
			 silent->away ? ": it has not registered again since the agent was started again" : "");
	at(d, orders[d->phase.want].end);
	if (d->step != STEP_NONE) {
		go_on(d, failed, silent, why);
		return;
	}
	/* Asked by hand. */
	if (failed || silent)
		reply(d, asker, failed ? ECANCELED : ETIMEDOUT, "%s", why);
	else
		fine(d, asker);
	/* Without an owner they are suspended by hand, and nobody says for how long. */
	if (d->phase.want == CONTINUO_WANT_SUSPEND && d->owner >= 0)
		d->patience_us = d->now_us + d->phase.timeout_ms * 1000ull;
	if (d->phase.want != CONTINUO_WANT_UNDO) {
		if (failed || silent)
			outcome(d, "stuck", why);
		return;
	}
	if (d->phase.all) {
		outcome(d, failed || silent ? "partly" : "undone", failed || silent ? why : NULL);
		d->recording = false;
	}
	clean(d);
}

static void check_phase(struct decide *d)
{
	if (!d->phase.on)
		return;
	for (unsigned int i = 0; i < d->vms; i++)
		if (d->vm[i].now && d->vm[i].state == VM_ASKED)
			return;
	end_phase(d);
}

/* A VM of the phase has come to its end. */
static void settle(struct decide *d, struct vm *v, enum vm_state state, const char *why, int bad)
{
	v->bad = bad;
	v->took_us = d->now_us - v->asked_us;
	enter(d, v, state, why);
	if (d->step == STEP_NONE && d->phase.asker >= 0 && !tell(d, d->phase.asker, v))
		d->phase.asker = -1;
	if (d->step != STEP_NONE && d->watcher >= 0 && !tell(d, d->watcher, v))
		d->watcher = -1;
}

static bool send_order(struct decide *d, struct vm *v, uint32_t ms)
{
	return act(d, &(struct action){ .kind = ACT_ORDER, .vm = v, .client = v->client,
					.want = v->want, .number = v->number, .ms = ms,
					.text = orders[v->want].word });
}

/* Undo, as far as it is in the agent's hands. */
static void undone(struct decide *d, struct vm *v, const char *why)
{
	release(d, v);
	v->files = 0;
	enter(d, v, v->away ? VM_AWAY : VM_IDLE, why);
}

static void order(struct decide *d, struct vm *v, enum continuo_want want, uint32_t timeout_ms)
{
	bool heard = v->state != VM_SILENT && v->state != VM_LEFT;

	v->bad = DID;
	v->said = false;
	v->want = want;
	v->number = ++d->numbers ?: ++d->numbers;
	v->asked_us = d->now_us;
	enter(d, v, VM_ASKED, "");
	vm_at(d, v, orders[want].begin);
	/* What is counted as preserved was put there after this order. */
	if (want == CONTINUO_WANT_PRESERVE) {
		release(d, v);
		v->files = 0;
	}
	if (v->away) {
		/* It has until the deadline to register again. Nothing of it is to be undone. */
		if (want == CONTINUO_WANT_UNDO)
			undone(d, v, "");
		return;
	}
	if (v->client < 0)
		/* What it had preserved is in the agent's hands alone. */
		settle(d, v, VM_FAILED, "its process has ended",
		       want == CONTINUO_WANT_UNDO ? DID : SAID_NO);
	else if (!send_order(d, v, timeout_ms))
		settle(d, v, VM_FAILED, "it does not read what it is asked", SAID_NO);
	else if (want == CONTINUO_WANT_UNDO && !heard)
		/* It finds the order when it comes to life; nobody waits for that again. */
		settle(d, v, VM_SILENT, "", SAID_NOTHING);
	if (want == CONTINUO_WANT_UNDO && v->state != VM_ASKED)
		undone(d, v, v->why);
}

/* Is a VM to be asked that? */
static bool concerns(const struct vm *v, enum continuo_want want)
{
	switch (want) {
	case CONTINUO_WANT_PRESERVE:
		return v->state == VM_IDLE || v->state == VM_FAILED || v->state == VM_SILENT ||
		       v->state == VM_AWAY;
	case CONTINUO_WANT_SUSPEND:
		return v->state == VM_PRESERVED;
	default:
		return v->state != VM_IDLE && v->state != VM_AWAY;
	}
}

static void begin_phase(struct decide *d, int asker, enum continuo_want want, const char *name,
			uint32_t timeout_ms)
{
	d->phase.on = true;
	d->phase.all = !*name;
	d->phase.asker = asker;
	d->phase.want = want;
	d->phase.timeout_ms = timeout_ms;
	d->phase.deadline_us = d->now_us + timeout_ms * 1000ull;
	d->patience_us = 0;
	at(d, orders[want].begin);
	for (unsigned int i = 0; i < d->vms; i++) {
		struct vm *v = &d->vm[i];

		v->bad = DID;
		v->now = (d->phase.all || !strcmp(v->name, name)) && concerns(v, want);
		if (v->now)
			order(d, v, want, timeout_ms);
	}
	check_phase(d);
}

/* --- an update, step by step --- */

/* What it keeps up after that it does for @ms. */
static void begin_helper(struct decide *d, enum action_kind kind, uint32_t timeout_ms, uint32_t ms)
{
	d->helper_number = ++d->numbers ?: ++d->numbers;
	d->helper_us = d->now_us + timeout_ms * 1000ull;
	copy(d->helper_at, sizeof(d->helper_at), "");
	step_begins(d);
	act(d, &(struct action){ .kind = kind, .number = d->helper_number, .ms = ms });
}

/* The last look before the jump, and before all that is in between. */
static bool all_are_ready(struct decide *d)
{
	const struct vm *v = unready(d, VM_SUSPENDED);
	char why[MOST_WHY];

	if (!v)
		return true;
	snprintf(why, sizeof(why), "VM %s: it is %s; it has to be suspended first, or to be left",
		 v->name, vm_state_name[v->state]);
	give_up(d, EBUSY, why);
	return false;
}

static void next_step(struct decide *d, enum step step)
{
	const struct vm *v;
	char why[MOST_WHY];

	d->step = step;
	if (d->watcher >= 0)
		act(d, &(struct action){ .kind = ACT_STEP, .client = d->watcher,
					 .text = step_name[step] });
	switch (step) {
	case STEP_SYNC:
		if (d->own) {
			begin_helper(d, ACT_SYNC, d->timeout_ms, 0);
			break;
		}
		d->own_until_us = d->now_us + d->timeout_ms * 1000ull;
		simply(d, ACT_OWN);
		break;
	case STEP_SERVICES:
		v = in_state(d, VM_AWAY);
		if (v) {
			snprintf(why, sizeof(why), "VM %s: it has not registered again since the agent was started again, and "
				 "services that end could end it; wait until it has, or leave it", v->name);
			give_up(d, EAGAIN, why);
			break;
		}
		d->ended = true;
		begin_helper(d, ACT_SERVICES, d->services_ms, 0);
		break;
	case STEP_PRESERVE:
		begin_phase(d, -1, CONTINUO_WANT_PRESERVE, "", d->timeout_ms);
		break;
	case STEP_SUSPEND:
		v = unready(d, VM_PRESERVED);
		if (!v) {
			begin_phase(d, -1, CONTINUO_WANT_SUSPEND, "", d->timeout_ms);
			break;
		}
		snprintf(why, sizeof(why), "VM %s: it is %s; it has to preserve first, or to be left",
			 v->name, vm_state_name[v->state]);
		give_up(d, EBUSY, why);
		break;
	case STEP_FLUSH:
		if (!all_are_ready(d))
			break;
		d->still = d->services_ms;
		begin_helper(d, ACT_SYNC, d->timeout_ms, d->still ? d->timeout_ms : 0);
		break;
	case STEP_COUNT:
		if (!all_are_ready(d))
			break;
		step_begins(d);
		d->count_us = d->now_us + COUNT_MS * 1000ull;
		d->others_us = d->now_us + d->timeout_ms * 1000ull;
		simply(d, ACT_COUNT);
		break;
	case STEP_SEAL:
		if (!all_are_ready(d))
			break;
		d->sealed = true;
		step_begins(d);
		simply(d, ACT_SEAL);
		break;
	case STEP_JUMP:
		if (all_are_ready(d))
			simply(d, ACT_JUMP);
		break;
	default:
		break;
	}
}

/* Nobody waits any more for what takes long, and file systems go on. */
static void leave_helper(struct decide *d)
{
	if (!d->helper_us && !d->still)
		return;
	if (d->helper_us)
		step_is_over(d);
	d->helper_us = 0;
	d->still = false;
	simply(d, ACT_HELPER_LEFT);
}

static void services_back(struct decide *d)
{
	if (d->ended)
		simply(d, ACT_SERVICES_BACK);
	d->ended = false;
}

/* Each VM goes on as before. */
static void give_up(struct decide *d, int err, const char *why)
{
	bool hurry = d->owner < 0 || d->ending || d->aborter >= 0 || !d->timeout_ms;
	uint32_t ms = hurry ? UNDO_MS : d->timeout_ms;

	if (d->step == STEP_UNDO)
		return;
	/* Before the VMs go on, who write to them. */
	leave_helper(d);
	services_back(d);
	d->err = err;
	copy(d->why, sizeof(d->why), why);
	outcome(d, "stuck", d->why);
	if (d->own)
		release(d, NULL);
	d->own = false;
	d->own_us = 0;
	d->sealed = false;
	/* The sessions were still being looked at. */
	if (d->count_us)
		step_is_over(d);
	d->count_us = 0;
	d->others_us = 0;
	if (d->phase.on) {
		at(d, orders[d->phase.want].end);
		reply(d, d->phase.asker, ECANCELED, "%s", d->why);
	}
	d->phase.on = false;
	d->look_us = 0;
	d->step = STEP_UNDO;
	if (d->watcher >= 0)
		act(d, &(struct action){ .kind = ACT_STEP, .client = d->watcher,
					 .text = step_name[STEP_UNDO] });
	begin_phase(d, -1, CONTINUO_WANT_UNDO, "", ms);
}

/* All is undone; @all: by all VMs. */
static void end_update(struct decide *d, bool all)
{
	int watcher = d->watcher, aborter = d->aborter;

	outcome(d, all ? "undone" : "partly", NULL);
	if (watcher >= 0)
		act(d, &(struct action){ .kind = ACT_STEP, .client = watcher,
					 .text = all ? "undone" : "partly" });
	d->step = STEP_NONE;
	d->updating = false;
	d->recording = false;
	d->owner = -1;
	d->watcher = -1;
	d->aborter = -1;
	d->timeout_ms = 0;
	d->services_ms = 0;
	clean(d);
	reply(d, watcher, d->err, "%s%s", d->why,
	      all ? "" : "; not all VMs have said that they have undone it");
	if (all)
		fine(d, aborter);
	else
		reply(d, aborter, ETIMEDOUT, "not all VMs have said that they have undone it");
	if (d->ending)
		simply(d, ACT_EXIT);
}

/* --- what VMs do --- */

/* One that was registered with an earlier agent is back. */
static void come_back(struct decide *d, struct vm *v, int client)
{
	uint64_t rest = d->phase.deadline_us > d->now_us ? d->phase.deadline_us - d->now_us : 0;

	v->client = client;
	v->away = false;
	fine(d, client);
	simply(d, ACT_LIST);
	if (v->state == VM_AWAY) {
		enter(d, v, VM_IDLE, "");
	} else if (v->state == VM_ASKED && !send_order(d, v, rest / 1000 + 1)) {
		settle(d, v, VM_FAILED, "it does not read what it is asked", SAID_NO);
		check_phase(d);
	}
}

void decide_register(struct decide *d, int client, uid_t uid, const char *name)
{
	struct vm *v = decide_find(d, name);
	unsigned int own = 0;

	for (unsigned int i = 0; i < d->vms; i++) {
		if (d->vm[i].client == client) {
			reply(d, client, EEXIST, "this connection has registered %s; one has one VM",
			      d->vm[i].name);
			return;
		}
	}
	if (!strcmp(name, VM_UNKNOWN)) {
		reply(d, client, EINVAL, "VM %s: that name stands for others", name);
		return;
	}
	if (v && v->away) {
		come_back(d, v, client);
		return;
	}
	if (d->updating || d->ending) {
		reply(d, client, EBUSY, "VM %s: the host is being updated; register it after that", name);
		return;
	}
	if (v && (v->client >= 0 || v->state != VM_IDLE)) {
		reply(d, client, v->client >= 0 ? EEXIST : EBUSY, "VM %s: %s", name,
		      v->client >= 0 ? "somebody has registered it" :
				       "it died in an update; that has to be undone first");
		return;
	}
	if (!v && d->vms >= d->room - (uid ? ROOT_VMS : 0)) {
		reply(d, client, ENOSPC, "the agent has %u VMs, and no room for more", d->vms);
		return;
	}
	for (unsigned int i = 0; i < d->vms; i++)
		own += d->vm[i].uid == uid;
	if (!v && uid && (own >= MOST_VMS_PER_USER || own >= (d->room - ROOT_VMS - d->vms) / 2)) {
		reply(d, client, EDQUOT, "VM %s: the user has %u VMs, and may have no more", name, own);
		return;
	}
	if (v) {
		v->client = client;
		v->kept = false;
	} else {
		add(d, name, uid, client);
	}
	simply(d, ACT_LIST);
	fine(d, client);
}

/* Sessions are looked at once more, and for the last time at @until_us. */
static void look_again(struct decide *d, uint64_t until_us)
{
	uint64_t at_us = d->now_us + LOOK_AGAIN_US;

	d->look_us = at_us < until_us ? at_us : until_us;
}

/* It has answered; @files are those that its session holds, if it was to preserve. */
void decide_keeps(struct decide *d, int client)
{
	for (unsigned int i = 0; i < d->vms; i++)
		if (d->vm[i].client == client)
			d->vm[i].kept = true;
}

static void answered(struct decide *d, struct vm *v, const char *why, unsigned int files)
{
	if (!why)
		vm_at(d, v, orders[v->want].end);
	if (v->want != CONTINUO_WANT_SUSPEND)
		v->files = why ? 0 : files;
	if (v->want == CONTINUO_WANT_UNDO)
		settle(d, v, VM_IDLE, why ?: "", why ? SAID_NO : DID);
	else
		settle(d, v, why ? VM_FAILED : orders[v->want].done, why ?: "", why ? SAID_NO : DID);
}

void decide_answer(struct decide *d, int client, uint32_t number, const char *why)
{
	struct vm *v = NULL;

	for (unsigned int i = 0; i < d->vms; i++)
		if (d->vm[i].client == client && d->vm[i].number == number)
			v = &d->vm[i];
	/* An answer to something that nobody asks any more. */
	if (!v)
		return;
	if (v->want == CONTINUO_WANT_UNDO)
		release(d, v);
	if (v->state != VM_ASKED)
		return;
	if (why || v->want != CONTINUO_WANT_PRESERVE) {
		answered(d, v, why, 0);
		check_phase(d);
		return;
	}
	/* One look serves all who say so until then. To say it twice brings no further look. */
	if (!v->said)
		d->look_us = d->now_us;
	v->said = true;
}

void decide_released(struct decide *d, const char *name)
{
	struct vm *v = decide_find(d, name);

	if (!v || !v->files)
		return;
	v->files = 0;
	if (v->state != VM_PRESERVED && v->state != VM_SUSPENDED &&
	    !(v->state == VM_ASKED && v->want == CONTINUO_WANT_SUSPEND))
		return;
	if (!d->updating && v->state == VM_PRESERVED) {
		enter(d, v, VM_IDLE, "");
		return;
	}
	v->now = true;
	settle(d, v, VM_FAILED, "its session was released", SAID_NO);
	if (d->phase.on)
		check_phase(d);
	else if (d->step != STEP_NONE)
		give_up(d, ECANCELED, "the session of a VM was released when all were suspended");
}

/* --- what operators do --- */

bool decide_may(struct decide *d, int client)
{
	if (d->owner >= 0 && d->owner != client)
		reply(d, client, EBUSY, "somebody else is updating the host; 'continuo attach' takes that over, 'continuo abort' ends it");
	else if (d->updating && d->owner < 0)
		reply(d, client, EBUSY, "the host is being updated, by somebody who is gone; 'continuo attach' takes that over, 'continuo abort' ends it");
	else if (d->phase.on || d->step != STEP_NONE)
		reply(d, client, EBUSY, "the VMs are being asked something; try again later");
	else if (d->ending)
		reply(d, client, EBUSY, "the agent is about to end");
	else
		return true;
	return false;
}

static void no_such(struct decide *d, int client, const char *name)
{
	reply(d, client, ENOENT, "VM %s: it is not registered", name);
}

void decide_begin(struct decide *d, int client)
{
	if (!decide_may(d, client))
		return;
	d->owner = client;
	d->updating = true;
	d->recording = true;
	simply(d, ACT_RECORD);
	for (unsigned int i = 0; i < d->vms; i++)
		act(d, &(struct action){ .kind = ACT_STATE, .vm = &d->vm[i] });
	fine(d, client);
}

void decide_ask(struct decide *d, int client, enum continuo_want want, const char *name,
		uint32_t timeout_ms)
{
	if (!decide_may(d, client))
		return;
	if (*name && !decide_find(d, name)) {
		no_such(d, client, name);
		return;
	}
	for (unsigned int i = 0; want == CONTINUO_WANT_SUSPEND && i < d->vms; i++) {
		const struct vm *v = &d->vm[i];

		if ((*name && strcmp(v->name, name)) || v->state == VM_PRESERVED ||
		    v->state == VM_SUSPENDED || v->state == VM_LEFT)
			continue;
		reply(d, client, EBUSY, "VM %s: it is %s; it has to preserve first, or to be left",
		      v->name, vm_state_name[v->state]);
		return;
	}
	begin_phase(d, client, want, name, timeout_ms);
}

void decide_leave(struct decide *d, int client, const char *name)
{
	struct vm *v = decide_find(d, name);

	if (!decide_may(d, client))
		return;
	if (!v) {
		no_such(d, client, name);
		return;
	}
	/* By whoever updates the host: who else would say that it goes on with the VM? */
	if (d->owner != client) {
		reply(d, client, EINVAL, "this connection updates nothing; begin with update");
		return;
	}
	leave(d, v);
	fine(d, client);
}

void decide_vms(struct decide *d, int client)
{
	for (unsigned int i = 0; i < d->vms; i++)
		if (!tell(d, client, &d->vm[i]))
			return;
	fine(d, client);
}

void decide_services(struct decide *d, int client, uint32_t timeout_ms)
{
	if (!decide_may(d, client))
		return;
	if (d->owner != client) {
		reply(d, client, EINVAL, "this connection updates nothing; begin with update");
		return;
	}
	d->services_ms = timeout_ms;
	fine(d, client);
}

void decide_go(struct decide *d, int client, uint32_t timeout_ms, bool leave_silent)
{
	if (!decide_may(d, client))
		return;
	if (d->owner != client) {
		reply(d, client, EINVAL, "this connection updates nothing; begin with update");
		return;
	}
	d->watcher = client;
	d->timeout_ms = timeout_ms;
	d->leave_silent = leave_silent;
	d->patience_us = 0;
	next_step(d, STEP_SYNC);
}

void decide_attach(struct decide *d, int client)
{
	if (d->step == STEP_NONE || !d->updating) {
		reply(d, client, d->updating ? EAGAIN : ENOENT, "%s",
		      d->updating ? "an update has been prepared, and has not begun; 'continuo abort' ends it" :
				    "no update is running");
		return;
	}
	if (d->watcher >= 0 && d->watcher != client)
		reply(d, d->watcher, ESTALE, "another operator has taken the update over; it goes on");
	if (d->step != STEP_UNDO || d->owner >= 0)
		d->owner = client;
	d->watcher = client;
	act(d, &(struct action){ .kind = ACT_STEP, .client = client, .text = step_name[d->step] });
	for (unsigned int i = 0; i < d->vms; i++)
		if (!tell(d, client, &d->vm[i]))
			return;
}

void decide_abort(struct decide *d, int client)
{
	if (!d->updating && !d->phase.on) {
		reply(d, client, ENOENT, "no update is running");
		return;
	}
	if (d->aborter >= 0) {
		reply(d, client, EBUSY, "somebody else has aborted the update; the VMs are about to undo");
		return;
	}
	d->aborter = client;
	give_up(d, ECANCELED, "the update was aborted");
}

void decide_running(struct decide *d, int client)
{
	if (d->updating)
		reply(d, client, EBUSY, "an update is running; wait until it is over, or 'continuo abort' ends it");
	else
		fine(d, client);
}

/* --- what happens --- */

/* Nobody has asked it yet; an update that it was lost to must not come to its jump. */
static void lost_to_update(struct decide *d, const struct vm *v)
{
	char why[MOST_WHY];

	snprintf(why, sizeof(why), "VM %s: %s", v->name, d->ended ?
		 "it has ended while services ended; if that is why, name its unit in /etc/continuo/keep" :
		 "the process that kept it for this update has ended; begin again");
	give_up(d, ECANCELED, why);
}

void decide_gone(struct decide *d, int client)
{
	for (unsigned int i = 0; i < d->vms; i++) {
		struct vm *v = &d->vm[i];

		if (v->client != client)
			continue;
		v->client = -1;
		if (v->state == VM_ASKED) {
			bool undo = v->want == CONTINUO_WANT_UNDO;

			settle(d, v, undo ? VM_IDLE : VM_FAILED, "its process has ended",
			       undo ? DID : SAID_NO);
			if (undo)
				release(d, v);
			check_phase(d);
		} else if (v->state == VM_IDLE) {
			/* It can have died between an order that came too late and its undo. */
			if (v->want == CONTINUO_WANT_UNDO)
				release(d, v);
			if (d->updating && (d->ended || v->kept) && d->step != STEP_UNDO)
				lost_to_update(d, v);
			else
				forget(d, v);
		}
		break;
	}
	if (d->phase.asker == client)
		d->phase.asker = -1;
	if (d->watcher == client)
		d->watcher = -1;
	if (d->aborter == client)
		d->aborter = -1;
	if (d->owner != client)
		return;
	d->owner = -1;
	/* An update that has begun does without whoever has begun it. */
	if (d->step == STEP_NONE)
		give_up(d, ECANCELED, "whoever updated the host is gone");
}

/* Who has not answered by the deadline of the phase is silent. */
static void check_deadline(struct decide *d)
{
	if (!d->phase.on || d->now_us < d->phase.deadline_us)
		return;
	for (unsigned int i = 0; i < d->vms; i++) {
		struct vm *v = &d->vm[i];
		bool undo = d->phase.want == CONTINUO_WANT_UNDO;

		if (!v->now || v->state != VM_ASKED)
			continue;
		settle(d, v, undo ? VM_IDLE : VM_SILENT,
		       v->away ? "it has not registered again since the agent was started again" :
				 "it has not answered in time", SAID_NOTHING);
		if (undo)
			release(d, v);
	}
	end_phase(d);
}

void decide_time(struct decide *d)
{
	char why[MOST_WHY];

	/* All were suspended by hand, and nothing more is asked. */
	if (!d->phase.on && d->patience_us && d->now_us >= d->patience_us) {
		d->patience_us = 0;
		if (d->owner >= 0)
			act(d, &(struct action){ .kind = ACT_DISCONNECT, .client = d->owner });
	}
	if (d->helper_us && d->now_us >= d->helper_us) {
		char at[MOST_WHY - 60] = "";

		if (*d->helper_at && d->helper_can_leave && strlen(d->helper_at) <= MOST_AT_TWICE)
			snprintf(at, sizeof(at), ": %.*s hangs; see to it, or go on without it (--leave '%.*s')",
				 MOST_AT_TWICE, d->helper_at, MOST_AT_TWICE, d->helper_at);
		else if (*d->helper_at && d->helper_can_leave)
			snprintf(at, sizeof(at), ": %s hangs; see to it, or go on without it (--leave)",
				 d->helper_at);
		else if (*d->helper_at)
			snprintf(at, sizeof(at), ": still at %s; see to it, or wait longer (%s)", d->helper_at,
				 d->step == STEP_SERVICES ? "--services-timeout" : "--timeout");
		if (d->step == STEP_SERVICES)
			snprintf(why, sizeof(why), "services have not ended within %u s%s", d->services_ms / 1000, at);
		else
			snprintf(why, sizeof(why), "files are not written back within %u s%s", d->timeout_ms / 1000, at);
		give_up(d, ETIMEDOUT, why);
	}
	if (d->own_us && d->now_us >= d->own_us) {
		d->own_us = 0;
		simply(d, ACT_OWN);
		return;
	}
	/* Who has answered is judged before those who have not: decide_counted() sees to the deadline then. */
	if (d->look_us && d->now_us >= d->look_us) {
		d->look_us = 0;
		simply(d, ACT_COUNT);
		return;
	}
	check_deadline(d);
}

void decide_helping(struct decide *d, uint32_t number, const char *where, bool can_leave)
{
	if (d->helper_us && number == d->helper_number) {
		char at[sizeof(d->helper_at)];

		/* A name that is cut looks so. */
		snprintf(at, sizeof(at), "%.*s%s", MOST_AT, where, strlen(where) > MOST_AT ? "..." : "");
		copy(d->helper_at, sizeof(d->helper_at), at);
		d->helper_can_leave = can_leave;
	}
}

void decide_helped(struct decide *d, uint32_t number, const char *why)
{
	char text[MOST_WHY];

	/* Nobody waits for an earlier one any more. */
	if (!d->helper_us || number != d->helper_number)
		return;
	step_is_over(d);
	d->helper_us = 0;
	if (why) {
		snprintf(text, sizeof(text), "%s: %.370s; see to it, or go on without it (--leave)",
			 d->step == STEP_SERVICES ? "services do not end" : "files are not written back", why);
		give_up(d, EIO, text);
		return;
	}
	switch (d->step) {
	case STEP_SYNC:
		/* What hangs has been found before a service has ended. */
		next_step(d, d->services_ms && !d->ended ? STEP_SERVICES : STEP_PRESERVE);
		break;
	case STEP_SERVICES:
		next_step(d, STEP_SYNC);
		break;
	default:
		next_step(d, STEP_COUNT);
		break;
	}
}

/* Those who say that they have preserved: their sessions show it, or not. */
static void judge(struct decide *d, const int *files, const char *blind)
{
	for (unsigned int i = 0; i < d->vms; i++) {
		struct vm *v = &d->vm[i];
		const char *why = blind;

		if (v->state != VM_ASKED || !v->said)
			continue;
		if (!why && files[i] == BUSY && d->now_us < d->phase.deadline_us) {
			look_again(d, d->phase.deadline_us);
			continue;
		}
		if (!why && files[i] <= 0)
			why = files[i] == BUSY ? "it says that it has preserved, and a call is still under way in its session" :
						 "it says that it has preserved, and its session holds nothing";
		answered(d, v, why, why ? 0 : files[i]);
	}
	check_phase(d);
	check_deadline(d);
}

/* The jump would wait for the call in it, with all VMs suspended, and nobody could give it up. */
static void wait_for_other(struct decide *d, const char *name)
{
	char why[MOST_WHY];

	if (d->now_us < d->others_us) {
		look_again(d, d->others_us);
		return;
	}
	snprintf(why, sizeof(why), "session %s: a call is still under way in it after %u s, and the jump would wait for that; end its process",
		 name, d->timeout_ms / 1000);
	give_up(d, ETIMEDOUT, why);
}

/* The last look at the sessions: they hold what they held when the VMs had preserved. */
static void compare(struct decide *d, const int *files, const char *other, const char *blind)
{
	const struct vm *busy = NULL;
	char why[MOST_WHY];

	for (unsigned int i = 0; i < d->vms; i++) {
		const struct vm *v = &d->vm[i];

		if (v->state == VM_LEFT) {
			if (files[i] == BUSY)
				other = v->name;
			continue;
		}
		if (blind) {
			snprintf(why, sizeof(why), "VM %s: nobody knows what its session holds: %.250s", v->name, blind);
		} else if (files[i] == BUSY) {
			busy = v;
			continue;
		} else if (v->files && files[i] >= (int)v->files) {
			continue;
		} else {
			snprintf(why, sizeof(why), "VM %s: its session holds %d files, and held %u when it had preserved",
				 v->name, files[i], v->files);
		}
		give_up(d, ECANCELED, why);
		return;
	}
	if (!busy && other) {
		wait_for_other(d, other);
		return;
	}
	if (!busy) {
		step_is_over(d);
		d->count_us = 0;
		d->others_us = 0;
		next_step(d, STEP_SEAL);
		return;
	}
	if (d->now_us < d->count_us) {
		look_again(d, d->count_us);
		return;
	}
	snprintf(why, sizeof(why), "VM %s: a call is under way in its session, so that nobody sees what it holds", busy->name);
	give_up(d, ECANCELED, why);
}

void decide_counted(struct decide *d, const int *files, const char *other, const char *why)
{
	if (d->step == STEP_COUNT)
		compare(d, files, other, why);
	else if (d->phase.on)
		judge(d, files, why);
}

void decide_owned(struct decide *d, int err, const char *why)
{
	uint64_t at_us = d->now_us + LOOK_AGAIN_US;

	if (d->step != STEP_SYNC || d->own)
		return;
	if ((err == EAGAIN || err == EINPROGRESS) && d->now_us < d->own_until_us) {
		d->own_us = at_us < d->own_until_us ? at_us : d->own_until_us;
	} else if (err) {
		give_up(d, err == EAGAIN || err == EINPROGRESS ? ETIMEDOUT : err, why);
	} else {
		d->own = true;
		begin_helper(d, ACT_SYNC, d->timeout_ms, 0);
	}
}

void decide_sealed(struct decide *d, int err, const char *why)
{
	if (d->step != STEP_SEAL)
		return;
	if (err) {
		step_is_over(d);
		give_up(d, err, why);
	} else {
		next_step(d, STEP_JUMP);
	}
}

void decide_stayed(struct decide *d, int err, const char *why)
{
	if (d->step == STEP_JUMP)
		give_up(d, err, why);
}

void decide_away(struct decide *d, const char *name, uid_t uid)
{
	struct vm *v;

	if (d->vms >= d->room || decide_find(d, name))
		return;
	v = add(d, name, uid, -1);
	v->away = true;
	enter(d, v, VM_AWAY, "");
}

void decide_dead(struct decide *d, const char *name)
{
	struct vm *v = decide_find(d, name);

	if (v && v->state == VM_AWAY)
		forget(d, v);
}

void decide_end(struct decide *d)
{
	if (d->ending)
		return;
	d->ending = true;
	if (!d->updating)
		simply(d, ACT_EXIT);
	else
		give_up(d, ECANCELED, "the agent was ended");
}

const char *decide_forbids(struct decide *d, const char *name)
{
	struct vm *v = decide_find(d, name);

	if (d->sealed)
		return "no session can be made: the host is about to go over to its next kernel";
	if (v && v->state == VM_LEFT)
		return "no session can be made: the host is updated without this VM";
	return NULL;
}

uint64_t decide_due(const struct decide *d)
{
	uint64_t due = d->phase.on ? d->phase.deadline_us : d->patience_us;

	if (d->helper_us && (!due || d->helper_us < due))
		due = d->helper_us;
	if (d->look_us && (!due || d->look_us < due))
		due = d->look_us;
	if (d->own_us && (!due || d->own_us < due))
		due = d->own_us;
	return due;
}

void decide_init(struct decide *d)
{
	d->owner = -1;
	d->watcher = -1;
	d->aborter = -1;
	d->phase.asker = -1;
}
