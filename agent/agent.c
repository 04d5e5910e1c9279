// SPDX-License-Identifier: GPL-2.0-only
/*
 * continuo-agent: makes sessions of /dev/liveupdate, gives them to VMMs over a socket, and asks
 * VMMs to get ready when the host is updated. One process at a time can have the device open,
 * so the agent opens it for each session, and closes it again. It keeps a descriptor of each session,
 * so that a VMM that dies neither undoes what it has preserved nor loses what it has not taken
 * over yet.
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back.h"
#include "closer.h"
#include "continuo.h"
#include "device.h"
#include "helper.h"
#include "record.h"
#include "registry.h"
#include "request.h"
#include "services.h"
#include "sessions.h"
#include "still.h"
#include "systemd.h"
#include "talk.h"
#include "update.h"

enum { EXIT_FINE = 0, EXIT_USAGE = 2, EXIT_TROUBLE = 3 };

#define MOST_CLIENTS		3072
#define ROOT_CLIENTS		64	/* that no user takes away from root */
#define ROOT_SENDS		(1 << 20)	/* bytes, for one message of each VM */
#define MOST_CLIENTS_PER_USER	192	/* of users other than root */
#define MOST_FILES		8192
#define UNIT_VARIABLE		"CONTINUO_UNIT"	/* of what --takeover starts */
#define PAUSE_US		100000	/* without accept(2), when it cannot */

/* Linux 6.16; the C library's headers can be older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS		83
#endif

/* What is waited for; clients come behind these. */
enum { LISTENER, HELPER, CLOSER, SIGNALS, FIRST };

/*
 * @parked: A request of @size bytes waits until a session of its name has been closed, or until
 *	    somebody else has closed /dev/liveupdate. No other one is read meanwhile.
 * @device_us: Until when it waits for the device; 0 if it does not.
 */
struct client {
	struct peer peer;
	pid_t pid;
	bool parked;
	uint64_t device_us;
	size_t size;
	char message[REQUEST_MOST];
};

static struct {
	struct continuo *ctx;
	struct pollfd poll[FIRST + MOST_CLIENTS];
	struct client client[FIRST + MOST_CLIENTS];
	unsigned int end;		/* behind the last client */
	uint64_t pause_us;		/* until when nobody is accepted; 0: now */
	bool device_is_waited_for;
	const char *takeover;
} agent = { .end = FIRST };

struct listing {
	int client;
	uid_t uid;
};

static void add_name(void *arg, const char *name)
{
	const struct listing *l = arg;
	const char *own = request_own(name, l->uid);

	if (own && strcmp(name, OWN_SESSION))
		reply_or_end(l->client, "session %s", own);
}

static void list(const struct asker *who)
{
	struct listing l = { .client = who->client, .uid = who->uid };

	sessions_each(add_name, &l);
	reply_or_end(who->client, "ok\n");
}

static void park(struct client *c, struct pollfd *p, const char *message, size_t size)
{
	memmove(c->message, message, size);
	c->size = size;
	c->parked = true;
	p->events = 0;
}

/* False if it has to wait. */
static bool give(struct client *c, const struct asker *who, const struct request *req)
{
	char what[CONTINUO_SESSION_NAME + 10];
	const char *why = "";
	int fd;

	if (req->verb == VERB_RETRIEVE && update_keeps(req->name)) {
		/* And nothing else says that: who passes VMs on relies on it. */
		fd = -EALREADY;
		why = update_keeps(req->name);
	} else if (req->verb == VERB_RETRIEVE) {
		fd = sessions_retrieve(req->name, who->uid, &why);
		if (fd >= 0)
			record_back(req->name, "retrieved");
	} else if (update_forbids(req->name)) {
		fd = -EBUSY;
		why = update_forbids(req->name);
	} else {
		fd = sessions_create(req->name, who->uid, &why);
	}
	if (fd == -EINPROGRESS)
		return false;
	if (fd == -EAGAIN) {
		if (!c->device_us)
			c->device_us = now_us() + DEVICE_MS * 1000ull;
		if (now_us() < c->device_us)
			return false;
		snprintf(what, sizeof(what), "session %s", req->name);
		why = device_why(what);
		fd = -EBUSY;
	}
	c->device_us = 0;
	if (fd < 0)
		reply(who->client, -1, "error %d %s", -fd, why);
	else
		reply(who->client, fd, "ok\n");
	return true;
}

