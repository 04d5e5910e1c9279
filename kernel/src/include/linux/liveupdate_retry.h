/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_LIVEUPDATE_RETRY_H
#define _LINUX_LIVEUPDATE_RETRY_H

#include <linux/errno.h>
#include <linux/types.h>

/**
 * liveupdate_transient() - May the same retrieve succeed later?
 * @err: Why it has failed.
 *
 * For &struct liveupdate_file_op_args.retry, by a handler that has undone all.
 *
 * Return: true if the machine, or the process, was short of something; false if
 * it is the handover that cannot be used.
 */
static inline bool liveupdate_transient(int err)
{
	switch (err) {
	case -ENOMEM:
	case -ENFILE:
	case -EMFILE:
	case -ENOSPC:
	case -EDQUOT:
	case -EINTR:
	case -EAGAIN:
		return true;
	}
	return false;
}

#endif /* _LINUX_LIVEUPDATE_RETRY_H */
