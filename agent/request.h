/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VMM asks of the agent, in one message of a SOCK_SEQPACKET socket: a verb, and
 * a name for all but "list". The kernel says who asks. docs/agent.md has the protocol.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>
#include <sys/types.h>

#include "continuo.h"

enum verb { VERB_CREATE, VERB_RETRIEVE, VERB_RELEASE, VERB_LIST };

/* @name: of the session, as the kernel knows it. */
struct request {
	enum verb verb;
	char name[CONTINUO_SESSION_NAME];
};

#define REQUEST_MOST	128	/* bytes of a message */

/*
 * The sessions of a user have names that begin with his id, so that nobody can name
 * another's; root's are as they are. 0; -EBADMSG, -EINVAL or -ENAMETOOLONG with a
 * reason in @why.
 */
int request_parse(const char *message, size_t size, uid_t uid,
		  struct request *req, const char **why);
/* Is a session his? Its name without what was put in front, or NULL. */
const char *request_own(const char *name, uid_t uid);

#endif
