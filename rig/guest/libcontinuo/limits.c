// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/end.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/limits.h"
#include "libcontinuo/updater.h"

#define MOST_SESSIONS	64
#define MOST_VMS	64
#define MOST_CONNECTIONS 192

/* A descriptor that takes as long to close as its sender likes; the receiver closes it. */
static int send_along(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {
		.head = {
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		},
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = AGENT_SOCKET };
	struct iovec iov = { .iov_base = "list", .iov_len = 4 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), ret;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect to the agent: %s", strerror(errno));
	memcpy(CMSG_DATA(&control.head), &(int){ 1 }, sizeof(int));
	ret = sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

void test_limits(void)
{
	pid_t pid = fork();

	if (!pid) {
		struct continuo *ctx = connect_as(1000), *more[MOST_CONNECTIONS];
		unsigned int n = 0;
		char name[16];
		int ret;

		do {
			snprintf(name, sizeof(name), "s%u", n);
			ret = continuo_session_create(ctx, name);
		} while (ret >= 0 && ++n < 2 * MOST_SESSIONS);
		snprintf(updater_heard, sizeof(updater_heard), "%u", n);
		updater_tried("sessions of a user", ret);
		while (n--) {
			snprintf(name, sizeof(name), "s%u", n);
			continuo_session_release(ctx, name);
		}
		/* One that is turned away hears it at once. */
		for (n = 0; n < MOST_CONNECTIONS; n++) {
			if (continuo_new(&more[n]))
				break;
			ret = continuo_agent(more[n], AGENT_SOCKET);
			if (ret < 0)
				break;
		}
		snprintf(updater_heard, sizeof(updater_heard), "%u", n + 1);
		updater_tried("connections of a user", ret);
		if (n < MOST_CONNECTIONS)
			continuo_free(more[n]);
		while (n)
			continuo_free(more[--n]);
		do {
			snprintf(name, sizeof(name), "v%u", n);
			ret = continuo_register(ctx, name);
		} while (ret >= 0 && ++n < 2 * MOST_VMS);
		snprintf(updater_heard, sizeof(updater_heard), "%u", n);
		updater_tried("VMs of a user", ret);
		updater_tried("a descriptor sent along", send_along());
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid) {
		struct continuo *ctx = connect_as(1001);

		updater_tried("another user meanwhile", continuo_session_create(ctx, "vm"));
		continuo_session_release(ctx, "vm");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}
