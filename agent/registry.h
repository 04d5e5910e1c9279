/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMs that are registered, in a file: an agent that is started again must not jump
 * before those have come back that were registered with the one before it.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Calls @each for those that an earlier agent has left, and whose process lives. If that
 * agent could not keep its list, or a line of it is none, for one of the name VM_UNKNOWN.
 */
void registry_read(const char *path, void (*each)(const char *name, uid_t uid));
/* Whose process is it, and which other one belongs to it? 0 if that is not known, or none does. */
void registry_note(const char *name, pid_t pid, pid_t other);
/* Is there no room for one more? Names stay noted after their VMs are gone. */
bool registry_is_full(void);
/* Forget all but the @n names that @of gives. */
void registry_keep(unsigned int n, const char *(*of)(unsigned int i, uid_t *uid));
/* 0 if it is not known, or has ended. */
pid_t registry_pid(const char *name);
/* 0 if there is none; -1 if it has ended. An earlier agent's list does not say it. */
pid_t registry_other(const char *name);
/* As far as it is known. */
bool registry_lives(const char *name);
/* Write it anew: the @n names and users that @of gives. False if it cannot be kept. */
bool registry_write(unsigned int n, const char *(*of)(unsigned int i, uid_t *uid));

#define REGISTRY_FILE		"/run/continuo/vms"

#endif
