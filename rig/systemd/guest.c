// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs in a guest that has systemd as process 1:
 *
 *   /init           unpacks /root.cpio into a tmpfs, goes there and becomes systemd
 *   guest drive     a VMM and an operator in one: has a session of the agent's, kills
 *                   the agent, and has systemd jump; in the next kernel it looks for all
 *   guest vm NAME   a unit with LUOSession=vm, which opens no device itself
 *   guest taken     a VM that the agent has started
 *   guest hold      has /dev/liveupdate until the end, through systemd's shutdown
 *   guest device    can /dev/liveupdate be opened?
 *   guest disks     are the file systems of both disks clean? Before they are mounted
 *   guest writer    a service that writes to its file system until it is stopped, and then "ended"
 *   guest disk      writes to the file system of a VM's disk, for ever
 *   guest stubborn  a service that does not stop
 *   guest say WHAT  an event of that name
 *
 * Events go to the second serial port, as those of the other guests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "continuo.h"

#define SESSION		"vm-1"
#define SYSTEMDS	"systemd"	/* the name of systemd's own session */
#define SIZE		(64 * 4096)	/* of each memfd */
#define FIRST_FD	3
#define TIMES		50

enum token { TOKEN_BEFORE = 1, TOKEN_AFTER = 2, TOKEN_UNIT = 7 };

static void emit(const char *ev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void emit(const char *ev, const char *fmt, ...)
{
	static int fd = -1;
	char text[1024];
	va_list ap;

	if (fd < 0)
		fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* In one piece: there are several of us. */
	dprintf(fd, "{\"ev\":\"%s\"%s}\n", ev, text);
	tcdrain(fd);
}

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '"' || *p == '\\' || *p == '\n')
			*p = '\'';
	emit("error", ",\"text\":\"%s\"", text);
	exit(1);
}

/* What follows "NAME=" on the kernel's command line, or "". */
static const char *option(const char *name)
{
	static char line[4096];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, line, sizeof(line) - 1);
	char *p;

	close(fd);
	line[n > 0 ? n : 0] = 0;
	p = strstr(line, name);
	if (!p || p[strlen(name)] != '=')
		return "";
	p += strlen(name) + 1;
	p[strcspn(p, " \n")] = 0;
	return p;
}

static int stage(void)
{
	return atoi(option("rig.stage"));
}

/* --- /init --- */

static char *map_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %m", path);
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap of %s: %m", path);
	close(fd);
	*size = st.st_size;
	return p;
}

static void put(const char *path, const char *data, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s: %m", path);
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n <= 0)
			die("write %s: %m", path);
		data += n;
		size -= n;
	}
	fchmod(fd, mode);
	close(fd);
}

static size_t field(const char *head, int n)
{
	char hex[9] = "";

	memcpy(hex, head + 6 + 8 * n, 8);
	return strtoul(hex, NULL, 16);
}

/* cpio's format "newc"; archives may follow each other. */
static void unpack(const char *at, const char *end)
{
	while (at + 110 <= end) {
		size_t mode, size, name_size;
		const char *data;
		char path[512], link[512];

		if (!*at) {
			at++;
			continue;
		}
		if (memcmp(at, "070701", 6))
			die("/root.cpio: no header where one has to be");
		mode = field(at, 1);
		size = field(at, 6);
		name_size = field(at, 11);
		snprintf(path, sizeof(path), "./%s", at + 110);
		data = at + ((110 + name_size + 3) & ~3ul);
		at = data + ((size + 3) & ~3ul);
		if (!strcmp(path, "./TRAILER!!!"))
			continue;
		if (S_ISDIR(mode)) {
			if (mkdir(path, 0700) && errno != EEXIST)
				die("%s: %m", path);
			chmod(path, mode & 07777);
		} else if (S_ISLNK(mode)) {
			snprintf(link, sizeof(link), "%.*s", (int)size, data);
			if (symlink(link, path))
				die("%s: %m", path);
		} else if (S_ISREG(mode)) {
			put(path, data, size, mode & 07777);
		}
	}
}