/* @again: it has been begun, and was waited for. False if it has to wait. */
static bool release(const struct asker *who, const char *name, bool again)
{
	bool had = again || sessions_closing(name);

	if (!had && !sessions_release(name)) {
		had = true;
		update_released(name);
		record_back(name, "released");
	}
	if (sessions_closing(name))
		return false;
	if (had)
		reply(who->client, -1, "ok\n");
	else
		reply(who->client, -1, "error %d session %s: the agent has none of that name", ENOENT, name);
	return true;
}

static struct client *admit(int fd, const struct peer *peer, pid_t pid)
{
	struct client *c = &agent.client[agent.end];

	*c = (struct client){ .peer = *peer, .pid = pid };
	agent.poll[agent.end++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return c;
}

/* Is there room for one more connection? Else @why not, and an errno. */
static int check_clients(const struct peer *peer, const char **why)
{
	unsigned int own = 0, n = agent.end - FIRST;
	unsigned int room = MOST_CLIENTS - (peer->uid ? ROOT_CLIENTS : 0);

	for (unsigned int i = FIRST; i < agent.end; i++)
		own += agent.client[i].peer.uid == peer->uid;
	*why = "the agent has no room for more clients; try again later";
	if (n >= room)
		return EAGAIN;
	*why = "the user has as many connections as he may have";
	return peer->uid && (own >= MOST_CLIENTS_PER_USER || !is_fair(own, room - n)) ? EDQUOT : 0;
}

static void refuse_descriptors(int fd)
{
	/*
	 * Descriptors that come along unasked would be closed by us, and closing some of them
	 * takes as long as their owner likes.
	 */
	setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int));
}

/* A connection that can name one VM: its other end is for who runs that VM. */
static void connect_vm(const struct asker *who, const struct peer *peer, const char *name)
{
	struct peer of = *peer;
	const char *why;
	int ends[2], err;

	if (*name)
		strcpy(of.only, name);
	if (!*of.only) {
		reply(who->client, -1, "error %d connect takes the name of a VM", EINVAL);
		return;
	}
	err = check_clients(&of, &why);
	if (err) {
		reply(who->client, -1, "error %d %s", err, why);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		reply(who->client, -1, "error %d a connection cannot be made: %s", errno, strerror(errno));
		return;
	}
	refuse_descriptors(ends[0]);
	/* Whose process it is is seen when it speaks. */
	setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
	if (!reply(who->client, ends[1], "ok\n"))
		close(ends[0]);
	else
		admit(ends[0], &of, 0);
	close(ends[1]);
}

static void serve(unsigned int i, const char *message, size_t size, bool again)
{
	struct client *c = &agent.client[i];
	struct asker who = { .client = agent.poll[i].fd, .uid = c->peer.uid, .pid = c->pid };
	const char *why = "";
	struct request req;
	bool done = true;
	int ret;

	ret = request_parse(message, size, &c->peer, &req, &why);
	if (ret) {
		reply(who.client, -1, "error %d %s", -ret, why);
		return;
	}
	if ((req.verb == VERB_UPDATE || req.verb == VERB_PRESERVE || req.verb == VERB_RUNNING) && back_forbids()) {
		reply(who.client, -1, "error %d %s", EBUSY, back_forbids());
		return;
	}
	switch (req.verb) {
	case VERB_HELLO:
		reply(who.client, -1, "version %u continuo-agent %u.%u", PROTOCOL_VERSION,
		      CONTINUO_VERSION_MAJOR, CONTINUO_VERSION_MINOR);
		reply(who.client, -1, "ok\n");
		break;
	case VERB_CONNECT:
		connect_vm(&who, &c->peer, req.name);
		break;
	case VERB_CREATE:
	case VERB_RETRIEVE:
		done = give(c, &who, &req);
		break;
	case VERB_RELEASE:
		done = release(&who, req.name, again);
		break;
	case VERB_LIST:
		list(&who);
		break;
	case VERB_REGISTER:
		update_register(&who, req.name, req.process, req.kept);
		break;
	case VERB_DONE:
		update_answer(&who, req.number, NULL);
		break;
	case VERB_FAILED:
		update_answer(&who, req.number, req.text);
		break;
	case VERB_UPDATE:
		update_begin(&who);
		break;
	case VERB_PRESERVE:
		update_ask(&who, CONTINUO_WANT_PRESERVE, req.name, req.number);
		break;
	case VERB_SUSPEND:
		update_ask(&who, CONTINUO_WANT_SUSPEND, req.name, req.number);
		break;
	case VERB_UNDO:
		update_ask(&who, CONTINUO_WANT_UNDO, req.name, req.number);
		break;
	case VERB_LEAVE:
		update_leave(&who, *req.text ? req.text : req.name);
		break;
	case VERB_VMS:
		update_vms(&who);
		break;
	case VERB_SEAL:
		/* Of commands that jump by themselves, which nothing keeps from doing it too late. */
		reply(who.client, -1, "error %d this agent jumps itself: the command is older than the agent, and has to be upgraded",
		      EOPNOTSUPP);
		break;
	case VERB_SERVICES:
		update_services(&who, req.number);
		break;
	case VERB_GO:
		update_go(&who, req.number, req.leave_silent);
		break;
	case VERB_ATTACH:
		update_attach(&who);
		break;
	case VERB_ABORT:
		update_abort(&who);
		break;
	case VERB_RUNNING:
		update_running(&who);
		break;
	case VERB_READY:
		back_ready(who.client, req.name);
		break;
	case VERB_CONFIRM:
		back_confirm(who.client);
		break;
	}
	if (!done)
		park(c, &agent.poll[i], message, size);
	agent.device_is_waited_for |= !done && c->device_us;
}

