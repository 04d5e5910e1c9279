// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/descriptor_store.h"

#define NOTIFY	"/tmp/notify.sock"
#define SESSION	"vm"

static int ear, kept = -1;
static pid_t agent;

static void tried(const char *what, int ret)
{
	emit("kept", ",\"what\":\"%s\",\"errno\":%d", what, ret < 0 ? -ret : 0);
}

/* Until the agent has said it; the descriptor that came with it, or -1. */
static int await(const char *text)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char said[256];
	struct iovec iov = { .iov_base = said, .iov_len = sizeof(said) - 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd from = { .fd = ear, .events = POLLIN };
	struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	if (poll(&from, 1, 20000) != 1)
		die("the agent does not say '%s'", text);
	n = recvmsg(ear, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		die("hear the agent: %s", strerror(errno));
	said[n] = 0;
	if (strcmp(said, text))
		die("the agent says '%s', expected '%s'", said, text);
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* With what was kept, if anything was, as systemd would pass it on. */
static void start(void)
{
	char pid[16];

	agent = fork();
	if (agent < 0)
		die("fork: %s", strerror(errno));
	if (!agent) {
		setenv("NOTIFY_SOCKET", NOTIFY, 1);
		if (kept >= 0) {
			snprintf(pid, sizeof(pid), "%d", getpid());
			setenv("LISTEN_PID", pid, 1);
			setenv("LISTEN_FDS", "2", 1);
			setenv("LISTEN_FDNAMES", "something:session-" SESSION, 1);
			/* One that is none of the agent's comes first. */
			dup2(kept, 20);
			dup2(1, 3);
			dup2(20, 4);
			close(20);
		}
		execl("/usr/sbin/continuo-agent", "continuo-agent", "--socket", AGENT_SOCKET,
		      "--record", "/tmp/update.json", NULL);
		_exit(127);
	}
	await("READY=1");
}

static void kill_agent(void)
{
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
}

static struct continuo *ask(void)
{
	struct continuo *ctx;

	if (continuo_new(&ctx) || continuo_agent(ctx, AGENT_SOCKET))
		die("connect to the agent");
	return ctx;
}

static int put(struct continuo *ctx, int session)
{
	int fd = memfd_create("kept", MFD_ALLOW_SEALING), ret;

	if (fd < 0 || ftruncate(fd, 4096) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make a memfd: %s", strerror(errno));
	ret = continuo_preserve(ctx, session, fd, 1);
	close(fd);
	return ret;
}

void test_descriptor_store(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = NOTIFY };
	struct continuo *ctx;
	int session;
	pid_t pid;

	ear = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ear < 0 || bind(ear, (struct sockaddr *)&addr, sizeof(addr)))
		die("%s: %s", NOTIFY, strerror(errno));

	start();
	ctx = ask();
	session = continuo_session_create(ctx, SESSION);
	tried("create", session);
	kept = await("FDSTORE=1\nFDPOLL=0\nFDNAME=session-" SESSION);
	tried("preserve", put(ctx, session));
	close(session);
	continuo_free(ctx);

	kill_agent();
	start();
	ctx = ask();
	session = continuo_session_retrieve(ctx, SESSION);
	tried("the next agent has it", session);
	tried("with what is in it", put(ctx, session));
	close(session);
	/* The agent waits until that is done: so somebody else does it. */
	pid = fork();
	if (!pid) {
		await("FDSTOREREMOVE=1\nFDNAME=session-" SESSION);
		close(await("BARRIER=1"));
		_exit(0);
	}
	tried("release", continuo_session_release(ctx, SESSION));
	waitpid(pid, NULL, 0);
	close(kept);
	kept = -1;
	session = continuo_session_create(ctx, SESSION);
	tried("once more", session);
	close(session);
	close(await("FDSTORE=1\nFDPOLL=0\nFDNAME=session-" SESSION));
	continuo_free(ctx);

	/* Nobody has kept it this time. */
	kill_agent();
	start();
	ctx = ask();
	session = continuo_session_create(ctx, SESSION);
	tried("it has gone with the agent", session);
	close(session);
	close(await("FDSTORE=1\nFDPOLL=0\nFDNAME=session-" SESSION));
	continuo_free(ctx);
	kill_agent();
	close(ear);
	emit("keeper", "");
}