static void carry(const char *path)
{
	char to[256];
	size_t size;
	char *data;

	if (access(path, F_OK))
		return;
	data = map_file(path, &size);
	snprintf(to, sizeof(to), ".%s", path);
	put(to, data, size, 0644);
	munmap(data, size);
	unlink(path);
}

static void become_systemd(void)
{
	size_t size;
	char *data;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	emit("boot", ",\"stage\":%d", stage());
	mkdir("/new", 0755);
	if (mount("root", "/new", "tmpfs", 0, "mode=755,size=1G") || chdir("/new"))
		die("a tmpfs for the root: %m");
	data = map_file("/root.cpio", &size);
	unpack(data, data + size);
	munmap(data, size);
	unlink("/root.cpio");
	mkdir("next", 0755);
	carry("/next/bzImage");
	carry("/next/initramfs");
	carry("/next/cmdline");
	umount2("/proc", MNT_DETACH);
	umount2("/dev", MNT_DETACH);
	if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("going to the new root: %m");
	execl("/usr/lib/systemd/systemd", "/sbin/init", NULL);
	die("/usr/lib/systemd/systemd: %m");
}

/* --- what is preserved --- */

static unsigned char expected(uint64_t token, size_t i)
{
	return token * 41 + i * 7 + (i >> 12);
}

static int make_memfd(uint64_t token)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	unsigned char *p;

	if (fd < 0 || ftruncate(fd, SIZE))
		die("memfd: %m");
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("memfd: %m");
	for (size_t i = 0; i < SIZE; i++)
		p[i] = expected(token, i);
	munmap(p, SIZE);
	return fd;
}

static int preserve(struct continuo *ctx, int session, uint64_t token)
{
	int fd = make_memfd(token), ret = continuo_preserve(ctx, session, fd, token);

	close(fd);
	return -ret;
}

/* Says how many bytes are not what they were. */
static void look(struct continuo *ctx, int session, const char *who, uint64_t token)
{
	int fd = continuo_retrieve(ctx, session, token);
	unsigned char *p = MAP_FAILED;
	size_t bad = 0, i;

	if (fd >= 0)
		p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		for (i = 0; i < SIZE; i++)
			bad += p[i] != expected(token, i);
	emit("memory", ",\"who\":\"%s\",\"token\":%llu,\"errno\":%d,\"bytes\":%d,\"bad\":%zu",
	     who, (unsigned long long)token, fd < 0 ? -fd : 0, p == MAP_FAILED ? 0 : SIZE, bad);
	if (p != MAP_FAILED)
		munmap(p, SIZE);
	if (fd >= 0)
		close(fd);
}

/* --- guest vm --- */

static void tell_systemd(const char *text)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, getenv("NOTIFY_SOCKET") ?: "", sizeof(addr.sun_path) - 1);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("%s: %m", addr.sun_path);
	close(fd);
}

static void vm(const char *who)
{
	const char *names = getenv("LISTEN_FDNAMES"), *n = getenv("LISTEN_FDS");
	int fds = n ? atoi(n) : 0, now = stage(), ret, more;
	struct continuo *ctx;
	char been[64];
	bool arrived;

	emit("unit", ",\"stage\":%d,\"who\":\"%s\",\"fds\":%d,\"names\":\"%s\"", now, who, fds, names ?: "");
	if (!fds)
		return;
	if (continuo_new(&ctx))
		die("out of memory");
	snprintf(been, sizeof(been), "/run/vm-%s", who);
	arrived = now == 2 && access(been, F_OK);
	if (!arrived) {
		ret = preserve(ctx, FIRST_FD, TOKEN_UNIT);
		emit("unit_preserve", ",\"stage\":%d,\"who\":\"%s\",\"errno\":%d", now, who, ret);
		return;
	}
	put(been, "", 0, 0600);
	look(ctx, FIRST_FD, who, TOKEN_UNIT);
	ret = continuo_finish(ctx, FIRST_FD);
	/* Is it good for the next update? */
	more = preserve(ctx, FIRST_FD, TOKEN_UNIT);
	emit("unit_finish", ",\"who\":\"%s\",\"errno\":%d,\"more\":%d", who, -ret, more);
	tell_systemd("FDSTOREREMOVE=1\nFDNAME=vm");
}

