/* SPDX-License-Identifier: GPL-2.0-only */
/* What every guest program of the rig shares: options, events, small helpers. */
#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An option is "rig.NAME=value" on the kernel command line, or NAME=value in
 * a command from the referee. The later one wins. */
const char *opt(const char *name, const char *dflt);
long opt_num(const char *name, long dflt);
void opt_load_cmdline(void);
void opt_set(const char *assignment);
/* All rig options as " rig.A=b rig.C=d", for the next kernel's command line. */
void opt_append_all(char *buf, size_t len);

/* Control channel: events go out as one JSON object a line. */
void ctl_open(const char *path);
int ctl_fd(void);
/* @fmt gives the members after "ev" and "t_us", with a leading comma, or "". */
void emit(const char *ev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* One line from the referee without its newline, or NULL when none is there. */
char *ctl_line(int timeout_ms);

/* Reports an "error" event that names what was attempted, then ends the case. */
void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void power_off(void) __attribute__((noreturn));

void kmemleak_check(void);
uint64_t now_us(void);
void write_file(const char *path, const char *text);
/* Size read, or -errno; the text is always terminated. */
ssize_t read_file(const char *path, char *buf, size_t len);
uint32_t crc32_rig(uint32_t crc, const void *data, size_t len);

/* kexec */
void kexec_load_next(void);
/* The same kernel, without going one stage on: the jump is not to happen yet. */
void kexec_load_this_stage(void);
void kexec_jump(void) __attribute__((noreturn));
/* The same, again and again as long as a device is busy. */
void kexec_jump_patiently(void) __attribute__((noreturn));
/* As kexec_jump(), but returns -errno if the kernel refuses. */
int kexec_try(void);

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
