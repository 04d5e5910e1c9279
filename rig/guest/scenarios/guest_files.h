/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_GUEST_FILES_H
#define RIG_SCENARIOS_GUEST_FILES_H

/*
 * begin: make files of guestmemfs; check: are they there? rules: what it refuses, and
 * what it makes zero; held: what a device has; jump: try to, and say why not.
 */
void guest_files(const char *what);

#endif
