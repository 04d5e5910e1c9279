/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent in the guest. */
#ifndef RIG_LIBCONTINUO_AGENT_H
#define RIG_LIBCONTINUO_AGENT_H

#include <stdbool.h>

#include "continuo.h"

/* agent=1: is it to be asked for sessions? */
bool agent_wanted(void);
/* Starts it, if it does not run yet, and has @ctx ask it. */
void agent_ask(struct continuo *ctx);
/* Just that; it starts TAKEOVER for each VM that has come over. */
void agent_begin(void);
#define AGENT_SOCKET	"/tmp/agent.sock"
#define AGENT_GROUP	100	/* whose members may ask it; as the case has it in /etc/group */

#endif
