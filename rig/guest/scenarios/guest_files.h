/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_GUEST_FILES_H
#define RIG_SCENARIOS_GUEST_FILES_H

/*
 * begin: make files of guestmemfs; check: are they there? leaf: are leaves of 1 GiB used?
 * mount: nothing more; rules: what it refuses, and what it makes zero; held: what a device
 * has; keep: preserve some; kept: some of them come back; given-up: none does; stale: none
 * did before one more jump; damaged: one is; still: does nobody write to what a device had
 * before? cut: does another owner get what it writes to? jump: try to, and say why not;
 * jump-segments: the same with what kexec_load(2) has loaded; states, states-after: each answer of the table in
 * docs/states.md, in one kernel and in the next.
 */
void guest_files(const char *what);

#endif
