// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "confirm.h"

static void act(struct confirm *c, enum confirm_act kind, int client, int err, const char *text)
{
	c->act(&(struct confirm_action){ .kind = kind, .client = client, .err = err, .text = text });
}

static void answer(struct confirm *c, int client, int err, const char *text)
{
	act(c, CONFIRM_ANSWER, client, err, text);
}

static bool is_ready(const struct confirm *c, const char *name)
{
	for (unsigned int i = 0; i < c->clients; i++)
		if (!strcmp(c->client[i].name, name))
			return true;
	return false;
}

static unsigned int missing(const struct confirm *c, const char **first)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->vms; i++) {
		if (is_ready(c, c->vm[i].name))
			continue;
		if (!n++)
			*first = c->vm[i].name;
	}
	return n;
}

/* Something has happened: is it time? */
static void look(struct confirm *c)
{
	const char *first = "";
	char text[CONTINUO_SESSION_NAME + 100];
	unsigned int n;

	if (!c->armed || c->writing)
		return;
	n = missing(c, &first);
	if (!c->known) {
		act(c, CONFIRM_NOTE, -1, 0, "nobody knows which VMs came with the update; 'continuo confirm' once they are ready");
	} else if (n) {
		snprintf(text, sizeof(text), "%u %s not ready yet, %s among them", n, n == 1 ? "VM is" : "VMs are", first);
		act(c, CONFIRM_NOTE, -1, 0, text);
	} else if (!c->gate && !c->shut) {
		c->gate = true;
		act(c, CONFIRM_NOTE, -1, 0, "all VMs are ready; is the host well?");
		act(c, CONFIRM_GATE, -1, 0, "");
	}
}

static void write_it(struct confirm *c)
{
	c->writing = true;
	act(c, CONFIRM_WRITE, -1, 0, "");
}

void confirm_begin(struct confirm *c, bool armed)
{
	c->vms = c->clients = 0;
	c->armed = armed;
	c->known = c->more = c->gate = c->shut = c->writing = false;
}

void confirm_expect(struct confirm *c, const char *name)
{
	if (c->vms == c->room) {
		c->more = true;
		return;
	}
	snprintf(c->vm[c->vms++].name, sizeof(c->vm[0].name), "%s", name);
}

void confirm_all_known(struct confirm *c)
{
	c->known = !c->more;
	look(c);
}

bool confirm_waits(const struct confirm *c)
{
	return c->armed;
}

/* False if there is no room for it, which is said. A connection is one client, whatever it says. */
static bool wait_for(struct confirm *c, int client, const char *name)
{
	for (unsigned int i = 0; i < c->clients; i++) {
		if (c->client[i].client != client)
			continue;
		snprintf(c->client[i].name, sizeof(c->client[0].name), "%s", name);
		return true;
	}
	if (c->clients == c->places) {
		answer(c, client, EAGAIN, "the agent has no room for more clients; try again later");
		return false;
	}
	c->client[c->clients].client = client;
	snprintf(c->client[c->clients++].name, sizeof(c->client[0].name), "%s", name);
	return true;
}

void confirm_ready(struct confirm *c, int client, const char *name)
{
	if (!c->armed)
		answer(c, client, 0, "");
	else if (wait_for(c, client, name))
		look(c);
}

void confirm_by_hand(struct confirm *c, int client)
{
	if (!c->armed)
		answer(c, client, ENOENT, "there is no way back that could be given up");
	else if (wait_for(c, client, "") && !c->writing)
		write_it(c);
}

void confirm_client_gone(struct confirm *c, int client)
{
	unsigned int n = c->clients;

	for (unsigned int i = c->clients; i-- > 0;)
		if (c->client[i].client == client)
			c->client[i] = c->client[--c->clients];
	if (c->clients != n)
		look(c);
}

void confirm_gate(struct confirm *c, const char *why)
{
	const char *first;
	char text[400];

	if (!c->armed || !c->gate)
		return;
	c->gate = false;
	c->shut = why;
	if (why) {
		snprintf(text, sizeof(text), "the host is not well: %s; 'continuo confirm' if it is all the same", why);
		act(c, CONFIRM_NOTE, -1, 0, text);
	} else if (!c->writing && !missing(c, &first)) {
		write_it(c);
	} else {
		/* One has died meanwhile. */
		look(c);
	}
}

void confirm_written(struct confirm *c, int err, const char *why)
{
	c->writing = false;
	if (err) {
		/* The operator hears of it, and can try again; VMs go on waiting. */
		c->shut = true;
		act(c, CONFIRM_NOTE, -1, 0, why);
		for (unsigned int i = c->clients; i-- > 0;) {
			if (*c->client[i].name)
				continue;
			answer(c, c->client[i].client, err, why);
			c->client[i] = c->client[--c->clients];
		}
		return;
	}
	c->armed = false;
	act(c, CONFIRM_NOTE, -1, 0, "");
	for (unsigned int i = 0; i < c->clients; i++)
		answer(c, c->client[i].client, 0, "");
	c->clients = 0;
}
