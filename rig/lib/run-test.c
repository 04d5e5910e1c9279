// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest that runs /test, and /test-2 if there is one, and powers off. What
 * they write goes to the console, and line by line to the control channel, where no
 * message of the kernel's can be in the middle of it; so does the exit status of each.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static FILE *control;

static void report_line(const char *line)
{
	fputs("{\"ev\":\"line\",\"text\":\"", control);
	for (; *line && *line != '\n'; line++) {
		if (*line == '"' || *line == '\\')
			fputc('\\', control);
		if ((unsigned char)*line >= ' ')
			fputc(*line, control);
	}
	fputs("\"}\n", control);
	fflush(control);
}

static void run(const char *program)
{
	char *line = NULL;
	size_t size = 0;
	int status = -1;
	int fds[2];
	FILE *out;
	pid_t pid;

	if (access(program, X_OK))
		return;
	if (pipe(fds)) {
		perror("run-test: pipe");
		return;
	}
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl(program, program, NULL);
		perror(program);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	while (getline(&line, &size, out) > 0) {
		fputs(line, stdout);
		fflush(stdout);
		report_line(line);
	}
	fclose(out);
	free(line);
	waitpid(pid, &status, 0);
	fprintf(control, "{\"ev\":\"test\",\"program\":\"%s\",\"status\":%d}\n", program,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	fflush(control);
}

int main(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	control = fopen("/dev/ttyS1", "r+");
	if (control) {
		run("/test");
		run("/test-2");
		tcdrain(fileno(control));
	}
	reboot(RB_POWER_OFF);
	return 0;
}
