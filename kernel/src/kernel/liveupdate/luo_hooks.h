/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_LUO_HOOKS_H
#define _LINUX_LUO_HOOKS_H

#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>

struct liveupdate_session;
struct luo_file_set;

/* What handlers see of a file set: an opaque session. */
static inline struct liveupdate_session *
luo_file_set_session(struct luo_file_set *file_set)
{
	return (struct liveupdate_session *)file_set;
}

void luo_file_set_show(struct luo_file_set *file_set,
		       struct liveupdate_view *v);

#endif /* _LINUX_LUO_HOOKS_H */
