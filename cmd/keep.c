// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that keeps a VM. Up to the moment when an update has it preserve, it has only prepared
 * the VM, as "continuo verify" does: it can end, and everything is as it was. To be preserved for
 * another kernel the devices have to be those of this one first, which cannot be undone: from then on the
 * process is the VM, and an update that is undone leaves it so, for the next one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "keep.h"

#ifndef SYS_close_range
#define SYS_close_range	436
#endif

/* An agent that has ended is looked for so often. */
#define LOOK_AGAIN_US	100000

/* The descriptor that leads to the command */
#define LEASH		3

/* --- the process --- */

/* @session: that it came in, -1 once it is this kernel's; @next: that it is preserved in, or -1. */
struct kept {
	const char *name, *agent;
	struct continuo *ctx;
	struct continuo_vm *vm;
	int session, next;
	int leash;			/* -1: the command has ended */
	bool gone;			/* the update has begun */
};

static void undo(struct kept *k)
{
	if (k->next >= 0) {
		close(k->next);
		continuo_session_release(k->ctx, k->name);
		continuo_vm_unpreserve(k->vm);
	}
	k->next = -1;
}

/* The devices leave the tables that came: there is no way back for this process. */
static int make_it_ours(struct kept *k)
{
	int ret = continuo_vm_commit(k->vm, k->session, 0);

	if (ret)
		return ret;
	close(k->session);
	k->session = -1;
	ret = continuo_session_release(k->ctx, k->name);
	/* With the order to preserve the agent lets go of what a VM has had before. */
	return ret == -ENOENT ? 0 : ret;
}

static int preserve(struct kept *k)
{
	int ret = 0;

	undo(k);
	if (k->session >= 0)
		ret = make_it_ours(k);
	if (ret)
		return ret;
	k->next = continuo_session_create(k->ctx, k->name);
	return k->next < 0 ? k->next : continuo_vm_preserve(k->vm, k->next);
}

static void obey(struct kept *k, int from)
{
	struct continuo_order order;
	char why[400] = "";
	int ret;

	ret = continuo_order(k->ctx, from, &order);
	/* The agent has ended. What this kernel does not have yet goes back; the rest waits for the next one. */
	if (ret) {
		undo(k);
		if (k->session >= 0)
			exit(0);
		while (continuo_agent(k->ctx, k->agent) || (ret = continuo_register_kept(k->ctx, k->name)) < 0)
			usleep(LOOK_AGAIN_US);
		dup2(ret, from);
		close(ret);
		return;
	}
	if (order.want == CONTINUO_WANT_PRESERVE)
		ret = preserve(k);
	else if (order.want == CONTINUO_WANT_UNDO)
		undo(k);
	/* No virtual CPU runs: there is nothing to suspend. */
	if (ret) {
		snprintf(why, sizeof(why), "it was kept for the next update: %.300s", continuo_why(k->ctx));
		undo(k);
	}
	continuo_answer(k->ctx, from, &order, ret ? why : NULL);
	/* It can have been taken over in part: whoever comes next begins at the beginning. */
	if (ret && k->session >= 0)
		exit(1);
}

/* What the command says, one byte each; it hears a byte once the VM is kept, and to LEASH_END if it stays so. */
enum { LEASH_GO = 'g', LEASH_END = 'e' };

/* Those of an earlier update, whose command was killed. */
#define KEPT_ALREADY	EXIT_NOT_READY

/* Where orders come from, or the exit status with a minus, and it was said why. */
static int prepare(struct kept *k)
{
	int ret = continuo_new(&k->ctx);

	if (ret)
		return -trouble("session %s: nothing to speak with the agent by: %s", k->name, strerror(-ret));
	ret = continuo_agent(k->ctx, k->agent);
	if (!ret)
		ret = k->session = continuo_session_retrieve(k->ctx, k->name);
	if (ret == -EALREADY)
		return -KEPT_ALREADY;
	if (ret >= 0)
		ret = continuo_vm_prepare(k->ctx, k->session, CONTINUO_REPLACE, &k->vm);
	if (ret >= 0)
		ret = continuo_register_kept(k->ctx, k->name);
	if (ret >= 0)
		return ret;
	return -trouble("session %s came with the last update, nobody has taken it over, and it cannot be passed on: %s. Start its VM, or 'continuo finish --discard' it, or --leave it",
			k->name, continuo_why(k->ctx));
}

