// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "record.h"
#include "sessions.h"
#include "talk.h"
#include "update.h"

#define MOST_VMS	256
#define MOST_VMS_PER_USER 64	/* of users other than root */
#define ROOT_VMS	16	/* that no user takes away from root */

/* How long the VMs have if whoever updated the host is gone. */
#define UNDO_MS		10000

enum state { IDLE, ASKED, PRESERVED, SUSPENDED, FAILED, SILENT, LEFT };

static const char *const state_name[] = {
	[IDLE] = "idle", [ASKED] = "asked", [PRESERVED] = "preserved",
	[SUSPENDED] = "suspended", [FAILED] = "failed", [SILENT] = "silent",
	[LEFT] = "left",
};

static const struct {
	const char *word;
	const char *begin, *end;	/* in the record */
	enum state done;
} orders[] = {
	[CONTINUO_WANT_PRESERVE] = { "preserve", "preserve", "preserved", PRESERVED },
	[CONTINUO_WANT_SUSPEND] = { "suspend", "suspend", "suspended", SUSPENDED },
	[CONTINUO_WANT_UNDO] = { "undo", "undo", "undone", IDLE },
};

/*
 * @client:   Its connection; -1 if that has ended.
 * @want:     What it was asked last, by an order of @number.
 * @asked_us: When; @took_us: until it answered.
 * @now:      It is part of the phase; @bad: and has not done what it was asked.
 */
struct vm {
	char name[CONTINUO_SESSION_NAME];
	uid_t uid;
	int client;
	enum state state;
	enum continuo_want want;
	uint32_t number;
	uint64_t asked_us, took_us;
	bool now;
	enum { DID, SAID_NO, SAID_NOTHING } bad;
	char why[256];
};

static struct vm vm[MOST_VMS];
static unsigned int vms;
static uint32_t numbers;

/* Who updates the host; until when that is recorded; whether all is ready for the jump. */
static int owner = -1;
static bool recording, sealed;
/* Until when those who are suspended wait for the jump; 0 if none is. */
static uint64_t patience_us;

/* What the VMs are asked now; @asker is -1 if nobody waits for it. */
static struct {
	bool on, all;
	int asker;
	enum continuo_want want;
	uint32_t timeout_ms;
	uint64_t deadline_us;
} phase;

static struct vm *find(const char *name)
{
	for (unsigned int i = 0; i < vms; i++)
		if (!strcmp(vm[i].name, name))
			return &vm[i];
	return NULL;
}

static void enter(struct vm *v, enum state state, const char *why)
{
	v->state = state;
	if (why != v->why)
		snprintf(v->why, sizeof(v->why), "%s", why);
	if (recording)
		record_vm(v->name, v->uid, state_name[state], v->why);
}

static bool say(int client, const struct vm *v)
{
	return reply_or_end(client, "vm %s %s %llu %s", v->name, state_name[v->state],
		     (unsigned long long)v->took_us, v->why);
}

/* --- phases --- */

static void at(const char *what)
{
	if (recording)
		record_at(what);
}

static void end_phase(void)
{
	const char *word = orders[phase.want].word;
	const struct vm *failed = NULL, *silent = NULL;
	char why[400];

	phase.on = false;
	for (unsigned int i = 0; i < vms; i++) {
		if (vm[i].now && vm[i].bad == SAID_NO)
			failed = &vm[i];
		if (vm[i].now && vm[i].bad == SAID_NOTHING)
			silent = &vm[i];
	}
	if (failed)
		snprintf(why, sizeof(why), "VM %s could not %s: %s", failed->name, word, failed->why);
	else if (silent)
		snprintf(why, sizeof(why), "VM %s has not answered to %s in time", silent->name, word);
	at(orders[phase.want].end);
	if (phase.asker >= 0 && (failed || silent))
		reply_or_end(phase.asker, "error %d %s", failed ? ECANCELED : ETIMEDOUT, why);
	else if (phase.asker >= 0)
		reply_or_end(phase.asker, "ok\n");
	/* Without an owner they are suspended by hand, and nobody says for how long. */
	if (phase.want == CONTINUO_WANT_SUSPEND && owner >= 0)
		patience_us = now_us() + phase.timeout_ms * 1000ull;
	if (phase.want != CONTINUO_WANT_UNDO) {
		if (recording && (failed || silent))
			record_outcome("stuck", why);
		return;
	}
	if (recording && phase.all) {
		record_outcome("undone", NULL);
		recording = false;
	}
	/* From the last one, since the end of the array moves. */
	for (unsigned int i = vms; i-- > 0;)
		if (vm[i].client < 0 && vm[i].state == IDLE)
			vm[i] = vm[--vms];
}

