// SPDX-License-Identifier: GPL-2.0-only
/*
 * continuo-qemu: carries a VM under an unmodified QEMU over a live update of the host.
 *
 * It stands between two QEMUs. In the outgoing kernel it is the new QEMU for the one that
 * runs (migration mode cpr-transfer), in the incoming kernel the old QEMU for a new one. In
 * between, all there is of the VM is in a session: memory, devices with their address space,
 * and what QEMU said.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exits.h"
#include "files.h"
#include "keep.h"
#include "note.h"
#include "say.h"
#include "serve.h"
#include "take.h"
#include "vm.h"

#define STR(x)	#x
#define XSTR(x)	STR(x)
#define VERSION	XSTR(CONTINUO_VERSION_MAJOR) "." XSTR(CONTINUO_VERSION_MINOR)

#define STATE_DIR	"/run/continuo-qemu"
#define ROOM_MIB	32
#define MOST_ROOM_MIB	2048
#define PATIENCE_S	20
#define MOST_PATIENCE_S	3600
/* A QEMU that starts has more to do than to answer. */
#define START_TIMES	6

enum option_id { OPT_AGENT, OPT_AGENT_FD, OPT_DIR, OPT_NO_P2P, OPT_QMP, OPT_ROOM, OPT_TIMEOUT, OPT_HELP, OPT_VERSION, OPTIONS };

static const struct described_option {
	const char *name;
	char letter;
	const char *arg;
	const char *what;
} described[OPTIONS] = {
	[OPT_AGENT] = { "agent", 's', "SOCKET", "where the agent listens (default: " CONTINUO_AGENT_SOCKET ")" },
	[OPT_AGENT_FD] = { "agent-fd", 'f', "FD", "a connection to the agent for this VM, which was handed in as descriptor FD [run attach take]" },
	[OPT_DIR] = { "state-dir", 'd', "DIR", "where its sockets and notes are (default: " STATE_DIR "); made if it is missing" },
	[OPT_NO_P2P] = { "no-p2p", 'p', NULL, "the VM's devices do no DMA to each other's BARs, which is not carried over [run attach]" },
	[OPT_QMP] = { "qmp", 'q', "SOCKET", "QMP of a QEMU that runs [attach check]" },
	[OPT_ROOM] = { "room", 'r', "MIB", "room for QEMU's own state in the session (default: " XSTR(ROOM_MIB) ")" },
	[OPT_TIMEOUT] = { "timeout", 't', "SECONDS", "how long an answer of QEMU's may take (default: " XSTR(PATIENCE_S) ")" },
	[OPT_HELP] = { "help", 'h', NULL, "say this" },
	[OPT_VERSION] = { "version", 'V', NULL, "say the version" },
};

struct options {
	const char *given[OPTIONS];
	int argc;
	char **argv;
};

static int run(const struct options *opt, struct vm *vm);
static int attach(const struct options *opt, struct vm *vm);
static int take_command(const struct options *opt, struct vm *vm);
static int check(const struct options *opt, struct vm *vm);
static int show_args(const struct options *opt, struct vm *vm);
static int show_rules(const struct options *opt, struct vm *vm);

