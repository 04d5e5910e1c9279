/* SPDX-License-Identifier: GPL-2.0-only */
/* Sessions of the live update orchestrator. */
#ifndef RIG_INTERFACES_LUO_H
#define RIG_INTERFACES_LUO_H

#include <stdint.h>

/* All return a file descriptor or 0, or -errno. */
int luo_session_create(const char *name);
int luo_session_retrieve(const char *name);
int luo_preserve(int session, int fd, uint64_t token);
int luo_retrieve(int session, uint64_t token);
int luo_finish(int session);

#endif
