// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep.h"
#include "say.h"

#define MOST_GROUPS	1024
#define MOST_PROCESSORS	8192
#define MOST_MAPPED	512
/* Bytes that are read ahead: more than QEMU's program and all of its libraries have. */
#define MOST_AHEAD	(256l << 20)

/* A file of /proc/PID, with a NUL behind it; to be freed. NULL: errno. */
static char *read_proc(pid_t pid, const char *name, size_t *size)
{
	char path[64], *text = NULL;
	size_t room = 0, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	do {
		if (room - n < 4096) {
			room = room ? 2 * room : 8192;
			text = realloc(text, room);
			if (!text)
				abort();
		}
		*size = fread(text + n, 1, room - n - 1, f);
		n += *size;
	} while (*size);
	fclose(f);
	text[n] = 0;
	*size = n;
	return text;
}

/* Texts one after the other, each with a NUL at its end. */
static struct json_object *read_texts(pid_t pid, const char *name)
{
	struct json_object *o;
	size_t size = 0;
	char *text = read_proc(pid, name, &size);

	if (!text)
		return NULL;
	o = json_object_new_array();
	for (char *at = text; at < text + size; at += strlen(at) + 1)
		json_object_array_add(o, json_object_new_string(at));
	free(text);
	return o;
}

int keep_line(pid_t pid, struct args *a)
{
	struct json_object *o = read_texts(pid, "cmdline");

	*a = (struct args){};
	for (size_t i = 0; i < json_length(o); i++)
		args_add(a, json_object_get_string(json_at(o, i)));
	json_object_put(o);
	return a->n ? 0 : fail("the command line of process %d cannot be read: %s", pid, strerror(errno));
}

/* The numbers behind "Name:" in /proc/PID/status. */
static const char *status_of(const char *status, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = status; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, name, n) && at[n] == ':')
			return at + n + 1;
		if (!*at)
			break;
	}
	return NULL;
}

/* Real, effective, saved, file system: the second one. */
static long second_number(const char *at)
{
	char *end;

	strtol(at, &end, 10);
	return strtol(end, NULL, 10);
}

static int keep_ids(pid_t pid, struct json_object *o)
{
	struct json_object *groups = json_object_new_array();
	size_t size;
	char *status = read_proc(pid, "status", &size);
	const char *uid, *gid, *at;

	json_object_object_add(o, "groups", groups);
	uid = status ? status_of(status, "Uid") : NULL;
	gid = status ? status_of(status, "Gid") : NULL;
	at = status ? status_of(status, "Groups") : NULL;
	if (!uid || !gid || !at) {
		free(status);
		return fail("the user of process %d cannot be seen", pid);
	}
	json_put_number(o, "uid", second_number(uid));
	json_put_number(o, "gid", second_number(gid));
	while (*at == ' ' || *at == '\t' || isdigit(*at)) {
		char *end;
		unsigned long group = strtoul(at, &end, 10);

		if (end == at)
			break;
		json_object_array_add(groups, json_object_new_int64(group));
		at = end;
	}
	free(status);
	return 0;
}

static void keep_link(pid_t pid, const char *name, struct json_object *o, const char *key)
{
	char path[64], to[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return;
	to[n] = 0;
	json_put_text(o, key, to);
}

/* "0::/machine.slice/vm" */
static void keep_cgroup(pid_t pid, struct json_object *o)
{
	size_t size;
	char *text = read_proc(pid, "cgroup", &size), *at, *end;

	at = text ? strstr(text, "0::/") : NULL;
	if (at && (at == text || at[-1] == '\n')) {
		end = strchrnul(at, '\n');
		*end = 0;
		json_put_text(o, "cgroup", at + 3);
	}
	free(text);
}

char *keep_processors(pid_t thread)
{
	cpu_set_t *set = CPU_ALLOC(MOST_PROCESSORS);
	size_t size = CPU_ALLOC_SIZE(MOST_PROCESSORS), n = 0;
	char *text = NULL, piece[32];

	if (!set)
		abort();
	if (sched_getaffinity(thread, size, set)) {
		CPU_FREE(set);
		return NULL;
	}
	for (int i = 0; i < MOST_PROCESSORS; i++) {
		int first = i, k;

		if (!CPU_ISSET_S(i, size, set))
			continue;
		while (i + 1 < MOST_PROCESSORS && CPU_ISSET_S(i + 1, size, set))
			i++;
		k = i == first ? snprintf(piece, sizeof(piece), "%s%d", n ? "," : "", first) :
				 snprintf(piece, sizeof(piece), "%s%d-%d", n ? "," : "", first, i);
		text = realloc(text, n + k + 1);
		if (!text)
			abort();
		memcpy(text + n, piece, k + 1);
		n += k;
	}
	CPU_FREE(set);
	return text;
}

void keep_set_processors(pid_t thread, const char *text)
{
	cpu_set_t *set = CPU_ALLOC(MOST_PROCESSORS);
	size_t size = CPU_ALLOC_SIZE(MOST_PROCESSORS);
	const char *at = text;

	if (!set)
		abort();
	CPU_ZERO_S(size, set);
	while (*at) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (end == at || first >= MOST_PROCESSORS)
			break;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < MOST_PROCESSORS; first++)
			CPU_SET_S(first, size, set);
		at = *end == ',' ? end + 1 : end;
	}
	if (*at || sched_setaffinity(thread, size, set))
		say("event", "thread %d cannot run on the processors that it had (%s): %s", thread, text,
		    *at ? "this is no list of processors" : strerror(errno));
	CPU_FREE(set);
}

