// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp.h"
#include "say.h"
#include "sock.h"

#define MOST_BYTES	(16u << 20)	/* of one message */
#define PIECE_BYTES	65536

void qmp_close(struct qmp *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	free(q->in);
	q->in = NULL;
	q->have = q->room = 0;
}

static int ended(struct qmp *q)
{
	qmp_close(q);
	return fail("QEMU has ended, or closed its QMP socket");
}

/* More bytes, as many as there are; 0 also if there are none. */
static int read_some(struct qmp *q)
{
	ssize_t n;

	if (q->fd < 0)
		return ended(q);
	if (q->room - q->have < PIECE_BYTES) {
		if (q->room >= MOST_BYTES)
			return fail("QEMU sends a message of more than %u bytes", MOST_BYTES);
		q->room = q->room ? 2 * q->room : 2 * PIECE_BYTES;
		q->in = realloc(q->in, q->room);
		if (!q->in)
			abort();
	}
	n = recv(q->fd, q->in + q->have, q->room - q->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return ended(q);
	q->have += n;
	return 0;
}

/* The next whole message, to be put; NULL if there is none yet. */
static struct json_object *next(struct qmp *q)
{
	char *end = q->have ? memchr(q->in, '\n', q->have) : NULL;
	struct json_object *o;
	size_t n;

	if (!end)
		return NULL;
	*end = 0;
	o = json_tokener_parse(q->in);
	n = end + 1 - q->in;
	memmove(q->in, end + 1, q->have - n);
	q->have -= n;
	/* What is no JSON is no answer: whoever waits for one goes on waiting. */
	return o ? o : json_object_new_object();
}

static bool is_event(struct qmp *q, struct json_object *o)
{
	if (!json_get(o, "event"))
		return false;
	if (q->event)
		q->event(json_text(o, "event"), json_get(o, "data"));
	return true;
}

/* A message that is no event. */
static struct json_object *wait_for(struct qmp *q, uint64_t until, const char *what)
{
	struct json_object *o;

	for (;;) {
		while ((o = next(q))) {
			if (!is_event(q, o))
				return o;
			json_object_put(o);
		}
		if (q->fd < 0) {
			ended(q);
			return NULL;
		}
		if (!wait_readable(q->fd, until)) {
			fail("QEMU has not answered %s in time", what);
			return NULL;
		}
		if (read_some(q))
			return NULL;
	}
}

static int send_all(struct qmp *q, const char *text, uint64_t until)
{
	size_t n = strlen(text);

	while (n) {
		struct pollfd p = { .fd = q->fd, .events = POLLOUT };
		ssize_t k = send(q->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k < 0 && errno == EAGAIN) {
			if (!left_ms(until))
				return fail("QEMU does not read what it is told");
			poll(&p, 1, left_ms(until));
			continue;
		}
		if (k < 0 && errno != EINTR)
			return ended(q);
		if (k > 0) {
			text += k;
			n -= k;
		}
	}
	return 0;
}

unsigned int qmp_begin(struct qmp *q, uint64_t until, const char *command,
		       struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int ret;

	/* 0 stands for a failure. */
	if (!++q->id)
		q->id = 1;
	json_put_text(o, "execute", command);
	json_put_number(o, "id", q->id);
	if (args)
		json_object_object_add(o, "arguments", args);
	ret = q->fd < 0 ? ended(q) :
	      send_all(q, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), until) ?:
	      send_all(q, "\n", until);
	json_object_put(o);
	return ret ? 0 : q->id;
}

/* What was returned, or NULL with why(); @answer is put. */
static struct json_object *result_of(struct json_object *answer, const char *command)
{
	struct json_object *result = json_get(answer, "return");

	if (result)
		json_object_get(result);
	else
		fail("%s: QEMU says: %s", command, json_text(json_get(answer, "error"), "desc"));
	json_object_put(answer);
	return result;
}

static bool answers(struct json_object *o, unsigned int id)
{
	return json_number(o, "id", -1) == id;
}

struct json_object *qmp_ask(struct qmp *q, uint64_t until, const char *command,
			    struct json_object *args)
{
	unsigned int id = qmp_begin(q, until, command, args);
	struct json_object *answer;

	while (id && (answer = wait_for(q, until, command))) {
		if (answers(answer, id))
			return result_of(answer, command);
		json_object_put(answer);
	}
	return NULL;
}

int qmp_poll(struct qmp *q, unsigned int id, const char *command)
{
	struct json_object *o;

	if (read_some(q))
		return -1;
	while ((o = next(q))) {
		if (!is_event(q, o) && answers(o, id)) {
			o = result_of(o, command);
			json_object_put(o);
			return o ? 1 : -1;
		}
		json_object_put(o);
	}
	return 0;
}

int qmp_do(struct qmp *q, uint64_t until, const char *command, struct json_object *args)
{
	struct json_object *o = qmp_ask(q, until, command, args);

	json_object_put(o);
	return o ? 0 : -1;
}

int qmp_hear(struct qmp *q)
{
	struct json_object *o;

	if (read_some(q))
		return -1;
	/* An answer that nobody waits for any more is dropped. */
	while ((o = next(q))) {
		is_event(q, o);
		json_object_put(o);
	}
	return 0;
}

static int greet(struct qmp *q, uint64_t until)
{
	struct json_object *o = wait_for(q, until, "at all"), *version;

	if (!o)
		return -1;
	version = json_get(json_get(json_get(o, "QMP"), "version"), "qemu");
	q->major = json_number(version, "major", -1);
	q->minor = json_number(version, "minor", -1);
	q->micro = json_number(version, "micro", -1);
	json_object_put(o);
	if (q->major < 0 || q->minor < 0)
		return fail("this is no QMP socket: it does not greet like one");
	return qmp_do(q, until, "qmp_capabilities", NULL);
}

int qmp_open(struct qmp *q, const char *path, uint64_t until, int *pid)
{
	struct ucred who = {};
	socklen_t size = sizeof(who);

	q->fd = sock_dial(path, until);
	if (q->fd < 0)
		return -1;
	if (pid && (getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) || who.pid <= 0)) {
		qmp_close(q);
		return fail("%s: it cannot be seen which process listens there", path);
	}
	if (pid)
		*pid = who.pid;
	if (greet(q, until)) {
		qmp_close(q);
		return -1;
	}
	return 0;
}
