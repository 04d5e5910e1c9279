// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/session_owners.h"

static void said(const char *who, const char *what, int ret)
{
	emit("tenant", ",\"who\":\"%s\",\"what\":\"%s\",\"errno\":%d", who, what,
	     ret < 0 ? -ret : 0);
}

static struct continuo *become(const char *who, uid_t uid, gid_t gid)
{
	struct continuo *ctx;
	int ret;

	if (setgroups(0, NULL) || setgid(gid) || setuid(uid))
		die("become another user: %s", strerror(errno));
	if (continuo_new(&ctx))
		die("out of memory");
	ret = continuo_agent(ctx, AGENT_SOCKET);
	said(who, "ask the agent", ret);
	if (ret)
		_exit(0);
	return ctx;
}

/* Something in a session, so that it is seen whether it is the same one. */
static void fill(const char *who, struct continuo *ctx, int session)
{
	int fd = memfd_create("tenant", MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, 4096) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make a memfd: %s", strerror(errno));
	said(who, "preserve", continuo_preserve(ctx, session, fd, 1));
	said(who, "preserve again", continuo_preserve(ctx, session, fd, 1));
	close(fd);
}

static void first(void)
{
	struct continuo *ctx = become("first", 1000, AGENT_GROUP);
	int session = continuo_session_create(ctx, "vm");

	said("first", "create", session);
	said("first", "create again", continuo_session_create(ctx, "vm"));
	said("first", "bad name", continuo_session_create(ctx, "a b"));
	fill("first", ctx, session);
	said("first", "/dev/liveupdate itself", open("/dev/liveupdate", O_RDWR) < 0 ? -errno : 0);
	/* Dies with it. */
	_exit(0);
}

static void second(void)
{
	struct continuo *ctx = become("second", 1001, AGENT_GROUP);

	said("second", "retrieve the first's", continuo_session_retrieve(ctx, "vm"));
	said("second", "by its whole name", continuo_session_retrieve(ctx, "u1000.vm"));
	said("second", "release the first's", continuo_session_release(ctx, "u1000.vm"));
	said("second", "create", continuo_session_create(ctx, "vm"));
	said("second", "release", continuo_session_release(ctx, "vm"));
	said("second", "release again", continuo_session_release(ctx, "vm"));
	_exit(0);
}

static void third(void)
{
	become("third", 1002, 999);
}

/* The first one's next process: what has died has taken nothing along. */
static void again(void)
{
	struct continuo *ctx = become("again", 1000, AGENT_GROUP);
	int session = continuo_session_retrieve(ctx, "vm"), fd;

	said("again", "retrieve", session);
	fd = memfd_create("tenant", MFD_ALLOW_SEALING);
	said("again", "its token is in use", continuo_preserve(ctx, session, fd, 1));
	close(fd);
	said("again", "release", continuo_session_release(ctx, "vm"));
	_exit(0);
}

static void in_child(void (*body)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		body();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* As root, beside the agent. */
static void device(void)
{
	said("root", "/dev/liveupdate itself", open("/dev/liveupdate", O_RDWR) < 0 ? -errno : 0);
	_exit(0);
}

void test_session_owners(void)
{
	struct continuo *ctx;

	if (continuo_new(&ctx))
		die("out of memory");
	/* A way to the socket for everybody; it is the socket that is guarded. */
	chmod("/tmp", 0755);
	agent_ask(ctx);
	in_child(device);
	in_child(first);
	in_child(second);
	in_child(third);
	said("root", "retrieve the first's", continuo_session_retrieve(ctx, "u1000.vm"));
	in_child(again);
	continuo_free(ctx);
	emit("tenants", "");
}
