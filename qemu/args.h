/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's command line: what stands against a live update in it, and what a live update
 * needs besides.
 */
#ifndef ARGS_H
#define ARGS_H

#include <stdbool.h>

#include "rules.h"

/* A line of arguments, with a NULL at its end; all of it is the structure's own. */
struct args {
	char **v;
	unsigned int n;
};

void args_copy(struct args *a, char *const *v);
void args_add(struct args *a, const char *text);
void args_free(struct args *a);

typedef void args_listener(const struct rule *rule, const char *sentence);

/*
 * Says each thing that stands against a live update to @refused, and returns how many
 * there were. @add: what is missing is added in place of being refused.
 */
unsigned int args_check(struct args *a, bool add, args_listener *refused);

/* Each -device: its type, and its id or NULL. */
void args_devices(const struct args *a, void (*each)(const char *type, const char *id, void *data), void *data);
/* The path of the socket over which the guest's agent is spoken to, to be freed; NULL if there is none. */
char *args_guest_agent(const struct args *a);
/* Is the file named in one of the arguments? */
bool args_name(const struct args *a, const char *file);

/* With a QMP socket of ours at @path. */
int args_add_qmp(struct args *a, const char *path);
/* As the receiver of a VM: sockets for the channel and the stream. */
int args_add_incoming(struct args *a, const char *cpr, const char *stream);

#endif
