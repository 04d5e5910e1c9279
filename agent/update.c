// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decide.h"
#include "device.h"
#include "flush.h"
#include "helper.h"
#include "holds.h"
#include "record.h"
#include "registry.h"
#include "services.h"
#include "sessions.h"
#include "still.h"
#include "talk.h"
#include "update.h"

static struct vm vm[MOST_VMS];
static bool act(void *arg, const struct action *a);
static struct decide d = { .act = act, .vm = vm, .room = MOST_VMS };
static struct continuo *ctx;

/* What the decision asks for, and is told of before anything else happens. */
static struct {
	bool own, count, seal, jump, exit, list;
	int helper_err;
	uint32_t helper_number;
	/* The one of whom it is not known which unit he is in. */
	unsigned int helper_vm;
} due;

/* --- what is to be done --- */

static const char *name_of(unsigned int i, uid_t *uid)
{
	*uid = vm[i].uid;
	return vm[i].name;
}

static void write_list(void)
{
	due.list = false;
	registry_write(d.vms, name_of);
}

/* Of the command that has begun the update: if its unit ended, it would think better of it. */
static pid_t operator_pid;

/* Whose unit is to stay, of each VM and then once more of each; 0: nobody's; -1: it is not known whose. */
static pid_t pid_of(unsigned int i)
{
	const struct vm *v = &vm[i % d.vms];

	if (v->state == VM_LEFT)
		return 0;
	return i < d.vms ? registry_pid(v->name) ?: -1 : registry_other(v->name);
}

/* What it is now, the next kernel is told: there its process has ended. */
static void note_unit(const struct vm *v)
{
	char unit[SERVICES_MOST_UNIT] = "";
	pid_t pid = registry_other(v->name);

	if (pid <= 0)
		pid = registry_pid(v->name);
	if (pid > 0)
		services_unit_of(pid, unit);
	/* Who keeps it for the next update is not what it was. */
	record_unit(v->name, v->uid, v->kept ? NULL : unit);
}

static bool act(void *arg, const struct action *a)
{
	(void)arg;
	switch (a->kind) {
	case ACT_ORDER:
		return reply(a->client, -1, "%s %u %u", a->text, a->number, a->ms);
	case ACT_RELEASE:
		sessions_release(a->vm ? a->vm->name : OWN_SESSION);
		break;
	case ACT_STATE:
		if (record_vm(a->vm->name, a->vm->uid, vm_state_name[a->vm->state], a->vm->why))
			note_unit(a->vm);
		break;
	case ACT_VM_AT:
		record_vm_at(a->vm->name, a->text);
		break;
	case ACT_RECORD:
		record_begin();
		break;
	case ACT_AT:
		record_at(a->text);
		break;
	case ACT_OUTCOME:
		record_outcome(a->text, a->why);
		break;
	case ACT_TELL:
		return reply_or_end(a->client, "vm %s %s %llu %s", a->vm->name,
				    vm_state_name[a->vm->state],
				    (unsigned long long)a->vm->took_us, a->vm->why);
	case ACT_STEP:
		return reply_or_end(a->client, "step %s", a->text);
	case ACT_REPLY:
		return a->err ? reply_or_end(a->client, "error %d %s", a->err, a->text) :
				reply_or_end(a->client, "ok\n");
	case ACT_DISCONNECT:
		shutdown(a->client, SHUT_RDWR);
		break;
	case ACT_SYNC:
		due.helper_err = flush_begin(a->number, a->ms);
		due.helper_number = a->number;
		break;
	case ACT_SERVICES:
		due.helper_err = services_end(a->number, 2 * d.vms, pid_of, operator_pid, &due.helper_vm);
		due.helper_number = a->number;
		break;
	case ACT_HELPER_LEFT:
		helper_left();
		break;
	case ACT_SERVICES_BACK:
		services_back();
		break;
	case ACT_OWN:
		due.own = true;
		break;
	case ACT_COUNT:
		due.count = true;
		break;
	case ACT_SEAL:
		due.seal = true;
		break;
	case ACT_JUMP:
		due.jump = true;
		break;
	case ACT_LIST:
		write_list();
		break;
	case ACT_LIST_LATER:
		due.list = true;
		break;
	case ACT_EXIT:
		due.exit = true;
		break;
	}
	return true;
}

