// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "closer.h"
#include "device.h"
#include "request.h"
#include "sessions.h"
#include "systemd.h"

/* @fd: -1 while it is closed, which takes its time; its name is in use until then. */
struct session {
	char name[CONTINUO_SESSION_NAME];
	int fd;
};

static struct continuo *ctx;
static struct session session[MOST_SESSIONS];
static unsigned int sessions;

static struct session *find(const char *name)
{
	for (unsigned int i = 0; i < sessions; i++)
		if (!strcmp(session[i].name, name))
			return &session[i];
	return NULL;
}

static void keep(const char *name, int fd)
{
	struct session *s = &session[sessions++];

	strcpy(s->name, name);
	s->fd = fd;
}

static void inherit(const char *name, int fd)
{
	if (strlen(name) < CONTINUO_SESSION_NAME && sessions < MOST_SESSIONS && !find(name))
		keep(name, fd);
	else
		close(fd);
}

void sessions_begin(struct continuo *continuo)
{
	ctx = continuo;
	systemd_inherit(inherit);
}

static int refuse(int err, const char *name, const char *reason, const char **why)
{
	static char text[256];

	snprintf(text, sizeof(text), "session %s: %s", name, reason);
	*why = text;
	return err;
}

/* Is there room for one more of that user's? */
static int check_room(const char *name, uid_t uid, const char **why)
{
	unsigned int own = 0, room = MOST_SESSIONS - (uid ? ROOT_SESSIONS : 0);

	/* Users leave some room for root, who needs one to update. */
	if (sessions >= room)
		return refuse(-ENOSPC, name, "the agent has no room for more of them", why);
	for (unsigned int i = 0; i < sessions; i++)
		own += !!request_own(session[i].name, uid);
	if (uid && (own >= MOST_PER_USER || !is_fair(own, room - sessions)))
		return refuse(-EDQUOT, name, "the user has as many of them as he may have; release one first", why);
	return 0;
}

static int have(const char *name, uid_t uid, const char **why,
		int (*get)(struct continuo *ctx, const char *name))
{
	int fd = check_room(name, uid, why);

	if (fd)
		return fd;
	fd = get(ctx, name);
	/* The only call that says so is open(2), of the device. */
	if (fd == -EBUSY) {
		char what[CONTINUO_SESSION_NAME + 10];

		snprintf(what, sizeof(what), "session %s", name);
		device_busy(what);
		return -EAGAIN;
	}
	device_free();
	if (fd < 0) {
		*why = continuo_why(ctx);
		return fd;
	}
	keep(name, fd);
	return fd;
}

int sessions_create(const char *name, uid_t uid, const char **why)
{
	struct session *s = find(name);
	int fd;

	if (s && s->fd < 0)
		return -EINPROGRESS;
	if (s)
		return refuse(-EEXIST, name, "there is one of that name; release it first", why);
	fd = have(name, uid, why, continuo_session_create);
	/* The agent's own is of one update, which ends with the agent. */
	if (fd >= 0 && strcmp(name, OWN_SESSION))
		closer_keep(name, fd);
	return fd;
}

int sessions_retrieve(const char *name, uid_t uid, const char **why)
{
	struct session *s = find(name);
	int fd;

	if (s && s->fd < 0)
		return -EINPROGRESS;
	if (s)
		return s->fd;
	fd = have(name, uid, why, continuo_session_retrieve);
	if (fd >= 0)
		closer_keep(name, fd);
	return fd;
}

int sessions_find(const char *name)
{
	struct session *s = find(name);

	return s ? s->fd : -1;
}

int sessions_release(const char *name)
{
	struct session *s = find(name);
	int fd = s ? s->fd : -1;

	if (!s)
		return -ENOENT;
	if (fd >= 0) {
		s->fd = -1;
		closer_close(name, fd);
	}
	return 0;
}

bool sessions_closing(const char *name)
{
	struct session *s = find(name);

	return s && s->fd < 0;
}

void sessions_closed(const char *name)
{
	struct session *s = find(name);

	if (s && s->fd < 0)
		*s = session[--sessions];
}

void sessions_each(void (*each)(void *arg, const char *name), void *arg)
{
	for (unsigned int i = 0; i < sessions; i++)
		if (session[i].fd >= 0)
			each(arg, session[i].name);
}
