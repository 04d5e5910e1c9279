// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the agent makes of VMs and updaters that fail, die or say nothing. The VMs here
 * have a memfd in place of devices: it is not about those.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/order_tests.h"

#define SHORT_MS	1000
#define LONG_MS		20000
#define PATIENCE_US	30000000

/* How a VM answers to being asked to preserve. */
enum manner { WELL, FAILS, DIES, LATE };

static char heard[2048];
static struct continuo *boss;

static void tried(const char *what, int ret)
{
	emit("order", ",\"what\":\"%s\",\"errno\":%d,\"heard\":\"%s\"", what, ret < 0 ? -ret : 0, heard);
	heard[0] = 0;
}

static struct continuo *connect_agent(uid_t uid)
{
	struct continuo *ctx;

	if (uid && (setgroups(0, NULL) || setgid(AGENT_GROUP) || setuid(uid)))
		die("become another user: %s", strerror(errno));
	if (continuo_new(&ctx) || continuo_agent(ctx, AGENT_SOCKET))
		die("connect to the agent");
	return ctx;
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
	    asprintf(&lines[nr_lines++], "%s %s%s%s", h->name, h->state, *h->why ? ": " : "", h->why) < 0)
		die("note what was heard");
}

static void put_in_order(void)
{
	qsort(lines, nr_lines, sizeof(lines[0]), by_name);
	for (unsigned int i = 0; i < nr_lines; i++) {
		sprintf(heard + strlen(heard), "%s%s", i ? "; " : "", lines[i]);
		free(lines[i]);
	}
	nr_lines = 0;
}

static void ask(const char *what, enum continuo_want want, const char *name, uint32_t ms)
{
	int ret = continuo_update_ask(boss, want, name, ms, note, NULL);

	put_in_order();
	tried(what, ret);
}

static void vms(const char *what)
{
	int ret = continuo_update_vms(boss, note, NULL);

	put_in_order();
	tried(what, ret);
}

/* Until the VMs are as they are to be: nobody says when a process has done something. */
static void await(const char *what, const char *state)
{
	uint64_t end = now_us() + PATIENCE_US;

	for (;;) {
		heard[0] = 0;
		if (continuo_update_vms(boss, note, NULL))
			die("%s: %s", what, continuo_why(boss));
		put_in_order();
		if (!strcmp(heard, state))
			break;
		if (now_us() > end)
			die("%s: the VMs are '%s', expected '%s'", what, heard, state);
		usleep(10000);
	}
	tried(what, 0);
}

/* --- VMs --- */

