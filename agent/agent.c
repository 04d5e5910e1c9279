// SPDX-License-Identifier: GPL-2.0-only
/*
 * continuo-agent: has /dev/liveupdate, which one process at a time can have, and gives
 * sessions to VMMs over a socket. It keeps a descriptor of each, so that a VMM that
 * dies neither undoes what it has preserved nor loses what it has not taken over yet.
 *
 * It does one thing at a time, and none of them waits for a VMM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "continuo.h"
#include "request.h"

enum { EXIT_FINE = 0, EXIT_USAGE = 2, EXIT_TROUBLE = 3 };

#define MOST_CLIENTS	256
#define MOST_SESSIONS	1024
#define REPLY_BYTES	4096

struct session {
	char name[CONTINUO_SESSION_NAME];
	int fd;
};

static struct {
	struct continuo *ctx;
	struct session session[MOST_SESSIONS];
	unsigned int sessions;
	/* [0] is where they come from; the others are they. */
	struct pollfd client[1 + MOST_CLIENTS];
	unsigned int clients;
} agent;

static int trouble(const char *fmt, ...)
{
	va_list args;

	fputs("continuo-agent: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_TROUBLE;
}

static struct session *find(const char *name)
{
	for (unsigned int i = 0; i < agent.sessions; i++)
		if (!strcmp(agent.session[i].name, name))
			return &agent.session[i];
	return NULL;
}

static int keep(const char *name, int fd)
{
	struct session *s = &agent.session[agent.sessions++];

	strcpy(s->name, name);
	s->fd = fd;
	return fd;
}

/* A message, and a descriptor if @fd is one. A client that is gone is no concern. */
static void reply(int client, int fd, const char *fmt, ...)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	char text[REPLY_BYTES];
	struct iovec iov = { .iov_base = text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	iov.iov_len = n < (int)sizeof(text) ? n : (int)sizeof(text) - 1;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	/* A client that does not listen gets nothing, and keeps nobody waiting. */
	sendmsg(client, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void list(int client, uid_t uid)
{
	char text[REPLY_BYTES - 8] = "";
	size_t n = 0;

	for (unsigned int i = 0; i < agent.sessions; i++) {
		const char *own = request_own(agent.session[i].name, uid);

		if (own && n + strlen(own) + 2 < sizeof(text))
			n += sprintf(text + n, "%s\n", own);
	}
	reply(client, -1, "ok\n%s", text);
}

static void serve(int client, const char *message, size_t size, uid_t uid)
{
	const char *why = "";
	struct request req;
	struct session *s;
	int fd, ret;

	ret = request_parse(message, size, uid, &req, &why);
	if (ret) {
		reply(client, -1, "error %d %s", -ret, why);
		return;
	}
	if (req.verb == VERB_LIST) {
		list(client, uid);
		return;
	}
	s = find(req.name);
	if (req.verb == VERB_RELEASE) {
		if (!s) {
			reply(client, -1, "error %d session %s: the agent has none of that name",
			      ENOENT, req.name);
			return;
		}
		close(s->fd);
		*s = agent.session[--agent.sessions];
		reply(client, -1, "ok\n");
		return;
	}
	if (s && req.verb == VERB_CREATE) {
		reply(client, -1, "error %d session %s: there is one of that name; release it first",
		      EEXIST, req.name);
		return;
	}
	if (!s && agent.sessions == MOST_SESSIONS) {
		reply(client, -1, "error %d the agent has %u sessions, and no room for more",
		      ENOSPC, MOST_SESSIONS);
		return;
	}
	if (s)
		fd = s->fd;
	else if (req.verb == VERB_CREATE)
		fd = continuo_session_create(agent.ctx, req.name);
	else
		fd = continuo_session_retrieve(agent.ctx, req.name);
	if (fd < 0) {
		reply(client, -1, "error %d %s", -fd, continuo_why(agent.ctx));
		return;
	}
	if (!s)
		keep(req.name, fd);
	reply(client, fd, "ok\n");
}

/* False if it is gone. */
static bool hear(int client)
{
	struct ucred who = {};
	socklen_t len = sizeof(who);
	char message[REQUEST_MOST + 1];
	ssize_t n;

	n = recv(client, message, sizeof(message), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0 || getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	serve(client, message, n, who.uid);
	return true;
}

static void welcome(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0)
		return;
	if (agent.clients == MOST_CLIENTS) {
		reply(client, -1, "error %d the agent has %u clients; try again later",
		      EAGAIN, MOST_CLIENTS);
		close(client);
		return;
	}
	agent.client[1 + agent.clients++] = (struct pollfd){ .fd = client, .events = POLLIN };
}

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static int run(int listener)
{
	agent.client[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (!ended) {
		if (poll(agent.client, 1 + agent.clients, -1) < 0) {
			if (errno == EINTR)
				continue;
			return trouble("poll: %s", strerror(errno));
		}
		for (unsigned int i = agent.clients; i >= 1; i--) {
			if (!agent.client[i].revents || hear(agent.client[i].fd))
				continue;
			close(agent.client[i].fd);
			agent.client[i] = agent.client[agent.clients--];
		}
		if (agent.client[0].revents)
			welcome(listener);
	}
	return EXIT_FINE;
}

static int listen_at(const char *path, const char *group)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct group *gr = group ? getgrnam(group) : NULL;
	int fd;

	if (group && !gr)
		return -trouble("there is no group '%s'", group);
	if (strlen(path) >= sizeof(addr.sun_path))
		return -trouble("%s: a socket's path has %zu bytes at most", path,
				sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -trouble("socket: %s", strerror(errno));
	/* The kernel lets one agent have /dev/liveupdate: an old socket is nobody's. */
	unlink(path);
	umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (gr && (chown(path, -1, gr->gr_gid) || chmod(path, 0660))) ||
	    listen(fd, 64)) {
		close(fd);
		return -trouble("%s: %s", path, strerror(errno));
	}
	return fd;
}

static void usage(FILE *to)
{
	fputs("usage: continuo-agent [OPTION]...\n\n"
	      "Has /dev/liveupdate, and gives its sessions to VMMs. Runs until SIGTERM.\n\n"
	      "options:\n"
	      "  -s, --socket PATH   where VMMs ask (default: " CONTINUO_AGENT_SOCKET ")\n"
	      "  -g, --group GROUP   whose members may ask, beside root (default: nobody)\n"
	      "  -h, --help          say this\n", to);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "group", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *path = CONTINUO_AGENT_SOCKET, *group = NULL;
	struct sigaction action = { .sa_handler = end };
	int c, fd, ret;

	while ((c = getopt_long(argc, argv, "s:g:h", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'g':
			group = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_FINE;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (continuo_new(&agent.ctx))
		return trouble("out of memory");
	ret = continuo_hold(agent.ctx);
	if (ret)
		return trouble("%s", continuo_why(agent.ctx));
	fd = listen_at(path, group);
	if (fd < 0)
		return EXIT_TROUBLE;
	ret = run(fd);
	unlink(path);
	return ret;
}
