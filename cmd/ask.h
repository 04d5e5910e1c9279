/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that ask the agent share. */
#ifndef ASK_H
#define ASK_H

#include "commands.h"
#include "continuo.h"

/*
 * A context that asks the agent. @must: without one it is an error; else
 * /dev/liveupdate is used. NULL if it cannot be had, which was said.
 */
struct continuo *ask_begin(const struct options *opt, bool must);
/* As trouble(), with what continuo_why() says. */
int ask_trouble(struct continuo *ctx);
/* The time-out that was given, in ms; 0 if that is none, which was said. */
/* The same of another option, by its name. */
uint32_t ask_timeout_of(const struct options *opt, enum option_id id, const char *name, unsigned long s);
uint32_t ask_timeout(const struct options *opt);
/* As above, with a default of @s seconds. */
uint32_t ask_timeout_or(const struct options *opt, unsigned long s);
/* Keeps what was heard of a VM in a table. */
void ask_keep(struct json_object *table, const struct continuo_heard *heard);

#endif