static void check_phase(void)
{
	for (unsigned int i = 0; i < vms; i++)
		if (vm[i].state == ASKED)
			return;
	if (phase.on)
		end_phase();
}

/* A VM of the phase has come to its end. */
static void settle(struct vm *v, enum state state, const char *why, int bad)
{
	v->bad = bad;
	v->took_us = now_us() - v->asked_us;
	enter(v, state, why);
	if (phase.asker >= 0 && !say(phase.asker, v))
		phase.asker = -1;
}

static void order(struct vm *v, enum continuo_want want, uint32_t timeout_ms)
{
	bool heard = v->state != SILENT && v->state != LEFT;

	v->bad = DID;
	v->want = want;
	v->number = ++numbers ?: ++numbers;
	v->asked_us = now_us();
	v->why[0] = 0;
	enter(v, ASKED, "");
	if (recording)
		record_vm_at(v->name, orders[want].begin);
	if (v->client < 0)
		/* What it had preserved is in our hands alone. */
		settle(v, FAILED, "its process has ended", want == CONTINUO_WANT_UNDO ? DID : SAID_NO);
	else if (!reply(v->client, -1, "%s %u %u", orders[want].word, v->number, timeout_ms))
		settle(v, FAILED, "it does not read what it is asked", SAID_NO);
	else if (want == CONTINUO_WANT_UNDO && !heard)
		/* It finds the order when it comes to life; nobody waits for that again. */
		settle(v, SILENT, "", SAID_NOTHING);
	if (want == CONTINUO_WANT_UNDO && v->state != ASKED) {
		sessions_release(v->name);
		enter(v, IDLE, v->why);
	}
}

/* Is a VM to be asked that? */
static bool concerns(const struct vm *v, enum continuo_want want)
{
	switch (want) {
	case CONTINUO_WANT_PRESERVE:
		return v->state == IDLE || v->state == FAILED || v->state == SILENT;
	case CONTINUO_WANT_SUSPEND:
		return v->state == PRESERVED;
	default:
		return v->state != IDLE;
	}
}

static void begin_phase(int asker, enum continuo_want want, const char *name,
			uint32_t timeout_ms)
{
	phase.on = true;
	phase.all = !*name;
	phase.asker = asker;
	phase.want = want;
	phase.timeout_ms = timeout_ms;
	phase.deadline_us = now_us() + timeout_ms * 1000ull;
	patience_us = 0;
	at(orders[want].begin);
	if (want == CONTINUO_WANT_UNDO && phase.all && sealed) {
		if (recording)
			record_outcome("stuck", "the jump has failed");
		sealed = false;
		sessions_release(OWN_SESSION);
	}
	for (unsigned int i = 0; i < vms; i++) {
		vm[i].now = (phase.all || !strcmp(vm[i].name, name)) && concerns(&vm[i], want);
		if (vm[i].now)
			order(&vm[i], want, timeout_ms);
	}
	check_phase();
}

/* --- what is asked of us --- */

