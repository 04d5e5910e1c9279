// SPDX-License-Identifier: GPL-2.0-only
/* The memory is retrieved in a cgroup that does not allow for all of it, and later on does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "devices/workload.h"
#include "interfaces/luo.h"
#include "scenarios/uncooperative/limited.h"
#include "update/names.h"

#define CGROUPS	"/sys/fs/cgroup"
#define GROUP	CGROUPS "/limited"
/* Some of the pages of the memory; and more than a process of its own needs. */
#define LIMIT	(16ul << 20)

/* Of the files of a group. */
static const struct group {
	const char *name, *mount, *controller, *max, *now;
} groups[] = {
	{ "hugetlb", NULL, "+hugetlb", GROUP "/hugetlb.2MB.max", GROUP "/hugetlb.2MB.current" },
	/* What is reserved, whether it is there or not. */
	{ "rsvd", NULL, "+hugetlb", GROUP "/hugetlb.2MB.rsvd.max", GROUP "/hugetlb.2MB.rsvd.current" },
	/* Huge pages are memory like others. */
	{ "memory", "memory_hugetlb_accounting", "+memory", GROUP "/memory.max", GROUP "/memory.current" },
};

static unsigned long number_in(const char *path)
{
	char text[64];

	if (read_file(path, text, sizeof(text)) <= 0)
		die("read %s", path);
	return strtoul(text, NULL, 10);
}

/* A process in the group: an errno, or the signal that it died of, as -1000 - signal. */
static int retrieve(void)
{
	int status = 0, session, fd;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		write_file(GROUP "/cgroup.procs", "0");
		session = luo_session_retrieve(SESSION);
		fd = session < 0 ? session : luo_retrieve(session, TOKEN_MEMFD);
		_exit(fd < 0 ? -fd : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1000 - WTERMSIG(status);
}

void uncoop_limited(struct rig *r, const char *arg)
{
	const struct group *g = groups;
	unsigned long limited, all;
	char text[32];
	int first, then;

	while (strcmp(arg, g->name))
		if (++g == groups + ARRAY_SIZE(groups))
			die("there is no group '%s'", arg);
	if (mount("cgroup", CGROUPS, "cgroup2", 0, g->mount))
		die("mount cgroup2: %s", strerror(errno));
	write_file(CGROUPS "/cgroup.subtree_control", g->controller);
	if (mkdir(GROUP, 0755))
		die("make a cgroup: %s", strerror(errno));
	snprintf(text, sizeof(text), "%lu", LIMIT);
	write_file(g->max, text);
	first = retrieve();
	limited = number_in(g->now);
	write_file(g->max, "max");
	then = retrieve();
	all = number_in(g->now);
	emit("limited", ",\"first\":%d,\"limited_bytes\":%lu,\"then\":%d,\"all_bytes\":%lu",
	     first, limited, then, all);
}
