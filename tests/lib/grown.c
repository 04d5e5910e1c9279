// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program of version 0.1: built with the header of then (continuo-0.1.h), run with the
 * shared library of now, and with one whose structures have more members. What lies behind
 * its own structures stays as it is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
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

/* The kernel, to the library: two HWPTs differ at an IOVA. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == UIO_HWPT_VERIFY) {
		struct uio_hwpt_verify *verify = arg;

		verify->out_result = UIO_DIFFERS;
		verify->out_iova = 0x7000;
		verify->out_restored = (struct uio_translation){ .flags = 1, .address = 0x1000 };
		verify->out_rebuilt = (struct uio_translation){ .flags = 1, .address = 0x2000 };
	} else if (request == UIO_HWPT_ADOPT) {
		struct uio_hwpt_adopt *adopt = arg;

		adopt->out_result = UIO_DIFFERS | UIO_MORE;
		adopt->out_iova = 0x7000;
		adopt->out_restored = (struct uio_translation){ .flags = 1, .address = 0x1000 };
		adopt->out_rebuilt = (struct uio_translation){};
	} else {
		return -1;
	}
	return 0;
}

static void untouched(const unsigned char *behind, size_t size, const char *what)
{
	for (size_t i = 0; i < size; i++) {
		if (behind[i] == 0xa5)
			continue;
		expect(0, what);
		return;
	}
}

static void differences(struct continuo *ctx)
{
	struct {
		struct continuo_difference diff;
		unsigned char behind[64];
	} d;
	uint32_t hwpt;

	memset(&d, 0xa5, sizeof(d));
	expect(continuo_hwpt_verify(ctx, 0, 1, 2, &d.diff) == -EILSEQ, "continuo_hwpt_verify");
	expect(d.diff.differs == 1 && !d.diff.sizes_differ && !d.diff.more && d.diff.iova == 0x7000 &&
	       d.diff.was == 0x1000 && d.diff.is == 0x2000, "the difference");
	untouched(d.behind, sizeof(d.behind), "behind the difference");
	memset(&d, 0xa5, sizeof(d));
	expect(continuo_hwpt_adopt(ctx, 0, 1, 2, 3, 0, &hwpt, &d.diff) == -EILSEQ, "continuo_hwpt_adopt");
	expect(d.diff.differs == 1 && d.diff.more == 1 && d.diff.was == 0x1000 && d.diff.is == ~0ull,
	       "the difference of an adoption");
	untouched(d.behind, sizeof(d.behind), "behind the difference of an adoption");
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
	untouched(o.behind, sizeof(o.behind), "behind the order");
	expect(!continuo_answer(ctx, fd, &o.order, NULL), "continuo_answer");
	waitpid(pid, &status, 0);
	expect(!status, "the agent");
	differences(ctx);
	continuo_free(ctx);
	unlink(argv[1]);
	return failed;
}
