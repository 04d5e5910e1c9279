// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM as it was when version 0.1 was there: tests/agent/races builds it with the header and
 * the library of that version. It says on a line what it is: running, preserved, suspended.
 */
#define _GNU_SOURCE
#include <continuo.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int session = -1;

static int undo(struct continuo *ctx, const char *name)
{
	if (session < 0)
		return 0;
	close(session);
	session = -1;
	return continuo_session_release(ctx, name);
}

static int preserve(struct continuo *ctx, const char *name)
{
	int memory = memfd_create("ram", MFD_CLOEXEC), ret;

	session = continuo_session_create(ctx, name);
	ret = session < 0 ? session : continuo_preserve(ctx, session, memory, 1);
	close(memory);
	return ret;
}

int main(int argc, char **argv)
{
	struct continuo_order order;
	struct continuo *ctx;
	int orders, ret;

	if (argc != 3 || continuo_new(&ctx) || continuo_agent(ctx, argv[1]))
		return 2;
	setlinebuf(stdout);
	orders = continuo_register(ctx, argv[2]);
	ret = orders;
	if (orders >= 0)
		puts("running");
	while (ret >= 0) {
		ret = continuo_order(ctx, orders, &order);
		if (ret)
			break;
		if (order.want == CONTINUO_WANT_PRESERVE)
			ret = preserve(ctx, argv[2]);
		else if (order.want == CONTINUO_WANT_UNDO)
			ret = undo(ctx, argv[2]);
		puts(ret ? continuo_why(ctx) :
		     order.want == CONTINUO_WANT_PRESERVE ? "preserved" :
		     order.want == CONTINUO_WANT_SUSPEND ? "suspended" : "running");
		ret = continuo_answer(ctx, orders, &order, ret ? continuo_why(ctx) : NULL);
	}
	fprintf(stderr, "VM %s of 0.1: %s\n", argv[2], continuo_why(ctx));
	return 1;
}