/* --- guest hold --- */

static void hold(void)
{
	struct continuo *ctx;
	int ret;

	if (continuo_new(&ctx))
		die("out of memory");
	ret = continuo_hold(ctx);
	emit("hold", ",\"errno\":%d", -ret);
	for (;;)
		pause();
}

static void say_device(void)
{
	emit("device", ",\"stage\":%d,\"errno\":%d", stage(), open("/dev/liveupdate", O_RDWR | O_CLOEXEC) < 0 ? errno : 0);
}

/* --- services that an orderly update ends, or not --- */

/* Linux's fs/ext4/ext4.h: where what is in the superblock, which is at 1024. */
enum { EXT4_MAGIC = 0x38, EXT4_STATE = 0x3a, EXT4_INCOMPAT = 0x60, EXT4_NEEDS_RECOVERY = 4 };

static void disks(void)
{
	static const char *const disk[][2] = { { "/dev/vda", "/disk/data" }, { "/dev/vdb", "/disk/vm" } };

	mkdir("/disk", 0755);
	for (size_t i = 0; i < sizeof(disk) / sizeof(disk[0]); i++) {
		int fd = open(disk[i][0], O_RDONLY | O_CLOEXEC);
		unsigned char b[1024] = {};

		if (fd < 0 || pread(fd, b, sizeof(b), 1024) != sizeof(b))
			die("%s: %m", disk[i][0]);
		close(fd);
		emit("disk", ",\"stage\":%d,\"disk\":\"%s\",\"magic\":%d,\"state\":%d,\"needs_recovery\":%d", stage(), disk[i][1],
		     b[EXT4_MAGIC] | b[EXT4_MAGIC + 1] << 8, b[EXT4_STATE] | b[EXT4_STATE + 1] << 8,
		     !!(b[EXT4_INCOMPAT] & EXT4_NEEDS_RECOVERY));
		/* There is no udev: a unit with a path in /dev would wait for one to announce it. */
		if (symlink(disk[i][0], disk[i][1]) && errno != EEXIST)
			die("%s: %m", disk[i][1]);
	}
}

/* What a file ends with. */
static void say_end(const char *who, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char end[7] = "";

	if (fd >= 0 && lseek(fd, -6, SEEK_END) >= 0 && read(fd, end, 6) == 6 && end[5] == '\n')
		end[5] = 0;
	emit(who, ",\"stage\":%d,\"found\":%d,\"last\":\"%s\"", stage(), fd >= 0, !strcmp(end, "ended") ? end : "");
	if (fd >= 0)
		close(fd);
}

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void write_on(const char *who, const char *path)
{
	struct sigaction action = { .sa_handler = stop };
	int fd;

	say_end(who, path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %m", path);
	sigaction(SIGTERM, &action, NULL);
	while (!stopped) {
		if (write(fd, "going\n", 6) != 6)
			die("%s: %m", path);
		usleep(10000);
	}
	if (write(fd, "ended\n", 6) != 6)
		die("%s: %m", path);
	emit("ended", ",\"who\":\"%s\"", who);
}

static void stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	emit("stubborn", "%s", "");
	for (;;)
		pause();
}

/* --- guest drive --- */

static int run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static long agent_is(const char *property)
{
	char command[128], text[128] = "";
	FILE *f;

	snprintf(command, sizeof(command), "systemctl show --value -p %s continuo-agent.service", property);
	f = popen(command, "r");
	if (!f || !fgets(text, sizeof(text), f))
		die("%s: no answer", command);
	pclose(f);
	return atol(text);
}

