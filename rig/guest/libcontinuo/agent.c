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
#include "core/array.h"
#include "core/clock.h"
#include "core/end.h"
#include "core/options.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/held_program.h"
#include "libcontinuo/services.h"

#define PROGRAM	"/usr/sbin/continuo-agent"
/* This program, which is not process 1 then: see libcontinuo/tenants.c. */
#define TAKEOVER "/bin/init"

bool agent_wanted(void)
{
	return opt_num("agent", 0);
}

static pid_t agent;

#define FOLDER	"/run/continuo"
#define RECORD	"/tmp/update.json"

/* Where programs look for it that are not told where it is. */
static void put_links(void)
{
	static const char *const link[][2] = {
		{ AGENT_SOCKET, CONTINUO_AGENT_SOCKET },
		{ RECORD, FOLDER "/update.json" },
	};

	mkdir("/run", 0755);
	mkdir(FOLDER, 0755);
	for (unsigned int i = 0; i < ARRAY_SIZE(link); i++)
		if (symlink(link[i][0], link[i][1]) && errno != EEXIST)
			die("%s: %s", link[i][1], strerror(errno));
}

static void start(void)
{
	/* held=1: of the first kernel only. That of the next one starts programs. */
	bool held = opt_num("held", 0) && opt_num("stage", 1) == 1;
	char *const argv[] = {
		PROGRAM, "--socket", AGENT_SOCKET, "--group", "vmm", "--record", RECORD,
		"--list", "/tmp/vms", "--takeover", TAKEOVER,
		/* health=PROGRAM: its gate for an update with a way back. */
		opt("health", NULL) ? "--health" : held ? "--services" : NULL,
		(char *)opt("health", held ? SERVICES_PROGRAM : NULL), NULL,
	};

	put_links();
	if (held) {
		services_begin();
		agent = hold_program("agent", "-", argv, true);
		return;
	}
	agent = fork();
	if (agent < 0)
		die("fork: %s", strerror(errno));
	if (agent)
		return;
	execv(PROGRAM, argv);
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
