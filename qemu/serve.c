// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exits.h"
#include "say.h"
#include "serve.h"

#define RETRY_MS	1000	/* until the agent is looked for again */
#define UNDO_US		10000000
#define END_US		30000000	/* for QEMU to end when it is told to */

static volatile sig_atomic_t told;

static void tell(int sig)
{
	told = sig;
}

static void hear_signals(sigset_t *during)
{
	static const int heard[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction act = { .sa_handler = tell };
	sigset_t mask;

	/* They come only while it is waited: so none is missed. */
	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
		sigaction(heard[i], &act, NULL);
		sigaddset(&mask, heard[i]);
	}
	sigprocmask(SIG_BLOCK, &mask, during);
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
		sigdelset(during, heard[i]);
}

int serve_connect(struct vm *vm)
{
	struct continuo *ctx;
	int ret;

	/* There is only the one that was handed in. */
	if (vm->agent_fd >= 0 && vm->ctx)
		return 0;
	ret = continuo_new(&ctx);
	if (ret)
		return fail("nothing to speak with the agent by: %s", strerror(-ret));
	continuo_free(vm->ctx);
	vm->ctx = ctx;
	continuo_deadline(vm->ctx, vm->patience_us / 1000);
	ret = vm->agent_fd >= 0 ? continuo_agent_fd(vm->ctx, vm->agent_fd) : continuo_agent(vm->ctx, vm->agent);
	return ret ? fail("%s", continuo_why(vm->ctx)) : 0;
}

/* Whether an undo has failed, and is tried again as long as there is no other order. */
static bool owes;

static int undo(struct vm *vm, uint64_t until)
{
	owes = vm_undo(vm, until);
	if (owes)
		say("failed", "undo %s", why());
	return owes ? -1 : 0;
}

/* The same if there is anything. */
static int undo_any(struct vm *vm, uint64_t until)
{
	return vm->state != VM_RUNNING || vm->stopped || owes ? undo(vm, until) : 0;
}

/* A connection that was handed in is of no use any more, or of none for this VM; there is no other. */
static bool is_over(const struct vm *vm, int err)
{
	return vm->agent_fd >= 0 && (err == -EPIPE || err == -ETIMEDOUT || err == -EPROTO || err == -EPERM);
}

/* The descriptor that orders come from, or -1 with why(). @over: it need not be tried again. */
static int join(struct vm *vm, bool *over)
{
	int fd;

	if (vm->state != VM_RUNNING)
		return fail("the VM is not as it was before: it could not be undone");
	if (serve_connect(vm))
		return -1;
	fd = continuo_register_process(vm->ctx, vm->name, vm->pid);
	if (fd < 0) {
		*over = is_over(vm, fd);
		return fail("%s", continuo_why(vm->ctx));
	}
	if (vm->agent_fd >= 0)
		say("registered", "over descriptor %d", vm->agent_fd);
	else
		say("registered", "%s", vm->agent ?: CONTINUO_AGENT_SOCKET);
	return fd;
}

static int carry_out(struct vm *vm, const struct continuo_order *order)
{
	/* What is answered too late is no answer. */
	uint64_t until = now_us() + order->timeout_ms * 900ull;

	switch (order->want) {
	case CONTINUO_WANT_PRESERVE:
		return vm_preserve(vm, until);
	case CONTINUO_WANT_SUSPEND:
		return vm_suspend(vm, until);
	case CONTINUO_WANT_UNDO:
		return undo_any(vm, until);
	}
	return fail("order %u is not known", order->want);
}

static const char *word_of(uint32_t want)
{
	return want == CONTINUO_WANT_PRESERVE ? "preserve" :
	       want == CONTINUO_WANT_SUSPEND ? "suspend" :
	       want == CONTINUO_WANT_UNDO ? "undo" : "order";
}

/* False if the agent has ended. */
static bool obey(struct vm *vm, int fd)
{
	struct continuo_order order;
	int ret = continuo_order(vm->ctx, fd, &order);

	if (ret) {
		say("event", "the agent: %s", continuo_why(vm->ctx));
		return false;
	}
	ret = carry_out(vm, &order);
	if (ret && order.want != CONTINUO_WANT_UNDO)
		say("failed", "%s %s", word_of(order.want), why());
	/* An agent that has ended is noticed at the next order. */
	continuo_answer(vm->ctx, fd, &order, ret ? why() : NULL);
	/* The other VMs do not wait for this one to be as before. */
	if (ret && order.want != CONTINUO_WANT_UNDO)
		undo(vm, now_us() + UNDO_US);
	return true;
}

