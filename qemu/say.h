/* SPDX-License-Identifier: GPL-2.0-only */
/* What is logged, why something failed, and until when it is waited for. */
#ifndef SAY_H
#define SAY_H

#include <stdbool.h>
#include <stdint.h>

#define WHY_MOST	512

/* The VM that each line begins with. */
void say_name(const char *name);
/* One line: VM, time, step, and the text; what is not printable is replaced. */
void say(const char *step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same without a text. */
void say_step(const char *step);

/* Keep the reason of a failure; returns -1. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The last one that was kept. */
const char *why(void);

/* Microseconds since the machine was started; the clock that lines have. */
uint64_t now_us(void);
/* For poll(2): milliseconds until then; 0 if it is over. */
int left_ms(uint64_t until);
/* Wait until a descriptor is readable; false if the time is over. */
bool wait_readable(int fd, uint64_t until);

#endif
