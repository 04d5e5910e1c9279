/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_CORE_PROGRAMS_H
#define RIG_CORE_PROGRAMS_H

/*
 * A program and its arguments; @FILE is the first line of that file. Says "printed" of
 * each piece of its standard output and "ran" at the end; its standard error is the
 * console.
 */
void run_program(char *line);
/*
 * One that goes on by itself, with its output on the console; a signal for it; and its end,
 * which "joined" tells.
 */
void spawn_program(char *line);
void signal_spawned(int sig);
void join_spawned(void);

#endif