/* QEMU's end: the exit status, if it was a child of this process. */
static int reap(struct vm *vm)
{
	int status;

	if (!vm->child || waitpid(vm->pid, &status, 0) != vm->pid) {
		say("qemu-ended", "process %d", vm->pid);
		return EXIT_FINE;
	}
	vm->child = false;
	if (WIFSIGNALED(status)) {
		say("qemu-ended", "process %d by signal %d", vm->pid, WTERMSIG(status));
		return EXIT_ENDED;
	}
	say("qemu-ended", "process %d with %d", vm->pid, WEXITSTATUS(status));
	return WEXITSTATUS(status) ? EXIT_ENDED : EXIT_FINE;
}

static bool has_ended(struct vm *vm, uint64_t until)
{
	while (waitpid(vm->pid, NULL, WNOHANG) == 0) {
		if (!left_ms(until))
			return false;
		usleep(10000);
	}
	return true;
}

/* Told to end: what was begun is undone, and QEMU ends with this process, or goes on without it. */
static int end(struct vm *vm, int sig)
{
	int ret = EXIT_FINE;

	say("event", "signal %d", sig);
	if (undo_any(vm, now_us() + UNDO_US))
		ret = EXIT_TROUBLE;
	if (!vm->child || sig == SIGHUP)
		return ret;
	kill(vm->pid, SIGTERM);
	if (!has_ended(vm, now_us() + END_US)) {
		say("event", "QEMU does not end");
		ret = EXIT_TROUBLE;
	}
	return ret;
}

/* The agent has ended, or nobody can ask it: no jump takes the VM along, so it goes on as before. */
static void leave(struct vm *vm, int *fd)
{
	close(*fd);
	*fd = -1;
	undo_any(vm, now_us() + UNDO_US);
}

/* False if the VM is at its end, with the exit status in @ret. */
static bool goes_on(struct vm *vm, bool *ended, int *ret)
{
	if (vm->qmp.fd >= 0) {
		*ended = false;
		return true;
	}
	if (!*ended) {
		*ended = true;
		*ret = reap(vm);
		if (vm->state == VM_SUSPENDED)
			say("event", "the VM is suspended, and needs this QEMU no more");
	}
	/* All of it is in our hands: it can go over, or to another QEMU. */
	return vm->state == VM_SUSPENDED;
}

int serve(struct vm *vm)
{
	bool said = false, ended = false, over = false;
	int agent = -1, ret = EXIT_FINE;
	sigset_t during;

	hear_signals(&during);
	/* It can also end in the middle of an order. */
	while (!told && goes_on(vm, &ended, &ret)) {
		const struct timespec retry = { .tv_sec = RETRY_MS / 1000 };
		struct pollfd p[2];

		if (owes)
			undo(vm, now_us() + RETRY_MS * 1000ull);
		if (agent < 0 && !over) {
			agent = join(vm, &over);
			if (over)
				say("failed", "register over descriptor %d: %s; the VM goes on, and no update carries it over. "
				    "End this process with SIGHUP, and start 'continuo-qemu attach' with another connection",
				    vm->agent_fd, why());
			else if (agent < 0 && !said)
				say("failed", "register %s; it is tried again and again", why());
			said = agent < 0;
		}
		p[0] = (struct pollfd){ .fd = agent, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = vm->qmp.fd, .events = POLLIN };
		if (ppoll(p, 2, (agent < 0 && !over) || owes ? &retry : NULL, &during) < 0)
			continue;
		if (p[1].revents && vm->qmp.fd >= 0)
			qmp_hear(&vm->qmp);
		/* Over a connection whose answer has not come in time nothing can be asked any more. */
		if (p[0].revents && (!obey(vm, agent) || continuo_agent_version(vm->ctx) == -EPIPE))
			leave(vm, &agent);
	}
	if (told)
		ret = end(vm, told);
	else
		vm_gone(vm);
	if (agent >= 0)
		close(agent);
	say_step("end");
	return ret;
}
