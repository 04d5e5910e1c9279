// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flush.h"
#include "helper.h"
#include "request.h"
#include "services.h"
#include "talk.h"

#define MOST_LEFT	16

static const char *program;
static char left[MOST_LEFT][SERVICES_MOST_UNIT];
static unsigned int nr_left;
static pid_t starting;		/* it starts them again; 0 if none does */
static bool again;		/* once more when that has ended: there may be more by now */
/* For the helper. */
static char **argv;

void services_open(const char *path)
{
	program = path;
	/* The agent before this one may have been killed in the middle of an update, and what it began may still run. */
	if (program)
		services_back();
}

bool services_can(void)
{
	return program;
}

bool services_leave(const char *unit)
{
	if (nr_left == MOST_LEFT || strlen(unit) >= SERVICES_MOST_UNIT)
		return false;
	strcpy(left[nr_left++], unit);
	return true;
}

void services_forget(void)
{
	nr_left = 0;
}

bool services_unit_of(pid_t pid, char unit[SERVICES_MOST_UNIT])
{
	char path[64], line[1024], *word, *save;
	bool found = false;
	FILE *f;

	unit[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		/* One of systemd's hierarchies: "0::/..." or "1:name=systemd:/...". */
		if (strncmp(line, "0::/", 4) && !strstr(line, ":name=systemd:/"))
			continue;
		for (word = strtok_r(strchr(line, '/'), "/\n", &save); word && !found;
		     word = strtok_r(NULL, "/\n", &save)) {
			size_t n;

			/* A name that could be the kernel's has one of these in front (cg_escape() of systemd). */
			word += *word == '_';
			n = strlen(word);
			found = n > 6 && n < SERVICES_MOST_UNIT && request_is_unit(word) && strcmp(word + n - 6, ".slice");
			if (found)
				strcpy(unit, word);
		}
	}
	if (f) {
		fclose(f);
		return true;
	}
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return !access(path, F_OK);
}

static void work(void)
{
	execv(program, argv);
	helper_say("failed", program, strerror(errno));
	_exit(1);
}

/* The arguments of the program; 0, or -ESRCH and @unknown. */
static int arguments(unsigned int n, pid_t (*pid_of)(unsigned int i), pid_t asker, char (*units)[SERVICES_MOST_UNIT],
		     unsigned int *unknown)
{
	unsigned int words = 0;
	const char *path;

	argv[words++] = (char *)program;
	argv[words++] = "end";
	argv[words++] = SERVICES_FILE;
	for (unsigned int i = 0; i < n + 2; i++) {
		pid_t pid = i < n ? pid_of(i) : i == n ? getpid() : asker;

		if (!pid)
			continue;
		if (!services_unit_of(pid, units[i]) && i < n) {
			*unknown = i;
			return -ESRCH;
		}
		if (!units[i][0])
			continue;
		argv[words++] = "--keep";
		argv[words++] = units[i];
	}
	for (unsigned int i = 0; i < nr_left; i++) {
		argv[words++] = "--leave";
		argv[words++] = left[i];
	}
	for (unsigned int i = 0; (path = flush_left(i)); i++) {
		argv[words++] = "--leave";
		argv[words++] = (char *)path;
	}
	return 0;
}

int services_end(uint32_t number, unsigned int n, pid_t (*pid_of)(unsigned int i), pid_t asker,
		 unsigned int *unknown)
{
	char (*units)[SERVICES_MOST_UNIT];
	int ret = -ENOMEM;

	/* It waits for one that still starts what an update before has ended. */
	units = calloc(n + 2, sizeof(*units));
	argv = calloc(8 + 2 * (n + nr_left + FLUSH_MOST_LEFT), sizeof(*argv));
	if (units && argv)
		ret = arguments(n, pid_of, asker, units, unknown) ?: helper_begin(number, true, work);
	free(units);
	free(argv);
	return ret;
}

void services_back(void)
{
	if (starting) {
		again = true;
		return;
	}
	starting = fork();
	if (!starting) {
		/* What it has to say is for the journal. */
		if (helper_begin_anew(2))
			execl(program, program, "back", SERVICES_FILE, NULL);
		_exit(trouble("%s: %m", program));
	}
	if (starting < 0) {
		trouble("services are not started again: %m; run '%s back " SERVICES_FILE "'", program);
		starting = 0;
	}
}

void services_reaped(pid_t pid, int status)
{
	if (pid != starting)
		return;
	starting = 0;
	if (status)
		trouble("not all services are started again: '%s back' ended with %d; 'systemctl start' those that it has named",
			program, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	if (again) {
		again = false;
		services_back();
	}
}
