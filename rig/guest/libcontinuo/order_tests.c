// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the agent makes of VMs and updaters that fail, die or say nothing. The VMs here
 * have a memfd in place of devices: it is not about those.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
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

static void rules(void)
{
	struct continuo *other = connect_agent(0);
	pid_t a = vm_begin("a", 0, WELL);

	tried("register a name twice", continuo_register(other, "a"));
	tried("update", continuo_update_begin(boss));
	tried("update twice", continuo_update_begin(other));
	tried("preserve by another", continuo_update_ask(other, CONTINUO_WANT_PRESERVE, NULL, LONG_MS, NULL, NULL));
	tried("register in an update", continuo_register(other, "b"));
	ask("suspend what is not preserved", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	tried("seal what is not suspended", continuo_update_seal(boss));
	tried("leave nobody", continuo_update_leave(boss, "nobody"));
	ask("ask nobody", CONTINUO_WANT_PRESERVE, "nobody", LONG_MS);
	ask("preserve", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("preserve again", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	tried("seal what is preserved", continuo_update_seal(boss));
	ask("suspend", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	tried("seal", continuo_update_seal(boss));
	tried("create when sealed", continuo_session_create(other, "c"));
	ask("undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	ask("undo again", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(a);
	await("its end", "");
	continuo_free(other);
	renew();
}

static void failures(void)
{
	pid_t a = vm_begin("a", 0, WELL), f = vm_begin("f", 1000, FAILS);

	ask("one fails", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("one fails: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(f);
	await("one has failed", "a idle");
	vm_begin("d", 1000, DIES);
	ask("one dies", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("one dies: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vms("one has died");
	ask("by name", CONTINUO_WANT_PRESERVE, "a", LONG_MS);
	vm_end(a);
	vms("one has died preserved");
	tried("register what died preserved", continuo_register(boss, "a"));
	ask("undo of what died", CONTINUO_WANT_UNDO, "a", LONG_MS);
	vms("it is gone");
}

static void silence(void)
{
	pid_t a = vm_begin("a", 0, WELL), s = vm_begin("s", 1000, WELL), l;

	kill(s, SIGSTOP);
	ask("one is silent", CONTINUO_WANT_PRESERVE, NULL, SHORT_MS);
	ask("one is silent: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	/* It finds both orders, preserves and undoes it. */
	kill(s, SIGCONT);
	ask("it comes to life", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("it comes to life: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(s);
	await("silent one ends", "a idle");

	l = vm_begin("l", 1000, LATE);
	ask("one is late", CONTINUO_WANT_PRESERVE, "u1000.l", SHORT_MS);
	usleep(3 * SHORT_MS * 1000);
	vms("its answer is too late");
	ask("one is late: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vm_end(l);
	await("late one ends", "a idle");
	vm_end(a);
	await("all end", "");
}

static void left(void)
{
	pid_t a = vm_begin("a", 0, WELL), s = vm_begin("s", 1000, WELL);

	kill(s, SIGSTOP);
	tried("update", continuo_update_begin(boss));
	ask("one is silent", CONTINUO_WANT_PRESERVE, NULL, SHORT_MS);
	tried("leave it", continuo_update_leave(boss, "u1000.s"));
	tried("a session of what was left", continuo_session_create(boss, "u1000.s"));
	ask("suspend the others", CONTINUO_WANT_SUSPEND, NULL, LONG_MS);
	tried("seal without it", continuo_update_seal(boss));
	ask("no jump: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	kill(s, SIGCONT);
	vms("all are there");
	vm_end(a);
	vm_end(s);
	await("all end", "");
	renew();
}

/* Whoever updates the host dies, before and after the seal. */
static void updater(bool seal)
{
	pid_t a = vm_begin("a", 0, WELL), pid;

	/* The one before has to be forgotten. */
	continuo_free(boss);
	pid = fork();
	if (!pid) {
		boss = connect_agent(0);
		if (continuo_update_begin(boss) ||
		    continuo_update_ask(boss, CONTINUO_WANT_PRESERVE, NULL, LONG_MS, NULL, NULL) ||
		    (seal && (continuo_update_ask(boss, CONTINUO_WANT_SUSPEND, NULL, LONG_MS, NULL, NULL) ||
			      continuo_update_seal(boss))))
			die("update: %s", continuo_why(boss));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	boss = connect_agent(0);
	await(seal ? "it dies when it has sealed" : "it dies when all have preserved", "a idle");
	tried("update after that", continuo_update_begin(boss));
	vm_end(a);
	await("all end", "");
	renew();
}

/* All are suspended, and then nothing more happens. */
static void idler(void)
{
	pid_t a = vm_begin("a", 0, WELL), pid;
	int ready[2];
	char byte;

	continuo_free(boss);
	if (pipe(ready))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		boss = connect_agent(0);
		if (continuo_update_begin(boss) ||
		    continuo_update_ask(boss, CONTINUO_WANT_PRESERVE, NULL, LONG_MS, NULL, NULL) ||
		    continuo_update_ask(boss, CONTINUO_WANT_SUSPEND, NULL, SHORT_MS, NULL, NULL) ||
		    continuo_update_seal(boss))
			die("update: %s", continuo_why(boss));
		close(ready[1]);
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		die("the updater does not come so far");
	close(ready[0]);
	boss = connect_agent(0);
	await("suspend, and no jump", "a idle");
	vm_end(pid);
	vm_end(a);
	await("all end", "");
	renew();
}

void orders_try(void)
{
	pid_t pid;

	agent_begin();
	boss = connect_agent(0);
	pid = fork();
	if (!pid) {
		struct continuo *ctx = connect_agent(1000);

		tried("update as a user", continuo_update_begin(ctx));
		tried("preserve as a user", continuo_update_ask(ctx, CONTINUO_WANT_PRESERVE, NULL, 1, NULL, NULL));
		tried("vms as a user", continuo_update_vms(ctx, NULL, NULL));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	rules();
	failures();
	silence();
	left();
	updater(false);
	updater(true);
	idler();
	take_all();
	continuo_free(boss);
	boss = NULL;
	emit("ordered", "");
}
