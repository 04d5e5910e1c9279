// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "end.h"
#include "options.h"

#define PROGRAM		"/usr/sbin/qemu-ga"
#define PORTS		"/sys/class/virtio-ports"
#define NAME		"org.qemu.guest_agent.0"

static bool has_name(const char *port)
{
	char path[300], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), PORTS "/%s/name", port);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = 0;
	fclose(f);
	name[strcspn(name, "\n")] = 0;
	return !strcmp(name, NAME);
}

/* There is no udev that would give it the name that the agent looks for. */
static void find_port(char *path, size_t size)
{
	struct dirent *de;
	DIR *dir = opendir(PORTS);

	while (dir && (de = readdir(dir)))
		if (has_name(de->d_name)) {
			snprintf(path, size, "/dev/%s", de->d_name);
			closedir(dir);
			return;
		}
	die("there is no port " NAME);
}

void agent_start(void)
{
	char port[300];
	pid_t pid;

	if (!option_given("vm.agent=1"))
		return;
	find_port(port, sizeof(port));
	mkdir("/run", 0755);
	pid = fork();
	if (pid < 0)
		die("fork the agent");
	if (!pid) {
		execl(PROGRAM, PROGRAM, "-m", "virtio-serial", "-p", port, "-t", "/run", NULL);
		die("start " PROGRAM);
	}
}
