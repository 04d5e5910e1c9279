/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is asked of the agent, in one message of a SOCK_SEQPACKET socket. The kernel says
 * who asks. docs/agent.md has the protocol.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"

enum verb {
	/* of VMMs */
	VERB_CREATE, VERB_RETRIEVE, VERB_RELEASE, VERB_LIST,
	VERB_REGISTER, VERB_DONE, VERB_FAILED,
	/* of who updates the host */
	VERB_UPDATE, VERB_PRESERVE, VERB_SUSPEND, VERB_UNDO, VERB_LEAVE, VERB_VMS, VERB_SEAL,
};

#define REQUEST_MOST	512	/* bytes of a message */
#define MOST_TIMEOUT_MS	3600000u

/* The agent's own session, which nobody else can name. */
#define OWN_SESSION	"continuo-agent"

/*
 * @name:   Of the session, as the kernel knows it; "" if the verb has none.
 * @number: Milliseconds, or the number of an order; 0 if the verb has none.
 * @text:   Why something failed; or "".
 */
struct request {
	enum verb verb;
	char name[CONTINUO_SESSION_NAME];
	uint32_t number;
	char text[REQUEST_MOST + 1];
};

/*
 * The sessions of a user have names that begin with his id, so that nobody can name
 * another's; root's are as they are. 0; -EBADMSG, -EINVAL, -ENAMETOOLONG, or -EPERM for
 * what only root can ask, with a reason in @why.
 */
int request_parse(const char *message, size_t size, uid_t uid,
		  struct request *req, const char **why);
/* Is a session his? Its name without what was put in front, or NULL. */
const char *request_own(const char *name, uid_t uid);

#endif
