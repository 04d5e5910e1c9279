// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

int continuo_new(struct continuo **ctx)
{
	*ctx = calloc(1, sizeof(**ctx));
	if (!*ctx)
		return -ENOMEM;
	(*ctx)->device = -1;
	(*ctx)->agent = -1;
	return 0;
}

void continuo_free(struct continuo *ctx)
{
	if (!ctx)
		return;
	if (ctx->device >= 0)
		close(ctx->device);
	if (ctx->agent >= 0)
		close(ctx->agent);
	free(ctx);
}

unsigned int continuo_version(void)
{
	return CONTINUO_VERSION_MAJOR << 16 | CONTINUO_VERSION_MINOR;
}

const char *continuo_why(const struct continuo *ctx)
{
	return ctx->why;
}

int fail(struct continuo *ctx, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ctx->why, sizeof(ctx->why), fmt, args);
	va_end(args);
	return err;
}
