/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_GUEST_FILES_H
#define RIG_SCENARIOS_GUEST_FILES_H

/* begin: make files of guestmemfs; check: are they there? */
void guest_files(const char *what);

#endif
