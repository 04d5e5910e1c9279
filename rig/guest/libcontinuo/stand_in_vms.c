// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo.h"
#include "core/end.h"
#include "libcontinuo/stand_in_vms.h"
#include "libcontinuo/updater.h"

static int preserve_memfd(struct continuo *ctx, const char *name, int *session)
{
	int fd = memfd_create("vm", MFD_ALLOW_SEALING), ret;

	if (fd < 0 || ftruncate(fd, 4096) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make a memfd: %s", strerror(errno));
	*session = continuo_session_create(ctx, name);
	ret = *session < 0 ? *session : continuo_preserve(ctx, *session, fd, 1);
	close(fd);
	return ret;
}

static void __attribute__((noreturn)) vm(const char *name, uid_t uid, enum manner manner, int ready)
{
	struct continuo *ctx = connect_as(uid);
	struct continuo_order order;
	int fd = continuo_register(ctx, name), session = -1, ret;

	if (fd < 0)
		die("register %s: %s", name, continuo_why(ctx));
	close(ready);
	for (;;) {
		const char *why = NULL;

		ret = continuo_order(ctx, fd, &order);
		if (ret)
			_exit(0);
		if (order.want == CONTINUO_WANT_UNDO) {
			if (session >= 0)
				close(session);
			session = -1;
			/* As it is to be: it can have been made after the agent undid it. */
			continuo_session_release(ctx, name);
		} else if (order.want == CONTINUO_WANT_PRESERVE) {
			if (manner == DIES)
				_exit(0);
			if (manner == LATE)
				usleep(2 * SHORT_MS * 1000);
			if (manner == FAILS)
				why = "there is no room";
			else if (preserve_memfd(ctx, name, &session))
				why = continuo_why(ctx);
		}
		continuo_answer(ctx, fd, &order, why);
	}
}

pid_t vm_begin(const char *name, uid_t uid, enum manner manner)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		/* Else its end would not be noticed. */
		continuo_free(updater);
		close(ready[0]);
		vm(name, uid, manner, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		die("%s does not begin", name);
	close(ready[0]);
	return pid;
}

void vm_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