static void count(void)
{
	static int files[MOST_VMS];
	static const char *names[MOST_VMS];
	const char *why, *other;

	for (unsigned int i = 0; i < d.vms; i++)
		names[i] = vm[i].name;
	why = holds_count(names, files, d.vms, &other);
	/*
	 * Others can make sessions, too, with any name. One that the agent does not have ends with whoever
	 * has it, so it is not what was preserved.
	 */
	for (unsigned int i = 0; i < d.vms; i++)
		if (files[i] > 0 && sessions_find(names[i]) < 0)
			files[i] = 0;
	/* The pause until the next look begins behind this one, however long it took. */
	d.now_us = now_us();
	decide_counted(&d, files, other, why);
}

static void own(void)
{
	const char *why = "";
	int fd = sessions_create(OWN_SESSION, 0, &why);

	d.now_us = now_us();
	if (fd == -EINPROGRESS)
		why = "the agent's own session of before is still being closed; try again";
	/* Who has it is searched for once. */
	else if (fd == -EAGAIN && d.now_us >= d.own_until_us)
		why = device_why("the session of the update's record");
	decide_owned(&d, fd < 0 ? -fd : 0, why);
}

static void seal(void)
{
	const char *why = "";
	int ret = record_seal(ctx, sessions_find(OWN_SESSION), &why);

	decide_sealed(&d, -ret, why);
}

static void jump(void)
{
	char refusal[300], why[400];
	int err;

	/* Then nothing stands still any more, or soon, and what is on the disks is not clean. */
	if (d.still && helper_is_gone()) {
		still_go_on(STILL_FILE);
		decide_stayed(&d, EIO, "the process that has file systems stand still has ended before the jump");
		return;
	}
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	err = errno;
	if (holds_refusal(err, refusal, sizeof(refusal)))
		snprintf(why, sizeof(why), "the kernel does not jump: %s; %s; docs/troubleshooting.md has the remedy",
			 strerror(err), refusal);
	else
		snprintf(why, sizeof(why), "the kernel does not jump: %s%s", strerror(err),
			 err == ENOEXEC ? "; the loaded one does not read a format of the handover" :
			 err == EBUSY ? "; a device is being reset, unbound or detached: the kernel log names it; end its VM, or try again" :
			 err == EINVAL ? "; no kernel is loaded" : "; the kernel log says why");
	decide_stayed(&d, err ?: EIO, why);
}

/* Until nothing is left that the decision waits for at once. */
static void follow(void)
{
	for (;;) {
		if (due.helper_err < 0) {
			char why[300];

			if (due.helper_err == -ESRCH)
				snprintf(why, sizeof(why),
					 "VM %s: the process that registered it, or QEMU, has ended, so that nobody knows which unit has to stay; leave it, or update with --now",
					 vm[due.helper_vm % d.vms].name);
			else
				snprintf(why, sizeof(why), "no process can be made for it");
			due.helper_err = 0;
			decide_helped(&d, due.helper_number, why);
		} else if (due.own) {
			due.own = false;
			own();
		} else if (due.count) {
			due.count = false;
			count();
		} else if (due.seal) {
			due.seal = false;
			seal();
		} else if (due.jump) {
			due.jump = false;
			jump();
		} else {
			return;
		}
	}
}

/* Before and after each event. */
#define EVENT(event)			\
	do {				\
		d.now_us = now_us();	\
		event;			\
		follow();		\
	} while (0)

/* --- what happens --- */

static void away(const char *name, uid_t uid)
{
	EVENT(decide_away(&d, name, uid));
}

void update_open(struct continuo *continuo, const char *list)
{
	ctx = continuo;
	decide_init(&d);
	registry_read(list, away);
	write_list();
}

/* The unit of a process that is another user's is no business of this one. */
static bool is_of(pid_t process, uid_t uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)process);
	return !stat(path, &st) && (!uid || st.st_uid == uid);
}

void update_register(const struct asker *who, const char *name, pid_t process, bool kept)
{
	const struct vm *v = decide_find(&d, name);
	/* Root keeps VMs of others, who have them again in the next kernel. */
	uid_t uid = kept && !who->uid ? request_user(name) : who->uid;

	if (process && !is_of(process, who->uid)) {
		reply(who->client, -1, "error %d VM %s: process %d is not yours, or there is none", EPERM, name, (int)process);
		return;
	}
	if (registry_is_full())
		registry_keep(d.vms, name_of);
	if (!v || v->client < 0)
		registry_note(name, who->pid, process);
	EVENT(decide_register(&d, who->client, uid, name));
	if (kept)
		decide_keeps(&d, who->client);
}

