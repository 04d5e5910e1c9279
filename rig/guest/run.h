/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_RUN_H
#define RIG_RUN_H

/*
 * A program and its arguments. Says "printed" of each piece of its standard output and
 * "ran" at the end; its standard error is the console.
 */
void run_program(char *line);

#endif
