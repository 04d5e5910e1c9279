/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent in the guest, and those who ask it for sessions. */
#ifndef RIG_AGENT_H
#define RIG_AGENT_H

#include <stdbool.h>

#include "continuo.h"

/* agent=1: is it to be asked for sessions? */
bool agent_wanted(void);
/* Starts it, if it does not run yet, and has @ctx ask it. */
void agent_ask(struct continuo *ctx);
/* Users who ask for their own sessions, for each other's, and who may not ask. */
void agent_tenants(void);

#endif
