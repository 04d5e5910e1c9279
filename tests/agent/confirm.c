// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks through all orders of what can happen to an update with a way back, up to a number of events,
 * with the object file of the agent that decides it. The kernel, the gate and who waits are made up; what they
 * are told is compared with what they may be told at that moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"

/* Two VMs that came, a second process of the first one, and one that nobody knew of; and the operator. */
enum { VM_A, VM_B, VM_A_AGAIN, STRANGER, OPERATOR, CLIENTS };

static const char *const names[CLIENTS] = { "a", "b", "a", "stranger", "" };

enum event {
	SAYS,				/* one of the clients, from here on */
	DIES = SAYS + CLIENTS,		/* the same */
	GATE_YES = DIES + CLIENTS,
	GATE_NO, WRITTEN, WRITE_FAILS,
	EVENTS
};

#define DEPTH	7

struct world {
	struct confirm c;
	struct confirm_vm vm[2];
	struct confirm_client client[CLIENTS];
	bool known;			/* there is a record */
	bool waits[CLIENTS];		/* has said so, lives, and has no answer yet */
	bool gate, write;		/* was asked for, and is not over */
	bool yes;			/* the gate has ended well with this event */
	bool by_hand;			/* the operator has spoken with this event */
	bool no;			/* the gate has said no once */
	bool confirmed;			/* the kernel has */
	bool failing;			/* with this event it has refused to */
};

static struct world *now;
static int trail[DEPTH], at;
static unsigned long long states, confirmations;

static const char *name_of(int event, char text[40])
{
	static const char *const rest[] = { "gate yes", "gate no", "written", "write fails" };

	if (event < DIES)
		snprintf(text, 40, "client %d says", event - SAYS);
	else if (event < GATE_YES)
		snprintf(text, 40, "client %d dies", event - DIES);
	else
		snprintf(text, 40, "%s", rest[event - GATE_YES]);
	return text;
}

static void broken(const char *law)
{
	char text[40];

	printf("FAIL %s\n  after:", law);
	for (int i = 0; i < at; i++)
		printf(" %s,", name_of(trail[i], text));
	puts("");
	exit(1);
}

static bool all_ready(const struct world *w)
{
	return w->known && (w->waits[VM_A] || w->waits[VM_A_AGAIN]) && w->waits[VM_B];
}

static void act(const struct confirm_action *a)
{
	struct world *w = now;

	switch (a->kind) {
	case CONFIRM_GATE:
		if (w->gate || w->confirmed || w->no || !all_ready(w))
			broken("the gate is asked twice, too late, after it said no, or before all VMs are ready");
		w->gate = true;
		break;
	case CONFIRM_WRITE:
		if (w->write || w->confirmed)
			broken("the kernel is told twice");
		if (!w->by_hand && !(w->yes && all_ready(w)))
			broken("it is confirmed without the operator, and without all VMs ready and the host well");
		w->write = true;
		break;
	case CONFIRM_ANSWER:
		if (!w->waits[a->client])
			broken("an answer to somebody who does not wait");
		w->waits[a->client] = false;
		if (!a->err && !w->confirmed)
			broken("somebody is told that it is confirmed, and it is not");
		if (a->err && a->err != ENOENT && !(w->failing && a->client == OPERATOR))
			broken("somebody is told that it failed, and it did not");
		if (a->err == ENOENT && !w->confirmed)
			broken("the operator is told that there is no way back, and there is");
		break;
	case CONFIRM_NOTE:
		break;
	}
}

static bool can(const struct world *w, int event)
{
	if (event < DIES)
		/* One says it twice by the same connection. */
		return !w->waits[event - SAYS] || event - SAYS == VM_A;
	if (event < GATE_YES)
		return w->waits[event - DIES];
	if (event < WRITTEN)
		return w->gate;
	return w->write;
}

static void happens(struct world *w, int event)
{
	now = w;
	w->yes = w->by_hand = w->failing = false;
	if (event < DIES) {
		w->waits[event - SAYS] = true;
		w->by_hand = event - SAYS == OPERATOR;
		if (w->by_hand)
			confirm_by_hand(&w->c, OPERATOR);
		else
			confirm_ready(&w->c, event - SAYS, names[event - SAYS]);
	} else if (event < GATE_YES) {
		w->waits[event - DIES] = false;
		confirm_client_gone(&w->c, event - DIES);
	} else if (event < WRITTEN) {
		w->gate = false;
		w->yes = event == GATE_YES;
		w->no |= event == GATE_NO;
		confirm_gate(&w->c, w->yes ? NULL : "it is not well");
	} else {
		w->write = false;
		w->confirmed = event == WRITTEN;
		w->failing = !w->confirmed;
		confirmations += w->confirmed;
		confirm_written(&w->c, w->confirmed ? 0 : EIO, "it does not want to");
	}
	if (w->confirmed)
		for (int i = 0; i < CLIENTS; i++)
			if (w->waits[i])
				broken("it is confirmed, and somebody still waits");
	if (w->confirmed == confirm_waits(&w->c))
		broken("the decision does not know whether it is confirmed");
	/* Nothing is left to wait for, and nothing is done. */
	if (!w->confirmed && all_ready(w) && !w->gate && !w->write && !w->no && !w->c.shut)
		broken("all VMs are ready, and nobody is asked");
}

/* Pointers within the world move with it. */
static void settle(struct world *w)
{
	w->c.vm = w->vm;
	w->c.client = w->client;
}

static void walk(const struct world *before)
{
	if (at == DEPTH)
		return;
	for (int event = 0; event < EVENTS; event++) {
		struct world w = *before;

		if (!can(before, event))
			continue;
		settle(&w);
		trail[at++] = event;
		states++;
		happens(&w, event);
		walk(&w);
		at--;
	}
}

/* @crowded: more came than there is room for. */
static struct world begin(bool armed, bool known, bool crowded)
{
	struct world w = { .known = known && !crowded, .confirmed = !armed };

	settle(&w);
	w.c.act = act;
	w.c.room = 2;
	w.c.places = CLIENTS;
	now = &w;
	confirm_begin(&w.c, armed);
	confirm_expect(&w.c, "a");
	confirm_expect(&w.c, "b");
	if (crowded)
		confirm_expect(&w.c, "one too many");
	if (known)
		confirm_all_known(&w.c);
	return w;
}

int main(void)
{
	for (int i = 0; i < 8; i++) {
		struct world w = begin(i & 1, i & 2, i & 4);

		settle(&w);
		walk(&w);
	}
	printf("ok: %llu states of the way back, %llu confirmations\n", states, confirmations);
	return !confirmations;
}
