// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/thread-self/fail-nth counts the allocations of a call (failslab,
 * fail_page_alloc). Calls of the functions below are counted after these, by
 * fail_function's "space": where it asks, in a breakpoint, fail-nth does not count.
 * Nobody else calls these functions. Which place it was is in the kernel log: the
 * stack. All rules of live updates are asked by one function; which of them it was
 * says the address of the rule, its second argument, in the registers there.
 *
 * Option: fault_reject=START-END, addresses in hexadecimal. What code in between
 * allocates does not fail and is not counted, if the kernel can tell
 * (CONFIG_FAULT_INJECTION_STACKTRACE_FILTER).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "interfaces/fault_injection.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define FUNCTIONS	DEBUGFS "fail_function/"

/* How deep the stack is told. */
#define FRAMES_MAX	16

static int fail_fd = -1, log_fd = -1;

static const struct {
	const char *name, *retval;
} functions[] = {
	{ "liveupdate_require", "0xffffffffffffffea" /* -EINVAL */ },
	{ "kho_preserve_folio", "0xfffffffffffffff4" /* -ENOMEM */ },
	{ "intel_preserve_domain", "0xfffffffffffffff4" },
	{ "amd_preserve_domain", "0xfffffffffffffff4" },
};

static void inject(const char *name, const char *retval)
{
	char path[128];

	write_file(FUNCTIONS "inject", name);
	snprintf(path, sizeof(path), FUNCTIONS "%s/retval", name);
	write_file(path, retval);
}

/* Each kind has the range for itself. */
static void reject(const char *start, const char *end)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc" };

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		char path[128];

		snprintf(path, sizeof(path), DEBUGFS "%s/stacktrace-depth", kinds[i]);
		write_file(path, "32");
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-start", kinds[i]);
		write_file(path, start);
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-end", kinds[i]);
		write_file(path, end);
	}
}

bool faults_on(void)
{
	unsigned long long start, end;
	char from[24], to[24];
	static const struct {
		const char *file, *text;
	} knob[] = {
		{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "failslab/verbose", "2" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "fail_page_alloc/min-order", "0" },
		{ DEBUGFS "fail_page_alloc/verbose", "2" },
		{ FUNCTIONS "verbose", "2" },
		{ FUNCTIONS "probability", "0" },
		/* The stacks go to the log, and not to the console: these are many. */
		{ "/proc/sys/kernel/printk", "7 7 1 7" },
	};

	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_fd < 0)
		return false;
	for (unsigned int i = 0; i < ARRAY_SIZE(knob); i++) {
		if (access(knob[i].file, W_OK))
			return false;
		write_file(knob[i].file, knob[i].text);
	}
	if (sscanf(opt("fault_reject", ""), "%llx-%llx", &start, &end) == 2) {
		snprintf(from, sizeof(from), "%#llx", start);
		snprintf(to, sizeof(to), "%#llx", end);
		reject(from, to);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++)
		inject(functions[i].name, functions[i].retval);
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0)
		die("open /dev/kmsg: %s", strerror(errno));
	return true;
}

void faults_off(void)
{
	write_file(FUNCTIONS "inject", " ");
	close(log_fd);
	close(fail_fd);
}

void faults_pages(bool off)
{
	if (off)
		write_file(FUNCTIONS "inject", "!kho_preserve_folio");
	else
		inject("kho_preserve_folio", functions[1].retval);
}

static bool of_calls;

void fault_arm(unsigned int nth)
{
	char text[16];
	int len;

	of_calls = nth >= FAULT_CALLS;
	if (of_calls)
		nth -= FAULT_CALLS;
	len = snprintf(text, sizeof(text), "%u", nth);
	lseek(log_fd, 0, SEEK_END);
	if (of_calls) {
		write_file(FUNCTIONS "space", text);
		write_file(FUNCTIONS "times", "1");
		write_file(FUNCTIONS "probability", "100");
	} else if (pwrite(fail_fd, text, len, 0) != len) {
		die("write %s to fail-nth: %s", text, strerror(errno));
	}
}

