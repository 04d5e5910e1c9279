// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is asked of the agent, of whom, and what becomes of it.
 *
 *   run               all of it
 *   run --corpus DIR  write each request into a file of DIR, for the fuzzer
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

#define X10	"xxxxxxxxxx"
#define X60	X10 X10 X10 X10 X10 X10

static const struct {
	const char *message;
	size_t size;		/* 0: of the text */
	uid_t uid;
	int ret;
	enum verb verb;
	const char *name;	/* or a part of the reason */
	uint32_t number;
	const char *text;
} tries[] = {
	{ "create vm", 0, 0, 0, VERB_CREATE, "vm" },
	{ "create vm", 0, 1000, 0, VERB_CREATE, "u1000.vm" },
	{ "retrieve A.b_c-9", 0, 4294967294u, 0, VERB_RETRIEVE, "u4294967294.A.b_c-9" },
	{ "release u1000.vm", 0, 0, 0, VERB_RELEASE, "u1000.vm" },
	{ "retrieve u1000.vm", 0, 1001, 0, VERB_RETRIEVE, "u1001.u1000.vm" },
	{ "list", 0, 1000, 0, VERB_LIST, "" },
	{ "list vm", 0, 0, -EBADMSG, 0, "nothing follows" },
	{ "list ", 0, 0, -EBADMSG, 0, "nothing follows" },
	{ "", 0, 0, -EBADMSG, 0, "1 to 512 bytes" },
	{ "create vm\0x", 11, 0, -EBADMSG, 0, "1 to 512 bytes" },
	{ "failed 1 " X60 X60 X60 X60 X60 X60 X60 X60 X60, 0, 0, -EBADMSG, 0, "1 to 512 bytes" },
	{ "Create vm", 0, 0, -EBADMSG, 0, "begins with a verb" },
	{ "register vm", 0, 1000, 0, VERB_REGISTER, "u1000.vm" },
	{ "register " OWN_SESSION, 0, 0, -EINVAL, 0, "agent's own" },
	{ "create systemd", 0, 0, -EINVAL, 0, "systemd's" },
	{ "create systemd", 0, 1000, 0, VERB_CREATE, "u1000.systemd" },
	{ "release " OWN_SESSION, 0, 0, -EINVAL, 0, "agent's own" },
	{ "create " OWN_SESSION, 0, 1000, 0, VERB_CREATE, "u1000." OWN_SESSION },
	{ "done 1", 0, 1000, 0, VERB_DONE, "", 1 },
	{ "done 4294967295", 0, 1000, 0, VERB_DONE, "", 4294967295u },
	{ "done 4294967296", 0, 1000, -EINVAL, 0, "a number" },
	{ "done 0", 0, 1000, -EINVAL, 0, "a number" },
	{ "done -1", 0, 1000, -EINVAL, 0, "a number" },
	{ "done", 0, 1000, -EINVAL, 0, "a number" },
	{ "done 1x", 0, 1000, -EINVAL, 0, "a number" },
	{ "done 1 x", 0, 1000, -EBADMSG, 0, "nothing follows" },
	{ "failed 7 no room", 0, 1000, 0, VERB_FAILED, "", 7, "no room" },
	{ "failed 7", 0, 1000, -EINVAL, 0, "printable" },
	{ "failed 7 a\033[2J", 0, 1000, -EINVAL, 0, "printable" },
	{ "update", 0, 0, 0, VERB_UPDATE, "" },
	{ "update", 0, 1000, -EPERM, 0, "only root" },
	{ "preserve 1000", 0, 0, 0, VERB_PRESERVE, "", 1000 },
	{ "preserve 1000 u1000.vm", 0, 0, 0, VERB_PRESERVE, "u1000.vm", 1000 },
	{ "preserve 1000 u1000.vm", 0, 1000, -EPERM, 0, "only root" },
	{ "preserve 3600001", 0, 0, -EINVAL, 0, "3600000" },
	{ "suspend vm", 0, 0, -EINVAL, 0, "a number" },
	{ "undo 5 a b", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "leave u1000.vm", 0, 0, 0, VERB_LEAVE, "u1000.vm" },
	{ "leave", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "seal", 0, 1, -EPERM, 0, "only root" },
	{ "vms", 0, 0, 0, VERB_VMS, "" },
	{ "create", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create ", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create  vm", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create vm\n", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create .vm", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "register -x", 0, 1000, -EINVAL, 0, "letters, digits" },
	{ "create ../vm", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create v\xc3\xa4", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "create " X60 "xxx", 0, 0, 0, VERB_CREATE, X60 "xxx" },
	{ "create " X60 "xxxx", 0, 0, -ENAMETOOLONG, 0, "too long" },
	{ "create " X60 "xxx", 0, 1, -ENAMETOOLONG, 0, "too long" },
};

static int failed;

static void expect(int ok, const char *what, const char *found)
{
	if (ok)
		return;
	failed++;
	printf("FAIL %s: %s\n", what, found);
}

static void save(const char *folder, unsigned int i, size_t size)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%u", folder, i);
	f = fopen(path, "wb");
	if (!f || fwrite(tries[i].message, 1, size, f) != size || fclose(f)) {
		perror(path);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned int n = sizeof(tries) / sizeof(tries[0]);

	for (unsigned int i = 0; i < n; i++) {
		size_t size = tries[i].size ? tries[i].size : strlen(tries[i].message);
		const char *why = "";
		struct request req;
		int ret;

		if (argc == 3)
			save(argv[2], i, size);
		ret = request_parse(tries[i].message, size, tries[i].uid, &req, &why);
		expect(ret == tries[i].ret, tries[i].message, strerror(-ret));
		if (ret)
			expect(!!strstr(why, tries[i].name), tries[i].message, why);
		else
			expect(req.verb == tries[i].verb && !strcmp(req.name, tries[i].name) &&
			       req.number == tries[i].number && !strcmp(req.text, tries[i].text ?: ""),
			       tries[i].message, req.name);
	}
	expect(!strcmp(request_own("u1000.vm", 1000), "vm"), "own", "not his");
	expect(!request_own("u1000.vm", 100), "own of another", "his");
	expect(!request_own("u10000.vm", 1000), "own of another", "his");
	expect(!strcmp(request_own("u1000.vm", 0), "u1000.vm"), "own of root", "not his");
	printf("%s: %u requests, %d failed\n", failed ? "FAIL" : "ok", n, failed);
	return !!failed;
}
