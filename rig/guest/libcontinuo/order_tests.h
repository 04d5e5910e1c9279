/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_LIBCONTINUO_ORDER_TESTS_H
#define RIG_LIBCONTINUO_ORDER_TESTS_H

/*
 * VMs that do not do what the agent asks, or die, and updaters that do: says "order" of
 * each thing that is tried, with what came of it.
 */
void test_orders(void);

#endif