void update_register(const struct asker *who, const char *name)
{
	struct vm *v = find(name);
	unsigned int own = 0;

	if (owner >= 0) {
		reply(who->client, -1, "error %d VM %s: the host is being updated; register it after that",
		      EBUSY, name);
		return;
	}
	for (unsigned int i = 0; i < vms; i++) {
		if (vm[i].client == who->client) {
			reply(who->client, -1, "error %d this connection has registered %s; one has one VM",
			      EEXIST, vm[i].name);
			return;
		}
	}
	if (v && (v->client >= 0 || v->state != IDLE)) {
		reply(who->client, -1, "error %d VM %s: %s", v->client >= 0 ? EEXIST : EBUSY, name,
		      v->client >= 0 ? "somebody has registered it" :
				       "it died in an update; that has to be undone first");
		return;
	}
	if (!v && vms >= MOST_VMS - (who->uid ? ROOT_VMS : 0)) {
		reply(who->client, -1, "error %d the agent has %u VMs, and no room for more",
		      ENOSPC, vms);
		return;
	}
	for (unsigned int i = 0; i < vms; i++)
		own += vm[i].uid == who->uid;
	if (!v && who->uid && own >= MOST_VMS_PER_USER) {
		reply(who->client, -1, "error %d VM %s: the user has %u VMs, and may have no more",
		      EDQUOT, name, own);
		return;
	}
	if (!v)
		v = &vm[vms++];
	memset(v, 0, sizeof(*v));
	strcpy(v->name, name);
	v->uid = who->uid;
	v->client = who->client;
	reply(who->client, -1, "ok\n");
}

/* May it do that now? Replies if not. */
static bool may(const struct asker *who)
{
	if (owner >= 0 && owner != who->client) {
		reply(who->client, -1, "error %d somebody else is updating the host", EBUSY);
		return false;
	}
	if (phase.on) {
		reply(who->client, -1, "error %d the VMs are being asked something; try again later",
		      EBUSY);
		return false;
	}
	return true;
}

static void no_such(const struct asker *who, const char *name)
{
	reply(who->client, -1, "error %d VM %s: it is not registered", ENOENT, name);
}

void update_begin(const struct asker *who)
{
	if (!may(who))
		return;
	owner = who->client;
	recording = true;
	record_begin();
	for (unsigned int i = 0; i < vms; i++)
		record_vm(vm[i].name, vm[i].uid, state_name[vm[i].state], vm[i].why);
	reply(who->client, -1, "ok\n");
}

void update_ask(const struct asker *who, enum continuo_want want, const char *name,
		uint32_t timeout_ms)
{
	if (!may(who))
		return;
	if (*name && !find(name)) {
		/* A session whose VM is not registered any more can be let go of, too. */
		if (want == CONTINUO_WANT_UNDO && !sessions_release(name))
			reply(who->client, -1, "ok\n");
		else
			no_such(who, name);
		return;
	}
	for (unsigned int i = 0; want == CONTINUO_WANT_SUSPEND && i < vms; i++) {
		if ((*name && strcmp(vm[i].name, name)) || vm[i].state == PRESERVED ||
		    vm[i].state == SUSPENDED || vm[i].state == LEFT)
			continue;
		reply(who->client, -1, "error %d VM %s: it is %s; it has to preserve first, or to be left",
		      EBUSY, vm[i].name, state_name[vm[i].state]);
		return;
	}
	begin_phase(who->client, want, name, timeout_ms);
}

void update_leave(const struct asker *who, const char *name)
{
	struct vm *v = find(name);

	if (!may(who))
		return;
	if (v) {
		enter(v, LEFT, v->why);
		sessions_release(name);
		reply(who->client, -1, "ok\n");
	} else if (!sessions_release(name)) {
		/* One that came from the previous kernel. */
		record_left(name);
		reply(who->client, -1, "ok\n");
	} else {
		no_such(who, name);
	}
}

void update_vms(const struct asker *who)
{
	for (unsigned int i = 0; i < vms; i++)
		if (!say(who->client, &vm[i]))
			return;
	reply_or_end(who->client, "ok\n");
}

