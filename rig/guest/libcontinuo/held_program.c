// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a program can be held:
 *
 *	load	the command is about to load the next kernel (kexec_file_load(2)): the update is
 *		prepared, and the agent has not been told to go
 *	ask	the command has spoken with the agent, and is about to send it "abort" or "attach"
 *	sent	it has sent that
 *	sync	the agent has made the process that writes files back, for the first time
 *	sync_again	the same when services have ended
 *	flush	the same when all VMs are suspended; of the three, it is this process that stands, not
 *		the agent
 *	count	the agent is about to look what the sessions hold, after the flush
 *	seal	the agent is about to preserve its record
 *	jump	the agent is about to call reboot(2)
 *
 * The steps in which VMs are asked something last as long as a VM does not answer, and that in
 * which services end as long as one of them does not: see libcontinuo/tenants.c and services.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "core/programs.h"
#include "libcontinuo/ear.h"
#include "libcontinuo/held_program.h"

#define VIEW		"/dev/liveupdate-view"

static struct {
	char name[32];
	char *const *argv;
	bool again;
	int ear;
	pid_t pid;		/* 0 if it does not run */
	char place[EAR_WORDS];	/* where it is to be held; "" for nowhere */
	unsigned int forks;	/* since that was said */
	unsigned int flush;	/* the fork that is the one of "flush" */
	bool asks;		/* this call sends one of these */
	bool stands;
	pid_t child;		/* that stands in its place */
} held;

/* --- the program --- */

static void start(void)
{
	struct stat st = {};
	sigset_t none;
	int status;

	held.forks = 0;
	held.asks = held.stands = false;
	stat(held.argv[0], &st);
	held.pid = fork();
	if (held.pid < 0)
		die("fork: %s", strerror(errno));
	if (!held.pid) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			die("ptrace: %s", strerror(errno));
		raise(SIGSTOP);
		execv(held.argv[0], held.argv);
		_exit(127);
	}
	if (waitpid(held.pid, &status, 0) != held.pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, held.pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
		   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_SYSCALL, held.pid, 0, 0))
		die("trace %s: %s", held.argv[0], strerror(errno));
	emit("began", ",\"who\":\"%s\",\"bytes\":%lld", held.name, (long long)st.st_size);
}

/* Up to its next call; one that is being killed goes nowhere. */
static void resume(int sig)
{
	if (ptrace(PTRACE_SYSCALL, held.pid, 0, sig) && errno != ESRCH)
		die("%s: let it go on: %s", held.name, strerror(errno));
}

static void let_child_go(void)
{
	if (held.child)
		ptrace(PTRACE_DETACH, held.child, 0, 0);
	held.child = 0;
}

static void ended(int status)
{
	held.pid = 0;
	held.stands = false;
	let_child_go();
	if (!held.again)
		ear_close(held.name);
	emit("ended", ",\"who\":\"%s\",\"status\":%d", held.name,
	     WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	if (!held.again)
		_exit(0);
	start();
}

/* --- where it is --- */

static bool is_at(const char *place)
{
	return !strcmp(held.place, place);
}

static void stand(void)
{
	emit("stands", ",\"who\":\"%s\",\"at\":\"%s\"", held.name, held.place);
	held.place[0] = 0;
}

/* Does it say @text at @address of the program's memory, or something that begins so? */
static bool says(uint64_t address, const char *text)
{
	size_t size = strlen(text), n;

	for (size_t i = 0; i < size; i += n) {
		long word;

		n = size - i < sizeof(word) ? size - i : sizeof(word);
		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, held.pid, address + i, 0);
		if (errno || memcmp(&word, text + i, n))
			return false;
	}
	return true;
}

/* Is it held as it enters this call? */
static bool enters(uint64_t nr, const uint64_t args[6])
{
	switch (nr) {
	case SYS_kexec_file_load:
		return is_at("load");
	case SYS_sendto:
		held.asks = says(args[1], "abort") || says(args[1], "attach");
		return held.asks && is_at("ask");
	case SYS_openat:
		return is_at("count") && held.forks >= held.flush && says(args[1], VIEW);
	case SYS_ioctl:
		return is_at("seal") && (uint32_t)args[1] == ULU_PRESERVE_FD;
	case SYS_reboot:
		return is_at("jump");
	default:
		return false;
	}
}

