/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_CORE_PROGRAMS_H
#define RIG_CORE_PROGRAMS_H

#include <stdbool.h>

#define PROGRAM_ARGS	24

/* A program and its arguments; @FILE is the first line of that file. */
void split_program(char *line, char *argv[PROGRAM_ARGS + 1]);
/*
 * Says "printed" of each piece of its standard output and "ran" at the end. Its standard
 * error is the console, or @both go the same way, as from a terminal.
 */
void run_program(char *line, bool both);
/*
 * One that goes on by itself, with its output on the console; a signal for it; and its end,
 * which "joined" tells.
 */
void spawn_program(char *line);
void signal_spawned(int sig);
void join_spawned(void);

#endif
