/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Let a live update fail, at each step that can
 *
 * Allocations have failslab and fail_page_alloc. liveupdate_fault() stands for
 * all other reasons why a step can fail: a check that says no, a page that KHO
 * does not take, a table that is full. It is a fault injection point like
 * theirs: /proc/self/fail-nth counts it, so that a test can let one step after
 * the other fail until the sequence is through.
 */
#ifndef _LINUX_LIVEUPDATE_FAULT_H
#define _LINUX_LIVEUPDATE_FAULT_H

#include <linux/types.h>

struct kho_radix_tree;

#if defined(CONFIG_LIVEUPDATE_BREAK_LAWS) && defined(CONFIG_FAULT_INJECTION)
bool liveupdate_should_fail(void);
#else
static inline bool liveupdate_should_fail(void)
{
	return false;
}
#endif

/**
 * liveupdate_fault() - A step of a live update that could fail
 * @err: What the step would return then; a negative errno.
 *
 * Return: @err if it is to fail now, else 0; always 0, at no cost, in a kernel
 * without fault injection.
 */
static inline int liveupdate_fault(int err)
{
	return liveupdate_should_fail() ? err : 0;
}

#ifdef CONFIG_LIVEUPDATE_BREAK_LAWS
void liveupdate_watch_kho(struct kho_radix_tree *tree);
#else
static inline void liveupdate_watch_kho(struct kho_radix_tree *tree)
{
}
#endif

#endif /* _LINUX_LIVEUPDATE_FAULT_H */
