// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

/* What follows the verb, in this order. */
enum {
	NUMBER = 1, NAME = 2, NAME_OR_NOT = 4, TEXT = 8, MILLISECONDS = 16, ROOT = 32, PATH = 64,
	WHOLE_NAME = 128,		/* as the kernel has it: with the user's id in front */
};

static const struct {
	const char *word;
	enum verb verb;
	unsigned int has;
} verbs[] = {
	{ "create", VERB_CREATE, NAME },
	{ "retrieve", VERB_RETRIEVE, NAME },
	{ "release", VERB_RELEASE, NAME },
	{ "list", VERB_LIST, 0 },
	{ "register", VERB_REGISTER, NAME },
	{ "done", VERB_DONE, NUMBER },
	{ "failed", VERB_FAILED, NUMBER | TEXT },
	{ "update", VERB_UPDATE, ROOT },
	{ "preserve", VERB_PRESERVE, ROOT | MILLISECONDS | NAME_OR_NOT },
	{ "suspend", VERB_SUSPEND, ROOT | MILLISECONDS | NAME_OR_NOT },
	{ "undo", VERB_UNDO, ROOT | MILLISECONDS | NAME_OR_NOT },
	{ "leave", VERB_LEAVE, ROOT | NAME | PATH },
	{ "vms", VERB_VMS, ROOT },
	{ "seal", VERB_SEAL, ROOT },
	{ "services", VERB_SERVICES, ROOT | MILLISECONDS },
	{ "go", VERB_GO, ROOT | MILLISECONDS },
	{ "attach", VERB_ATTACH, ROOT },
	{ "abort", VERB_ABORT, ROOT },
	{ "running", VERB_RUNNING, ROOT },
	{ "confirm", VERB_CONFIRM, ROOT },
	{ "ready", VERB_READY, NAME | WHOLE_NAME },
	{ "hello", VERB_HELLO, NUMBER },
	{ "connect", VERB_CONNECT, NAME_OR_NOT },
};

#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static int prefix(char *to, size_t size, uid_t uid)
{
	return uid ? snprintf(to, size, "u%u.", (unsigned int)uid) : 0;
}

static int parse_number(char **at, struct request *req, const char **why)
{
	unsigned long number;
	char *end;

	*why = "a number of 1 to 4294967295 follows here";
	if (!*at || !isdigit((unsigned char)**at))
		return -EINVAL;
	errno = 0;
	number = strtoul(*at, &end, 10);
	if (errno || !number || number > UINT32_MAX || (*end && *end != ' '))
		return -EINVAL;
	req->number = number;
	*at = *end ? end + 1 : NULL;
	return 0;
}

/* It can become a word of somebody's command line, or part of a path. */
static bool is_name(const char *name)
{
	return isalnum((unsigned char)*name) && !name[strspn(name, CONTINUO_NAME_BYTES)];
}

static int parse_name(const char *name, bool whole, const struct peer *peer, struct request *req,
		      const char **why)
{
	size_t n = 0;

	if (!name || !is_name(name)) {
		*why = "a session's name consists of letters, digits and . _ -, and begins with one of the first two";
		return -EINVAL;
	}
	if (whole && !request_own(name, peer->uid)) {
		*why = "the session of that name is another user's";
		return -EPERM;
	}
	if (!whole)
		n = prefix(req->name, sizeof(req->name), peer->uid);
	if (n + strlen(name) >= sizeof(req->name)) {
		*why = "the session's name is too long";
		return -ENAMETOOLONG;
	}
	strcpy(req->name + n, name);
	/* systemd takes the one of its name for its own, and closes it. */
	if (!strcmp(req->name, OWN_SESSION) || !strcmp(req->name, "systemd")) {
		*why = "the session of that name is the agent's own, or systemd's; choose another one";
		return -EINVAL;
	}
	if (*peer->only && strcmp(req->name, peer->only)) {
		*why = "this connection was made for one VM, and can name no other";
		return -EPERM;
	}
	return 0;
}