void update_seal(const struct asker *who, struct continuo *ctx)
{
	const char *why = "";
	int fd;

	if (!may(who))
		return;
	if (owner < 0) {
		reply(who->client, -1, "error %d this connection updates nothing; begin with update", EINVAL);
		return;
	}
	for (unsigned int i = 0; i < vms; i++) {
		if (vm[i].state == SUSPENDED || vm[i].state == LEFT)
			continue;
		reply(who->client, -1, "error %d VM %s: it is %s; it has to be suspended first, or to be left",
		      EBUSY, vm[i].name, state_name[vm[i].state]);
		return;
	}
	fd = sessions_create(OWN_SESSION, 0, &why);
	if (fd >= 0) {
		int ret = record_seal(ctx, fd, &why);

		if (ret) {
			sessions_release(OWN_SESSION);
			fd = ret;
		}
	}
	if (fd < 0) {
		reply(who->client, -1, "error %d %s", -fd, why);
		return;
	}
	sealed = true;
	reply(who->client, -1, "ok\n");
}

void update_answer(const struct asker *who, uint32_t number, const char *why)
{
	struct vm *v = NULL;

	for (unsigned int i = 0; i < vms; i++)
		if (vm[i].client == who->client && vm[i].number == number)
			v = &vm[i];
	/* An answer to something that nobody asks any more. */
	if (!v)
		return;
	if (v->want == CONTINUO_WANT_UNDO)
		sessions_release(v->name);
	if (v->state != ASKED)
		return;
	if (!why && recording)
		record_vm_at(v->name, orders[v->want].end);
	if (v->want == CONTINUO_WANT_UNDO)
		settle(v, IDLE, why ?: "", why ? SAID_NO : DID);
	else
		settle(v, why ? FAILED : orders[v->want].done, why ?: "", why ? SAID_NO : DID);
	check_phase();
}

const char *update_forbids(const char *name)
{
	struct vm *v = find(name);

	if (sealed)
		return "no session can be made: the host is about to go over to its next kernel";
	if (v && v->state == LEFT)
		return "no session can be made: the host is updated without this VM";
	return NULL;
}

void update_gone(int client)
{
	bool undo = false;

	for (unsigned int i = 0; i < vms; i++) {
		struct vm *v = &vm[i];

		if (v->client != client)
			continue;
		v->client = -1;
		if (v->state == ASKED) {
			settle(v, v->want == CONTINUO_WANT_UNDO ? IDLE : FAILED, "its process has ended",
			       v->want == CONTINUO_WANT_UNDO ? DID : SAID_NO);
			if (v->want == CONTINUO_WANT_UNDO)
				sessions_release(v->name);
			check_phase();
		} else if (v->state == IDLE) {
			/* It can have died between an order that came too late and its undo. */
			if (v->want == CONTINUO_WANT_UNDO)
				sessions_release(v->name);
			*v = vm[--vms];
		}
		break;
	}
	if (phase.asker == client)
		phase.asker = -1;
	if (owner != client)
		return;
	owner = -1;
	/* Whoever updated the host has not come to the jump. */
	phase.asker = -1;
	for (unsigned int i = 0; i < vms; i++)
		undo |= concerns(&vm[i], CONTINUO_WANT_UNDO);
	if (undo || recording)
		begin_phase(-1, CONTINUO_WANT_UNDO, "", UNDO_MS);
}

int update_due(void)
{
	uint64_t now = now_us(), due = phase.on ? phase.deadline_us : patience_us;

	if (!due)
		return -1;
	return due > now ? (due - now) / 1000 + 1 : 0;
}

void update_tick(void)
{
	/* All are suspended, and whoever updates the host does not come to the jump. */
	if (!phase.on && patience_us && now_us() >= patience_us) {
		patience_us = 0;
		if (owner >= 0)
			shutdown(owner, SHUT_RDWR);
	}
	if (!phase.on || now_us() < phase.deadline_us)
		return;
	for (unsigned int i = 0; i < vms; i++) {
		struct vm *v = &vm[i];

		if (v->state != ASKED)
			continue;
		settle(v, phase.want == CONTINUO_WANT_UNDO ? IDLE : SILENT, "it has not answered in time",
		       SAID_NOTHING);
		if (phase.want == CONTINUO_WANT_UNDO)
			sessions_release(v->name);
	}
	end_phase();
}