const char *update_keeps(const char *name)
{
	const struct vm *v = decide_find(&d, name);
	static char why[200];

	if (!v || v->client < 0 || !v->kept)
		return NULL;
	snprintf(why, sizeof(why), "session %s: nobody had taken it over, and process %d keeps it for the next update; its VM can have it in the kernel after that",
		 name, (int)registry_pid(name));
	return why;
}

void update_begin(const struct asker *who)
{
	for (unsigned int i = d.vms; i-- > 0;)
		if (vm[i].state == VM_AWAY && !registry_lives(vm[i].name))
			EVENT(decide_dead(&d, vm[i].name));
	/* Those of an update that is running stay as they are. */
	if (!d.updating) {
		flush_forget();
		services_forget();
	}
	/* Whoever is refused does not count. */
	if (!d.updating)
		operator_pid = who->pid;
	EVENT(decide_begin(&d, who->client));
}

void update_ask(const struct asker *who, enum continuo_want want, const char *name,
		uint32_t timeout_ms)
{
	/* A session whose VM is not registered any more can be let go of, too. */
	if (want == CONTINUO_WANT_UNDO && *name && !decide_find(&d, name)) {
		if (!decide_may(&d, who->client))
			return;
		if (!sessions_release(name)) {
			reply(who->client, -1, "ok\n");
			return;
		}
	}
	EVENT(decide_ask(&d, who->client, want, name, timeout_ms));
}

void update_leave(const struct asker *who, const char *name)
{
	if (*name == '/') {
		if (!decide_may(&d, who->client))
			return;
		if (flush_leave(name))
			reply(who->client, -1, "ok\n");
		else
			reply(who->client, -1, "error %d %s: too many file systems are left already", E2BIG, name);
		return;
	}
	/* One that came from the previous kernel; or a unit. */
	if (!decide_find(&d, name)) {
		if (!decide_may(&d, who->client))
			return;
		if (!sessions_release(name)) {
			record_left(name);
			reply(who->client, -1, "ok\n");
			return;
		}
		if (request_is_unit(name)) {
			if (services_leave(name))
				reply(who->client, -1, "ok\n");
			else
				reply(who->client, -1, "error %d %s: too many units are left already", E2BIG, name);
			return;
		}
	}
	EVENT(decide_leave(&d, who->client, name));
}

void update_vms(const struct asker *who)
{
	EVENT(decide_vms(&d, who->client));
}

void update_services(const struct asker *who, uint32_t timeout_ms)
{
	if (!services_can()) {
		reply(who->client, -1, "error %d the agent has no program that ends services (--services): end them by hand, and update with --now",
		      ENODEV);
		return;
	}
	EVENT(decide_services(&d, who->client, timeout_ms));
}

void update_go(const struct asker *who, uint32_t timeout_ms, bool leave_silent)
{
	EVENT(decide_go(&d, who->client, timeout_ms, leave_silent));
}

void update_attach(const struct asker *who)
{
	EVENT(decide_attach(&d, who->client));
}

void update_abort(const struct asker *who)
{
	EVENT(decide_abort(&d, who->client));
}

void update_running(const struct asker *who)
{
	EVENT(decide_running(&d, who->client));
}

void update_answer(const struct asker *who, uint32_t number, const char *why)
{
	EVENT(decide_answer(&d, who->client, number, why));
}

void update_released(const char *name)
{
	EVENT(decide_released(&d, name));
}

const char *update_forbids(const char *name)
{
	return decide_forbids(&d, name);
}

void update_gone(int client)
{
	EVENT(decide_gone(&d, client));
}

static void helping(uint32_t number, const char *where, bool can_leave)
{
	decide_helping(&d, number, where, can_leave);
}

static void helped(uint32_t number, const char *why)
{
	/* If it was killed, it has not thawed. */
	if (why)
		still_go_on(STILL_FILE);
	EVENT(decide_helped(&d, number, why));
}

void update_helper_news(void)
{
	helper_news(helping, helped);
}

int update_due(void)
{
	uint64_t at = decide_due(&d), now = now_us();

	if (!at)
		return -1;
	return at > now ? (at - now) / 1000 + 1 : 0;
}

void update_tick(void)
{
	EVENT(decide_time(&d));
}

void update_write(void)
{
	if (due.list)
		write_list();
}

bool update_end(void)
{
	EVENT(decide_end(&d));
	return due.exit;
}
