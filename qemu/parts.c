// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "parts.h"
#include "say.h"

#define NAMED		"/machine/peripheral"
#define ANONYMOUS	"/machine/peripheral-anon"
#define PLUGGED		"plugged"
#define DISK		"disk"

static const char *const names[] = { [PART_DEVICE] = "device", [PART_OBJECT] = "object", [PART_DISK] = "disk" };

static const struct {
	enum part_kind kind;
	const char *path;
} folders[] = {
	{ PART_DEVICE, NAMED }, { PART_DEVICE, ANONYMOUS }, { PART_OBJECT, "/objects" },
};

void parts_free(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->of[i].name);
		free(p->of[i].what);
	}
	free(p->of);
	*p = (struct parts){};
}

/* Takes @name. */
static void add(struct parts *p, enum part_kind kind, char *name, const char *what)
{
	p->of = realloc(p->of, (p->n + 1) * sizeof(*p->of));
	if (!p->of)
		abort();
	p->of[p->n] = (struct part){ .kind = kind, .name = name, .what = strdup(what) };
	if (!name || !p->of[p->n].what)
		abort();
	p->n++;
}

static struct json_object *path_of(const char *path)
{
	struct json_object *o = json_object_new_object();

	json_put_text(o, "path", path);
	return o;
}

static int learn_folder(struct parts *p, enum part_kind kind, const char *path, struct qmp *q, uint64_t until)
{
	struct json_object *list = qmp_ask(q, until, "qom-list", path_of(path));

	/* A machine without such devices has no such folder. */
	if (!list)
		return q->fd < 0 ? -1 : 0;
	for (size_t i = 0; i < json_length(list); i++) {
		const char *type = json_text(json_at(list, i), "type");
		char *name;

		if (strncmp(type, "child<", 6))
			continue;
		if (asprintf(&name, "%s/%s", path, json_text(json_at(list, i), "name")) < 0)
			abort();
		add(p, kind, name, type + 6);
		/* Without its '>'. */
		p->of[p->n - 1].what[strcspn(type + 6, ">")] = 0;
	}
	json_object_put(list);
	return 0;
}

static int learn_disks(struct parts *p, struct qmp *q, uint64_t until)
{
	struct json_object *list = qmp_ask(q, until, "query-block", NULL);

	if (!list)
		return -1;
	for (size_t i = 0; i < json_length(list); i++) {
		struct json_object *o = json_at(list, i);
		const char *name = json_text(o, "qdev");

		/* A disk that no device has yet may have a name only. */
		add(p, PART_DISK, strdup(*name ? name : json_text(o, "device")), json_text(json_get(o, "inserted"), "file"));
	}
	json_object_put(list);
	return 0;
}

int parts_learn(struct parts *p, struct qmp *q, uint64_t until)
{
	parts_free(p);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (learn_folder(p, folders[i].kind, folders[i].path, q, until))
			return -1;
	return learn_disks(p, q, until);
}

static const struct part *find(const struct parts *p, const struct part *like)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->of[i].kind == like->kind && !strcmp(p->of[i].name, like->name))
			return &p->of[i];
	return NULL;
}

int parts_compare(const struct parts *had, const struct parts *has, parts_refuse *refuse)
{
	int n = 0;

	for (size_t i = 0; i < has->n; i++) {
		const struct part *is = &has->of[i], *was = find(had, is);

		if (was && !strcmp(was->what, is->what))
			continue;
		n++;
		if (was && is->kind == PART_DISK)
			refuse(DISK, "disk %s is in \"%s\", and was in \"%s\"", is->name, is->what, was->what);
		else
			refuse(PLUGGED, "%s %s (%s) was plugged in", names[is->kind], is->name, is->what);
	}
	for (size_t i = 0; i < had->n; i++) {
		const struct part *was = &had->of[i];

		if (find(has, was))
			continue;
		n++;
		refuse(PLUGGED, "%s %s (%s) was unplugged", names[was->kind], was->name, was->what);
	}
	return n;
}

/* --- a QEMU that somebody else has started --- */

static int check_plugged(const struct parts *has, struct qmp *q, parts_refuse *refuse, uint64_t until)
{
	int n = 0;

	for (size_t i = 0; i < has->n; i++) {
		struct json_object *args, *o;

		if (has->of[i].kind != PART_DEVICE)
			continue;
		args = path_of(has->of[i].name);
		json_put_text(args, "property", "hotplugged");
		o = qmp_ask(q, until, "qom-get", args);
		if (!o)
			return -1;
		if (json_object_get_boolean(o)) {
			refuse(PLUGGED, "device %s (%s) was plugged in", has->of[i].name, has->of[i].what);
			n++;
		}
		json_object_put(o);
	}
	return n;
}

struct unplugged {
	const struct parts *has;
	parts_refuse *refuse;
	unsigned int anonymous;
	int n;
};

static void look_for(const char *type, const char *id, void *data)
{
	struct unplugged *u = data;
	struct part like = { .kind = PART_DEVICE };

	if (!id) {
		u->anonymous++;
		return;
	}
	if (asprintf(&like.name, NAMED "/%s", id) < 0)
		abort();
	if (!find(u->has, &like)) {
		u->refuse(PLUGGED, "device %s (%s) was unplugged", like.name, type);
		u->n++;
	}
	free(like.name);
}

/*
 * QEMU numbers those without an id as they come, so that one that is missing leaves a gap, unless it was the
 * last one: then there may be fewer than in the arguments (QEMU makes some for other options, too).
 */
static int check_anonymous(struct unplugged *u)
{
	unsigned int there = 0, number = 0;
	struct part like = { .kind = PART_DEVICE };
	bool found;

	for (size_t i = 0; i < u->has->n; i++)
		there += !strncmp(u->has->of[i].name, ANONYMOUS "/", sizeof(ANONYMOUS));
	for (found = true; found && number < there; number += found) {
		if (asprintf(&like.name, ANONYMOUS "/device[%u]", number) < 0)
			abort();
		found = find(u->has, &like);
		free(like.name);
	}
	if (found && there >= u->anonymous)
		return 0;
	u->refuse(PLUGGED, "a device without an id was unplugged: " ANONYMOUS "/device[%u]", number);
	return 1;
}

/* Other names than paths (an URL, JSON) are not what the argument has. */
static bool is_path(const char *file)
{
	return *file == '/' || (*file && !strchr(file, ':'));
}

int parts_of_arguments(const struct parts *has, const struct args *line, struct qmp *q, parts_refuse *refuse,
		       uint64_t until)
{
	struct unplugged u = { .has = has, .refuse = refuse };
	int n = check_plugged(has, q, refuse, until);

	if (n < 0)
		return -1;
	args_devices(line, look_for, &u);
	n += u.n + check_anonymous(&u);
	for (size_t i = 0; i < has->n; i++) {
		const struct part *p = &has->of[i];

		if (p->kind != PART_DISK || !is_path(p->what) || args_name(line, p->what))
			continue;
		refuse(DISK, "disk %s is in \"%s\", which no argument of QEMU's names", p->name, p->what);
		n++;
	}
	return n;
}

int parts_jobs(struct qmp *q, parts_refuse *refuse, uint64_t until)
{
	struct json_object *list = qmp_ask(q, until, "query-block-jobs", NULL);
	int n;

	if (!list)
		return -1;
	n = json_length(list);
	for (int i = 0; i < n; i++)
		refuse(DISK, "job %s (%s) has not ended", json_text(json_at(list, i), "device"),
		       json_text(json_at(list, i), "type"));
	json_object_put(list);
	return n;
}
