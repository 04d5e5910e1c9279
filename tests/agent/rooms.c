// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users who take all that they can get: VMs, connections and sessions. As long as there is
 * room, a user who has none gets one; root gets one in any case. It calls what the agent asks
 * before it gives one away.
 *
 * Seen to fail (tests/agent/check --self-test): without the rule that a user gets no more
 * than half of what is left, in decide.c, agent.c and sessions.c.
 */
#define main agent_main
#include "agent.c"
#undef main

#include "decide.h"

/* In place of the library's: there is no kernel that has sessions. */
int __wrap_continuo_session_create(struct continuo *c, const char *name);

int __wrap_continuo_session_create(struct continuo *c, const char *name)
{
	(void)c;
	(void)name;
	return dup(0);
}

static bool nothing(void *arg, const struct action *action)
{
	(void)arg;
	(void)action;
	return true;
}

static struct vm vms[MOST_VMS];
static struct decide made_up = { .act = nothing, .vm = vms, .room = MOST_VMS };
static int number = 1000;

static bool take_vm(uid_t uid)
{
	unsigned int before = made_up.vms;
	char name[64];

	snprintf(name, sizeof(name), "u%u.%d", uid, number);
	decide_register(&made_up, number++, uid, name);
	return made_up.vms > before;
}

static bool take_connection(uid_t uid)
{
	struct peer peer = { .uid = uid };
	const char *why;

	if (check_clients(&peer, &why))
		return false;
	admit(-1, &peer, 1);
	return true;
}

static bool take_session(uid_t uid)
{
	char name[CONTINUO_SESSION_NAME];
	const char *why;

	snprintf(name, sizeof(name), "u%u.%d", uid, number++);
	return sessions_create(name, uid, &why) >= 0;
}

/* That many users would fill all, if each had as many as one user may have at most. */
static const struct {
	const char *of;
	bool (*take)(uid_t uid);
	unsigned int users;
} rooms[] = {
	{ "VMs", take_vm, 20 },
	{ "connections", take_connection, 20 },
	{ "sessions", take_session, 36 },
};

int main(void)
{
	unsigned int failed = 0;

	agent.end = FIRST;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ MOST_FILES, MOST_FILES });
	for (unsigned int i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		unsigned int most = 0, least = ~0u;

		for (uid_t uid = 1000; uid < 1000 + rooms[i].users; uid++) {
			unsigned int n = 0;

			while (rooms[i].take(uid))
				n++;
			most = n > most ? n : most;
			least = n < least ? n : least;
		}
		printf("%s: %u users who take what they can have %u to %u each\n", rooms[i].of, rooms[i].users, least, most);
		if (!least || !rooms[i].take(900) || !rooms[i].take(0)) {
			printf("FAIL %s: somebody who has none gets none\n", rooms[i].of);
			failed++;
		}
	}
	return !!failed;
}