static void serve_again(unsigned int i)
{
	struct client *c = &agent.client[i];

	c->parked = false;
	agent.poll[i].events = POLLIN;
	serve(i, c->message, c->size, true);
}

static void serve_parked(const char *name)
{
	sessions_closed(name);
	for (unsigned int i = FIRST; i < agent.end; i++)
		if (agent.client[i].parked)
			serve_again(i);
}

/* Those that wait for the device: if one does not get it, the others would not, either. */
static void try_device(void)
{
	bool busy = false;

	if (!agent.device_is_waited_for)
		return;
	for (unsigned int i = FIRST; i < agent.end; i++) {
		const struct client *c = &agent.client[i];

		if (!c->parked || !c->device_us || (busy && now_us() < c->device_us))
			continue;
		serve_again(i);
		busy |= c->parked && c->device_us;
	}
	agent.device_is_waited_for = busy;
}

/* False if it is gone. */
static bool hear(unsigned int i)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char message[REQUEST_MOST + 1];
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(message) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *head;
	struct ucred who;
	ssize_t n;

	if (agent.client[i].parked)
		return !(agent.poll[i].revents & (POLLHUP | POLLERR));
	/* There is room for that, and for no descriptor. */
	if (!agent.client[i].pid) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	n = recvmsg(agent.poll[i].fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	head = msg.msg_control ? CMSG_FIRSTHDR(&msg) : NULL;
	if (head && head->cmsg_level == SOL_SOCKET &&
	    head->cmsg_type == SCM_CREDENTIALS) {
		memcpy(&who, CMSG_DATA(head), sizeof(who));
		agent.client[i].pid = who.pid;
	}
	serve(i, message, n, false);
	return true;
}

static void turn_away(int client, int err, const char *why)
{
	reply(client, -1, "error %d %s", err, why);
	close(client);
}

static void welcome(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), err;
	struct ucred who = {};
	socklen_t len = sizeof(who);
	struct peer peer = {};
	const char *why;

	/* It waits, and would be readable all the time: so nobody looks for a while. */
	if (client < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		trouble("no client can be accepted: %m");
		agent.pause_us = now_us() + PAUSE_US;
	}
	if (client < 0)
		return;
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
		close(client);
		return;
	}
	peer.uid = who.uid;
	err = check_clients(&peer, &why);
	if (err) {
		turn_away(client, err, why);
		return;
	}
	if (!who.uid)
		setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE, &(int){ ROOT_SENDS }, sizeof(int));
	admit(client, &peer, who.pid);
}

static void dismiss(unsigned int i)
{
	int fd = agent.poll[i].fd;

	update_gone(fd);
	back_gone(fd);
	close(fd);
	agent.end--;
	agent.poll[i] = agent.poll[agent.end];
	agent.client[i] = agent.client[agent.end];
}

/* What --takeover has started, for VMs. */
#define MOST_STARTED	1024
static struct {
	pid_t pid;
	char name[CONTINUO_SESSION_NAME];
} started[MOST_STARTED];
static unsigned int nr_started;

static void takeover_ended(pid_t pid, int status)
{
	unsigned int i;

	for (i = 0; i < nr_started && started[i].pid != pid; i++)
		;
	/* A helper, which says itself how it went. */
	if (i == nr_started)
		return;
	if (WIFSIGNALED(status))
		trouble("VM %s: %s was ended by signal %d", started[i].name, agent.takeover,
			WTERMSIG(status));
	else if (WEXITSTATUS(status))
		trouble("VM %s: %s ended with %d", started[i].name, agent.takeover,
			WEXITSTATUS(status));
	if (status)
		record_not_started(started[i].name);
	started[i] = started[--nr_started];
}

