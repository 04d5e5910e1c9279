// SPDX-License-Identifier: GPL-2.0-only
/* The agent in the guest. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/clock.h"
#include "core/end.h"
#include "core/options.h"
#include "libcontinuo/agent.h"

#define PROGRAM	"/usr/sbin/continuo-agent"
/* This program, which is not process 1 then: see libcontinuo/tenants.c. */
#define TAKEOVER "/bin/init"

bool agent_wanted(void)
{
	return opt_num("agent", 0);
}

static pid_t agent;

static void start(void)
{
	agent = fork();
	if (agent < 0)
		die("fork: %s", strerror(errno));
	if (agent)
		return;
	execl(PROGRAM, PROGRAM, "--socket", AGENT_SOCKET, "--group", "vmm",
	      "--record", "/tmp/update.json", "--list", "/tmp/vms", "--takeover", TAKEOVER, NULL);
	_exit(127);
}

void agent_begin(void)
{
	struct continuo *ctx;

	/* A way to the socket for everybody; it is the socket that is guarded. */
	chmod("/tmp", 01777);
	if (continuo_new(&ctx))
		die("out of memory");
	agent_ask(ctx);
	continuo_free(ctx);
}

void agent_ask(struct continuo *ctx)
{
	uint64_t end = now_us() + 10000000;
	int ret;

	/* agent_unit=1: a service manager starts it. */
	if (!agent && !opt_num("agent_unit", 0))
		start();
	while ((ret = continuo_agent(ctx, AGENT_SOCKET)) < 0) {
		if (agent && waitpid(agent, NULL, WNOHANG) == agent)
			die("the agent has ended");
		if (now_us() > end)
			die("the agent: %s", continuo_why(ctx));
		usleep(10000);
	}
}
