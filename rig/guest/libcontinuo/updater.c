// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "continuo.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/updater.h"

#define PATIENCE_US	30000000

char updater_heard[HEARD_MAX];
struct continuo *updater;

void updater_tried(const char *what, int ret)
{
	emit("order", ",\"what\":\"%s\",\"errno\":%d,\"heard\":\"%s\"", what,
	     ret < 0 ? -ret : 0, updater_heard);
	updater_heard[0] = 0;
}

struct continuo *connect_as(uid_t uid)
{
	struct continuo *ctx;

	if (uid && (setgroups(0, NULL) || setgid(AGENT_GROUP) || setuid(uid)))
		die("become another user: %s", strerror(errno));
	if (continuo_new(&ctx) || continuo_agent(ctx, AGENT_SOCKET))
		die("connect to the agent");
	return ctx;
}

void updater_renew(void)
{
	continuo_free(updater);
	updater = connect_as(0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *lines[16];
static unsigned int nr_lines;

/* In the order of the names, since that of the answers is nobody's. */
static void note(void *arg, const struct continuo_heard *h)
{
	if (nr_lines == ARRAY_SIZE(lines) ||
	    asprintf(&lines[nr_lines++], "%s %s%s%s", h->name, h->state, *h->why ? ": " : "",
		     h->why) < 0)
		die("note what was heard");
}

static void put_in_order(void)
{
	qsort(lines, nr_lines, sizeof(lines[0]), by_name);
	for (unsigned int i = 0; i < nr_lines; i++) {
		sprintf(updater_heard + strlen(updater_heard), "%s%s", i ? "; " : "", lines[i]);
		free(lines[i]);
	}
	nr_lines = 0;
}

void updater_ask(const char *what, enum continuo_want want, const char *name, uint32_t ms)
{
	int ret = continuo_update_ask(updater, want, name, ms, note, NULL);

	put_in_order();
	updater_tried(what, ret);
}

void updater_vms(const char *what)
{
	int ret = continuo_update_vms(updater, note, NULL);

	put_in_order();
	updater_tried(what, ret);
}

void updater_await(const char *what, const char *state)
{
	uint64_t end = now_us() + PATIENCE_US;

	for (;;) {
		updater_heard[0] = 0;
		if (continuo_update_vms(updater, note, NULL))
			die("%s: %s", what, continuo_why(updater));
		put_in_order();
		if (!strcmp(updater_heard, state))
			break;
		if (now_us() > end)
			die("%s: the VMs are '%s', expected '%s'", what, updater_heard, state);
		usleep(10000);
	}
	updater_tried(what, 0);
}
