/* SPDX-License-Identifier: GPL-2.0-only */
/* How process 1 tells another process of the rig something: a datagram of some words. */
#ifndef RIG_LIBCONTINUO_EAR_H
#define RIG_LIBCONTINUO_EAR_H

#include <stdbool.h>
#include <stddef.h>

#define EAR_WORDS	64

/* The ear of that name, to be polled; one of before is replaced. */
int ear_open(const char *name);
/* What was said, ended by 0; false if nothing was. */
bool ear_hear(int ear, char words[EAR_WORDS]);
/* Somebody has to have it. */
void ear_tell(const char *name, const char *words);
/* It is gone: nobody can be told anything by that name, and ear_is_there() says so. */
void ear_close(const char *name);
bool ear_is_there(const char *name);

#endif