static const struct command {
	const char *name, *args, *what;
	int least, most;
	int (*run)(const struct options *opt, struct vm *vm);
} commands[] = {
	{ "run", "NAME -- QEMU ARG...", "start a VM, with what a live update needs; end with it", 2, -1, run },
	{ "attach", "--qmp SOCKET NAME", "the same for a QEMU that runs", 1, 1, attach },
	{ "take", "NAME [UID]", "take a VM over that has come from the previous kernel, and go on as run does; for the agent's --takeover",
	  1, 2, take_command },
	{ "check", "NAME {--qmp SOCKET | -- QEMU ARG...}", "say what stands against a live update", 1, -1, check },
	{ "args", "NAME -- QEMU ARG...", "print the arguments that run would start, one a line", 2, -1, show_args },
	{ "rules", "", "print the table of what is not carried over", 0, 0, show_rules },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static void usage(FILE *to)
{
	fputs("usage: continuo-qemu [OPTION]... COMMAND\n\n"
	      "Carries VMs under QEMU over live updates of the host.\n\ncommands:\n", to);
	for (size_t i = 0; i < N(commands); i++)
		fprintf(to, "  %s %s\n      %s\n", commands[i].name, commands[i].args, commands[i].what);
	fputs("\noptions:\n", to);
	for (int i = 0; i < OPTIONS; i++)
		fprintf(to, "  -%c, --%s%s%-*s%s\n", described[i].letter, described[i].name,
			described[i].arg ? " " : "",
			(int)(18 - strlen(described[i].name) - !!described[i].arg), described[i].arg ?: "",
			described[i].what);
	fputs("\nexit status: 0 done, or nothing stands against it; 1 refused; 2 wrong usage; 3 it could not be done; 4 QEMU ended as it should not\n", to);
}

static int wrong(const char *fmt, ...)
{
	va_list args;

	fputs("continuo-qemu: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("; 'continuo-qemu --help' says what there is\n", stderr);
	return EXIT_USAGE;
}

static int trouble(const char *step)
{
	say("failed", "%s %s", step, why());
	return EXIT_TROUBLE;
}

/* --- QEMU, before it is started --- */

/* "QEMU emulator version 11.1.3 (…)" */
static int ask_version(const char *program, int *major, int *minor)
{
	char text[256] = "", *at;
	int ends[2], status;
	size_t n = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return fail("a pipe cannot be made: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		execlp(program, program, "--version", NULL);
		_exit(127);
	}
	close(ends[1]);
	while (pid > 0 && n < sizeof(text) - 1) {
		ssize_t k = read(ends[0], text + n, sizeof(text) - 1 - n);

		if (k <= 0)
			break;
		n += k;
	}
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return fail("%s --version does not run", program);
	at = strstr(text, "version ");
	if (!at || sscanf(at + 8, "%d.%d", major, minor) != 2)
		return fail("%s --version does not say one", program);
	return 0;
}

static int check_program(const char *program)
{
	int major, minor;

	if (ask_version(program, &major, &minor))
		return trouble("start");
	if (channel_format(major, minor))
		return EXIT_FINE;
	say("refused", "version %s is QEMU %d.%d; known are %s", program, major, minor, channel_versions());
	return EXIT_REFUSED;
}

static int read_args(const struct options *opt, struct vm *vm)
{
	args_copy(&vm->line, opt->argv + 1);
	return args_check(&vm->line, true, vm_refused) ? EXIT_REFUSED : EXIT_FINE;
}

/* --- commands --- */

static uint64_t patience(const struct vm *vm, unsigned int times)
{
	return now_us() + times * vm->patience_us;
}

static int start(struct vm *vm)
{
	struct args line;
	int ret;

	args_copy(&line, vm->line.v);
	unlink(vm_path(vm, "qmp"));
	ret = args_add_qmp(&line, vm_path(vm, "qmp"));
	if (!ret) {
		say("start", "%s", line.v[0]);
		vm->pid = keep_start(NULL, &line);
		ret = vm->pid < 0 ? -1 : 0;
		vm->child = !ret;
	}
	args_free(&line);
	return ret;
}

/* A QEMU that refuses its arguments ends at once. */
static int open_qmp(struct vm *vm)
{
	uint64_t until = patience(vm, START_TIMES);
	int status;

	for (;;) {
		uint64_t look = now_us() + 100000;

		if (!qmp_open(&vm->qmp, vm_path(vm, "qmp"), look < until ? look : until, NULL))
			return 0;
		if (waitpid(vm->pid, &status, WNOHANG) == vm->pid) {
			vm->child = false;
			return fail("QEMU has ended; its messages say why");
		}
		if (!left_ms(until))
			return -1;
	}
}

static int run(const struct options *opt, struct vm *vm)
{
	int ret = read_args(opt, vm) ?: check_program(vm->line.v[0]);

	if (ret)
		return ret;
	if (start(vm) || open_qmp(vm) || vm_know(vm, patience(vm, START_TIMES))) {
		ret = trouble("start");
		if (vm->child) {
			kill(vm->pid, SIGTERM);
			waitpid(vm->pid, NULL, 0);
		}
		return ret;
	}
	say("started", "process %d, QEMU %d.%d.%d", vm->pid, vm->qmp.major, vm->qmp.minor, vm->qmp.micro);
	/* It runs, and that is what its operator wants first. */
	if (vm_check_files(vm))
		say("event", "the VM runs, and a live update will be refused as long as that is so");
	return serve(vm);
}

/* Of a QEMU that was started by take: what we added. */
static void strip(struct vm *vm)
{
	struct args *a = &vm->line;
	char *qmp;

	if (a->n > 5 && !strcmp(a->v[a->n - 5], "-S") && !strcmp(a->v[a->n - 4], "-incoming") &&
	    !strcmp(a->v[a->n - 2], "-incoming") && *a->v[a->n - 1] == '{')
		for (int i = 0; i < 5; i++)
			free(a->v[--a->n]);
	if (asprintf(&qmp, "unix:%s,server=on,wait=off", vm_path(vm, "qmp")) < 0)
		abort();
	if (a->n > 2 && !strcmp(a->v[a->n - 2], "-qmp") && !strcmp(a->v[a->n - 1], qmp))
		for (int i = 0; i < 2; i++)
			free(a->v[--a->n]);
	a->v[a->n] = NULL;
	free(qmp);
}

/* Connects to a QEMU that runs, and says what stands against it. */
static int look_at(const struct options *opt, struct vm *vm)
{
	uint64_t until = patience(vm, 1);
	int broken;

	if (qmp_open(&vm->qmp, opt->given[OPT_QMP], until, &vm->pid) || keep_line(vm->pid, &vm->line))
		return trouble("attach");
	strip(vm);
	broken = vm_check(vm, until);
	if (broken < 0 || vm_know(vm, until))
		return trouble("check");
	return broken + args_check(&vm->line, false, vm_refused) ? EXIT_REFUSED : EXIT_FINE;
}

static int attach(const struct options *opt, struct vm *vm)
{
	int ret;

	if (!opt->given[OPT_QMP])
		return wrong("attach takes --qmp");
	ret = look_at(opt, vm);
	if (ret)
		return ret;
	say("started", "attached to process %d, QEMU %d.%d.%d", vm->pid, vm->qmp.major, vm->qmp.minor, vm->qmp.micro);
	/* Without an agent nothing of it can be in a session, either. */
	if (serve_connect(vm))
		say("event", "%s", why());
	if (vm_mend(vm, patience(vm, 1)))
		say("failed", "undo %s", why());
	return serve(vm);
}

static int take_command(const struct options *opt, struct vm *vm)
{
	uid_t uid = -1;
	char *end;

	if (opt->argc > 1) {
		uid = strtoul(opt->argv[1], &end, 10);
		if (*opt->argv[1] < '0' || *opt->argv[1] > '9' || *end)
			return wrong("take: %s is no user's number", opt->argv[1]);
	}
	/* Whoever had such a connection wrote what says whose the VM is. */
	if (vm->agent_fd >= 0 && uid == (uid_t)-1 && !geteuid())
		return wrong("take --agent-fd %d: root says which user the VM has to be of; add UID", vm->agent_fd);
	if (take(vm, uid, patience(vm, START_TIMES)))
		return trouble("take");
	if (vm_know(vm, patience(vm, 1)))
		say("event", "what the VM is made of: %s", why());
	return serve(vm);
}

static int check(const struct options *opt, struct vm *vm)
{
	int ret;

	if (opt->given[OPT_QMP] ? opt->argc > 1 : opt->argc < 2)
		return wrong("check takes --qmp, or QEMU's arguments");
	if (opt->given[OPT_QMP]) {
		ret = look_at(opt, vm);
		qmp_close(&vm->qmp);
	} else {
		ret = read_args(opt, vm);
		/* All of it is said at once. */
		ret = ret ?: check_program(vm->line.v[0]);
	}
	if (!ret)
		say("checked", "nothing stands against a live update");
	return ret;
}

static int show_args(const struct options *opt, struct vm *vm)
{
	int ret = read_args(opt, vm);

	if (ret)
		return ret;
	if (args_add_qmp(&vm->line, vm_path(vm, "qmp")))
		return trouble("args");
	for (unsigned int i = 0; i < vm->line.n; i++)
		puts(vm->line.v[i]);
	return EXIT_FINE;
}

static int show_rules(const struct options *opt, struct vm *vm)
{
	(void)opt;
	(void)vm;
	rules_print(stdout);
	return EXIT_FINE;
}

/* --- options --- */

enum { FIRST_OPTION = 256 };

static void tell_getopt(struct option longs[OPTIONS + 1], char letters[2 * OPTIONS + 2])
{
	*letters++ = ':';
	for (int i = 0; i < OPTIONS; i++) {
		longs[i] = (struct option){
			.name = described[i].name,
			.has_arg = described[i].arg ? required_argument : no_argument,
			.val = FIRST_OPTION + i,
		};
		*letters++ = described[i].letter;
		if (described[i].arg)
			*letters++ = ':';
	}
	*letters = 0;
	longs[OPTIONS] = (struct option){};
}

static int option_of(int c)
{
	for (int i = 0; i < OPTIONS; i++)
		if (c == FIRST_OPTION + i || c == described[i].letter)
			return i;
	return -1;
}

/* 0 if it is no number of 1 to @most. */
static unsigned long number(const char *text, unsigned long otherwise, unsigned long most)
{
	unsigned long value;
	char *end;

	if (!text)
		return otherwise;
	value = strtoul(text, &end, 10);
	return *text < '0' || *text > '9' || *end || value > most ? 0 : value;
}

static bool is_name(const char *name)
{
	size_t n = strspn(name, CONTINUO_NAME_BYTES);

	return isalnum((unsigned char)*name) && !name[n] && n < CONTINUO_SESSION_NAME;
}

/* The agent's end is of the agent's kind, and somebody was there; the rest is said by the first question. */
static int check_agent_fd(int fd)
{
	struct sockaddr_storage peer;
	socklen_t peer_size = sizeof(peer), size = sizeof(int);
	int domain = 0, type = 0;

	if (fcntl(fd, F_GETFD) < 0)
		return wrong("--agent-fd %d: no such descriptor is open; whoever starts continuo-qemu has to let it inherit one", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    domain != AF_UNIX || type != SOCK_SEQPACKET)
		return wrong("--agent-fd %d: %s is no connection to an agent, which is a Unix socket of SOCK_SEQPACKET; hand in that of continuo_connect()",
			     fd, file_path(fd));
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_size))
		return wrong("--agent-fd %d: this socket is not connected to an agent (%s); hand in that of continuo_connect()",
			     fd, strerror(errno));
	return EXIT_FINE;
}

