// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the agent makes of VMs and updaters that fail, die or say nothing. The VMs here
 * have a memfd in place of devices: it is not about those.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/limits.h"
#include "libcontinuo/order_tests.h"
#include "libcontinuo/stand_in_vms.h"
#include "libcontinuo/updater.h"

/* All VMs, and nobody listens. */
static int ask(struct continuo *ctx, enum continuo_want want, uint32_t ms)
{
	return continuo_update_ask(ctx, want, NULL, ms, NULL, NULL);
}

static void rules(void)
{
	struct continuo *other = connect_as(0);
	pid_t a = vm_begin("a", 0, WELL);

	updater_tried("register a name twice", continuo_register(other, "a"));
	updater_tried("update", continuo_update_begin(updater));
	updater_tried("update twice", continuo_update_begin(other));
	updater_tried("preserve by another", ask(other, CONTINUO_WANT_PRESERVE, LONG_MS));
	updater_tried("register in an update", continuo_register(other, "b"));
	updater_ask("suspend what is not preserved", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	updater_tried("seal", continuo_update_seal(updater));
	updater_tried("attach to what has not begun", continuo_update_attach(other, NULL, NULL));
	updater_tried("leave nobody", continuo_update_leave(updater, "nobody"));
	updater_ask("ask nobody", CONTINUO_WANT_PRESERVE, "nobody", LONG_MS);
	updater_ask("preserve", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	updater_ask("preserve again", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	updater_ask("suspend", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	updater_ask("undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	updater_ask("undo again", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	updater_tried("abort by another", continuo_update_abort(other));
	updater_tried("abort what is not there", continuo_update_abort(other));
	/* Up to the jump, which no kernel is loaded for. */
	updater_tried("go of who updates nothing", continuo_update_go(other, LONG_MS, 0, NULL, NULL));
	updater_tried("update again", continuo_update_begin(updater));
	updater_tried("go, and no kernel", continuo_update_go(updater, LONG_MS, 0, NULL, NULL));
	updater_vms("all is undone");
	vm_end(a);
	updater_await("its end", "");
	continuo_free(other);
	updater_renew();
}

static void failures(void)
{
	pid_t a = vm_begin("a", 0, WELL), f = vm_begin("f", 1000, FAILS);

	updater_ask("one fails", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	updater_ask("one fails: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(f);
	updater_await("one has failed", "a idle");
	vm_begin("d", 1000, DIES);
	updater_ask("one dies", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	updater_ask("one dies: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	updater_vms("one has died");
	updater_ask("by name", CONTINUO_WANT_PRESERVE, "a", LONG_MS);
	vm_end(a);
	updater_vms("one has died preserved");
	updater_tried("register what died preserved", continuo_register(updater, "a"));
	updater_ask("undo of what died", CONTINUO_WANT_UNDO, "a", LONG_MS);
	updater_vms("it is gone");
}

static void silence(void)
{
	pid_t a = vm_begin("a", 0, WELL), s = vm_begin("s", 1000, WELL), l;

	kill(s, SIGSTOP);
	updater_ask("one is silent", CONTINUO_WANT_PRESERVE, NULL, SHORT_MS);
	updater_ask("one is silent: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	/* It finds both orders, preserves and undoes it. */
	kill(s, SIGCONT);
	updater_ask("it comes to life", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	updater_ask("it comes to life: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(s);
	updater_await("silent one ends", "a idle");

	l = vm_begin("l", 1000, LATE);
	updater_ask("one is late", CONTINUO_WANT_PRESERVE, "u1000.l", SHORT_MS);
	usleep(3 * SHORT_MS * 1000);
	updater_vms("its answer is too late");
	updater_ask("one is late: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(l);
	updater_await("late one ends", "a idle");
	vm_end(a);
	updater_await("all end", "");
}

static void left(void)
{
	pid_t a = vm_begin("a", 0, WELL), s = vm_begin("s", 1000, WELL);

	kill(s, SIGSTOP);
	updater_tried("update", continuo_update_begin(updater));
	updater_ask("one is silent", CONTINUO_WANT_PRESERVE, NULL, SHORT_MS);
	updater_tried("leave it", continuo_update_leave(updater, "u1000.s"));
	updater_tried("a session of what was left", continuo_session_create(updater, "u1000.s"));
	updater_ask("suspend the others", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	updater_ask("no jump: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	kill(s, SIGCONT);
	updater_vms("all are there");
	vm_end(a);
	vm_end(s);
	updater_await("all end", "");
	updater_renew();
}

/* Whoever updates the host dies, with all preserved or suspended. */
static void updater_dies(bool suspended)
{
	pid_t a = vm_begin("a", 0, WELL), pid;

	/* The one before has to be forgotten. */
	continuo_free(updater);
	pid = fork();
	if (!pid) {
		updater = connect_as(0);
		if (continuo_update_begin(updater) ||
		    ask(updater, CONTINUO_WANT_PRESERVE, LONG_MS) ||
		    (suspended && ask(updater, CONTINUO_WANT_SUSPEND, LONG_MS)))
			die("update: %s", continuo_why(updater));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	updater = connect_as(0);
	updater_await(suspended ? "it dies when all are suspended" : "it dies when all have preserved",
		      "a idle");
	updater_tried("update after that", continuo_update_begin(updater));
	vm_end(a);
	updater_await("all end", "");
	updater_renew();
}

/* All are suspended, and then nothing more happens. */
static void idler(void)
{
	pid_t a = vm_begin("a", 0, WELL), pid;
	int ready[2];
	char byte;

	continuo_free(updater);
	if (pipe(ready))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		updater = connect_as(0);
		if (continuo_update_begin(updater) ||
		    ask(updater, CONTINUO_WANT_PRESERVE, LONG_MS) ||
		    ask(updater, CONTINUO_WANT_SUSPEND, SHORT_MS))
			die("update: %s", continuo_why(updater));
		close(ready[1]);
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		die("the updater does not come so far");
	close(ready[0]);
	updater = connect_as(0);
	updater_await("suspend, and no jump", "a idle");
	vm_end(pid);
	vm_end(a);
	updater_await("all end", "");
	updater_renew();
}

void test_orders(void)
{
	pid_t pid;

	agent_begin();
	updater = connect_as(0);
	pid = fork();
	if (!pid) {
		struct continuo *ctx = connect_as(1000);

		updater_tried("update as a user", continuo_update_begin(ctx));
		updater_tried("preserve as a user", ask(ctx, CONTINUO_WANT_PRESERVE, 1));
		updater_tried("vms as a user", continuo_update_vms(ctx, NULL, NULL));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	rules();
	failures();
	silence();
	left();
	updater_dies(false);
	updater_dies(true);
	idler();
	test_limits();
	continuo_free(updater);
	updater = NULL;
	emit("ordered", "");
}
