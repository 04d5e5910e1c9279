/* SPDX-License-Identifier: GPL-2.0-only */
/* What a user can have of the agent. */
#ifndef RIG_LIBCONTINUO_LIMITS_H
#define RIG_LIBCONTINUO_LIMITS_H

/* A user takes what he can get, and another one wants something meanwhile. */
void test_limits(void);

#endif
