/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copyright (c) 2026 The Continuo authors */
/* What the files of the library share. */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdbool.h>

#include "continuo.h"

/*
 * @device: /dev/liveupdate, if it is held; or -1.
 * @agent:  The socket of an agent that is asked in its place; or -1.
 * @path:   Where the agent listens; "" if the connection was handed in.
 * @version: Of the protocol that the agent speaks; 0 if it does not say it.
 * @timeout_ms: How long the agent is waited for; 0: as long as it takes.
 * @started: An update runs whose messages continuo_update_hear() reads.
 * @behind: An answer of @agent was not waited for, so that the next one can be that one.
 * @cancel: An eventfd(2), which continuo_cancel() makes readable.
 */
struct continuo {
	char why[512];
	int device;
	int agent;
	char path[108];
	unsigned int version;
	uint32_t timeout_ms;
	int cancel;
	bool started;
	bool behind;
};

/* Keep the reason of a failure; returns @err, which is negative. */
int fail(struct continuo *ctx, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Ask the agent. @fd: where the descriptor that comes with the answer is stored, or NULL
 * if none has to come. 0 or a negative errno.
 */
int ask_agent(struct continuo *ctx, const char *verb, const char *name, int *fd);
/* The same with no name, or for as long as it takes, whatever continuo_deadline() says. */
int ask_agent_for(struct continuo *ctx, const char *verb);
int wait_with_agent(struct continuo *ctx, const char *verb, const char *name);

#endif
