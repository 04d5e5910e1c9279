// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "continuo.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/hda.h"
#include "devices/igb_pf.h"
#include "devices/pf_owner.h"
#include "devices/workload.h"
#include "interfaces/vfio.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/ear.h"
#include "libcontinuo/tenants.h"
#include "libcontinuo/vm.h"
#include "update/back.h"

#define POLL_MS		4
#define PATIENCE_US	60000000	/* with an agent that has ended */

#define TENANT_REFUSAL	"it has no disk"

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

void tenants_report(void)
{
	pf_owner_report();
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++)
		ear_tell(tenant[i].name, "report");
}

void tenants_stop(void)
{
	uint64_t end = now_us() + 20000000;

	pf_owner_report();
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++) {
		ear_tell(tenant[i].name, "stop");
		while (ear_is_there(tenant[i].name)) {
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
	ear_close(name);
	exit(0);
}

/* --- a tenant that does not do what it is to do --- */

static const char *const want_name[] = { "", "preserve", "suspend", "undo" };

/*
 * An answer that is held back: the next order of that name (@at) is done, and answered when
 * the case says so, or not at all if another order comes before that.
 */
static struct {
	char at[EAR_WORDS];
	bool on;
	int fd;
	struct continuo_order order;
} answer;

/* It says that it cannot preserve. */
static bool refuses;

/*
 * It says of its device that it does not use it, which the freeze refuses. The device goes on as
 * long as it is preserved: so what is undone takes that back first.
 */
static bool asleep;

static void sleep_or_wake(bool on)
{
	must(vfio_low_power(rig.audio.present ? &rig.audio.v : &rig.nic.v, on),
	     on ? "low power entry of a preserved device" : "low power exit of a preserved device");
	asleep = on;
}

static void answer_now(struct continuo *ctx, const char *name, int fd,
		       const struct continuo_order *order, const char *why)
{
	int ret = continuo_answer(ctx, fd, order, why);

	/* An agent that has ended is noticed at the next order. */
	if (ret && ret != -EPIPE)
		die("%s: %s", name, continuo_why(ctx));
}

static bool held_back(const char *name, int fd, const struct continuo_order *order)
{
	if (strcmp(answer.at, want_name[order->want]))
		return false;
	answer.at[0] = 0;
	answer.on = true;
	answer.fd = fd;
	answer.order = *order;
	emit("stands", ",\"who\":\"%s\",\"at\":\"%s\"", name, want_name[order->want]);
	return true;
}

static void listen_to(struct continuo *ctx, int ear, const char *name)
{
	char words[EAR_WORDS];

	if (!ear_hear(ear, words))
		return;
	if (!strcmp(words, "report")) {
		rig_report(&rig);
		return;
	}
	if (!strcmp(words, "stop"))
		stop(name);
	if (!strncmp(words, "at ", 3)) {
		snprintf(answer.at, sizeof(answer.at), "%s", words + 3);
	} else if (!strcmp(words, "go")) {
		if (answer.on)
			answer_now(ctx, name, answer.fd, &answer.order, NULL);
		answer.on = false;
	} else if (!strcmp(words, "refuse") || !strcmp(words, "agree")) {
		refuses = *words == 'r';
	} else if (!strcmp(words, "sleep")) {
		sleep_or_wake(true);
	} else {
		die("%s: what is '%s'?", name, words);
	}
	emit("heeded", ",\"who\":\"%s\",\"words\":\"%s\"", name, words);
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
		if (asleep)
			sleep_or_wake(false);
		if (rig.session >= 0)
			close(rig.session);
		rig.session = -1;
		continuo_session_release(ctx, name);
		library_unpreserve_vm(&rig, name);
		return 0;
	}
}

/* The agent has ended: all goes on as before, and it registers with the next one. */
static int come_back(struct continuo *ctx, const char *name, int fd)
{
	uint64_t end = now_us() + PATIENCE_US;

	close(fd);
	answer.on = false;
	obey(ctx, name, CONTINUO_WANT_UNDO);
	while (continuo_agent(ctx, AGENT_SOCKET) || (fd = continuo_register(ctx, name)) < 0) {
		if (now_us() > end)
			die("%s: there is no agent again: %s", name, continuo_why(ctx));
		rig_poll(&rig);
		usleep(10000);
	}
	emit("tenant_again", ",\"who\":\"%s\"", name);
	return fd;
}

