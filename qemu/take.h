/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM of a session that has come from the previous kernel, taken over. */
#ifndef TAKE_H
#define TAKE_H

#include <sys/types.h>

#include "vm.h"

/*
 * @uid: whose VM it is, as the agent says it; (uid_t)-1: of whom this process is. Root
 * becomes the VM's user. 0, or -1 with why(): then what the session had is lost only if
 * it was finished, which is logged.
 */
int take(struct vm *vm, uid_t uid, uint64_t until);

#endif
