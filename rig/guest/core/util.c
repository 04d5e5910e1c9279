// SPDX-License-Identifier: GPL-2.0-only
/* Options, the control channel and small helpers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core/rig.h"

#define OPT_MAX		48
#define LINE_MAX_LEN	1024

static struct {
	char *name;
	char *value;
} opts[OPT_MAX];
static unsigned int nr_opts;
static int ctl = -1;

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		die("open %s for writing: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) < 0)
		die("write \"%s\" to %s: %s", text, path, strerror(errno));
	close(fd);
}

ssize_t read_file(const char *path, char *buf, size_t len)
{
	size_t got = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY);

	buf[0] = 0;
	if (fd < 0)
		return -errno;
	while (got < len - 1) {
		n = read(fd, buf + got, len - 1 - got);
		if (n <= 0)
			break;
		got += n;
	}
	buf[got] = 0;
	close(fd);
	return n < 0 ? -errno : (ssize_t)got;
}

void opt_set(const char *assignment)
{
	const char *eq = strchr(assignment, '=');
	char *name, *value;
	unsigned int i;

	name = eq ? strndup(assignment, eq - assignment) : strdup(assignment);
	value = strdup(eq ? eq + 1 : "1");
	for (i = 0; i < nr_opts; i++)
		if (!strcmp(opts[i].name, name))
			break;
	if (i == OPT_MAX)
		die("option %s: more than %d options", name, OPT_MAX);
	opts[i].name = name;
	opts[i].value = value;
	if (i == nr_opts)
		nr_opts++;
}

void opt_load_cmdline(void)
{
	static char line[4096];
	char *word, *save = NULL;

	read_file("/proc/cmdline", line, sizeof(line));
	for (word = strtok_r(line, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save))
		if (!strncmp(word, "rig.", 4))
			opt_set(word + 4);
}

const char *opt(const char *name, const char *dflt)
{
	for (unsigned int i = 0; i < nr_opts; i++)
		if (!strcmp(opts[i].name, name))
			return opts[i].value;
	return dflt;
}

long opt_num(const char *name, long dflt)
{
	const char *text = opt(name, NULL);

	return text ? strtol(text, NULL, 0) : dflt;
}

void opt_append_all(char *buf, size_t len)
{
	size_t used = strlen(buf);

	for (unsigned int i = 0; i < nr_opts; i++) {
		used += snprintf(buf + used, len - used, " rig.%s=%s",
				 opts[i].name, opts[i].value);
		if (used >= len)
			die("the next kernel's command line is too long");
	}
}

void ctl_open(const char *path)
{
	struct termios tio;

	ctl = open(path, O_RDWR | O_NOCTTY);
	if (ctl < 0)
		die("open the control channel %s: %s", path, strerror(errno));
	if (tcgetattr(ctl, &tio))
		return;		/* not a terminal: a test's pipe or socket */
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	tio.c_cflag |= CLOCAL | CREAD;
	tcsetattr(ctl, TCSANOW, &tio);
}

int ctl_fd(void)
{
	return ctl;
}

void emit(const char *ev, const char *fmt, ...)
{
	char line[4096];
	size_t len, off = 0;
	va_list ap;

	len = snprintf(line, sizeof(line), "{\"ev\":\"%s\",\"t_us\":%llu", ev,
		       (unsigned long long)now_us());
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (len > sizeof(line) - 3)
		len = sizeof(line) - 3;
	memcpy(line + len, "}\n", 3);
	len += 2;
	while (off < len) {
		ssize_t n = write(ctl < 0 ? 2 : ctl, line + off, len - off);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0)
			off += n;
	}
}

char *ctl_line(int timeout_ms)
{
	static char buf[LINE_MAX_LEN], line[LINE_MAX_LEN];
	static size_t used;
	uint64_t end = now_us() + timeout_ms * 1000ull;

	for (;;) {
		char *nl = memchr(buf, '\n', used);
		struct pollfd pfd = { .fd = ctl, .events = POLLIN };
		int64_t left = end - now_us();
		ssize_t n;

		if (nl) {
			size_t len = nl - buf;

			memcpy(line, buf, len);
			line[len] = 0;
			used -= len + 1;
			memmove(buf, nl + 1, used);
			return line;
		}
		if (used == sizeof(buf))
			used = 0;	/* not a line of ours: drop it */
		if (poll(&pfd, 1, left > 0 ? left / 1000 : 0) <= 0)
			return NULL;
		n = read(ctl, buf + used, sizeof(buf) - used);
		if (n <= 0)
			return NULL;
		used += n;
	}
}

/*
 * A debug kernel's leak detector, if it is there, says what it has on the
 * console, where the rig looks. It reports nothing younger than five seconds.
 */
void kmemleak_check(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	static char text[16384];

	if (access(path, W_OK))
		return;
	sleep(6);
	for (int i = 0; i < 2; i++)
		write_file(path, "scan");
	if (read_file(path, text, sizeof(text)) > 0)
		fputs(text, stderr);
	emit("kmemleak", ",\"bytes\":%zu", strlen(text));
}

void power_off(void)
{
	if (ctl >= 0)
		tcdrain(ctl);
	sync();
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(0);
}

void die(const char *fmt, ...)
{
	char text[512], *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "rig: %s\n", text);
	for (p = text; *p; p++)
		if (*p == '"' || *p == '\\' || *p < ' ')
			*p = '\'';
	emit("error", ",\"text\":\"%s\"", text);
	if (getpid() != 1)
		exit(1);
	power_off();
}

/* CRC-32 as in Ethernet and zlib, eight bits a step; the table is made once. */
uint32_t crc32_rig(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	const uint8_t *p = data;

	if (!table[1]) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
			table[i] = c;
		}
	}
	crc = ~crc;
	while (len--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}