/* Fields at the end: those that are known are kept, others are skipped. */
static char *parse_fields(char *at, struct request *req)
{
	char *word, *end;

	while (at) {
		word = strrchr(at, ' ');
		word = word ? word + 1 : at;
		end = word + strspn(word, "abcdefghijklmnopqrstuvwxyz-");
		if (end == word || *end != '=')
			break;
		if (!strcmp(word, "silent=leave"))
			req->leave_silent = true;
		else if (!strcmp(word, "kept=1"))
			req->kept = true;
		else if (!strncmp(word, "process=", 8) && strlen(word + 8) < 10 && strspn(word + 8, "0123456789") == strlen(word + 8))
			req->process = atoi(word + 8);
		if (word == at)
			return NULL;
		word[-1] = 0;
	}
	return at;
}

static bool is_text(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text >= 0x7f)
			return false;
	return true;
}

bool request_is_unit(const char *name)
{
	static const char *const types[] = {
		"automount", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer",
	};
	const char *type = strrchr(name, '.');

	if (!*name || strchr(name, ' ') || strchr(name, '/'))
		return false;
	for (size_t i = 0; type && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(type + 1, types[i]))
			return true;
	return false;
}

static int parse_rest(char *at, unsigned int has, const struct peer *peer,
		      struct request *req, const char **why)
{
	int ret = 0;

	if (!(has & TEXT))
		at = parse_fields(at, req);
	if (has & (NUMBER | MILLISECONDS))
		ret = parse_number(&at, req, why);
	if (!ret && has & MILLISECONDS && req->number > MOST_TIMEOUT_MS) {
		*why = "no VM has more than 3600000 milliseconds";
		ret = -EINVAL;
	}
	if (ret)
		return ret;
	if (!(has & PATH && at && (*at == '/' || request_is_unit(at))) && (has & NAME || (has & NAME_OR_NOT && at)))
		return parse_name(at, has & WHOLE_NAME, peer, req, why);
	if (has & (TEXT | PATH)) {
		*why = "a reason, a mount point, or a unit is printable ASCII; other bytes of a path are written as \\303";
		if (!at || !is_text(at))
			return -EINVAL;
		strcpy(req->text, at);
		return 0;
	}
	*why = "nothing follows here";
	return at ? -EBADMSG : 0;
}

int request_parse(const char *message, size_t size, const struct peer *peer,
		  struct request *req, const char **why)
{
	char text[REQUEST_MOST + 1], *rest;
	size_t i;

	memset(req, 0, sizeof(*req));
	if (!size || size > REQUEST_MOST || memchr(message, 0, size)) {
		*why = "a request is a line of 1 to 512 bytes";
		return -EBADMSG;
	}
	memcpy(text, message, size);
	text[size] = 0;
	rest = strchr(text, ' ');
	if (rest)
		*rest++ = 0;
	for (i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].word, text))
			break;
	if (i == VERBS) {
		*why = "this agent does not know the verb; is it older than what asks it?";
		return -EOPNOTSUPP;
	}
	if (verbs[i].has & ROOT && (peer->uid || *peer->only)) {
		*why = "only root can ask that";
		return -EPERM;
	}
	req->verb = verbs[i].verb;
	return parse_rest(rest, verbs[i].has, peer, req, why);
}

const char *request_own(const char *name, uid_t uid)
{
	char begin[16];
	int n = prefix(begin, sizeof(begin), uid);

	return strncmp(name, begin, n) ? NULL : name + n;
}

uid_t request_user(const char *name)
{
	unsigned long long uid;
	int end = 0;

	if (sscanf(name, "u%10llu.%n", &uid, &end) != 1 || !end || !uid || uid >= UINT32_MAX ||
	    !request_own(name, uid))
		return 0;
	return uid;
}

bool request_is_name(const char *name, uid_t uid)
{
	const char *own = request_own(name, uid);

	return own && is_name(own) && strlen(name) < CONTINUO_SESSION_NAME;
}
