/* SPDX-License-Identifier: GPL-2.0-only */
/* The control channel: events go out as one JSON object a line, commands come in. */
#ifndef RIG_CORE_CONTROL_H
#define RIG_CORE_CONTROL_H

/* 0 or -errno. */
int ctl_open(const char *path);
int ctl_fd(void);
/* @fmt gives the members after "ev", "t_us" and "tsc", with a leading comma, or "". */
void emit(const char *ev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* As emit(), and waits until the referee has taken down when that was. */
void emit_noted(const char *ev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Phases are said together with the next event that is none, so that saying them takes no time. */
void ctl_keep_phases(void);
/* Says "phase": @edge is "begin" or "end". */
void phase(const char *name, const char *edge);
/* One line from the referee without its newline, or NULL when none is there. */
char *ctl_line(int timeout_ms);

#endif
