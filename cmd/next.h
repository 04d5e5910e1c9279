/* SPDX-License-Identifier: GPL-2.0-only */
/* The next kernel: whether it will do, and putting it in place for the jump. */
#ifndef NEXT_H
#define NEXT_H

#include "commands.h"
#include "steps.h"

struct next {
	const struct options *opt;
	struct steps *steps;
	char *append;			/* its command line; to be freed */
	bool in_place;			/* it was loaded before, by another process */
	bool loaded;			/* by this process, and not unloaded since */
	bool written;			/* so is the record of it */
};

/* Each is a step. They return an exit status; if it is not EXIT_FINE, it was said why. */
int next_check_host(struct next *next);
/* Of the image that is given, or of the one that is in place if none is. */
int next_check(struct next *next);
/* It may have been loaded, and yet be refused: then it is to be unloaded. */
int next_load(struct next *next);
/* Does nothing if this process has loaded none. */
int next_unload(struct next *next);
/* Whoever has loaded it; no step. */
int next_unload_any(void);

#endif
