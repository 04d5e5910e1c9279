// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "continuo.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/hda.h"
#include "devices/workload.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/tenants.h"
#include "libcontinuo/vm.h"

#define POLL_MS	4

static const struct {
	const char *name, *devices;
	uid_t uid;
} tenant[] = {
	{ "vm-nic", "devs=nic", 1000 },
	{ "vm-audio", "devs=audio", 1001 },
};

static struct rig rig;
static bool suspended;

bool tenants_wanted(void)
{
	return opt_num("tenants", 0);
}

/* --- what process 1 tells them --- */

static struct sockaddr_un ear_of(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/%s.ear", name);
	return addr;
}

static int open_ear(const char *name)
{
	struct sockaddr_un addr = ear_of(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("%s: %s", addr.sun_path, strerror(errno));
	return fd;
}

static void tell(const char *name, const char *word)
{
	struct sockaddr_un addr = ear_of(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || sendto(fd, word, strlen(word), 0, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("tell %s to %s: %s", name, word, strerror(errno));
	close(fd);
}

void tenants_report(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++)
		tell(tenant[i].name, "report");
}

void tenants_stop(void)
{
	uint64_t end = now_us() + 20000000;

	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++) {
		struct sockaddr_un addr = ear_of(tenant[i].name);

		tell(tenant[i].name, "stop");
		while (!access(addr.sun_path, F_OK)) {
			if (now_us() > end)
				die("%s does not stop", tenant[i].name);
			usleep(10000);
		}
	}
}

static void stop(const char *name)
{
	rig_report(&rig);
	if (rig.audio.present) {
		hda_stop(&rig.hda);
		emit("audio_stopped", "");
	}
	unlink(ear_of(name).sun_path);
	exit(0);
}

static void listen_to(int ear, const char *name)
{
	char word[16];
	ssize_t n = recv(ear, word, sizeof(word) - 1, 0);

	if (n <= 0)
		return;
	word[n] = 0;
	if (!strcmp(word, "report"))
		rig_report(&rig);
	if (!strcmp(word, "stop"))
		stop(name);
}

/* --- what the agent asks them --- */

static int obey(struct continuo *ctx, const char *name, uint32_t want)
{
	switch (want) {
	case CONTINUO_WANT_PRESERVE:
		return library_preserve_vm(&rig);
	case CONTINUO_WANT_SUSPEND:
		rig_poll(&rig);
		suspended = true;
		return 0;
	default:
		suspended = false;
		if (rig.session >= 0)
			close(rig.session);
		rig.session = -1;
		continuo_session_release(ctx, name);
		return 0;
	}
}

static void __attribute__((noreturn)) live(struct continuo *ctx, const char *name)
{
	static const char *const word[] = { "", "preserve", "suspend", "undo" };
	struct continuo_order order;
	struct pollfd from[2] = {};
	int ret;

	from[0].events = POLLIN;
	from[1].events = POLLIN;
	from[0].fd = continuo_register(ctx, name);
	if (from[0].fd < 0)
		die("%s: register: %s", name, continuo_why(ctx));
	from[1].fd = open_ear(name);
	emit("tenant_ready", ",\"who\":\"%s\",\"uid\":%u", name, (unsigned int)getuid());
	for (;;) {
		poll(from, 2, POLL_MS);
		if (!suspended)
			rig_poll(&rig);
		if (from[1].revents)
			listen_to(from[1].fd, name);
		if (!from[0].revents)
			continue;
		if (continuo_order(ctx, from[0].fd, &order))
			die("%s: %s", name, continuo_why(ctx));
		ret = obey(ctx, name, order.want);
		emit("obeyed", ",\"who\":\"%s\",\"want\":\"%s\",\"errno\":%d", name,
		     word[order.want], -ret);
		if (continuo_answer(ctx, from[0].fd, &order, ret ? continuo_why(ctx) : NULL))
			die("%s: %s", name, continuo_why(ctx));
	}
}

/* A user, who may lock as much memory as he has. */
static struct continuo *become(const char *name, uid_t uid)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct continuo *ctx;

	if (setrlimit(RLIMIT_MEMLOCK, &all) || setgroups(0, NULL) || setgid(AGENT_GROUP) ||
	    setuid(uid))
		die("%s: become user %u: %s", name, (unsigned int)uid, strerror(errno));
	if (continuo_new(&ctx))
		die("out of memory");
	if (continuo_agent(ctx, AGENT_SOCKET))
		die("%s: %s", name, continuo_why(ctx));
	library_as(ctx, name);
	return ctx;
}

void tenants_start(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (pid)
			continue;
		/* Who has the device opened for him is root, as the host's manager would be. */
		opt_set(tenant[i].devices);
		rig_start(&rig);
		live(become(tenant[i].name, tenant[i].uid), tenant[i].name);
	}
}

void tenant_take_over(const char *name, const char *uid)
{
	struct continuo *ctx;

	/* The one that is no tenant of ours, but the example. */
	if (!strcmp(name, "vm-edu")) {
		/* absent=1: nobody comes for it. */
		if (opt_num("absent", 0))
			exit(0);
		execl("/usr/bin/vmm", "vmm", "--agent", AGENT_SOCKET, name, NULL);
		die("/usr/bin/vmm: %s", strerror(errno));
	}
	ctx = become(name, strtoul(uid, NULL, 10));
	rig.session = -1;
	opt_set("agent=1");
	library_resume(&rig);
	emit("tenant_back", ",\"who\":\"%s\"", name);
	live(ctx, name);
}
