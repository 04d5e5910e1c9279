// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>

#include "steps.h"

static double ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1e3 + (now.tv_nsec - then->tv_nsec) / 1e6;
}

void steps_begin(struct steps *s, const char *step, const char *fmt, ...)
{
	struct json_object *row = model_row(s->rows);
	char *does;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&does, fmt, args) < 0)
		abort();
	va_end(args);
	model_text(row, "step", step);
	model_text(row, "does", does);
	if (!s->dry && s->watched)
		fprintf(stderr, "%s: %s\n", step, does);
	free(does);
	clock_gettime(CLOCK_MONOTONIC, &s->since);
}

void steps_end(struct steps *s)
{
	size_t n = json_object_array_length(s->rows);

	model_ms(json_object_array_get_idx(s->rows, n - 1), "ms", ms_since(&s->since));
}