static int preserve_memfd(struct continuo *ctx, const char *name, int *session)
{
	int fd = memfd_create("vm", MFD_ALLOW_SEALING), ret;

	if (fd < 0 || ftruncate(fd, 4096) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make a memfd: %s", strerror(errno));
	*session = continuo_session_create(ctx, name);
	ret = *session < 0 ? *session : continuo_preserve(ctx, *session, fd, 1);
	close(fd);
	return ret;
}

static void __attribute__((noreturn)) vm(const char *name, uid_t uid, enum manner manner, int ready)
{
	struct continuo *ctx = connect_agent(uid);
	struct continuo_order order;
	int fd = continuo_register(ctx, name), session = -1, ret;

	if (fd < 0)
		die("register %s: %s", name, continuo_why(ctx));
	close(ready);
	for (;;) {
		const char *why = NULL;

		ret = continuo_order(ctx, fd, &order);
		if (ret)
			_exit(0);
		if (order.want == CONTINUO_WANT_UNDO) {
			if (session >= 0)
				close(session);
			session = -1;
			/* As it is to be: it can have been made after the agent undid it. */
			continuo_session_release(ctx, name);
		} else if (order.want == CONTINUO_WANT_PRESERVE) {
			if (manner == DIES)
				_exit(0);
			if (manner == LATE)
				usleep(2 * SHORT_MS * 1000);
			if (manner == FAILS)
				why = "there is no room";
			else if (preserve_memfd(ctx, name, &session))
				why = continuo_why(ctx);
		}
		continuo_answer(ctx, fd, &order, why);
	}
}

/* Returns when it is registered. */
static pid_t begin(const char *name, uid_t uid, enum manner manner)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		/* Else its end would not be noticed. */
		continuo_free(boss);
		close(ready[0]);
		vm(name, uid, manner, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		die("%s does not begin", name);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- what is tried --- */

/* Who updates the host does so until he goes away. */
static void renew(void)
{
	continuo_free(boss);
	boss = connect_agent(0);
}

static void rules(void)
{
	struct continuo *other = connect_agent(0);
	pid_t a = begin("a", 0, WELL);

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
	end(a);
	await("its end", "");
	continuo_free(other);
	renew();
}

static void failures(void)
{
	pid_t a = begin("a", 0, WELL), f = begin("f", 1000, FAILS);

	ask("one fails", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("one fails: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	end(f);
	await("one has failed", "a idle");
	begin("d", 1000, DIES);
	ask("one dies", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("one dies: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	vms("one has died");
	ask("by name", CONTINUO_WANT_PRESERVE, "a", LONG_MS);
	end(a);
	vms("one has died preserved");
	tried("register what died preserved", continuo_register(boss, "a"));
	ask("undo of what died", CONTINUO_WANT_UNDO, "a", LONG_MS);
	vms("it is gone");
}

static void silence(void)
{
	pid_t a = begin("a", 0, WELL), s = begin("s", 1000, WELL), l;

	kill(s, SIGSTOP);
	ask("one is silent", CONTINUO_WANT_PRESERVE, NULL, SHORT_MS);
	ask("one is silent: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	/* It finds both orders, preserves and undoes it. */
	kill(s, SIGCONT);
	ask("it comes to life", CONTINUO_WANT_PRESERVE, NULL, LONG_MS);
	ask("it comes to life: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	end(s);
	await("silent one ends", "a idle");

	l = begin("l", 1000, LATE);
	ask("one is late", CONTINUO_WANT_PRESERVE, "u1000.l", SHORT_MS);
	usleep(3 * SHORT_MS * 1000);
	vms("its answer is too late");
	ask("one is late: undo", CONTINUO_WANT_UNDO, NULL, LONG_MS);
	end(l);
	await("late one ends", "a idle");
	end(a);
	await("all end", "");
}

static void left(void)
{
	pid_t a = begin("a", 0, WELL), s = begin("s", 1000, WELL);

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
	end(a);
	end(s);
	await("all end", "");
	renew();
}

/* Whoever updates the host dies, before and after the seal. */
static void updater(bool seal)
{
	pid_t a = begin("a", 0, WELL), pid;

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
	end(a);
	await("all end", "");
	renew();
}

/* All are suspended, and then nothing more happens. */
static void idler(void)
{
	pid_t a = begin("a", 0, WELL), pid;
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
	end(pid);
	end(a);
	await("all end", "");
	renew();
}

#define MOST_SESSIONS	64
#define MOST_VMS	64
#define MOST_CONNECTIONS 128

/* What is closed by who gets it, and takes as long as who sent it likes. */
static int send_along(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {
		.head = {
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		},
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = AGENT_SOCKET };
	struct iovec iov = { .iov_base = "list", .iov_len = 4 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), ret;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect to the agent: %s", strerror(errno));
	memcpy(CMSG_DATA(&control.head), &(int){ 1 }, sizeof(int));
	ret = sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* A user takes what he can get. */
static void room(void)
{
	pid_t pid = fork();

	if (!pid) {
		struct continuo *ctx = connect_agent(1000), *more[MOST_CONNECTIONS];
		unsigned int n = 0;
		char name[16];
		int ret;

		do {
			snprintf(name, sizeof(name), "s%u", n);
			ret = continuo_session_create(ctx, name);
		} while (ret >= 0 && ++n < 2 * MOST_SESSIONS);
		snprintf(heard, sizeof(heard), "%u", n);
		tried("sessions of a user", ret);
		while (n--) {
			snprintf(name, sizeof(name), "s%u", n);
			continuo_session_release(ctx, name);
		}
		/* One that is turned away hears it when it asks. */
		for (n = 0; n < MOST_CONNECTIONS; n++) {
			if (continuo_new(&more[n]) || continuo_agent(more[n], AGENT_SOCKET))
				break;
			ret = continuo_session_release(more[n], "nothing");
			if (ret != -ENOENT)
				break;
		}
		snprintf(heard, sizeof(heard), "%u", n + 1);
		tried("connections of a user", ret == -ENOENT ? 0 : ret);
		while (n)
			continuo_free(more[--n]);
		do {
			snprintf(name, sizeof(name), "v%u", n);
			ret = continuo_register(ctx, name);
		} while (ret >= 0 && ++n < 2 * MOST_VMS);
		snprintf(heard, sizeof(heard), "%u", n);
		tried("VMs of a user", ret);
		tried("a descriptor sent along", send_along());
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid) {
		struct continuo *ctx = connect_agent(1001);

		tried("another user meanwhile", continuo_session_create(ctx, "vm"));
		continuo_session_release(ctx, "vm");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
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
	room();
	continuo_free(boss);
	boss = NULL;
	emit("ordered", "");
}