static bool is_held_at_call(void)
{
	struct __ptrace_syscall_info info = {};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, held.pid, sizeof(info), &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return enters(info.entry.nr, (const uint64_t *)info.entry.args);
	if (info.op != PTRACE_SYSCALL_INFO_EXIT || !held.asks)
		return false;
	held.asks = false;
	return is_at("sent");
}

static void forked(void)
{
	unsigned long child;
	int status;

	if (ptrace(PTRACE_GETEVENTMSG, held.pid, 0, &child) ||
	    waitpid(child, &status, __WALL) != (pid_t)child)
		die("%s: the process that it made: %s", held.name, strerror(errno));
	held.forks++;
	/* While one stands for it, it makes another one: it has services start again. */
	if (held.child) {
		ptrace(PTRACE_DETACH, child, 0, 0);
		return;
	}
	held.child = child;
	if ((held.forks == 1 && is_at("sync")) || (held.forks == held.flush - 1 && is_at("sync_again")) ||
	    (held.forks == held.flush && is_at("flush")))
		stand();
	else
		let_child_go();
}

static void look(int status)
{
	int sig = WSTOPSIG(status);

	if (!WIFSTOPPED(status)) {
		ended(status);
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		held.stands = is_held_at_call();
		if (held.stands)
			stand();
		else
			resume(0);
		return;
	}
	if (status >> 16 == PTRACE_EVENT_FORK)
		forked();
	/* Events are no signals; all others are meant for it. */
	resume(status >> 16 ? 0 : sig);
}

/* --- what it is told --- */

static void heed(const char *words)
{
	if (!strncmp(words, "at ", 3)) {
		snprintf(held.place, sizeof(held.place), "%s", words + 3);
		held.forks = 0;
	} else if (!strcmp(words, "go")) {
		let_child_go();
		if (held.stands)
			resume(0);
		held.stands = false;
	} else if (!strcmp(words, "kill") || !strcmp(words, "end")) {
		if (!held.pid || kill(held.pid, *words == 'k' ? SIGKILL : SIGTERM))
			die("%s does not run", held.name);
	} else {
		die("%s: what is '%s'?", held.name, words);
	}
	emit("heeded", ",\"who\":\"%s\",\"words\":\"%s\"", held.name, words);
}

static void __attribute__((noreturn)) trace(void)
{
	struct signalfd_siginfo news;
	struct pollfd from[2] = {};
	char words[EAR_WORDS];
	sigset_t chld;
	int status;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	from[0] = (struct pollfd){ .fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN };
	from[1] = (struct pollfd){ .fd = held.ear, .events = POLLIN };
	if (from[0].fd < 0)
		die("signalfd: %s", strerror(errno));
	start();
	for (;;) {
		while (waitpid(held.pid, &status, WNOHANG) == held.pid)
			look(status);
		poll(from, 2, -1);
		while (read(from[0].fd, &news, sizeof(news)) == sizeof(news))
			;
		if (ear_hear(held.ear, words))
			heed(words);
	}
}

pid_t hold_program(const char *name, const char *place, char *const argv[], bool again)
{
	int ear = ear_open(name);
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		snprintf(held.name, sizeof(held.name), "%s", name);
		snprintf(held.place, sizeof(held.place), "%s", strcmp(place, "-") ? place : "");
		held.argv = argv;
		/* With services there is one process that ends them, and one more that writes back. */
		held.flush = 2;
		for (unsigned int i = 0; argv[i]; i++)
			if (!strcmp(argv[i], "--services"))
				held.flush = 4;
		held.again = again;
		held.ear = ear;
		trace();
	}
	close(ear);
	return pid;
}

void hold_line(char *line)
{
	char *argv[PROGRAM_ARGS + 1], *save = NULL;
	char *name = strtok_r(line, " ", &save), *place = strtok_r(NULL, " ", &save);

	if (!place || !*save)
		die("held takes a name, a place and a program");
	split_program(save, argv);
	hold_program(name, place, argv, false);
}
