// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "abi.h"
#include "backing.h"
#include "files.h"
#include "reason.h"
#include "say.h"

#define RULE		"memory-file"
#define TYPE		"child<memory-backend-file>"

/* --- files --- */

static bool is_ours(const struct statfs *fs)
{
	return fs->f_type == GUESTMEMFS_MAGIC;
}

/* The file of a path, and that it is one that persists; -1 and @not. */
static int open_file(const char *path, char *not, size_t size)
{
	struct statfs fs;
	struct stat st;
	int fd;

	if (*path != '/')
		return reason(not, size, "%s is not a path from / on, so that another QEMU may find another file", path);
	/* Not a device or a pipe, which would be opened by that. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return reason(not, size, S_ISDIR(st.st_mode) ? "%s is a folder, in which QEMU makes a file without a name" :
				"%s is not a file", path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return reason(not, size, "%s cannot be opened: %s", path, strerror(errno));
	if (!fstatfs(fd, &fs) && is_ours(&fs))
		return fd;
	close(fd);
	return reason(not, size, "%s is not on guestmemfs", path);
}

/* QEMU makes a file that is not there. */
static int parent_fits(const char *path, char *not, size_t size)
{
	char *parent = strdup(path), *slash;
	struct statfs fs;
	int ret;

	if (!parent)
		abort();
	slash = strrchr(parent, '/');
	slash[slash == parent] = 0;
	ret = statfs(parent, &fs);
	if (ret)
		reason(not, size, "%s: %s", parent, strerror(errno));
	else if (!is_ours(&fs))
		ret = reason(not, size, "%s is not on guestmemfs", path);
	free(parent);
	return ret;
}

int backing_fits(const char *path, char *not, size_t size)
{
	struct stat st;
	int fd;

	if (*path == '/' && stat(path, &st) && errno == ENOENT)
		return parent_fits(path, not, size);
	fd = open_file(path, not, size);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int backing_same(const struct backing *b, int fd)
{
	char not[WHY_MOST];
	int there = open_file(b->path, not, sizeof(not));
	bool same = there >= 0 && file_same(there, fd);

	if (there < 0)
		return fail("memory \"%s\": %s; mount guestmemfs where it was, with the file under its name, and start take again",
			    b->id, not);
	close(there);
	return same ? 0 : fail("memory \"%s\": %s is another file than the one that was preserved; give that its name back, and start take again",
			       b->id, b->path);
}

int backing_is_open(pid_t pid, int fd)
{
	char path[300];
	struct stat want, st;
	struct dirent *de;
	int found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir || fstat(fd, &want)) {
		if (dir)
			closedir(dir);
		return fail("%s cannot be read: %s", path, strerror(errno));
	}
	while (!found && (de = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, de->d_name);
		found = !stat(path, &st) && st.st_dev == want.st_dev && st.st_ino == want.st_ino;
	}
	closedir(dir);
	return found;
}

/* --- QEMU --- */

/* A property of an object; NULL with why(). */
static struct json_object *get(struct qmp *q, const char *id, const char *property, uint64_t until)
{
	struct json_object *args = json_object_new_object();
	char path[BACKING_ID + 16];

	snprintf(path, sizeof(path), "/objects/%s", id);
	json_put_text(args, "path", path);
	json_put_text(args, "property", property);
	return qmp_ask(q, until, "qom-get", args);
}

static int get_bool(struct qmp *q, const char *id, const char *property, bool *value, uint64_t until)
{
	struct json_object *o = get(q, id, property, until);

	if (!o)
		return -1;
	*value = json_object_get_boolean(o);
	json_object_put(o);
	return 0;
}

/* What QEMU has been told of one. */
static int ask(struct qmp *q, struct backing *b, bool *shared, bool *touched, uint64_t until)
{
	struct json_object *o = get(q, b->id, "mem-path", until);

	if (!o)
		return -1;
	b->path = strdup(json_object_get_string(o) ?: "");
	if (!b->path)
		abort();
	json_object_put(o);
	o = get(q, b->id, "offset", until);
	if (!o)
		return -1;
	b->offset = json_object_get_uint64(o);
	json_object_put(o);
	return get_bool(q, b->id, "share", shared, until) ?: get_bool(q, b->id, "prealloc", touched, until);
}

/* 0: it can be carried over. 1: it was refused. */
static int judge(const struct backings *before, struct backing *b, bool shared, bool touched, pid_t pid,
		 backing_refuse *refuse)
{
	char not[WHY_MOST];
	int open;

	if (!shared || touched) {
		refuse(RULE, "memory \"%s\" has %s", b->id, shared ? "prealloc=on" : "share=off");
		return 1;
	}
	b->fd = open_file(b->path, not, sizeof(not));
	if (b->fd < 0) {
		refuse(RULE, "memory \"%s\": %s", b->id, not);
		return 1;
	}
	for (int i = 0; i < before->n; i++)
		if (file_same(before->of[i].fd, b->fd)) {
			refuse(RULE, "memory \"%s\" is in the same file as \"%s\"", b->id, before->of[i].id);
			return 1;
		}
	open = backing_is_open(pid, b->fd);
	if (open < 0)
		refuse(RULE, "memory \"%s\": whether QEMU has %s open cannot be seen: %s", b->id, b->path, why());
	else if (!open)
		refuse(RULE, "memory \"%s\": %s is not the file that QEMU has open", b->id, b->path);
	return open != 1;
}

static void free_one(struct backing *b)
{
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
	*b = (struct backing){ .fd = -1 };
}

void backings_free(struct backings *b)
{
	while (b->n)
		free_one(&b->of[--b->n]);
}

int backings_learn(struct backings *b, struct qmp *q, pid_t pid, backing_refuse *refuse, uint64_t until)
{
	struct json_object *args = json_object_new_object(), *list;
	int refused = 0;

	backings_free(b);
	json_put_text(args, "path", "/objects");
	list = qmp_ask(q, until, "qom-list", args);
	if (!list)
		return q->fd < 0 ? -1 : 0;
	for (size_t i = 0; i < json_length(list) && refused >= 0; i++) {
		const char *id = json_text(json_at(list, i), "name");
		struct backing one = { .fd = -1 };
		bool shared, touched;

		if (strcmp(json_text(json_at(list, i), "type"), TYPE))
			continue;
		if (strlen(id) >= sizeof(one.id) || b->n == BACKINGS) {
			refuse(RULE, "memory \"%.80s\" is one of more than %d, or its name is longer than %d bytes", id, BACKINGS,
			       BACKING_ID - 1);
			refused++;
			continue;
		}
		strcpy(one.id, id);
		if (ask(q, &one, &shared, &touched, until)) {
			free_one(&one);
			refused = -1;
		} else if (judge(b, &one, shared, touched, pid, refuse)) {
			free_one(&one);
			refused++;
		} else {
			b->of[b->n++] = one;
		}
	}
	json_object_put(list);
	return refused;
}

/* Old machines name a memory by the whole path of its object. */
int backings_find(const struct backings *b, const char *memory)
{
	if (!strncmp(memory, "/objects/", 9))
		memory += 9;
	for (int i = 0; i < b->n; i++)
		if (!strcmp(b->of[i].id, memory))
			return i;
	return -1;
}

/* --- the description of the VM --- */

struct json_object *backings_describe(const struct backings *b)
{
	struct json_object *list = json_object_new_array(), *o;

	for (int i = 0; i < b->n; i++) {
		o = json_object_new_object();
		json_put_text(o, "id", b->of[i].id);
		json_put_text(o, "path", b->of[i].path);
		json_object_array_add(list, o);
	}
	return list;
}

int backings_read(struct backings *b, struct json_object *list)
{
	if (json_length(list) > BACKINGS)
		return fail("the description of the VM has %zu files of memory; there can be %d", json_length(list), BACKINGS);
	for (size_t i = 0; i < json_length(list); i++) {
		const char *id = json_text(json_at(list, i), "id"), *path = json_text(json_at(list, i), "path");
		struct backing *one = &b->of[i];

		if (!*id || strlen(id) >= sizeof(one->id) || *path != '/')
			return fail("the description of the VM has a file of memory that cannot be: %.80s", id);
		*one = (struct backing){ .path = strdup(path), .fd = -1 };
		if (!one->path)
			abort();
		strcpy(one->id, id);
		b->n++;
	}
	return 0;
}