/* What systemd has for the agent, and what the agent has: of root's sessions. */
static void report(const char *when)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = CONTINUO_AGENT_SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char text[513] = "", names[1024] = "";
	size_t used = 0;

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) || send(fd, "list", 4, 0) != 4)
		die("%s: the agent cannot be asked for its sessions: %m", when);
	/* A message for each, and one at the end. */
	for (;;) {
		ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

		if (n <= 0)
			die("%s: the agent does not end the list of its sessions: %s", when, n ? strerror(errno) : "it closed the connection");
		text[n] = '\0';
		if (!strcmp(text, "ok\n"))
			break;
		if (strncmp(text, "session ", 8))
			die("%s: the agent does not list its sessions: %s", when, text);
		used += snprintf(names + used, sizeof(names) - used, "%s%s", used ? " " : "", text + 8);
		if (used >= sizeof(names))
			die("%s: more sessions than this program has room for", when);
	}
	close(fd);
	emit("agent", ",\"when\":\"%s\",\"sessions\":\"%s\",\"stored\":%ld,\"restarts\":%ld,\"pid\":%ld",
	     when, names, agent_is("NFileDescriptorStore"), agent_is("NRestarts"), agent_is("MainPID"));
}

static struct continuo *ask_agent(void)
{
	struct continuo *ctx;
	int ret;

	if (continuo_new(&ctx))
		die("out of memory");
	ret = continuo_agent(ctx, NULL);
	if (ret)
		die("the agent cannot be asked: %s", continuo_why(ctx));
	return ctx;
}

static void kill_agent(void)
{
	long pid = agent_is("MainPID");

	if (pid <= 1 || kill(pid, SIGKILL))
		die("kill -9 of the agent (process %ld): %m", pid);
	/* A moment later another one runs, and has said that it is ready. */
	for (int i = 0; i < 300; i++) {
		long now = agent_is("MainPID");

		if (now > 1 && now != pid && !run("systemctl -q is-active continuo-agent.service"))
			return;
		usleep(100000);
	}
	die("the agent was not started again within 30 s");
}

static void load(void)
{
	static char line[4096];
	int kernel = open("/next/bzImage", O_RDONLY | O_CLOEXEC);
	int initrd = open("/next/initramfs", O_RDONLY | O_CLOEXEC);
	int fd = open("/next/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, line, sizeof(line) - 1);

	close(fd);
	if (n <= 0 || syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line, 0ul))
		die("kexec_file_load: %m");
	close(kernel);
	close(initrd);
}

static int make_session(struct continuo *ctx, const char *name)
{
	int session = continuo_session_create(ctx, name);

	if (session < 0 || preserve(ctx, session, TOKEN_BEFORE))
		die("session %s: %s", name, continuo_why(ctx));
	return session;
}

