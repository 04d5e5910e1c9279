/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose sessions are whose. */
#ifndef RIG_LIBCONTINUO_SESSION_OWNERS_H
#define RIG_LIBCONTINUO_SESSION_OWNERS_H

/* Users who ask for their own sessions, for each other's, and who may not ask. */
void test_session_owners(void);

#endif
