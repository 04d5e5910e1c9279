// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "continuo.h"
#include "decide.h"
#include "registry.h"
#include "request.h"
#include "talk.h"

#define FORMAT	"continuo-vms 1\n"

/* @began, @other_began: start times, since numbers of processes come again. */
struct process {
	char name[CONTINUO_SESSION_NAME];
	pid_t pid, other;
	unsigned long long began, other_began;
};

static struct process process[MOST_VMS];
static unsigned int processes;
static const char *file;

static unsigned long long began(pid_t pid)
{
	char path[40], text[1024], *at;
	unsigned long long time = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	/* proc(5): field 22, behind the name, which can have anything in it */
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, "%llu", &time);
	return time;
}

static struct process *find(const char *name)
{
	for (unsigned int i = 0; i < processes; i++)
		if (!strcmp(process[i].name, name))
			return &process[i];
	return NULL;
}

static struct process *note(const char *name, pid_t pid, unsigned long long time)
{
	struct process *p = find(name);

	if (!p && processes < MOST_VMS)
		p = &process[processes++];
	if (!p)
		return NULL;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->pid = pid;
	p->began = time;
	p->other = 0;
	return p;
}

bool registry_is_full(void)
{
	return processes == MOST_VMS;
}

void registry_keep(unsigned int n, const char *(*of)(unsigned int i, uid_t *uid))
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < processes; i++) {
		bool is = false;
		uid_t uid;

		for (unsigned int k = 0; k < n && !is; k++)
			is = !strcmp(process[i].name, of(k, &uid));
		if (is)
			process[kept++] = process[i];
	}
	processes = kept;
}

void registry_note(const char *name, pid_t pid, pid_t other)
{
	struct process *p = note(name, pid, pid ? began(pid) : 0);

	if (p && other) {
		p->other = other;
		p->other_began = began(other);
	}
}

pid_t registry_other(const char *name)
{
	const struct process *p = find(name);

	if (!p || !p->other)
		return 0;
	return p->other_began && began(p->other) == p->other_began ? p->other : -1;
}

pid_t registry_pid(const char *name)
{
	const struct process *p = find(name);

	return p && p->pid && began(p->pid) == p->began ? p->pid : 0;
}

bool registry_lives(const char *name)
{
	const struct process *p = find(name);

	return !p || !p->pid || began(p->pid) == p->began;
}

/* A line of a VM; false if it is none. */
static bool read_line(const char *line, void (*each)(const char *name, uid_t uid))
{
	char name[CONTINUO_SESSION_NAME];
	unsigned long long time;
	unsigned int uid;
	int pid, end = 0;

	if (sscanf(line, "%63s %u %d %llu%n", name, &uid, &pid, &time, &end) != 4 ||
	    strcmp(line + end, "\n") || !request_is_name(name, uid) || !note(name, pid, time))
		return false;
	if (registry_lives(name))
		each(name, uid);
	return true;
}

void registry_read(const char *path, void (*each)(const char *name, uid_t uid))
{
	char *line = NULL;
	size_t room = 0;
	bool whole;
	ssize_t n;
	FILE *f;

	file = path;
	f = fopen(path, "re");
	if (!f)
		return;
	/* The first line is that of the format. */
	n = getline(&line, &room, f);
	whole = n > 0 && !strcmp(line, FORMAT);
	/* There is no byte 0 in a line. */
	while (whole && (n = getline(&line, &room, f)) > 0)
		whole = strlen(line) == (size_t)n && read_line(line, each);
	if (!whole || ferror(f)) {
		trouble("%s: the agent before this one could not write down which VMs were registered, or the list is not of this version", path);
		each(VM_UNKNOWN, 0);
	}
	free(line);
	fclose(f);
}

bool registry_write(unsigned int n, const char *(*of)(unsigned int i, uid_t *uid))
{
	bool written;
	char *next;
	FILE *f;

	if (!file)
		return true;
	if (asprintf(&next, "%s.next", file) < 0)
		return false;
	f = fopen(next, "we");
	written = f && fputs(FORMAT, f) >= 0;
	for (unsigned int i = 0; i < n && written; i++) {
		uid_t uid;
		const char *name = of(i, &uid);
		const struct process *p = find(name);

		written = fprintf(f, "%s %u %d %llu\n", name, (unsigned int)uid, p ? (int)p->pid : 0,
				  p ? p->began : 0) > 0;
	}
	if (f && fclose(f))
		written = false;
	if (written && !rename(next, file)) {
		free(next);
		return true;
	}
	trouble("%s: the list of VMs cannot be written: %m", file);
	unlink(next);
	free(next);
	/* Rather none than an old one: the next agent then knows that it does not know. */
	if (truncate(file, 0) && errno == ENOENT) {
		int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd >= 0)
			close(fd);
	}
	return false;
}