/* What open(2) says of a device in the cgroup of the agent: 0 or an errno. */
static int opened_by_agent(const char *path, int flags)
{
	int status, fd;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %m");
	if (!pid) {
		fd = open("/sys/fs/cgroup/system.slice/continuo-agent.service/cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(255);
		_exit(open(path, flags | O_CLOEXEC) < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("the process in the agent's cgroup has not ended by itself");
	return WEXITSTATUS(status);
}

/* Is the agent in the sandbox that its unit asks for? */
static void sandbox(void)
{
	char path[64], own[64] = "", its[64] = "", line[256];
	long pid = agent_is("MainPID"), nnp = -1, seccomp = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "NoNewPrivs: %ld", &nnp);
		sscanf(line, "Seccomp: %ld", &seccomp);
	}
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	if (readlink("/proc/1/ns/net", own, sizeof(own) - 1) < 0 || readlink(path, its, sizeof(its) - 1) < 0)
		die("%s: %m", path);
	emit("sandbox", ",\"no_new_privs\":%ld,\"seccomp\":%ld,\"network\":%d,\"view\":%d,\"other_device\":%d", nnp, seccomp,
	     !!strcmp(own, its), opened_by_agent("/dev/liveupdate-view", O_RDONLY), opened_by_agent("/dev/kmsg", O_WRONLY));
}

/* As many as the agent takes, at once: does systemd get each of them? */
static void many(struct continuo *ctx)
{
	int made = 0, gone = 0, last, fd;
	char name[16];

	for (;; made++) {
		snprintf(name, sizeof(name), "n%d", made);
		fd = continuo_session_create(ctx, name);
		if (fd < 0)
			break;
		close(fd);
		/* It takes minutes on a slow host: the rig hears that it goes on. */
		if (!(made % 256))
			emit("making", ",\"made\":%d", made);
	}
	last = -fd;
	emit("many", ",\"made\":%d,\"errno\":%d,\"stored\":%ld", made, last, agent_is("NFileDescriptorStore"));
	for (int i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		gone += !continuo_session_release(ctx, name);
		if (!(i % 256))
			emit("releasing", ",\"gone\":%d", gone);
	}
	emit("many_gone", ",\"gone\":%d,\"stored\":%ld", gone, agent_is("NFileDescriptorStore"));
}

/*
 * What was released is undone, and the name is free. systemd closes descriptors in a
 * process of its own, so that it may take a moment more; @late is how often.
 */
static void again(struct continuo *ctx)
{
	int late = 0, taken = 0;

	for (int i = 0; i < TIMES; i++) {
		int session = continuo_session_create(ctx, "again");

		if (session < 0) {
			late++;
			usleep(500000);
			session = continuo_session_create(ctx, "again");
		}
		if (session < 0) {
			taken++;
			continue;
		}
		close(session);
		if (continuo_session_release(ctx, "again"))
			die("release: %s", continuo_why(ctx));
	}
	emit("again", ",\"late\":%d,\"taken\":%d", late, taken);
}

static int open_device(void)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/liveupdate: %m");
	return fd;
}

/*
 * The device while the agent runs: anybody can have it. Whoever asks the agent for a session then
 * hears at the deadline who has it, and gets the session once it is free.
 */
static void device(struct continuo *ctx)
{
	int dev = open_device(), session = continuo_session_create(ctx, "lent"), status, ends[2];
	const char *why = continuo_why(ctx);
	pid_t pid;
	char byte;

	emit("lent", ",\"errno\":%d,\"named\":%d", session < 0 ? -session : 0,
	     strstr(why, "session lent: /dev/liveupdate could not be had for ") && strstr(why, " has it open"));
	if (pipe2(ends, O_CLOEXEC))
		die("pipe: %m");
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid) {
		close(dev);
		ctx = ask_agent();
		if (write(ends[1], "", 1) != 1)
			_exit(255);
		session = continuo_session_create(ctx, "lent");
		_exit(session < 0 ? -session : 0);
	}
	if (read(ends[0], &byte, 1) != 1)
		die("whoever is to ask for a session has ended");
	usleep(500000);
	/* Others are answered meanwhile. */
	report("held");
	close(dev);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("whoever asks for a session has not ended by itself");
	emit("free", ",\"errno\":%d", WEXITSTATUS(status));
	if (continuo_session_release(ctx, "lent"))
		die("release: %s", continuo_why(ctx));
	close(ends[0]);
	close(ends[1]);
}

/* Units that have sessions of systemd's; who says whether the agent runs meanwhile. */
static void start_units(const char *agent)
{
	int early = run("systemctl restart vm-early.service");
	int late = run("systemctl restart vm-late.service");

	emit("started", ",\"stage\":%d,\"agent\":\"%s\",\"early\":%d,\"late\":%d", stage(), agent, early, late);
	run("systemctl reset-failed vm-early.service vm-late.service");
}