static void __attribute__((noreturn)) live(struct continuo *ctx, const char *name)
{
	struct continuo_order order;
	struct pollfd from[2] = {};
	int ret;

	from[0].events = POLLIN;
	from[1].events = POLLIN;
	from[0].fd = continuo_register(ctx, name);
	if (from[0].fd < 0)
		die("%s: register: %s", name, continuo_why(ctx));
	from[1].fd = ear_open(name);
	emit("tenant_ready", ",\"who\":\"%s\",\"uid\":%u", name, (unsigned int)getuid());
	for (;;) {
		poll(from, 2, POLL_MS);
		if (!suspended)
			rig_poll(&rig);
		if (from[1].revents)
			listen_to(ctx, from[1].fd, name);
		if (!from[0].revents)
			continue;
		ret = continuo_order(ctx, from[0].fd, &order);
		if (ret == -EPIPE) {
			from[0].fd = come_back(ctx, name, from[0].fd);
			continue;
		}
		if (ret)
			die("%s: %s", name, continuo_why(ctx));
		answer.on = false;
		if (refuses && order.want == CONTINUO_WANT_PRESERVE) {
			answer_now(ctx, name, from[0].fd, &order, TENANT_REFUSAL);
			continue;
		}
		ret = obey(ctx, name, order.want);
		emit("obeyed", ",\"who\":\"%s\",\"want\":\"%s\",\"errno\":%d", name,
		     want_name[order.want], -ret);
		if (ret || !held_back(name, from[0].fd, &order))
			answer_now(ctx, name, from[0].fd, &order, ret ? continuo_why(ctx) : NULL);
	}
}

/* A user, who may lock as much memory as he has. */
static void become_user(const char *name, uid_t uid)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &all) || setgroups(0, NULL) || setgid(AGENT_GROUP) ||
	    setuid(uid))
		die("%s: become user %u: %s", name, (unsigned int)uid, strerror(errno));
}

static struct continuo *become(const char *name, uid_t uid)
{
	struct continuo *ctx;

	become_user(name, uid);
	if (continuo_new(&ctx))
		die("out of memory");
	if (continuo_agent(ctx, AGENT_SOCKET))
		die("%s: %s", name, continuo_why(ctx));
	library_as(ctx, name);
	return ctx;
}

/* Who has the PF is process 1, and no tenant; its VF is a tenant's. */
static void start_pf(void)
{
	if (!igb_vfs())
		return;
	igb_pf_start();
	if (pf_owner_wanted())
		pf_owner_receive();
}

void tenants_start(void)
{
	start_pf();
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (pid)
			continue;
		/* Who has the device opened for him is root, as the host's manager would be. */
		opt_set(tenant[i].devices);
		rig_start(&rig);
		pf_owner_leave();
		/* tenants=2: they stay root's, as who gives physical addresses to a device has to be. */
		live(become(tenant[i].name, opt_num("tenants", 0) > 1 ? 0 : tenant[i].uid), tenant[i].name);
	}
}

/* As what has somebody started it? */
static void say_back(const char *name)
{
	char cgroup[256] = "", path[300], memory[32] = "";
	FILE *f = fopen("/proc/self/cgroup", "r");

	if (f && fscanf(f, "0::%255s", cgroup) != 1)
		*cgroup = 0;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", cgroup);
	f = fopen(path, "r");
	if (f && fscanf(f, "%31s", memory) != 1)
		*memory = 0;
	if (f)
		fclose(f);
	emit("tenant_back", ",\"who\":\"%s\",\"uid\":%u,\"no_new_privs\":%d,\"cgroup\":\"%s\",\"memory_max\":\"%s\"", name, getuid(),
	     prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), cgroup, memory);
}

/* absent_at=STAGE: nobody comes for the VM with the NIC, and for the example, in the kernel of that stage. */
static bool is_absent(const char *name)
{
	return opt_num("absent_at", 0) == opt_num("stage", 1) && strcmp(name, "vm-audio");
}

static bool is_ours(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tenant); i++)
		if (!strcmp(tenant[i].name, name))
			return true;
	return false;
}

void tenant_take_over(const char *name, const char *uid)
{
	struct continuo *ctx;

	if (is_absent(name)) {
		emit("absent", ",\"who\":\"%s\"", name);
		exit(0);
	}

	/* The example. */
	if (!is_ours(name)) {
		/* absent=1: nobody comes for it. absent_armed=1: nobody in a kernel that can go back. */
		if (opt_num("absent", 0) || (opt_num("absent_armed", 0) && back_is_armed()))
			exit(0);
		become_user(name, strtoul(uid, NULL, 10));
		execl("/usr/bin/vmm", "vmm", "--agent", AGENT_SOCKET, name, NULL);
		die("/usr/bin/vmm: %s", strerror(errno));
	}
	ctx = become(name, strtoul(uid, NULL, 10));
	rig.session = -1;
	opt_set("agent=1");
	library_resume(&rig);
	say_back(name);
	live(ctx, name);
}
