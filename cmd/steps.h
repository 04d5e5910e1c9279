/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of what a command does, step by step, and how long each step takes. */
#ifndef STEPS_H
#define STEPS_H

#include <stdbool.h>
#include <time.h>

#include "model.h"

struct steps {
	struct json_object *rows;
	struct timespec since;		/* the last one's begin */
	bool dry;			/* they are said, and not done */
	bool watched;			/* each is said on stderr when it begins */
};

/* A step begins; of a dry run it is all that happens. */
void steps_begin(struct steps *s, const char *step, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void steps_end(struct steps *s);

#endif