static bool asks_agent(const struct command *command)
{
	return command->run == run || command->run == attach || command->run == take_command;
}

/* The connection that was handed in, or -1 if there is none, in @fd. */
static int read_agent_fd(const struct options *opt, const struct command *command, int *fd)
{
	const char *text = opt->given[OPT_AGENT_FD];
	int ret;

	*fd = -1;
	if (!text)
		return EXIT_FINE;
	if (!asks_agent(command))
		return wrong("%s has no option --agent-fd: it asks no agent", command->name);
	if (opt->given[OPT_AGENT])
		return wrong("--agent and --agent-fd: there is one agent; leave one of them out");
	*fd = number(text, 0, INT_MAX);
	if (*fd <= STDERR_FILENO)
		return wrong("--agent-fd %s: that is not the number of a descriptor, 3 or more", text);
	ret = check_agent_fd(*fd);
	/* What is started does not get it, QEMU above all. */
	if (!ret)
		fcntl(*fd, F_SETFD, FD_CLOEXEC);
	return ret;
}

static int begin(const struct options *opt, const struct command *command)
{
	static struct vm vm;
	unsigned long room = number(opt->given[OPT_ROOM], ROOM_MIB, MOST_ROOM_MIB);
	unsigned long seconds = number(opt->given[OPT_TIMEOUT], PATIENCE_S, MOST_PATIENCE_S);
	int ret;

	if (!room)
		return wrong("--room %s: that is not a number of 1 to %d MiB", opt->given[OPT_ROOM], MOST_ROOM_MIB);
	if (!seconds)
		return wrong("--timeout %s: that is not a number of 1 to %d seconds", opt->given[OPT_TIMEOUT], MOST_PATIENCE_S);
	if (command->least && !is_name(opt->argv[0]))
		return wrong("\"%s\" is no name of a VM: letters, digits, and . _ - after the first", opt->argv[0]);
	vm.name = command->least ? opt->argv[0] : "-";
	vm.agent = opt->given[OPT_AGENT];
	ret = read_agent_fd(opt, command, &vm.agent_fd);
	if (ret)
		return ret;
	vm.dir = opt->given[OPT_DIR] ?: STATE_DIR;
	vm.room = (uint64_t)room << 20;
	vm.no_p2p = opt->given[OPT_NO_P2P];
	vm.patience_us = seconds * 1000000ull;
	say_name(vm.name);
	vm_init(&vm);
	if ((command->run == run || command->run == attach) && vm_make_dir(&vm, geteuid(), getegid()))
		return trouble("start");
	/* An agent can come later, but not at the other end of a connection. */
	if (vm.agent_fd >= 0 && serve_connect(&vm)) {
		say("failed", "start --agent-fd %d: %s; have the manager make another connection", vm.agent_fd, why());
		return EXIT_TROUBLE;
	}
	ret = command->run(opt, &vm);
	vm_free(&vm);
	continuo_free(vm.ctx);
	args_free(&vm.line);
	return ret;
}

