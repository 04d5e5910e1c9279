/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What systemd does for the agent, if it is its service manager: it hears when the
 * agent is ready, and keeps descriptors for the next one (sd_notify(3), FDSTORE=1;
 * sd_listen_fds(3)). systemd 261 and later keeps them over a live update, too, with
 * FileDescriptorStorePreserve=yes. Without systemd these do nothing.
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

/* Calls @each with the name and the descriptor of each session that was kept. */
void systemd_inherit(void (*each)(const char *name, int fd));
void systemd_keep(const char *name, int fd);
void systemd_forget(const char *name);
/* Wait until it has done all that. */
void systemd_barrier(void);
void systemd_ready(void);

#endif
