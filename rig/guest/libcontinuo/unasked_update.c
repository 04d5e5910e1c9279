// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "continuo.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/unasked_update.h"

#define TIMEOUT_MS	60000

static int load(void)
{
	static char line[4096];
	int kernel = open("/next/bzImage", O_RDONLY | O_CLOEXEC);
	int initrd = open("/next/initramfs", O_RDONLY | O_CLOEXEC), ret;

	if (kernel < 0 || initrd < 0 || read_file("/next/cmdline", line, sizeof(line)) < 0)
		die("the next kernel is not in /next");
	ret = syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line, 0ul) ? -errno : 0;
	close(kernel);
	close(initrd);
	return ret;
}

void update_unasked(void)
{
	struct continuo *ctx;
	const char *step = "load";
	int ret = load();

	if (continuo_new(&ctx))
		die("out of memory");
	if (!ret) {
		step = "agent";
		ret = continuo_agent(ctx, AGENT_SOCKET);
	}
	if (!ret) {
		step = "begin";
		ret = continuo_update_begin(ctx);
	}
	if (!ret) {
		step = "go";
		ret = continuo_update_go(ctx, TIMEOUT_MS, 0, NULL, NULL);
	}
	emit("unasked", ",\"step\":\"%s\",\"errno\":%d", step, -ret);
	continuo_free(ctx);
}