static bool ended;

/* What --takeover has started, and has ended. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (helper_reaped(pid))
			still_go_on(STILL_FILE);
		services_reaped(pid, status);
		back_reaped(pid, status);
		takeover_ended(pid, status);
	}
}

/*
 * They are read, and not caught: ppoll(2) lets none through as long as there is something else to
 * be done, which clients can see to.
 */
static void signals_news(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap();
		else
			ended = true;
	}
}

static int earlier(int a, int b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static int wait_for(void)
{
	int ms = update_due();

	if (agent.pause_us) {
		uint64_t now = now_us();

		if (now >= agent.pause_us)
			agent.pause_us = 0;
		else
			ms = earlier(ms, (agent.pause_us - now) / 1000 + 1);
	}
	if (agent.device_is_waited_for)
		ms = earlier(ms, DEVICE_TRY_MS);
	agent.poll[LISTENER].events = agent.pause_us ? 0 : POLLIN;
	agent.poll[HELPER].fd = helper_fd();
	return poll(agent.poll, agent.end, ms);
}

static int run(int listener, int signals)
{
	agent.poll[LISTENER] = (struct pollfd){ .fd = listener, .events = POLLIN };
	agent.poll[HELPER] = (struct pollfd){ .fd = -1, .events = POLLIN };
	agent.poll[CLOSER] = (struct pollfd){ .fd = closer_fd(), .events = POLLIN };
	agent.poll[SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
	for (;;) {
		update_tick();
		try_device();
		/* An update that is under way is undone first. */
		if (ended && update_end())
			break;
		record_write();
		update_write();
		if (wait_for() < 0) {
			if (errno == EINTR)
				continue;
			return trouble("poll: %s", strerror(errno));
		}
		if (agent.poll[SIGNALS].revents)
			signals_news(signals);
		if (agent.poll[HELPER].revents)
			update_helper_news();
		/* Without a thread to do it, it was done at once. */
		closer_news(serve_parked);
		for (unsigned int i = agent.end - 1; i >= FIRST; i--) {
			if (agent.poll[i].revents && !hear(i))
				dismiss(i);
		}
		if (agent.poll[LISTENER].revents)
			welcome(listener);
	}
	record_write();
	update_write();
	return EXIT_FINE;
}

/* Started by hand, nobody has made it before: /run is empty after each boot. */
static void make_folder(const char *path)
{
	const char *end = strrchr(path, '/');
	char folder[108];

	if (!end || end == path || (size_t)(end - path) >= sizeof(folder))
		return;
	memcpy(folder, path, end - path);
	folder[end - path] = 0;
	/* What is wrong with it, if anything, bind(2) says. */
	mkdir(folder, 0755);
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
	/* There is one agent at a time (device_lock()): an old socket is nobody's. */
	unlink(path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (gr && (chown(path, -1, gr->gr_gid) || chmod(path, 0660))) ||
	    listen(fd, 64)) {
		close(fd);
		return -trouble("%s: %s", path, strerror(errno));
	}
	umask(mask);
	refuse_descriptors(fd);
	return fd;
}

/* A VM is to come back: start what it takes. @unit: which it was in, or "". */
static void start(const char *name, uid_t uid, const char *unit)
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
		unsetenv(UNIT_VARIABLE);
		if (*unit)
			setenv(UNIT_VARIABLE, unit, 1);
		execl(agent.takeover, agent.takeover, own, number, NULL);
		_exit(trouble("%s: %m", agent.takeover));
	}
	if (pid < 0)
		trouble("VM %s cannot be started: %m", name);
	else if (nr_started < MOST_STARTED) {
		started[nr_started].pid = pid;
		strcpy(started[nr_started++].name, name);
	}
}

/* There is a live update in this kernel, and we may use it; whoever has the device just now is waited for later. */
static bool device_is_there(void)
{
	struct continuo *ctx;
	int ret = continuo_new(&ctx);

	if (ret) {
		trouble("nothing to speak with the kernel by: %s", strerror(-ret));
		return false;
	}
	ret = continuo_hold(ctx);
	if (ret && ret != -EBUSY)
		trouble("%s", continuo_why(ctx));
	continuo_free(ctx);
	return !ret || ret == -EBUSY;
}

/* A moment. False if there is none any more, or the agent is to end. */
static bool is_patient(int signals, uint64_t until_us)
{
	struct pollfd news = { .fd = signals, .events = POLLIN };

	if (poll(&news, 1, DEVICE_TRY_MS) > 0)
		signals_news(signals);
	return !ended && now_us() < until_us;
}

