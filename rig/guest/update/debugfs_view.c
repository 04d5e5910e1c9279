// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel shows of a live update in debugfs, passed on to the referee
 * in pieces: events "view" with the text of a file, then one "viewed". With the
 * option view=1 that is done at each step of an update, too. With reader=1 another
 * process reads both files all the time, from the first step on in each kernel.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "interfaces/luo.h"
#include "update/debugfs_view.h"

#define VIEW_DIR	"/sys/kernel/debug/liveupdate"
/* Bytes of a file in one event, which has room for each as \u00xx. */
#define PIECE		512
#define VIEW_MAX	(256 * 1024)

static void emit_piece(const char *at, const char *name, const char *text,
		       size_t len)
{
	char quoted[PIECE * 6 + 1];
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
			quoted[used++] = c;
		else
			used += sprintf(quoted + used, "\\u%04x", c);
	}
	quoted[used] = 0;
	emit("view", ",\"at\":\"%s\",\"file\":\"%s\",\"text\":\"%s\"", at, name,
	     quoted);
}

static ssize_t emit_file(const char *at, const char *name, char *text)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), VIEW_DIR "/%s", name);
	len = read_file(path, text, VIEW_MAX);
	for (ssize_t from = 0; from < len; from += PIECE)
		emit_piece(at, name, text + from,
			   len - from < PIECE ? len - from : PIECE);
	return len;
}

void view_emit(const char *at)
{
	char *text = malloc(VIEW_MAX);
	struct stat st = {};
	ssize_t outgoing, incoming;

	if (!text)
		die("allocate memory for a view");
	outgoing = emit_file(at, "outgoing", text);
	incoming = emit_file(at, "incoming", text);
	free(text);
	stat(VIEW_DIR "/incoming", &st);
	emit("viewed", ",\"at\":\"%s\",\"outgoing\":%zd,\"incoming\":%zd,\"mode\":%u",
	     at, outgoing, incoming, st.st_mode & 07777);
}

/* Shared with the process that reads all the time; NULL if there is none. */
static struct reader {
	unsigned long reads, bad, busy;
	pid_t pid;
} *reader;

static void read_one(const char *path, char *text)
{
	ssize_t len = read_file(path, text, VIEW_MAX);

	if (len < 9 || memcmp(text, "format=1\n", 9) || text[len - 1] != '\n')
		reader->bad++;
	if (len > 0 && strstr(text, " state=busy"))
		reader->busy++;
	__atomic_add_fetch(&reader->reads, 1, __ATOMIC_SEQ_CST);
}

static void __attribute__((noreturn)) read_on(void)
{
	char *text = malloc(VIEW_MAX);

	/* Only the parent is to hold what is preserved. */
	close_range(3, ~0U, 0);
	if (!text)
		_exit(1);
	for (;;) {
		read_one(VIEW_DIR "/outgoing", text);
		read_one(VIEW_DIR "/incoming", text);
		usleep(1000);
	}
}

static void reader_start(void)
{
	pid_t pid;

	reader = mmap(NULL, sizeof(*reader), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reader == MAP_FAILED)
		die("map memory for a reader: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		read_on();
	reader->pid = pid;
	/* It has no file of ours any more once it reads. */
	while (!__atomic_load_n(&reader->reads, __ATOMIC_SEQ_CST))
		usleep(1000);
}

void view_reader(void)
{
	int status;

	if (!reader) {
		reader_start();
		return;
	}
	kill(reader->pid, SIGKILL);
	waitpid(reader->pid, &status, 0);
	emit("reader", ",\"reads\":%lu,\"bad\":%lu,\"busy\":%lu",
	     reader->reads, reader->bad, reader->busy);
	munmap(reader, sizeof(*reader));
	reader = NULL;
}

void view_step(const char *at)
{
	if (opt_num("view", 0))
		view_emit(at);
	if (opt_num("reader", 0) && !reader)
		reader_start();
}

/* All that a name may have in it. */
#define ODD_NAME	"a \"b\" \\c\n\303\274=\377"

/* Makes the session for whoever shares its descriptors, and stays. */
static void __attribute__((noreturn)) holder(int out)
{
	int fd;

	prctl(PR_SET_NAME, "holder x");
	fd = luo_session_create(ODD_NAME);
	if (write(out, &fd, sizeof(fd)) != sizeof(fd))
		_exit(1);
	for (;;)
		pause();
}

void view_holder(void)
{
	int fd = -1, channel[2];
	pid_t pid;

	if (pipe(channel))
		die("make a pipe: %s", strerror(errno));
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone: %s", strerror(errno));
	if (!pid)
		holder(channel[1]);
	if (read(channel[0], &fd, sizeof(fd)) != sizeof(fd) || fd < 0)
		die("create the session of another process: %d", fd);
	emit("holder", ",\"pid\":%d", pid);
	view_emit("held");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	view_emit("orphaned");
	close(fd);
	close(channel[0]);
	close(channel[1]);
	view_emit("closed");
}
