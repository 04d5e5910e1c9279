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
#include "holds.h"

/* Those of before the device have it in debugfs. */
#define VIEW	"/dev/liveupdate-view"
#define DEBUGFS	"/sys/kernel/debug/liveupdate/outgoing"

/* A session in which a call is under way shows nothing else: so often it is looked again. */
#define LOOKS	20
#define PAUSE_US 1000

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

/* True if one has to be looked at again. */
static bool count(char *text, const char *const *names, unsigned int *files, unsigned int n)
{
	char *line, *save = NULL;
	bool busy = false;

	memset(files, 0, n * sizeof(*files));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "session ", 8) || is(line, "kernel", "incoming"))
			continue;
		for (unsigned int i = 0; i < n; i++) {
			size_t len;
			const char *at;

			if (!is(line, "name", names[i]))
				continue;
			busy |= is(line, "state", "busy");
			at = value_of(line, "files", &len);
			if (at && is(line, "state", "outgoing"))
				files[i] = strtoul(at, NULL, 10);
		}
	}
	return busy;
}

void holds_count(const char *const *names, unsigned int *files, unsigned int n, const char **why)
{
	memset(files, 0, n * sizeof(*files));
	*why = NULL;
	for (unsigned int look = 0; look < LOOKS; look++) {
		char *text = read_view();
		bool again;

		if (!text || strncmp(text, "format=1\n", 9)) {
			*why = text ? VIEW " is of another format than this agent reads" :
				      VIEW " cannot be read, and no other place says what a session holds";
			free(text);
			return;
		}
		again = count(text, names, files, n);
		free(text);
		if (!again)
			return;
		usleep(PAUSE_US);
	}
}
