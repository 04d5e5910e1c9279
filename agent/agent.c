// SPDX-License-Identifier: GPL-2.0-only
/*
 * continuo-agent: opens /dev/liveupdate, which one process at a time can have open, gives
 * sessions to VMMs over a socket, and asks VMMs to get ready when the host is updated.
 * It keeps a descriptor of each session, so that a VMM that dies neither undoes what it
 * has preserved nor loses what it has not taken over yet.
 *
 * The agent does one thing at a time, and never waits for a VMM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "continuo.h"
#include "record.h"
#include "request.h"
#include "sessions.h"
#include "systemd.h"
#include "talk.h"
#include "update.h"

enum { EXIT_FINE = 0, EXIT_USAGE = 2, EXIT_TROUBLE = 3 };

#define MOST_CLIENTS		512
#define ROOT_CLIENTS		16	/* that no user takes away from root */
#define ROOT_SENDS		(1 << 20)	/* bytes, for one message of each VM */
#define MOST_CLIENTS_PER_USER	128	/* of users other than root */

static struct {
	struct continuo *ctx;
	/* [0] is where they come from; the others are they. */
	struct pollfd client[1 + MOST_CLIENTS];
	uid_t uid[1 + MOST_CLIENTS];
	unsigned int clients;
	const char *takeover;
} agent;

#define MOST_FILES		2048

/* Linux 6.16; the C library's headers can be older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS		83
#endif

struct listing {
	uid_t uid;
	size_t n;
	char text[REPLY_BYTES - 8];
};

static void add_name(void *arg, const char *name)
{
	struct listing *l = arg;
	const char *own = request_own(name, l->uid);

	if (own && strcmp(name, OWN_SESSION) && l->n + strlen(own) + 2 < sizeof(l->text))
		l->n += sprintf(l->text + l->n, "%s\n", own);
}

static void list(const struct asker *who)
{
	struct listing l = { .uid = who->uid };

	sessions_each(add_name, &l);
	reply(who->client, -1, "ok\n%s", l.text);
}

static void give(const struct asker *who, const struct request *req)
{
	const char *why = "";
	int fd;

	if (req->verb == VERB_RETRIEVE) {
		fd = sessions_retrieve(req->name, who->uid, &why);
		if (fd >= 0)
			record_back(req->name, "retrieved");
	} else if (update_forbids(req->name)) {
		fd = -EBUSY;
		why = update_forbids(req->name);
	} else {
		fd = sessions_create(req->name, who->uid, &why);
	}
	if (fd < 0)
		reply(who->client, -1, "error %d %s", -fd, why);
	else
		reply(who->client, fd, "ok\n");
}

static void release(const struct asker *who, const char *name)
{
	if (sessions_release(name)) {
		reply(who->client, -1, "error %d session %s: the agent has none of that name", ENOENT, name);
		return;
	}
	record_back(name, "released");
	reply(who->client, -1, "ok\n");
}

static void serve(const struct asker *who, const char *message, size_t size)
{
	const char *why = "";
	struct request req;
	int ret;

	ret = request_parse(message, size, who->uid, &req, &why);
	if (ret) {
		reply(who->client, -1, "error %d %s", -ret, why);
		return;
	}
	switch (req.verb) {
	case VERB_CREATE:
	case VERB_RETRIEVE:
		give(who, &req);
		break;
	case VERB_RELEASE:
		release(who, req.name);
		break;
	case VERB_LIST:
		list(who);
		break;
	case VERB_REGISTER:
		update_register(who, req.name);
		break;
	case VERB_DONE:
		update_answer(who, req.number, NULL);
		break;
	case VERB_FAILED:
		update_answer(who, req.number, req.text);
		break;
	case VERB_UPDATE:
		update_begin(who);
		break;
	case VERB_PRESERVE:
		update_ask(who, CONTINUO_WANT_PRESERVE, req.name, req.number);
		break;
	case VERB_SUSPEND:
		update_ask(who, CONTINUO_WANT_SUSPEND, req.name, req.number);
		break;
	case VERB_UNDO:
		update_ask(who, CONTINUO_WANT_UNDO, req.name, req.number);
		break;
	case VERB_LEAVE:
		update_leave(who, req.name);
		break;
	case VERB_VMS:
		update_vms(who);
		break;
	case VERB_SEAL:
		update_seal(who, agent.ctx);
		break;
	}
}

/* False if it is gone. */
static bool hear(unsigned int i)
{
	struct asker who = { .client = agent.client[i].fd, .uid = agent.uid[i] };
	char message[REQUEST_MOST + 1];
	ssize_t n;

	n = recv(who.client, message, sizeof(message), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	serve(&who, message, n);
	return true;
}

static void turn_away(int client, int err, const char *why)
{
	reply(client, -1, "error %d %s", err, why);
	close(client);
}

static void welcome(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who = {};
	socklen_t len = sizeof(who);
	unsigned int own = 0;

	if (client < 0)
		return;
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
		close(client);
		return;
	}
	for (unsigned int i = 1; i <= agent.clients; i++)
		own += agent.uid[i] == who.uid;
	if (agent.clients >= MOST_CLIENTS - (who.uid ? ROOT_CLIENTS : 0)) {
		turn_away(client, EAGAIN, "the agent has no room for more clients; try again later");
		return;
	}
	if (who.uid && own >= MOST_CLIENTS_PER_USER) {
		turn_away(client, EDQUOT, "the user has 128 connections, and may have no more");
		return;
	}
	if (!who.uid)
		setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE, &(int){ ROOT_SENDS }, sizeof(int));
	agent.clients++;
	agent.client[agent.clients] = (struct pollfd){ .fd = client, .events = POLLIN };
	agent.uid[agent.clients] = who.uid;
}

