/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An update with a way back (docs/way-back.md): when is this kernel confirmed? Once all VMs
 * that came with the update are ready, and the gate (--health) says that the host is well; or
 * when the operator says so. Nothing else confirms; without it the machine goes back when the
 * time is over that the kernel was given. This code does no I/O and does not look at a clock, as
 * decide.h; tests/agent/confirm.c walks through the orders of events.
 *
 * A VM is ready as long as the connection is there by which it said so: one that dies is not.
 * The gate is asked each time that all of them have become ready, and never again once it has
 * said no: what it has found is for the operator to look at.
 */
#ifndef CONFIRM_H
#define CONFIRM_H

#include <stdbool.h>

#include "continuo.h"

enum confirm_act {
	CONFIRM_GATE,		/* run it, and say how it ended: confirm_gate() */
	CONFIRM_WRITE,		/* tell the kernel, and say what it said: confirm_written() */
	CONFIRM_ANSWER,		/* @client: "ok", or @err, with @text */
	CONFIRM_NOTE,		/* @text: what it waits for; "" once it is over */
};

struct confirm_action {
	enum confirm_act kind;
	int client, err;
	const char *text;
};

/* A VM that came with the update. */
struct confirm_vm {
	char name[CONTINUO_SESSION_NAME];
};

/* Somebody who waits; @name: "" if it is the operator. */
struct confirm_client {
	int client;
	char name[CONTINUO_SESSION_NAME];
};

struct confirm {
	void (*act)(const struct confirm_action *action);
	struct confirm_vm *vm;
	struct confirm_client *client;
	unsigned int room, vms, places, clients;
	bool armed;		/* there is a way back */
	bool known;		/* so is which VMs came; else only the operator confirms */
	bool more;		/* more than there is room for */
	bool gate, shut;	/* it is being asked; it has said no */
	bool writing;
};

/* @c has act, and both arrays. @armed: as the kernel says. */
void confirm_begin(struct confirm *c, bool armed);
/* Each VM that is to come back; then that these were all. One too many, and nobody knows all. */
void confirm_expect(struct confirm *c, const char *name);
void confirm_all_known(struct confirm *c);
/* The update is not confirmed yet. */
bool confirm_waits(const struct confirm *c);

void confirm_ready(struct confirm *c, int client, const char *name);
/* The operator. */
void confirm_by_hand(struct confirm *c, int client);
/* A connection has ended. */
void confirm_client_gone(struct confirm *c, int client);
/* @why: NULL if the host is well. */
void confirm_gate(struct confirm *c, const char *why);
/* @err: 0 or an errno. */
void confirm_written(struct confirm *c, int err, const char *why);

#endif