unsigned int fault_next(unsigned int nth, bool hit)
{
	return hit ? nth + 1 : nth < FAULT_CALLS ? FAULT_CALLS + 1 : 0;
}

/* Passes on what the log says of the fault: its kind, and where it was. */
static void say_site(const char *step)
{
	char line[8192], kind[32] = "", stack[1024] = "", rule[20] = "";
	unsigned int frames = 0;
	bool below = false;
	ssize_t n;

	while ((n = read(log_fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		char *said, *end;

		if (n <= 0)
			continue;
		line[n] = 0;
		said = strchr(line, ';');
		if (!said)
			continue;
		said++;
		said[strcspn(said, "\n")] = 0;
		end = strstr(said, "name ");
		if (end == said || !strncmp(said, "FAULT_INJECTION", 15)) {
			if (end)
				sscanf(end, "name %31[a-z_]", kind);
			continue;
		}
		/* " function+0x12/0x34", unlike " ? function+0x12/0x34" */
		said += strspn(said, " ");
		/* The first registers are those of the function that fails. */
		end = strstr(said, "RSI: ");
		if (end && below && !rule[0])
			sscanf(end, "RSI: %16[0-9a-f]", rule);
		/* The unwinder is not sure of the caller of the function that fails. */
		if (below && !strncmp(said, "? ", 2))
			said += 2;
		if (!strncmp(said, "RIP: 0010:", 10)) {
			said += 10;
			below = true;
			frames = 0;
			stack[0] = 0;
			rule[0] = 0;
		} else if (strchr(said, ':')) {
			continue;
		} else if (strstr(said, "+0x")) {
			below = false;
		}
		end = strstr(said, "+0x");
		if (!kind[0] || !end || said[0] == '?' || frames == FRAMES_MAX)
			continue;
		*end = 0;
		if (strlen(stack) + strlen(said) + 2 < sizeof(stack)) {
			strcat(stack, stack[0] ? "," : "");
			strcat(stack, said);
			frames++;
		}
	}
	emit("site", ",\"step\":\"%s\",\"kind\":\"%s\",\"rule\":\"%s\",\"stack\":\"%s\"",
	     step, kind, rule, stack);
}

bool fault_disarm(const char *step)
{
	char text[16] = "";
	bool hit;

	if (of_calls) {
		write_file(FUNCTIONS "probability", "0");
		if (read_file(FUNCTIONS "times", text, sizeof(text)) <= 0)
			die("read how often fail_function has failed");
	} else {
		if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0)
			die("read fail-nth: %s", strerror(errno));
		if (pwrite(fail_fd, "0", 1, 0) != 1)
			die("write 0 to fail-nth: %s", strerror(errno));
	}
	hit = !strtoul(text, NULL, 10);
	if (hit)
		say_site(step);
	return hit;
}

void fault_count(struct swept *s, int ret, bool hit, const char *what)
{
	s->points += hit;
	if (ret >= 0)
		return;
	if (!hit)
		die("%s: %s, and no fault was injected", what, strerror(-ret));
	s->failed++;
	if (ret == -ENOMEM)
		s->nomem++;
	else if (ret == -EBUSY)
		s->busy++;
	else if (ret == -EINVAL)
		s->inval++;
	else
		s->other++;
}

void fault_say(const char *step, const struct swept *s, unsigned long long begin,
	       bool whole)
{
	emit("swept",
	     ",\"step\":\"%s\",\"whole\":%d,\"points\":%u,\"failed\":%u,\"enomem\":%u,\"ebusy\":%u,\"einval\":%u,\"other\":%u,\"ms\":%llu",
	     step, whole, s->points, s->failed, s->nomem, s->busy, s->inval,
	     s->other, (now_us() - begin) / 1000);
}
