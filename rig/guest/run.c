// SPDX-License-Identifier: GPL-2.0-only
/* A program in the guest, as an operator would run it, and what it printed. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "run.h"

#define ARGS	16
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

void run_program(char *line)
{
	char *argv[ARGS + 1], *save = NULL;
	int n = 0, status, out[2];
	pid_t pid;

	for (argv[n] = strtok_r(line, " ", &save); argv[n] && n < ARGS;
	     argv[n] = strtok_r(NULL, " ", &save))
		n++;
	argv[n] = NULL;
	if (!n)
		die("run: which program?");
	if (pipe(out))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		dup2(out[1], 1);
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
