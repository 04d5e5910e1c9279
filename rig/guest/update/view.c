// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel shows of a live update, passed on to the referee in pieces: events
 * "view" with the text, then one "viewed". With the option view=1 that is done at each
 * step of an update, too; with view=both, debugfs goes along. With reader=1 another
 * process reads it all the time, from the first step on in each kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
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
#include "update/view.h"

#define VIEW_NODE	"/dev/liveupdate-view"
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

static ssize_t emit_file(const char *at, const char *name, const char *path,
			 char *text)
{
	ssize_t len = read_file(path, text, VIEW_MAX);

	for (ssize_t from = 0; from < len; from += PIECE)
		emit_piece(at, name, text + from,
			   len - from < PIECE ? len - from : PIECE);
	return len;
}

void view_emit(const char *at)
{
	bool both = !strcmp(opt("view", ""), "both");
	char *text = malloc(VIEW_MAX);
	ssize_t view, outgoing = 0, incoming = 0;
	struct stat st = {};

	if (!text)
		die("allocate memory for a view");
	view = emit_file(at, "view", VIEW_NODE, text);
	if (both) {
		outgoing = emit_file(at, "outgoing", VIEW_DIR "/outgoing", text);
		incoming = emit_file(at, "incoming", VIEW_DIR "/incoming", text);
	}
	free(text);
	stat(VIEW_NODE, &st);
	emit("viewed", ",\"at\":\"%s\",\"view\":%zd,\"outgoing\":%zd,\"incoming\":%zd,\"mode\":%u",
	     at, view, outgoing, incoming, st.st_mode & 07777);
}

/* Shared with the process that reads all the time; NULL if there is none. */
static struct reader {
	unsigned long reads, bad, busy, changing, torn;
	pid_t pid;
} *reader;

/* The value of a key, up to its end; NULL if the line does not have it. */
static const char *value(const char *line, const char *key)
{
	const char *end = line + strcspn(line, "\n"), *at = strstr(line, key);

	return at && at < end ? at + strlen(key) : NULL;
}

/*
 * Does the text agree with itself? As many files are listed as their sessions say that
 * they have, and the device of each is there. Sessions come and go, and the devices are
 * listed after them: a text that is not of one moment has one without the other.
 */
static bool agrees(const char *text)
{
	long files[2] = {}, listed[2] = {};

	for (const char *line = text; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *of = value(line, " kernel="), *at;
		char device[64];
		bool in = of && *of == 'i';

		if (!strncmp(line, "session ", 8) &&
		    !value(line, " state=not-read") && (at = value(line, " files=")))
			files[in] += strtol(at, NULL, 10);
		if (strncmp(line, "file ", 5))
			continue;
		listed[in]++;
		at = value(line, " device=");
		if (!at)
			continue;
		snprintf(device, sizeof(device), "\ndevice kernel=%s bdf=%.*s ",
			 in ? "incoming" : "outgoing", (int)strcspn(at, " \n"), at);
		if (!strstr(text, device))
			return false;
	}
	return files[0] == listed[0] && files[1] == listed[1];
}

static void read_one(char *text)
{
	ssize_t len = read_file(VIEW_NODE, text, VIEW_MAX);

	if (len < 9 || memcmp(text, "format=1\n", 9) || text[len - 1] != '\n')
		reader->bad++;
	else if (strstr(text, "\nview state=changing"))
		reader->changing++;
	else if (!agrees(text))
		reader->torn++;
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
		read_one(text);
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
	emit("reader", ",\"reads\":%lu,\"bad\":%lu,\"busy\":%lu,\"changing\":%lu,\"torn\":%lu",
	     reader->reads, reader->bad, reader->busy, reader->changing,
	     reader->torn);
	munmap(reader, sizeof(*reader));
	reader = NULL;
}

void view_step(const char *at)
{
	if (strcmp(opt("view", "0"), "0"))
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

/* --- who may see it --- */

#define USER		1000
#define MONITORS	4

/* Has /dev/liveupdate open until it is ended; 0, or the errno of that. */
static int hold_device(pid_t *pid)
{
	int err = -1, channel[2];

	if (pipe(channel))
		die("make a pipe: %s", strerror(errno));
	*pid = fork();
	if (*pid < 0)
		die("fork: %s", strerror(errno));
	if (!*pid) {
		err = open("/dev/liveupdate", O_RDWR) < 0 ? errno : 0;
		if (write(channel[1], &err, sizeof(err)) != sizeof(err))
			_exit(1);
		for (;;)
			pause();
	}
	if (read(channel[0], &err, sizeof(err)) != sizeof(err))
		die("ask who holds /dev/liveupdate");
	close(channel[0]);
	close(channel[1]);
	return err;
}

static void emit_as(const char *at, gid_t group)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(group, group, group) ||
		    setresuid(USER, USER, USER))
			_exit(1);
		view_emit(at);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* A session that is made between two reads: is it in the rest of the text, and in the next? */
static void emit_kept(void)
{
	char *text = calloc(1, VIEW_MAX);
	int fd = open(VIEW_NODE, O_RDONLY | O_CLOEXEC), session;
	bool rest, next;

	if (!text || fd < 0 || pread(fd, text, 16, 0) != 16)
		die("read %s: %s", VIEW_NODE, strerror(errno));
	session = luo_session_create("between");
	rest = pread(fd, text + 16, VIEW_MAX - 17, 16) < 1 || strstr(text, "\"between\"");
	memset(text, 0, VIEW_MAX);
	next = pread(fd, text, VIEW_MAX - 1, 0) > 0 && strstr(text, "\"between\"");
	close(session);
	close(fd);
	free(text);
	emit("kept", ",\"session\":%d,\"rest\":%d,\"next\":%d", session >= 0, rest, next);
}

void view_others(void)
{
	int held, second, debugfs, node, written;
	pid_t pid;

	held = hold_device(&pid);
	second = open("/dev/liveupdate", O_RDWR) < 0 ? errno : 0;
	debugfs = access(VIEW_DIR, F_OK) ? errno : 0;
	view_emit("held");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	node = open(VIEW_NODE, O_RDWR | O_CLOEXEC);
	written = write(node, "x", 1) < 0 ? errno : 0;
	close(node);
	emit("others", ",\"held\":%d,\"second\":%d,\"debugfs\":%d,\"written\":%d",
	     held, second, debugfs, written);
	if (chown(VIEW_NODE, 0, MONITORS))
		die("give %s to a group: %s", VIEW_NODE, strerror(errno));
	emit_as("member", MONITORS);
	emit_as("stranger", USER);
	emit_kept();
}
