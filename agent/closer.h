/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can take long is done by a thread, in the order in which it was asked for: to close
 * the last descriptor of a session, which frees or unpreserves what is in it, and to tell
 * systemd, which can be busy.
 */
#ifndef CLOSER_H
#define CLOSER_H

#include <stdbool.h>

/* 0, or a negative errno: then everything is done at once, by the caller. */
int closer_begin(void);
/* Readable when something has been closed; or -1. */
int closer_fd(void);

/* systemd is to have it, too. It stays open until after closer_close(). */
void closer_keep(const char *name, int fd);
void closer_close(const char *name, int fd);
/* Calls @each with the name of each that has been closed since. */
void closer_news(void (*each)(const char *name));

#endif