static void units(void)
{
	int dev;

	start_units("runs");
	dev = open_device();
	start_units("held");
	close(dev);
	run("systemctl stop continuo-agent.service");
	start_units("stopped");
	if (run("systemctl start continuo-agent.service"))
		die("the agent cannot be started again");
	report("stopped");
}

static void jump(void)
{
	load();
	emit("jump", "%s", "");
	if (!strcmp(option("rig.jump"), "direct")) {
		/* That somebody has it is nothing to the jump. */
		open_device();
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
		die("reboot into the next kernel: %m");
	}
	if (!strcmp(option("rig.jump"), "held")) {
		run("systemctl stop continuo-agent.service");
		run("systemctl start hold.service");
		sleep(1);
	}
	if (run("systemctl kexec"))
		die("systemctl kexec failed");
	pause();
}

static void before(void)
{
	struct continuo *ctx = ask_agent();
	int session, twice, more;

	/* From here on the agent and systemd have them, and nobody else. */
	close(make_session(ctx, SESSION));
	/* systemd would let go of it before it jumps, and take what comes with it. */
	emit("reserved", ",\"errno\":%d", -continuo_session_create(ctx, SYSTEMDS));
	device(ctx);
	again(ctx);
	many(ctx);
	continuo_free(ctx);
	sandbox();
	report("created");

	kill_agent();
	report("killed");
	ctx = ask_agent();
	session = continuo_session_retrieve(ctx, SESSION);
	if (session < 0)
		die("%s", continuo_why(ctx));
	/* The same one, if it has the file still. */
	twice = preserve(ctx, session, TOKEN_BEFORE);
	more = preserve(ctx, session, TOKEN_AFTER);
	emit("survived", ",\"twice\":%d,\"more\":%d", twice, more);
	close(session);
	continuo_free(ctx);
	units();
	jump();
}

static void take(struct continuo *ctx, const char *name)
{
	int session = continuo_session_retrieve(ctx, name), ret;

	if (session < 0) {
		emit("back", ",\"session\":\"%s\",\"errno\":%d", name, -session);
		return;
	}
	look(ctx, session, name, TOKEN_BEFORE);
	look(ctx, session, name, TOKEN_AFTER);
	ret = continuo_finish(ctx, session);
	close(session);
	if (!ret)
		ret = continuo_session_release(ctx, name);
	emit("back", ",\"session\":\"%s\",\"errno\":%d", name, -ret);
}

static void after(void)
{
	struct continuo *ctx;

	report("arrived");
	ctx = ask_agent();
	take(ctx, SESSION);
	report("released");
	continuo_free(ctx);
	units();
	emit("done", "%s", "");
	if (run("systemctl poweroff"))
		die("systemctl poweroff failed");
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		become_systemd();
	else if (argc == 3 && !strcmp(argv[1], "vm"))
		vm(argv[2]);
	else if (argc == 2 && !strcmp(argv[1], "hold"))
		hold();
	else if (argc == 2 && !strcmp(argv[1], "device"))
		say_device();
	else if (argc == 2 && !strcmp(argv[1], "disks"))
		disks();
	else if (argc == 2 && !strcmp(argv[1], "writer"))
		write_on("writer", "/srv/data/log");
	else if (argc == 2 && !strcmp(argv[1], "disk"))
		write_on("vm_disk", "/srv/vm/log");
	else if (argc == 2 && !strcmp(argv[1], "stubborn"))
		stubborn();
	else if (argc == 3 && !strcmp(argv[1], "say"))
		emit(argv[2], ",\"stage\":%d", stage());
	else if (argc == 2 && !strcmp(argv[1], "taken"))
		emit("taken", ",\"stage\":%d", stage());
	else if (argc == 2 && !strcmp(argv[1], "drive") && stage() == 1)
		before();
	else if (argc == 2 && !strcmp(argv[1], "drive"))
		after();
	else
		return 2;
	return 0;
}
