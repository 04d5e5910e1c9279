// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program of version 0.1: built with the header of then (continuo-0.1.h), run with the
 * shared library of now. What lies behind its structures stays as it is.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "continuo-0.1.h"

static int failed;

static void expect(int ok, const char *what)
{
	if (!ok)
		printf("FAIL %s\n", what);
	failed |= !ok;
}

static void hear(void *arg, const struct continuo_heard *heard)
{
	int *n = arg;

	*n += !strcmp(heard->name, "a") && !strcmp(heard->state, "idle") && heard->us == 7;
}

/* An agent of now: it says its version, and more than 0.1 knows. */
static void agent(int listener)
{
	static const struct {
		const char *asked, *said[4];
	} talk[] = {
		{ "hello ", { "version 9 of-tomorrow", "ok\n" } },
		{ "vms", { "weather fine today", "vm a idle 7 ", "ok\n" } },
	};
	int client = accept(listener, NULL, NULL), vm;
	char text[512];

	for (unsigned int i = 0; i < 2; i++) {
		ssize_t n = recv(client, text, sizeof(text) - 1, 0);

		text[n < 0 ? 0 : n] = 0;
		if (strncmp(text, talk[i].asked, strlen(talk[i].asked)))
			_exit(1);
		for (unsigned int j = 0; j < 4 && talk[i].said[j]; j++)
			send(client, talk[i].said[j], strlen(talk[i].said[j]), 0);
	}
	vm = accept(listener, NULL, NULL);
	if (recv(vm, text, sizeof(text), 0) <= 0)
		_exit(1);
	send(vm, "ok\n", 3, 0);
	send(vm, "dance 1 5 how=well", 18, 0);
	send(vm, "preserve 2 5 color=red", 22, 0);
	/* What became of the dance, and of the order. */
	for (int i = 0; i < 2; i++)
		recv(vm, text, sizeof(text), 0);
	_exit(0);
}

int main(int argc, char **argv)
{
	struct {
		struct continuo_order order;
		unsigned char behind[64];
	} o;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), heard = 0, status = 1, fd;
	struct continuo *ctx;
	pid_t pid;

	if (argc != 2)
		return 2;
	strncpy(addr.sun_path, argv[1], sizeof(addr.sun_path) - 1);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 4) || continuo_new(&ctx))
		return 2;
	pid = fork();
	if (!pid)
		agent(listener);
	expect(!continuo_agent(ctx, argv[1]), "continuo_agent");
	expect(!continuo_update_vms(ctx, hear, &heard) && heard == 1, "continuo_update_vms");
	fd = continuo_register(ctx, "a");
	expect(fd >= 0, "continuo_register");
	memset(&o, 0xa5, sizeof(o));
	expect(!continuo_order(ctx, fd, &o.order), "continuo_order");
	expect(o.order.want == CONTINUO_WANT_PRESERVE && o.order.number == 2 && o.order.timeout_ms == 5, "the order");
	for (unsigned int i = 0; i < sizeof(o.behind); i++)
		expect(o.behind[i] == 0xa5, "behind the order");
	expect(!continuo_answer(ctx, fd, &o.order, NULL), "continuo_answer");
	waitpid(pid, &status, 0);
	expect(!status, "the agent");
	continuo_free(ctx);
	unlink(argv[1]);
	return failed;
}
