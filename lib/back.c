// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
/* The way back: docs/way-back.md has it. A VM is ready first, and moves once that is confirmed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi.h"
#include "internal.h"

#define KERNEL	"/sys/kernel"
#define BACK	KERNEL "/liveupdate_back/"

int continuo_back(struct continuo *ctx)
{
	static const char *const states[] = {
		[CONTINUO_BACK_NONE] = "none", [CONTINUO_BACK_ARMED] = "armed",
		[CONTINUO_BACK_CONFIRMED] = "confirmed", [CONTINUO_BACK_CAME] = "came-back",
	};
	int fd = open(BACK "state", O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	ssize_t n;

	if (fd < 0 && errno == ENOENT && !access(KERNEL "/", F_OK))
		return CONTINUO_BACK_NONE;
	if (fd < 0)
		return fail(ctx, -errno, BACK "state: %s", strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	text[strcspn(text, "\n")] = 0;
	for (int i = 0; i < (int)(sizeof(states) / sizeof(states[0])); i++)
		if (!strcmp(states[i], text))
			return i;
	return fail(ctx, -EPROTO, BACK "state: it says '%s', which is of another version", text);
}

/* The kernel's name of a session, which has the user's id in front. */
static int name_of(struct continuo *ctx, int session, char name[ULU_NAME_LEN])
{
	struct ulu_name arg = { .size = sizeof(arg) };

	if (ioctl(session, ULU_GET_NAME, &arg))
		return fail(ctx, -errno, "the session's name cannot be read: %s", strerror(errno));
	memcpy(name, arg.name, ULU_NAME_LEN);
	name[ULU_NAME_LEN - 1] = 0;
	return 0;
}

int continuo_ready(struct continuo *ctx, int session)
{
	int back = continuo_back(ctx), ret;
	char name[ULU_NAME_LEN];

	if (back >= 0 && back != CONTINUO_BACK_ARMED)
		return 0;
	/* Who cannot see it leaves it to the agent. */
	if (ctx->agent < 0)
		return back < 0 ? 0 : fail(ctx, -EBUSY, "this kernel can still go back, and there is no agent to wait with: continuo_confirm() once all VMs of the host are ready");
	ret = name_of(ctx, session, name);
	if (!ret)
		ret = wait_with_agent(ctx, "ready", name);
	/* One that does not know of it has no way back to confirm. */
	return ret == -EOPNOTSUPP && back < 0 ? 0 : ret;
}

int continuo_confirm(struct continuo *ctx)
{
	int fd, ret;

	if (ctx->agent >= 0)
		return ask_agent_for(ctx, "confirm");
	fd = open(BACK "confirm", O_WRONLY | O_CLOEXEC);
	ret = fd < 0 || write(fd, "1", 1) != 1 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (ret == -ENOENT)
		return fail(ctx, ret, "there is no way back that could be given up");
	return ret ? fail(ctx, ret, BACK "confirm: %s", strerror(-ret)) : 0;
}
