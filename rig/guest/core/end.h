/* SPDX-License-Identifier: GPL-2.0-only */
/* How a case ends in the guest. */
#ifndef RIG_CORE_END_H
#define RIG_CORE_END_H

/* Reports an "error" event that names what was attempted, then ends the case. */
void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/* The same if @ret is -errno. */
void must(int ret, const char *what);
void power_off(void) __attribute__((noreturn));

#endif
