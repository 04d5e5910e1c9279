// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "say.h"
#include "sock.h"

#define MOST_ANSWER	65536
/* Begins an answer for which "delimited" was asked; it is in no JSON. */
#define DELIMITER	0xff
/* What an answer may take. */
#define RIGHT_MS	1000

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int64_t clock_now_ms(void)
{
	return now_ns() / 1000000;
}

/* One line, without what comes before it if @delimited. 0, or -1 with why(). */
static int read_line(int fd, char *line, size_t size, bool delimited, uint64_t until)
{
	bool begun = !delimited;
	size_t n = 0;
	char c;

	while (n < size - 1) {
		if (!wait_readable(fd, until))
			return fail("it does not answer");
		if (recv(fd, &c, 1, 0) != 1)
			return fail("it has closed its socket");
		if ((unsigned char)c == DELIMITER) {
			begun = true;
			n = 0;
		} else if (c == '\n' && begun && n) {
			line[n] = 0;
			return 0;
		} else if (begun) {
			line[n++] = c;
		}
	}
	return fail("its answer has more than %zu bytes", size);
}

/* What the agent returned, to be put; NULL with why(). */
static struct json_object *ask(int fd, const char *command, bool delimited, uint64_t until)
{
	static char line[MOST_ANSWER];
	struct json_object *all, *o;

	if (sock_send(fd, command, strlen(command), until) || read_line(fd, line, sizeof(line), delimited, until))
		return NULL;
	all = json_tokener_parse(line);
	o = json_get(all, "return");
	if (!o)
		fail("it says: %.200s", *json_text(json_get(all, "error"), "desc") ? json_text(json_get(all, "error"), "desc") : line);
	o = json_object_get(o);
	json_object_put(all);
	return o;
}

/* An agent may have begun to answer somebody else. */
static int synchronise(int fd, uint64_t until)
{
	long long id = getpid(), answer;
	struct json_object *o;
	char command[120];

	snprintf(command, sizeof(command), "\xff{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": %lld}}\n", id);
	o = ask(fd, command, true, until);
	if (!o)
		return -1;
	answer = json_object_get_int64(o);
	json_object_put(o);
	return answer == id ? 0 : fail("it answers a question that was not asked");
}

/* How far the clock is behind. */
static int ask_behind(int fd, int64_t *behind_ms, uint64_t until)
{
	struct json_object *o = ask(fd, "{\"execute\": \"guest-get-time\"}\n", false, until);

	if (!o)
		return -1;
	*behind_ms = (now_ns() - json_object_get_int64(o)) / 1000000;
	json_object_put(o);
	return 0;
}

/*
 * @behind_ms: before, @left_ms: after it. An agent says no when it has set the clock and cannot set the
 * machine's (there is no hwclock), so it is asked for the time again.
 */
static int set(int fd, int64_t *behind_ms, int64_t *left_ms, uint64_t until)
{
	struct json_object *o;
	char command[120], not[WHY_MOST] = "";

	if (synchronise(fd, until) || ask_behind(fd, behind_ms, until))
		return -1;
	snprintf(command, sizeof(command), "{\"execute\": \"guest-set-time\", \"arguments\": {\"time\": %" PRId64 "}}\n", now_ns());
	o = ask(fd, command, false, until);
	if (!o)
		strcpy(not, why());
	json_object_put(o);
	if (ask_behind(fd, left_ms, until))
		return -1;
	if (llabs(*left_ms) < RIGHT_MS)
		return 0;
	return fail("%s", *not ? not : "it says that it is set, and it is not");
}

static void mend(const char *path, int64_t stopped_ms, uint64_t until)
{
	int64_t behind_ms = clock_now_ms() - stopped_ms, left_ms;
	int fd = path ? sock_dial(path, until) : -1;

	if (fd >= 0 && !set(fd, &behind_ms, &left_ms, until))
		say("clock", "the guest's wall clock was %" PRId64 " ms behind; its agent has set it, and it is %" PRId64 " ms now",
		    behind_ms, left_ms);
	else
		say("clock", "the guest's wall clock is some %" PRId64 " ms behind, and nobody here sets it: %s%s", behind_ms,
		    path ? "the guest's agent: " : "QEMU's arguments have no agent of the guest's", path ? why() : "");
	if (fd >= 0)
		close(fd);
}

void clock_mend(const struct args *line, int64_t stopped_ms, uint64_t patience_us)
{
	pid_t pid = fork();

	if (pid) {
		if (pid > 0)
			waitpid(pid, NULL, 0);
		return;
	}
	/* Nobody waits for a child's child; and it has nothing that is the VM's. */
	if (!fork()) {
		char *path = args_guest_agent(line);

		close_range(STDERR_FILENO + 1, ~0u, 0);
		mend(path, stopped_ms, now_us() + patience_us);
		free(path);
	}
	_exit(0);
}
