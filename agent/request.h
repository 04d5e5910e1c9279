/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is asked of the agent, in one message of a SOCK_SEQPACKET socket. The kernel says
 * who asks. docs/agent.md has the protocol.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "continuo.h"

enum verb {
	/* of VMMs */
	VERB_CREATE, VERB_RETRIEVE, VERB_RELEASE, VERB_LIST,
	VERB_REGISTER, VERB_DONE, VERB_FAILED, VERB_READY,
	/* of both, and of who makes connections for VMs */
	VERB_HELLO, VERB_CONNECT,
	/* of who updates the host */
	VERB_UPDATE, VERB_PRESERVE, VERB_SUSPEND, VERB_UNDO, VERB_LEAVE, VERB_VMS, VERB_SEAL,
	VERB_SERVICES, VERB_GO, VERB_ATTACH, VERB_ABORT, VERB_RUNNING, VERB_CONFIRM,
};

/*
 * The newest version of the protocol that this agent speaks. It changes when something that
 * was right is not right any more; verbs and fields are added without that.
 */
#define PROTOCOL_VERSION	1

#define REQUEST_MOST	512	/* bytes of a message */
#define MOST_TIMEOUT_MS	3600000u

/* The agent's own session, which nobody else can name. */
#define OWN_SESSION	"continuo-agent"

/*
 * @name:   Of the session, as the kernel knows it; "" if the verb has none.
 * @number: Milliseconds, a version, or the number of an order; 0 if the verb has none.
 * @text:   Why something failed; a mount point, in which \ooo is a byte, or a unit of systemd's; or "".
 * @process: Of "register": the field process=; 0 without it.
 * @leave_silent: Of "go": the field silent=leave.
 * @kept:   Of "register": the field kept=1.
 */
struct request {
	enum verb verb;
	char name[CONTINUO_SESSION_NAME];
	uint32_t number;
	pid_t process;
	bool leave_silent;
	bool kept;
	char text[REQUEST_MOST + 1];
};

/*
 * Who asks. A connection that was made for one VM (@only is not "") can name that VM's
 * session and no other, and nothing that is root's, whoever has it. Of others the sessions
 * of a user have names that begin with his id, so that nobody can name another's; root's
 * are as they are.
 */
struct peer {
	uid_t uid;
	char only[CONTINUO_SESSION_NAME];
};

/*
 * Words like key=value at the end of a request that this agent does not know are skipped.
 * 0; -EBADMSG, -EINVAL, -ENAMETOOLONG, -EOPNOTSUPP for a verb that it does not know, or
 * -EPERM for what the peer cannot ask, with a reason in @why.
 */
int request_parse(const char *message, size_t size, const struct peer *peer,
		  struct request *req, const char **why);
/* Does it look like the name of one of systemd's units? A VM can have such a name, too. */
bool request_is_unit(const char *name);
/* Is a session his? Its name without what was put in front, or NULL. */
const char *request_own(const char *name, uid_t uid);
/* The user whose name it has in front, or root. */
uid_t request_user(const char *name);
/* Could it be the whole name of a session of that user? */
bool request_is_name(const char *name, uid_t uid);

#endif
