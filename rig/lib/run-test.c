// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest that runs one program, /test, reports its exit status on the
 * control channel and powers off.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void report(int status)
{
	int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY);

	dprintf(fd, "{\"ev\":\"test\",\"status\":%d}\n", status);
	tcdrain(fd);
}

int main(void)
{
	int status = -1;
	pid_t pid;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	pid = fork();
	if (!pid) {
		execl("/test", "/test", NULL);
		perror("run-test: exec /test");
		_exit(127);
	}
	waitpid(pid, &status, 0);
	report(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	reboot(RB_POWER_OFF);
	return 0;
}