int main(int argc, char **argv)
{
	struct option longs[OPTIONS + 1];
	char letters[2 * OPTIONS + 2];
	const struct command *command = NULL;
	struct options opt = {};
	int c;

	opterr = 0;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stderr, NULL, _IOLBF, 0);
	tell_getopt(longs, letters);
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		int i = option_of(c);

		if (c == ':')
			return wrong("%s takes an argument", argv[optind - 1]);
		if (i < 0)
			return wrong("there is no option %s (QEMU's arguments come behind --)", argv[optind - 1]);
		opt.given[i] = optarg ?: "";
	}
	for (size_t i = 0; i < N(commands) && optind < argc; i++)
		if (!strcmp(commands[i].name, argv[optind]))
			command = &commands[i];
	if (opt.given[OPT_HELP]) {
		usage(stdout);
		return EXIT_FINE;
	}
	if (opt.given[OPT_VERSION]) {
		puts("continuo-qemu " VERSION);
		return EXIT_FINE;
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!command)
		return wrong("there is no command '%s'", argv[optind]);
	opt.argc = argc - optind - 1;
	opt.argv = argv + optind + 1;
	if (opt.argc < command->least || (command->most >= 0 && opt.argc > command->most))
		return wrong("%s takes %s", command->name, *command->args ? command->args : "no argument");
	return begin(&opt, command);
}
