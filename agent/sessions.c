// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "request.h"
#include "sessions.h"
#include "systemd.h"

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
	unsigned int own = 0;

	/* Users leave some room for root, who needs one to update. */
	if (sessions >= MOST_SESSIONS - (uid ? ROOT_SESSIONS : 0))
		return refuse(-ENOSPC, name, "the agent has no room for more of them", why);
	for (unsigned int i = 0; i < sessions; i++)
		own += !!request_own(session[i].name, uid);
	if (uid && own >= MOST_PER_USER)
		return refuse(-EDQUOT, name, "the user has 64 of them, and may have no more; release one first", why);
	return 0;
}

static int have(const char *name, uid_t uid, const char **why,
		int (*get)(struct continuo *ctx, const char *name))
{
	int fd = check_room(name, uid, why);

	if (fd)
		return fd;
	fd = get(ctx, name);
	if (fd < 0) {
		*why = continuo_why(ctx);
		return fd;
	}
	keep(name, fd);
	systemd_keep(name, fd);
	return fd;
}

int sessions_create(const char *name, uid_t uid, const char **why)
{
	if (find(name))
		return refuse(-EEXIST, name, "there is one of that name; release it first", why);
	return have(name, uid, why, continuo_session_create);
}

int sessions_retrieve(const char *name, uid_t uid, const char **why)
{
	struct session *s = find(name);

	return s ? s->fd : have(name, uid, why, continuo_session_retrieve);
}

int sessions_release(const char *name)
{
	struct session *s = find(name);

	if (!s)
		return -ENOENT;
	systemd_forget(name);
	close(s->fd);
	*s = session[--sessions];
	return 0;
}

void sessions_each(void (*each)(void *arg, const char *name), void *arg)
{
	for (unsigned int i = 0; i < sessions; i++)
		each(arg, session[i].name);
}
