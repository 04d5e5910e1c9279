// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/bystander.h"
#include "update/back.h"

#define BACK	"/sys/kernel/liveupdate_back/"

static void read_word(const char *path, char *buf, size_t len)
{
	buf[0] = 0;
	read_file(path, buf, len);
	buf[strcspn(buf, "\n\"\\")] = 0;
}

bool back_is_armed(void)
{
	char state[32];

	read_word(BACK "state", state, sizeof(state));
	return !strcmp(state, "armed");
}

static bool is_armed(void)
{
	return opt_num("back", 0) && back_is_armed();
}

void back_begin(void)
{
	char state[32], reason[256];

	if (!opt_num("back", 0))
		return;
	read_word(BACK "state", state, sizeof(state));
	read_word(BACK "reason", reason, sizeof(reason));
	emit("back", ",\"state\":\"%s\",\"reason\":\"%s\"", state, reason);
	if (opt_num("stray", 0) && !strcmp(state, "armed")) {
		bystander_start();
		sleep(1);
	}
	back_reached("begin");
	if (opt_num("again", 0) && !strcmp(state, "came-back"))
		_exit(1);
}

static void run_on(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("run on CPU %ld: %s", cpu, strerror(errno));
}

void back_reached(const char *step)
{
	const char *fail = opt("fail", "");
	size_t len = strlen(step);

	if (strncmp(fail, step, len) || fail[len] != ':' || !is_armed())
		return;
	tcdrain(ctl_fd());
	run_on(opt_num("cpu", 0));
	if (!strcmp(fail + len, ":exit"))
		_exit(1);
	while (!strcmp(fail + len, ":silent"))
		pause();
	die("fail=%s: there is no such way to fail", fail);
}

void back_confirm(void)
{
	if (is_armed())
		write_file(BACK "confirm", "1");
}
