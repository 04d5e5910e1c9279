/* SPDX-License-Identifier: GPL-2.0-only */
/* Who updates the host, by way of the agent. Each call says "order" of what came of it. */
#ifndef RIG_LIBCONTINUO_UPDATER_H
#define RIG_LIBCONTINUO_UPDATER_H

#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"

#define SHORT_MS	1000
#define LONG_MS		20000

/* The connection by which the host is updated. */
extern struct continuo *updater;
/* What the next "order" says that was heard, beside the errno. */
#define HEARD_MAX	2048
extern char updater_heard[HEARD_MAX];

/* As the user @uid. */
struct continuo *connect_as(uid_t uid);
/* Who updates the host does so until he goes away. */
void updater_renew(void);
void updater_tried(const char *what, int ret);
void updater_ask(const char *what, enum continuo_want want, const char *name, uint32_t ms);
void updater_vms(const char *what);
/* Until the VMs are as they are to be: nobody says when a process has done something. */
void updater_await(const char *what, const char *state);

#endif
