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
	bool leave_silent;
	const char *only;
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
	{ "Create vm", 0, 0, -EOPNOTSUPP, 0, "does not know the verb" },
	{ "dance 1", 0, 1000, -EOPNOTSUPP, 0, "does not know the verb" },
	{ "hello 7", 0, 1000, 0, VERB_HELLO, "", 7 },
	{ "hello", 0, 1000, -EINVAL, 0, "a number" },
	{ "create vm color=red", 0, 1000, 0, VERB_CREATE, "u1000.vm" },
	{ "done 1 files=3 x-y=", 0, 1000, 0, VERB_DONE, "", 1 },
	{ "register vm process=77", 0, 1000, 0, VERB_REGISTER, "u1000.vm" },
	{ "register vm kept=1", 0, 1000, 0, VERB_REGISTER, "u1000.vm" },
	{ "register vm process=x", 0, 1000, 0, VERB_REGISTER, "u1000.vm" },
	{ "list x=1", 0, 1000, 0, VERB_LIST, "" },
	{ "list X=1", 0, 1000, -EBADMSG, 0, "nothing follows" },
	{ "list =1", 0, 1000, -EBADMSG, 0, "nothing follows" },
	{ "failed 7 a=b", 0, 1000, 0, VERB_FAILED, "", 7, "a=b" },
	{ "go 1000", 0, 0, 0, VERB_GO, "", 1000 },
	{ "go 1000 silent=leave later=1", 0, 0, 0, VERB_GO, "", 1000, "", true },
	{ "go 1000", 0, 1000, -EPERM, 0, "only root" },
	{ "go", 0, 0, -EINVAL, 0, "a number" },
	{ "attach", 0, 1000, -EPERM, 0, "only root" },
	{ "attach", 0, 0, 0, VERB_ATTACH, "" },
	{ "abort", 0, 1000, -EPERM, 0, "only root" },
	{ "abort", 0, 0, 0, VERB_ABORT, "" },
	{ "running", 0, 1000, -EPERM, 0, "only root" },
	{ "running", 0, 0, 0, VERB_RUNNING, "" },
	{ "confirm", 0, 1000, -EPERM, 0, "only root" },
	{ "confirm", 0, 0, 0, VERB_CONFIRM, "" },
	/* by the whole name, as the kernel has it */
	{ "ready vm", 0, 0, 0, VERB_READY, "vm" },
	{ "ready u1000.vm", 0, 1000, 0, VERB_READY, "u1000.vm" },
	{ "ready u1000.vm", 0, 0, 0, VERB_READY, "u1000.vm" },
	{ "ready vm", 0, 1000, -EPERM, 0, "another user's" },
	{ "ready u1001.vm", 0, 1000, -EPERM, 0, "another user's" },
	{ "ready u1000.vm", 0, 1000, -EPERM, 0, "can name no other", 0, "", false, "u1000.other" },
	{ "ready", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "leave /mnt/nfs", 0, 0, 0, VERB_LEAVE, "", 0, "/mnt/nfs" },
	{ "leave /mnt\033", 0, 0, -EINVAL, 0, "printable" },
	{ "leave /mnt/a\\040b=c", 0, 0, 0, VERB_LEAVE, "", 0, "/mnt/a\\040b=c" },
	{ "leave /mnt/\303\274", 0, 0, -EINVAL, 0, "written as \\303" },
	{ "leave a@1.service", 0, 0, 0, VERB_LEAVE, "", 0, "a@1.service" },
	{ "leave dev-a\\x2db.swap", 0, 0, 0, VERB_LEAVE, "", 0, "dev-a\\x2db.swap" },
	{ "leave a b.service", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "leave a.service", 0, 1000, -EPERM, 0, "only root" },
	{ "services 1000", 0, 0, 0, VERB_SERVICES, "", 1000 },
	{ "services 1000", 0, 1000, -EPERM, 0, "only root" },
	{ "services", 0, 0, -EINVAL, 0, "a number" },
	{ "create /mnt", 0, 0, -EINVAL, 0, "letters, digits" },
	{ "connect vm", 0, 0, 0, VERB_CONNECT, "vm" },
	{ "connect vm", 0, 1000, 0, VERB_CONNECT, "u1000.vm" },
	{ "connect", 0, 0, 0, VERB_CONNECT, "" },
	/* of a connection that was made for one VM */
	{ "create vm", 0, 0, 0, VERB_CREATE, "vm", 0, "", false, "vm" },
	{ "register vm", 0, 0, 0, VERB_REGISTER, "vm", 0, "", false, "vm" },
	{ "create other", 0, 0, -EPERM, 0, "can name no other", 0, "", false, "vm" },
	{ "release u1000.vm", 0, 0, -EPERM, 0, "can name no other", 0, "", false, "vm" },
	{ "update", 0, 0, -EPERM, 0, "only root", 0, "", false, "vm" },
	{ "connect other", 0, 0, -EPERM, 0, "can name no other", 0, "", false, "vm" },
	{ "create vm", 0, 1000, 0, VERB_CREATE, "u1000.vm", 0, "", false, "u1000.vm" },
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
		struct peer peer = { .uid = tries[i].uid };
		struct request req;
		int ret;

		strcpy(peer.only, tries[i].only ?: "");
		if (argc == 3)
			save(argv[2], i, size);
		ret = request_parse(tries[i].message, size, &peer, &req, &why);
		expect(ret == tries[i].ret, tries[i].message, strerror(-ret));
		if (ret)
			expect(!!strstr(why, tries[i].name), tries[i].message, why);
		else
			expect(req.verb == tries[i].verb && !strcmp(req.name, tries[i].name) &&
			       req.number == tries[i].number && req.leave_silent == tries[i].leave_silent &&
			       req.kept == !!strstr(tries[i].message, " kept=1") && !strcmp(req.text, tries[i].text ?: ""),
			       tries[i].message, req.name);
	}
	expect(!strcmp(request_own("u1000.vm", 1000), "vm"), "own", "not his");
	expect(!request_own("u1000.vm", 100), "own of another", "his");
	expect(request_user("u1000.vm") == 1000 && request_user("u4294967294.vm") == 4294967294u, "user", "not his");
	expect(!request_user("vm") && !request_user("u0.vm") && !request_user("u01.vm") && !request_user("u4294967296.vm") &&
	       !request_user("u-1.vm") && !request_user("u.vm") && !request_user("u1000") && !request_user("u1000vm.x"), "user", "somebody's");
	expect(!request_own("u10000.vm", 1000), "own of another", "his");
	expect(!strcmp(request_own("u1000.vm", 0), "u1000.vm"), "own of root", "not his");
	printf("%s: %u requests, %d failed\n", failed ? "FAIL" : "ok", n, failed);
	return !!failed;
}
