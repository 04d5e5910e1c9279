/* SPDX-License-Identifier: GPL-2.0-only */
/* An update as "continuo update" does it, without asking first whether the host is ready. */
#ifndef RIG_LIBCONTINUO_UNASKED_UPDATE_H
#define RIG_LIBCONTINUO_UNASKED_UPDATE_H

/* Comes back if it does not succeed, and says "unasked": at which step, and the errno. */
void update_unasked(void);

#endif
