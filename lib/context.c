// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

int continuo_new(struct continuo **ctx)
{
	struct continuo *c = calloc(1, sizeof(*c));
	int err;

	*ctx = NULL;
	if (!c)
		return -ENOMEM;
	c->device = -1;
	c->agent = -1;
	c->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->cancel < 0) {
		err = -errno;
		free(c);
		return err;
	}
	*ctx = c;
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
	close(ctx->cancel);
	free(ctx);
}

/* In a signal handler, or while another thread is in a call. */
void continuo_cancel(struct continuo *ctx)
{
	int err = errno;

	/* If there is no room for one more, it is readable already. */
	if (eventfd_write(ctx->cancel, 1))
		errno = err;
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
