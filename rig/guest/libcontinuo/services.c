// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "libcontinuo/ear.h"
#include "libcontinuo/services.h"

#define POLL_US	10000

/* In the order in which they end. */
static const char *const names[] = { "web", "database" };

static void say(const char *name, const char *state)
{
	emit("service", ",\"who\":\"%s\",\"state\":\"%s\"", name, state);
}

/* --- a service --- */

static void __attribute__((noreturn)) serve(const char *name)
{
	struct pollfd ear = { .fd = ear_open(name), .events = POLLIN };
	bool stubborn = false, stands = false, stays = false;
	char words[EAR_WORDS];

	say(name, "runs");
	for (;;) {
		poll(&ear, 1, -1);
		if (!ear_hear(ear.fd, words))
			continue;
		if (!strcmp(words, "end") && stubborn) {
			stubborn = false;
			stands = true;
			emit("stands", ",\"who\":\"%s\",\"at\":\"services\"", name);
			continue;
		}
		if (!strcmp(words, "stay")) {
			stays = stands;
			if (stays)
				say(name, "stays");
			continue;
		}
		if (strcmp(words, "end"))
			emit("heeded", ",\"who\":\"%s\",\"words\":\"%s\"", name, words);
		if (!strcmp(words, "at services")) {
			stubborn = true;
		} else if (stays) {
			stands = stays = false;
			say(name, "runs");
		} else {
			break;
		}
	}
	/* In this order: the next one is told to end when this one has no ear any more. */
	say(name, "ended");
	ear_close(name);
	_exit(0);
}

/* What the program holds as long as it runs; -1 if it does not. */
static int lock = -1;

static void start(const char *name)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return;
	close(lock);
	serve(name);
}

void services_begin(void)
{
	if (symlink("init", SERVICES_PROGRAM))
		die(SERVICES_PROGRAM ": %s", strerror(errno));
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		start(names[i]);
}

/* --- the program --- */

bool services_is(const char *name)
{
	return !strcmp(name, SERVICES_PROGRAM);
}

/* One of them runs at a time; it is over when the process is, however that ends. */
static void be_alone(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "\0services" };

	lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	while (lock < 0 || bind(lock, (struct sockaddr *)&addr, sizeof(addr))) {
		if (lock < 0 || errno != EADDRINUSE)
			die("services: %s", strerror(errno));
		usleep(POLL_US);
	}
}

static int end(const char *file)
{
	int fd;

	be_alone();
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %s", file, strerror(errno));
	close(fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		dprintf(1, "at %s\n", names[i]);
		ear_tell(names[i], "end");
		while (ear_is_there(names[i]))
			usleep(POLL_US);
	}
	dprintf(1, "done\n");
	return 0;
}

static int back(const char *file)
{
	be_alone();
	if (access(file, F_OK))
		return 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		/* One that still ends is told to stay. */
		if (ear_is_there(names[i]))
			ear_tell(names[i], "stay");
		else
			start(names[i]);
	}
	unlink(file);
	return 0;
}

int services_main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "end"))
		return end(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "back"))
		return back(argv[2]);
	die("services: %s?", argc > 1 ? argv[1] : "what");
}