/* Was there an update, and an agent before us? False if nobody can know. */
static bool arrive(int signals)
{
	uint64_t until_us = now_us() + DEVICE_MS * 1000ull;
	const char *why = "", *back, *what;
	int fd, ret;

	/* Nobody is served before that is known. */
	do
		fd = sessions_retrieve(OWN_SESSION, 0, &why);
	while (fd == -EAGAIN && is_patient(signals, until_us));
	if (fd == -EAGAIN) {
		if (!ended)
			trouble("%s", device_why("what the last update has brought"));
		return false;
	}
	if (fd < 0) {
		if (fd != -ENOENT)
			trouble("%s", why);
		return true;
	}
	back = back_state(&what);
	ret = record_arrive(agent.ctx, fd, back, what, start);
	if (ret == -EBADMSG)
		trouble("session " OWN_SESSION ": its record is not of this agent's format; VMs are not started by themselves");
	else if (ret)
		trouble("session " OWN_SESSION ": %s", continuo_why(agent.ctx));
	continuo_finish(agent.ctx, fd);
	sessions_release(OWN_SESSION);
	return true;
}

static void usage(FILE *to)
{
	fputs("usage: continuo-agent [OPTION]...\n\n"
	      "Gives sessions of /dev/liveupdate to VMMs. Runs until SIGTERM.\n\n"
	      "options:\n"
	      "  -s, --socket PATH   where VMMs ask (default: " CONTINUO_AGENT_SOCKET ")\n"
	      "  -g, --group GROUP   whose members may ask, beside root (default: nobody)\n"
	      "  -t, --takeover PROG start PROG NAME UID for each VM that a live update has\n"
	      "                      brought here (default: they are started by others); " UNIT_VARIABLE "\n"
	      "                      in its environment is the unit that the VM was in, if it is known\n"
	      "  -r, --record FILE   of the last update (default: " RECORD_FILE ")\n"
	      "  -l, --list FILE     of the VMs that are registered (default: " REGISTRY_FILE ")\n"
	      "  -S, --services PROG end the host's services before a jump by PROG end, and start\n"
	      "                      them again by PROG back (default: they do not end)\n"
	      "  -H, --health PROG   an update with a way back is confirmed if PROG ends with 0, once\n"
	      "                      all VMs are ready (default: once they are)\n"
	      "  -h, --help          say this\n", to);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "group", required_argument, NULL, 'g' },
		{ "takeover", required_argument, NULL, 't' },
		{ "record", required_argument, NULL, 'r' },
		{ "list", required_argument, NULL, 'l' },
		{ "services", required_argument, NULL, 'S' },
		{ "health", required_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *path = CONTINUO_AGENT_SOCKET, *group = NULL;
	const char *record = RECORD_FILE, *vms = REGISTRY_FILE, *services = NULL, *health = NULL;
	struct rlimit files;
	sigset_t ends;
	int c, fd, signals, ret;

	while ((c = getopt_long(argc, argv, "s:g:t:r:l:S:H:h", longs, NULL)) != -1) {
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
		case 'l':
			vms = optarg;
			break;
		case 'S':
			services = optarg;
			break;
		case 'H':
			health = optarg;
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
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	/* Whoever has started it may have ignored it, and then nobody's end is waited for. */
	signal(SIGCHLD, SIG_DFL);
	signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return trouble("signalfd: %s", strerror(errno));
	/* One for each session and each client, and some. */
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < MOST_FILES) {
		files.rlim_cur = files.rlim_max < MOST_FILES ? files.rlim_max : MOST_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	ret = continuo_new(&agent.ctx);
	if (ret)
		return trouble("nothing to speak with the kernel by: %s", strerror(-ret));
	if (!device_lock() || !device_is_there())
		return EXIT_TROUBLE;
	ret = closer_begin();
	if (ret)
		trouble("sessions are closed by the main loop: %s", strerror(-ret));
	make_folder(path);
	make_folder(vms);
	sessions_begin(agent.ctx);
	record_open(record);
	update_open(agent.ctx, vms);
	back_open(agent.ctx, health);
	fd = listen_at(path, group);
	if (fd < 0)
		return EXIT_TROUBLE;
	if (!arrive(signals)) {
		unlink(path);
		return ended ? EXIT_FINE : EXIT_TROUBLE;
	}
	record_leftover();
	back_begin();
	still_go_on(STILL_FILE);
	services_open(services);
	systemd_ready();
	ret = run(fd, signals);
	unlink(path);
	return ret;
}