/*
 * Files that are mapped privately: the program, its libraries and modules. What is mapped to be
 * shared is the VM's memory, for one.
 */
static void keep_mapped(pid_t pid, struct json_object *o)
{
	struct json_object *list = json_object_new_array();
	char *text, *line, *rest, *path, *last = "";
	size_t size;

	json_object_object_add(o, "mapped", list);
	text = read_proc(pid, "maps", &size);
	/* It only takes longer then. */
	if (!text)
		return;
	for (line = strtok_r(text, "\n", &rest); line && json_length(list) < MOST_MAPPED; line = strtok_r(NULL, "\n", &rest)) {
		path = strchr(line, '/');
		/* "first-last perms offset device inode path" */
		if (!path || strncmp(strchrnul(line, ' '), " r", 2) || strchrnul(line, ' ')[4] != 'p' || !strcmp(path, last))
			continue;
		last = path;
		json_object_array_add(list, json_object_new_string(path));
	}
	free(text);
}

/*
 * Has what was mapped read into memory: a kernel that has just begun has nothing of it, and a program
 * that comes upon it page by page waits for each. What is there already takes no time.
 */
static void read_ahead(struct json_object *kept)
{
	struct json_object *list = json_get(kept, "mapped");
	off_t left = MOST_AHEAD;
	struct stat st;
	int fd;

	for (size_t i = 0; i < json_length(list); i++) {
		fd = open(json_object_get_string(json_at(list, i)), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= left && !readahead(fd, 0, st.st_size))
			left -= st.st_size;
		if (fd >= 0)
			close(fd);
	}
}

struct json_object *keep_process(pid_t pid)
{
	struct json_object *o = json_object_new_object(), *texts;
	char *processors;

	texts = read_texts(pid, "cmdline");
	if (json_length(texts))
		json_object_object_add(o, "arguments", texts);
	/* A kernel thread, or a process that has ended. */
	if (!json_length(texts) || keep_ids(pid, o)) {
		if (!json_length(texts))
			fail("the command line of process %d cannot be read", pid);
		json_object_put(o);
		return NULL;
	}
	texts = read_texts(pid, "environ");
	if (texts)
		json_object_object_add(o, "environment", texts);
	else
		say("event", "the environment of process %d cannot be read: %s; QEMU will be started with that of continuo-qemu",
		    pid, strerror(errno));
	keep_link(pid, "cwd", o, "folder");
	keep_link(pid, "exe", o, "program");
	keep_cgroup(pid, o);
	processors = keep_processors(pid);
	if (processors)
		json_put_text(o, "processors", processors);
	free(processors);
	keep_mapped(pid, o);
	return o;
}

int keep_user(struct json_object *kept)
{
	long long uid = json_number(kept, "uid", -1), gid = json_number(kept, "gid", -1);
	struct json_object *list = json_get(kept, "groups");
	size_t n = json_length(list);
	gid_t groups[MOST_GROUPS];

	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX || n > MOST_GROUPS)
		return fail("the state does not say which user the VM was of");
	if (geteuid() == uid)
		return 0;
	if (geteuid())
		return fail("the VM is of user %lld, and this is user %u: start continuo-qemu as that user, or as root",
			    uid, geteuid());
	for (size_t i = 0; i < n; i++)
		groups[i] = json_object_get_int64(json_at(list, i));
	if (setgroups(n, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return fail("this process cannot become user %lld: %s", uid, strerror(errno));
	return 0;
}

static void join_cgroup(const char *cgroup)
{
	char path[4200];
	int fd;

	if (!*cgroup || strstr(cgroup, "/../"))
		return;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		say("event", "QEMU is not put into the control group %s, in which it was: %s; whoever starts continuo-qemu has to",
		    cgroup, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void become(struct json_object *kept, const struct args *a)
{
	struct json_object *texts = json_get(kept, "environment");
	const char *folder = json_text(kept, "folder");
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (kept) {
		join_cgroup(json_text(kept, "cgroup"));
		if (*json_text(kept, "processors"))
			keep_set_processors(0, json_text(kept, "processors"));
	}
	if (texts) {
		clearenv();
		for (size_t i = 0; i < json_length(texts); i++)
			putenv(strdup(json_object_get_string(json_at(texts, i))));
	}
	if (*folder && chdir(folder))
		say("event", "QEMU is not started in the folder %s, in which it was: %s", folder, strerror(errno));
	read_ahead(kept);
	execvp(a->v[0], a->v);
	say("failed", "start %s: %s", a->v[0], strerror(errno));
	_exit(127);
}

pid_t keep_start(struct json_object *kept, const struct args *a)
{
	pid_t pid = fork();

	if (!pid)
		become(kept, a);
	return pid < 0 ? fail("no process can be made: %s", strerror(errno)) : pid;
}
