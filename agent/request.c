// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "request.h"

static const struct {
	const char *word;
	enum verb verb;
} verbs[] = {
	{ "create", VERB_CREATE },
	{ "retrieve", VERB_RETRIEVE },
	{ "release", VERB_RELEASE },
	{ "list", VERB_LIST },
};

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static int prefix(char *to, size_t size, uid_t uid)
{
	return uid ? snprintf(to, size, "u%u.", (unsigned int)uid) : 0;
}

int request_parse(const char *message, size_t size, uid_t uid,
		  struct request *req, const char **why)
{
	char text[REQUEST_MOST + 1], *name;
	size_t i, n;

	if (!size || size > REQUEST_MOST || memchr(message, 0, size)) {
		*why = "a request is a line of 1 to 128 bytes";
		return -EBADMSG;
	}
	memcpy(text, message, size);
	text[size] = 0;
	name = strchr(text, ' ');
	if (name)
		*name++ = 0;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].word, text))
			break;
	if (i == sizeof(verbs) / sizeof(verbs[0])) {
		*why = "a request begins with create, retrieve, release or list";
		return -EBADMSG;
	}
	req->verb = verbs[i].verb;
	memset(req->name, 0, sizeof(req->name));
	if (req->verb == VERB_LIST) {
		*why = "list takes no name";
		return name ? -EBADMSG : 0;
	}
	if (!name || !*name || name[strspn(name, NAME_BYTES)]) {
		*why = "a session's name consists of letters, digits and . _ -";
		return -EINVAL;
	}
	n = prefix(req->name, sizeof(req->name), uid);
	if (n + strlen(name) >= sizeof(req->name)) {
		*why = "the session's name is too long";
		return -ENAMETOOLONG;
	}
	strcpy(req->name + n, name);
	return 0;
}

const char *request_own(const char *name, uid_t uid)
{
	char begin[16];
	int n = prefix(begin, sizeof(begin), uid);

	return strncmp(name, begin, n) ? NULL : name + n;
}
