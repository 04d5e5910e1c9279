// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "give.h"
#include "keep.h"
#include "say.h"
#include "sock.h"
#include "state.h"
#include "stream.h"

#define LOOK_US		50000	/* how often it is looked whether the new QEMU lives */

static void describe_end(int status)
{
	if (WIFSIGNALED(status))
		fail("the new QEMU was ended by signal %d", WTERMSIG(status));
	else
		fail("the new QEMU has ended with %d; its messages say why", WEXITSTATUS(status));
}

/* False with why() if the new QEMU has ended. */
static bool lives(struct giving *g)
{
	int status;

	if (waitpid(g->pid, &status, WNOHANG) != g->pid)
		return true;
	g->pid = 0;
	describe_end(status);
	return false;
}

void give_stop(struct giving *g, struct vm *vm)
{
	qmp_close(&vm->qmp);
	if (!g->pid)
		return;
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
	g->pid = 0;
}

int give_start(struct giving *g, struct vm *vm)
{
	struct args line;

	args_copy(&line, vm->line.v);
	/* Of an earlier one, which nobody listens at. */
	unlink(vm_path(vm, "qmp"));
	unlink(vm_path(vm, "cpr"));
	unlink(vm_path(vm, "main"));
	if (args_add_qmp(&line, vm_path(vm, "qmp")) ||
	    args_add_incoming(&line, vm_path(vm, "cpr"), vm_path(vm, "main"))) {
		args_free(&line);
		return -1;
	}
	g->pid = keep_start(g->description.all, &line);
	args_free(&line);
	if (g->pid < 0) {
		g->pid = 0;
		return -1;
	}
	say("start", "%s, process %d", vm->line.v[0], g->pid);
	return 0;
}

static int dial(struct giving *g, const char *path, uint64_t until)
{
	for (;;) {
		uint64_t look = now_us() + LOOK_US;
		int fd = sock_dial(path, look < until ? look : until);

		if (fd >= 0 || !lives(g))
			return fd;
		if (!left_ms(until))
			return fail("the new QEMU does not listen at %s in time", path);
	}
}

/* Until it is readable, or the new QEMU has ended. */
static int wait_word(struct giving *g, int fd, const char *what, uint64_t until)
{
	for (;;) {
		uint64_t look = now_us() + LOOK_US;

		if (wait_readable(fd, look < until ? look : until))
			return 0;
		if (!lives(g))
			return -1;
		if (!left_ms(until))
			return fail("the new QEMU has not %s in time", what);
	}
}

