// SPDX-License-Identifier: GPL-2.0-only
/* A program in the guest, as an operator would run it, and what it printed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/programs.h"

#define PIECE	1024

/* In hexadecimal, since a program can print anything. */
static void pass_on(int fd)
{
	unsigned char piece[PIECE];
	char hex[2 * PIECE + 1];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t i = 0; i < n; i++)
			sprintf(hex + 2 * i, "%02x", piece[i]);
		if (n > 0)
			emit("printed", ",\"hex\":\"%s\"", hex);
	}
}

/* The line of a file, for what has blanks in it. */
static char *content_of(const char *path)
{
	static char text[4096];

	if (read_file(path, text, sizeof(text)) < 0)
		die("read %s: %s", path, strerror(errno));
	text[strcspn(text, "\n")] = 0;
	return text;
}

void split_program(char *line, char *argv[PROGRAM_ARGS + 1])
{
	char *save = NULL;
	int n = 0;

	for (argv[n] = strtok_r(line, " ", &save); argv[n] && n < PROGRAM_ARGS;
	     argv[n] = strtok_r(NULL, " ", &save)) {
		if (*argv[n] == '@')
			argv[n] = content_of(argv[n] + 1);
		n++;
	}
	argv[n] = NULL;
	if (!n)
		die("which program?");
}

static pid_t spawned;

void spawn_program(char *line)
{
	char *argv[PROGRAM_ARGS + 1];

	split_program(line, argv);
	spawned = fork();
	if (spawned < 0)
		die("fork: %s", strerror(errno));
	if (spawned)
		return;
	execv(argv[0], argv);
	_exit(127);
}

void signal_spawned(int sig)
{
	if (kill(spawned, sig))
		die("signal %d: %s", sig, strerror(errno));
}

void join_spawned(void)
{
	int status;

	if (waitpid(spawned, &status, 0) != spawned)
		die("wait for what was spawned: %s", strerror(errno));
	emit("joined", ",\"status\":%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

void run_program(char *line, bool both)
{
	char *argv[PROGRAM_ARGS + 1];
	int status, out[2];
	pid_t pid;

	split_program(line, argv);
	if (pipe(out))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		dup2(out[1], 1);
		if (both)
			dup2(out[1], 2);
		close(out[0]);
		close(out[1]);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	pass_on(out[0]);
	close(out[0]);
	if (waitpid(pid, &status, 0) != pid)
		die("wait for %s: %s", argv[0], strerror(errno));
	emit("ran", ",\"status\":%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}
