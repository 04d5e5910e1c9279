// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "continuo.h"
#include "decide.h"
#include "holds.h"

/* Those of before the device have it in debugfs. */
#define VIEW	"/dev/liveupdate-view"
#define DEBUGFS	"/sys/kernel/debug/liveupdate/outgoing"

static char *read_view(void)
{
	size_t room = 1 << 16, n = 0;
	char *text, *more;
	ssize_t got;
	int fd;

	fd = open(VIEW, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		fd = open(DEBUGFS, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	text = malloc(room);
	while (text && (got = read(fd, text + n, room - 1 - n)) > 0) {
		n += got;
		if (n < room - 1)
			continue;
		room *= 2;
		more = realloc(text, room);
		if (!more) {
			free(text);
			text = NULL;
			break;
		}
		text = more;
	}
	if (text)
		text[n] = 0;
	close(fd);
	return text;
}

/* The value of a key in a record's line: its beginning and its length, or NULL. */
static const char *value_of(const char *line, const char *key, size_t *n)
{
	size_t len = strlen(key);

	/* Keys begin behind a space that is in no text. */
	for (bool text = false; *line; line++) {
		if (*line == '"')
			text = !text;
		if (text || *line != ' ' || strncmp(line + 1, key, len) || line[1 + len] != '=')
			continue;
		line += 2 + len;
		if (*line == '"')
			*n = strcspn(++line, "\"");
		else
			*n = strcspn(line, " ");
		return line;
	}
	return NULL;
}

static bool is(const char *line, const char *key, const char *value)
{
	size_t n;
	const char *at = value_of(line, key, &n);

	return at && n == strlen(value) && !strncmp(at, value, n);
}

/* The number of the last refusal that was there. */
static unsigned long refusals;

static unsigned long number_of(const char *line)
{
	size_t n;
	const char *at = strncmp(line, "refusal ", 8) ? NULL : value_of(line, "number", &n);

	return at ? strtoul(at, NULL, 10) : 0;
}

/* "OBJECT: WHY (rule RULE)" */
static void say_refusal(const char *line, char *text, size_t size)
{
	static const char *const keys[] = { "object", "why", "rule" };
	const char *at[3];
	size_t n[3];

	for (int i = 0; i < 3; i++) {
		at[i] = value_of(line, keys[i], &n[i]);
		if (!at[i]) {
			at[i] = "?";
			n[i] = 1;
		}
	}
	snprintf(text, size, "%.*s: %.*s (rule %.*s)", (int)n[0], at[0], (int)n[1], at[1], (int)n[2], at[2]);
}

bool holds_refusal(int err, char *text, size_t size)
{
	char *view = read_view(), *line, *save = NULL, number[16];
	bool found = false;

	snprintf(number, sizeof(number), "%d", err);
	/* The first one that is new: the kernel stops there, and what follows can be others'. */
	for (line = view ? strtok_r(view, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		if (number_of(line) <= refusals || !is(line, "errno", number))
			continue;
		say_refusal(line, text, size);
		found = true;
		break;
	}
	free(view);
	return found;
}

struct wanted {
	const char *name;
	int *files;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->name, ((const struct wanted *)b)->name);
}

/* The session of a line; NULL if it is not wanted. */
static int *files_of(const char *line, const struct wanted *wanted, unsigned int n)
{
	char name[CONTINUO_SESSION_NAME];
	struct wanted key = { .name = name }, *found;
	size_t len;
	const char *at = value_of(line, "name", &len);

	if (!at || len >= sizeof(name))
		return NULL;
	memcpy(name, at, len);
	name[len] = 0;
	found = bsearch(&key, wanted, n, sizeof(*wanted), by_name);
	return found ? found->files : NULL;
}

/* True if a session is not wanted, or came with the last update, and a call is under way in it. */
static bool is_others(const char *line, const int *files)
{
	return is(line, "state", "busy") && (!files || is(line, "kernel", "incoming"));
}

static const char *count(char *text, const struct wanted *wanted, unsigned int n)
{
	static char other[CONTINUO_SESSION_NAME];
	char *line, *save = NULL;

	*other = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at;
		size_t len;
		int *files;

		if (number_of(line) > refusals)
			refusals = number_of(line);
		if (strncmp(line, "session ", 8))
			continue;
		files = files_of(line, wanted, n);
		at = value_of(line, "name", &len);
		if (at && !*other && is_others(line, files))
			snprintf(other, sizeof(other), "%.*s", (int)len, at);
		if (is(line, "kernel", "incoming"))
			continue;
		at = value_of(line, "files", &len);
		if (files && is(line, "state", "busy"))
			*files = BUSY;
		else if (files && at && is(line, "state", "outgoing"))
			*files = atoi(at);
	}
	return *other ? other : NULL;
}

const char *holds_count(const char *const *names, int *files, unsigned int n, const char **other)
{
	static struct wanted wanted[MOST_VMS];
	const char *why = NULL;
	char *text;

	*other = NULL;
	for (unsigned int i = 0; i < n; i++) {
		files[i] = 0;
		wanted[i] = (struct wanted){ .name = names[i], .files = &files[i] };
	}
	qsort(wanted, n, sizeof(*wanted), by_name);
	text = read_view();
	if (!text)
		why = VIEW " cannot be read, and no other place says what a session holds";
	else if (strncmp(text, "format=1\n", 9))
		why = VIEW " is of another format than this agent reads";
	else
		*other = count(text, wanted, n);
	free(text);
	return why;
}