static int give_channel(struct giving *g, struct vm *vm, uint64_t until)
{
	int fd = dial(g, vm_path(vm, "cpr"), until), ret = 0;
	size_t at = 0;
	char byte;

	if (fd < 0)
		return -1;
	for (unsigned int i = 0; i < g->channel.fds && !ret; i++) {
		size_t carries = g->channel.fd[i].at;

		ret = sock_send(fd, g->bytes + at, carries - at, until) ?:
		      sock_send_fd(fd, g->bytes[carries], g->fd[i], until);
		at = carries + 1;
	}
	if (!ret)
		ret = sock_send(fd, g->bytes + at, g->size - at, until);
	if (!ret) {
		shutdown(fd, SHUT_WR);
		/* It closes the channel when it listens for the stream. */
		ret = wait_word(g, fd, "taken the CPR channel", until);
		if (!ret && recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
			ret = fail("the new QEMU answers where it is not to");
	}
	close(fd);
	if (!ret)
		say("given", "%zu bytes, %u descriptors", g->size, g->channel.fds);
	return ret;
}

/* It has opened its memory when it has taken the channel: the files that were preserved? */
static int check_backings(const struct giving *g)
{
	for (int i = 0; i < g->description.backing.n; i++) {
		const struct backing *b = &g->description.backing.of[i];
		int open = backing_is_open(g->pid, g->backing[i]);

		if (open < 0)
			return fail("memory \"%s\": whether the new QEMU has %s open cannot be seen: %s", b->id, b->path, why());
		if (!open)
			return fail("memory \"%s\": the new QEMU has opened another file than the one that was preserved as %s; give that its name back",
				    b->id, b->path);
	}
	return 0;
}

/* What it says at the end of the stream. */
static int hear_word(struct giving *g, int fd, uint64_t until)
{
	uint8_t bytes[256];
	size_t n = 0, used;

	for (;;) {
		ssize_t k;

		if (wait_word(g, fd, "taken the stream", until))
			return -1;
		k = recv(fd, bytes + n, sizeof(bytes) - n, MSG_DONTWAIT);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (k <= 0)
			return fail("the new QEMU has closed the stream without a word; its messages say why");
		n += k;
		switch (stream_hear(bytes, n, &used)) {
		case STREAM_DONE:
			return 0;
		case STREAM_FAILED:
			return fail("the new QEMU refuses the stream; its messages say why");
		case STREAM_UNKNOWN:
			return fail("the new QEMU says on the way back what is not known");
		case STREAM_MORE:
			break;
		}
		memmove(bytes, bytes + used, n - used);
		n -= used;
	}
}

static int give_stream(struct giving *g, struct vm *vm, uint64_t until)
{
	int fd = dial(g, vm_path(vm, "main"), until), ret;

	if (fd < 0)
		return -1;
	ret = sock_send(fd, g->stream, g->stream_size, until) ?: hear_word(g, fd, until);
	close(fd);
	if (!ret)
		say("accepted", "%zu bytes", g->stream_size);
	return ret;
}

/* Virtual CPUs run on the processors that they had. */
static void pin(struct giving *g, struct vm *vm, uint64_t until)
{
	struct json_object *list = json_get(g->description.all, "virtual-processors"), *o;

	o = qmp_ask(&vm->qmp, until, "query-cpus-fast", NULL);
	for (size_t i = 0; i < json_length(o) && i < json_length(list); i++) {
		const char *text = json_object_get_string(json_at(list, i));
		long long thread = json_number(json_at(o, i), "thread-id", 0);

		if (thread > 0 && *text)
			keep_set_processors(thread, text);
	}
	json_object_put(o);
}

static int let_run(struct giving *g, struct vm *vm, uint64_t until)
{
	struct json_object *o;
	int ret;

	if (qmp_open(&vm->qmp, vm_path(vm, "qmp"), until, NULL))
		return -1;
	pin(g, vm, until);
	if (!g->description.ran) {
		say("running", "no: the VM was paused, and stays so");
		return 0;
	}
	ret = qmp_do(&vm->qmp, until, "cont", NULL);
	if (ret)
		return ret;
	o = qmp_ask(&vm->qmp, until, "query-status", NULL);
	if (!json_is_true(o, "running"))
		ret = fail("the new QEMU says that the VM is \"%s\"", json_text(o, "status"));
	json_object_put(o);
	if (!ret)
		say("running", "process %d", g->pid);
	return ret;
}

int give(struct giving *g, struct vm *vm, uint64_t until)
{
	char said[WHY_MOST];

	if (!g->pid && give_start(g, vm))
		return -1;
	if (!give_channel(g, vm, until) && !check_backings(g) && !give_stream(g, vm, until) && (!g->finish || !g->finish(g)) &&
	    !let_run(g, vm, until)) {
		vm->pid = g->pid;
		vm->child = true;
		vm->format = channel_format(vm->qmp.major, vm->qmp.minor);
		unlink(vm_path(vm, "cpr"));
		unlink(vm_path(vm, "main"));
		return 0;
	}
	strcpy(said, why());
	give_stop(g, vm);
	return fail("%s", said);
}

int give_again(struct vm *vm, uint64_t until)
{
	struct giving g = {
		.bytes = vm->suspended.bytes,
		.size = vm->suspended.size,
		.channel = vm->suspended.channel,
	};
	struct state_view view;
	char not[WHY_MOST];
	int ret;

	if (state_read(vm->at, vm->size, &view, not, sizeof(not)))
		return fail("%s", not);
	if (describe_read(view.part[STATE_DESCRIPTION], view.length[STATE_DESCRIPTION], &g.description))
		return -1;
	memcpy(g.fd, vm->suspended.fd, sizeof(g.fd));
	g.stream = view.part[STATE_STREAM];
	g.stream_size = view.length[STATE_STREAM];
	for (int i = 0; i < g.description.backing.n; i++)
		g.backing[i] = vm->backing.of[i].fd;
	ret = give(&g, vm, until);
	describe_free(&g.description);
	return ret;
}