static void dismiss(unsigned int i)
{
	update_gone(agent.client[i].fd);
	close(agent.client[i].fd);
	agent.client[i] = agent.client[agent.clients];
	agent.uid[i] = agent.uid[agent.clients];
	agent.clients--;
}

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

/* SIGTERM comes only while we wait: so it is never missed. */
static int wait_for(int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(agent.client, 1 + agent.clients, ms < 0 ? NULL : &time, &none);
}

static int run(int listener)
{
	agent.client[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (!ended) {
		update_tick();
		if (wait_for(update_due()) < 0) {
			if (errno == EINTR)
				continue;
			return trouble("ppoll: %s", strerror(errno));
		}
		for (unsigned int i = agent.clients; i >= 1; i--) {
			if (agent.client[i].revents && !hear(i))
				dismiss(i);
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
	mode_t mask;
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
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (gr && (chown(path, -1, gr->gr_gid) || chmod(path, 0660))) ||
	    listen(fd, 64)) {
		close(fd);
		return -trouble("%s: %s", path, strerror(errno));
	}
	umask(mask);
	/*
	 * Descriptors that come along unasked would be closed by us, and closing some of them
	 * takes as long as their owner likes.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int)))
		trouble("%s: descriptors that are sent along cannot be refused: %m", path);
	return fd;
}

/* A VM is to come back: start what it takes. */
static void start(const char *name, uid_t uid)
{
	const char *own = request_own(name, uid);
	char number[16];
	pid_t pid;

	if (!agent.takeover || !own)
		return;
	snprintf(number, sizeof(number), "%u", (unsigned int)uid);
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGCHLD, SIG_DFL);
		execl(agent.takeover, agent.takeover, own, number, NULL);
		_exit(trouble("%s: %m", agent.takeover));
	}
	if (pid < 0)
		trouble("VM %s cannot be started: %m", name);
}

/* Was there an update, and an agent before us? */
static void arrive(void)
{
	const char *why = "";
	int fd = sessions_retrieve(OWN_SESSION, 0, &why), ret;

	if (fd < 0) {
		if (fd != -ENOENT)
			trouble("%s", why);
		return;
	}
	ret = record_arrive(agent.ctx, fd, start);
	if (ret == -EBADMSG)
		trouble("session " OWN_SESSION ": its record is not of this agent's format; VMs are not started by themselves");
	else if (ret)
		trouble("session " OWN_SESSION ": %s", continuo_why(agent.ctx));
	continuo_finish(agent.ctx, fd);
	sessions_release(OWN_SESSION);
}

static void usage(FILE *to)
{
	fputs("usage: continuo-agent [OPTION]...\n\n"
	      "Has /dev/liveupdate, and gives its sessions to VMMs. Runs until SIGTERM.\n\n"
	      "options:\n"
	      "  -s, --socket PATH   where VMMs ask (default: " CONTINUO_AGENT_SOCKET ")\n"
	      "  -g, --group GROUP   whose members may ask, beside root (default: nobody)\n"
	      "  -t, --takeover PROG start PROG NAME UID for each VM that a live update has\n"
	      "                      brought here (default: they are started by others)\n"
	      "  -r, --record FILE   of the last update (default: " RECORD_FILE ")\n"
	      "  -h, --help          say this\n", to);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "group", required_argument, NULL, 'g' },
		{ "takeover", required_argument, NULL, 't' },
		{ "record", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *path = CONTINUO_AGENT_SOCKET, *group = NULL;
	const char *record = RECORD_FILE;
	struct sigaction action = { .sa_handler = end };
	struct rlimit files;
	sigset_t ends;
	int c, fd, ret;

	while ((c = getopt_long(argc, argv, "s:g:t:r:h", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'g':
			group = optarg;
			break;
		case 't':
			agent.takeover = optarg;
			break;
		case 'r':
			record = optarg;
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
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	/* One for each session and each client, and some. */
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < MOST_FILES) {
		files.rlim_cur = files.rlim_max < MOST_FILES ? files.rlim_max : MOST_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (continuo_new(&agent.ctx))
		return trouble("out of memory");
	ret = continuo_hold(agent.ctx);
	if (ret)
		return trouble("%s", continuo_why(agent.ctx));
	/* The agent does not wait for the processes that it starts. */
	signal(SIGCHLD, SIG_IGN);
	sessions_begin(agent.ctx);
	record_open(record);
	fd = listen_at(path, group);
	if (fd < 0)
		return EXIT_TROUBLE;
	arrive();
	systemd_ready();
	ret = run(fd);
	unlink(path);
	return ret;
}
