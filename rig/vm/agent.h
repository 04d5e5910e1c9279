/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM has QEMU's guest agent (qemu-ga), as Debian has it, if vm.agent=1 says so. */
#ifndef RIG_VM_AGENT_H
#define RIG_VM_AGENT_H

void agent_start(void);

#endif
