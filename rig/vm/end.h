/* SPDX-License-Identifier: GPL-2.0-only */
/* What the VM says on its console, and how it ends. */
#ifndef RIG_VM_END_H
#define RIG_VM_END_H

/* One line on the console, which begins with "vm: ". */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says what was attempted and why it failed, and powers off. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void boot_again(void) __attribute__((noreturn));
void power_off(void) __attribute__((noreturn));

#endif
