// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back.h"
#include "confirm.h"
#include "decide.h"
#include "record.h"
#include "talk.h"

#define BACK		"/sys/kernel/liveupdate_back/"
#define MOST_WAITING	3072

static void act(const struct confirm_action *action);
static struct confirm_vm vm[MOST_VMS];
static struct confirm_client client[MOST_WAITING];
static struct confirm confirm = {
	.act = act, .vm = vm, .room = MOST_VMS, .client = client, .places = MOST_WAITING,
};
static struct continuo *ctx;
static const char *health;
static pid_t gate;

/* What the decision asks for, and is told of before anything else happens. */
static struct {
	bool gate, write;
} due;

static void act(const struct confirm_action *a)
{
	switch (a->kind) {
	case CONFIRM_GATE:
		due.gate = true;
		break;
	case CONFIRM_WRITE:
		due.write = true;
		break;
	case CONFIRM_ANSWER:
		if (a->err)
			reply_or_end(a->client, "error %d %s", a->err, a->text);
		else
			reply_or_end(a->client, "ok\n");
		break;
	case CONFIRM_NOTE:
		record_way_back(confirm.armed ? "armed" : "confirmed", a->text);
		if (*a->text)
			fprintf(stderr, "continuo-agent: the way back: %s\n", a->text);
		break;
	}
}

static void run_gate(void)
{
	if (!health) {
		confirm_gate(&confirm, NULL);
		return;
	}
	gate = fork();
	if (!gate) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl(health, health, NULL);
		_exit(trouble("%s: %m", health));
	}
	if (gate < 0) {
		gate = 0;
		confirm_gate(&confirm, "no process can be made to ask it");
	}
}

static void tell_kernel(void)
{
	int ret = continuo_confirm(ctx);

	/* Somebody else did it. */
	if (ret == -ENOENT && continuo_back(ctx) == CONTINUO_BACK_CONFIRMED)
		ret = 0;
	if (!ret)
		record_at("confirmed");
	confirm_written(&confirm, -ret, continuo_why(ctx));
}

static void follow(void)
{
	while (due.gate || due.write) {
		bool asks = due.gate;

		if (asks) {
			due.gate = false;
			run_gate();
		} else {
			due.write = false;
			tell_kernel();
		}
	}
}

void back_open(struct continuo *continuo, const char *program)
{
	ctx = continuo;
	health = program;
}

static void read_line(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);

	if (fd >= 0)
		close(fd);
	to[n < 0 ? 0 : n] = 0;
	to[strcspn(to, "\n")] = 0;
	/* It was written by a kernel in despair. */
	for (char *at = to; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			*at = '?';
}

const char *back_state(const char **why)
{
	static char text[400];
	char release[66], reason[300];

	*why = "";
	switch (continuo_back(ctx)) {
	case CONTINUO_BACK_ARMED:
		return "armed";
	case CONTINUO_BACK_CONFIRMED:
		return "confirmed";
	case CONTINUO_BACK_CAME:
		read_line(BACK "release", release, sizeof(release));
		read_line(BACK "reason", reason, sizeof(reason));
		snprintf(text, sizeof(text), "%s has failed: %s", release, reason);
		*why = text;
		return "came-back";
	default:
		return "";
	}
}

static void expect(const char *name)
{
	confirm_expect(&confirm, name);
}

void back_begin(void)
{
	const char *why;

	confirm_begin(&confirm, !strcmp(back_state(&why), "armed"));
	if (!confirm_waits(&confirm))
		return;
	if (record_came(expect))
		confirm_all_known(&confirm);
	else
		fputs("continuo-agent: the way back: no record of the update has come, so that only 'continuo confirm' confirms it\n",
		      stderr);
	follow();
}

const char *back_forbids(void)
{
	return confirm_waits(&confirm) ?
	       "the last update is not confirmed yet, and the machine may still go back; 'continuo report' says what it waits for" : NULL;
}

void back_ready(int of, const char *name)
{
	if (confirm_waits(&confirm))
		record_vm_at(name, "ready");
	confirm_ready(&confirm, of, name);
	follow();
}

void back_confirm(int of)
{
	confirm_by_hand(&confirm, of);
	follow();
}

void back_gone(int of)
{
	confirm_client_gone(&confirm, of);
	follow();
}

void back_reaped(pid_t pid, int status)
{
	char why[100];

	if (!gate || pid != gate)
		return;
	gate = 0;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "%.60s was ended by signal %d", health, WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "%.60s ended with %d", health, WEXITSTATUS(status));
	confirm_gate(&confirm, status ? why : NULL);
	follow();
}