static void hear_command(struct kept *k)
{
	char byte = 0;

	if (read(k->leash, &byte, 1) == 1) {
		k->gone |= byte == LEASH_GO;
		if (byte == LEASH_END && k->session >= 0)
			exit(0);
		if (byte == LEASH_END && send(k->leash, "", 1, MSG_NOSIGNAL) == 1)
			return;
		if (byte == LEASH_GO)
			return;
	}
	/* It has ended. Before the update began, that was its end. */
	if (!k->gone && k->session >= 0)
		exit(0);
	k->leash = -1;
}

static void __attribute__((noreturn)) keep(const struct options *opt, const char *name, int leash)
{
	struct kept k = { .name = name, .agent = opt->given[OPT_AGENT], .session = -1, .next = -1, .leash = leash };
	int from = prepare(&k), nothing;

	if (from < 0)
		exit(-from);
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && nothing >= 0; i++)
		dup2(nothing, i);
	if (send(leash, "", 1, MSG_NOSIGNAL) != 1)
		exit(1);
	for (;;) {
		struct pollfd on[2] = { { .fd = from, .events = POLLIN }, { .fd = k.leash, .events = POLLIN } };

		if (poll(on, 2, -1) < 0)
			continue;
		if (on[0].revents)
			obey(&k, from);
		if (on[1].revents)
			hear_command(&k);
	}
}

/* --- the command --- */

static struct {
	pid_t pid;
	int leash;
} *keeper;
static size_t keepers;

static int cannot(const char *name, const char *why)
{
	return trouble("session %s cannot be passed on: %s", name, why);
}

int keep_begin(const struct options *opt, const char *name)
{
	int ends[2], status;
	char byte;
	void *more;
	pid_t pid;

	more = reallocarray(keeper, keepers + 1, sizeof(*keeper));
	if (!more)
		return cannot(name, "out of memory");
	keeper = more;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return cannot(name, strerror(errno));
	pid = fork();
	if (!pid) {
		/* It outlives the command, and keeps nothing of it: no image, no lock, and no other's leash. */
		if (ends[1] != LEASH && dup2(ends[1], LEASH) < 0)
			exit(1);
		syscall(SYS_close_range, LEASH + 1u, ~0u, 0u);
		/* Whoever interrupts the command, or closes its terminal, does not mean the VM. */
		setsid();
		prctl(PR_SET_NAME, "continuo-keep");
		signal(SIGPIPE, SIG_IGN);
		keep(opt, name, LEASH);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return cannot(name, strerror(errno));
	}
	if (read(ends[0], &byte, 1) != 1) {
		close(ends[0]);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			return cannot(name, "the process that was to keep it has died");
		return WEXITSTATUS(status) == KEPT_ALREADY ? EXIT_FINE : EXIT_TROUBLE;
	}
	keeper[keepers].pid = pid;
	keeper[keepers++].leash = ends[0];
	return EXIT_FINE;
}

void keep_go(void)
{
	for (size_t i = 0; i < keepers; i++)
		send(keeper[i].leash, &(char){ LEASH_GO }, 1, MSG_NOSIGNAL);
}

void keep_end(void)
{
	char byte;

	for (size_t i = 0; i < keepers; i++) {
		/* It answers if it stays, and ends otherwise. */
		if (send(keeper[i].leash, &(char){ LEASH_END }, 1, MSG_NOSIGNAL) != 1 ||
		    read(keeper[i].leash, &byte, 1) != 1)
			waitpid(keeper[i].pid, NULL, 0);
		close(keeper[i].leash);
	}
	keepers = 0;
}
