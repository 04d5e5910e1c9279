// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whoever asks for whatever names no session but his own; and whatever is in
 * the files that an agent finds when it starts, it is read to its end, or refused: the record
 * of an update, the list of VMs, and the notes of file systems that stand still.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "helper.h"
#include "request.h"
#include "still.h"

/* In one piece with this, so that each input finds them as at the start. */
#define file	record_file
#define began	record_began
#include "record.c"
#undef file
#undef began
/* No process is looked at. */
#define open(...)	(-1)
#include "registry.c"
#undef open

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* --- what the agent's files need of others --- */

int trouble(const char *fmt, ...)
{
	return 3;
}

uint64_t now_us(void)
{
	return 1000000;
}

static int memfd = -1;

int continuo_retrieve(struct continuo *ctx, int session, uint64_t token)
{
	return dup(memfd);
}

int continuo_preserve(struct continuo *ctx, int session, int fd, uint64_t token)
{
	return -EIO;
}

const char *continuo_why(const struct continuo *ctx)
{
	return "";
}

bool helper_begin_anew(int out)
{
	(void)out;
	return false;
}

void helper_say(const char *word, const char *what, const char *why)
{
}

/* --- a file --- */

static const char *path_of_file(const unsigned char *data, size_t size)
{
	static char path[32];

	if (memfd < 0)
		memfd = memfd_create("fuzz", MFD_CLOEXEC);
	if (ftruncate(memfd, size) || pwrite(memfd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	return path;
}

/* It becomes a word of a command line, and is copied to where there is room for a name. */
static void comes_back(const char *name, uid_t uid)
{
	const char *own = request_own(name, uid);

	if (strlen(name) >= CONTINUO_SESSION_NAME || !own || !*own || *own == '-' || *own == '.')
		abort();
	for (; *own; own++)
		if ((unsigned char)*own <= 0x20 || (unsigned char)*own >= 0x7f || *own == '/')
			abort();
}

/* The same, and it was in a unit, which becomes a word, too; or in none. */
static void was_in_unit(const char *name, uid_t uid, const char *unit)
{
	if (*unit && (!request_is_unit(unit) || *unit == '-' || strchr(unit, ' ') || strchr(unit, '/')))
		abort();
	comes_back(name, uid);
}

static void fuzz_record(const unsigned char *data, size_t size)
{
	/* As that of a file. */
	path_of_file(data, size);
	if (!record_arrive(NULL, -1, size & 1 ? "came-back" : "armed", "the next kernel has failed", was_in_unit)) {
		record_not_started("vm");
		record_back("vm", "retrieved");
		record_back("vm", "released");
		record_left("u1000.vm");
		record_vm("other", 1000, "suspended", "");
		record_unit("vm", 0, "web1.service");
		/* As record_write() and record_seal() do. */
		if (strlen(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PRETTY)) < 2)
			abort();
	}
	json_object_put(record);
	record_open(path_of_file(data, size));
	record_leftover();
	json_object_put(record);
	record = NULL;
}

static unsigned int listed;
static bool unknown;

static void was_registered(const char *name, uid_t uid)
{
	listed++;
	if (!strcmp(name, VM_UNKNOWN))
		unknown = true;
	else
		comes_back(name, uid);
}

/* Each line is of a VM, or has ended, or it is said that VMs are not known. */
static void fuzz_registry(const unsigned char *data, size_t size)
{
	listed = processes = 0;
	unknown = false;
	registry_read(path_of_file(data, size), was_registered);
	if (!unknown) {
		unsigned int lines = 0;

		for (size_t i = 0; i < size; i++)
			lines += data[i] == '\n';
		/* The first one is that of the format; a name that is there again is one VM. */
		if (!lines || data[size - 1] != '\n' || processes > lines - 1 ||
		    listed > lines - 1 || (lines > 1 && !processes))
			abort();
	}
	registry_lives("vm");
	registry_pid("vm");
}

/* --- file systems: nothing of this machine is touched --- */

static const char *opened[1024];
static unsigned int nr_opened;

int fuzz_open(const char *path, int flags, ...)
{
	if (nr_opened == 1024)
		abort();
	opened[nr_opened++] = strdup(path);
	errno = ENOENT;
	/* Some of them are there. */
	return strlen(path) % 3 ? memfd : -1;
}

int fuzz_close(int fd)
{
	return 0;
}

int fuzz_ioctl(int fd, unsigned long request, ...)
{
	errno = EINVAL;
	return -1;
}

long fuzz_syscall(long number, ...)
{
	errno = ENOSYS;
	return -1;
}

int fuzz_unlink(const char *path)
{
	return 0;
}

/* The last note of a file system counts, and no note is lost. */
static void fuzz_notes(const unsigned char *data, size_t size)
{
	char *copy = calloc(1, size + 1);

	memcpy(copy, data, size);
	nr_opened = 0;
	still_again(path_of_file(data, size));
	for (char *note = copy; note < copy + size; note += strlen(note) + 1) {
		unsigned int n = 0;
		char what = *note;

		if (!what)
			continue;
		for (char *later = note; later < copy + size; later += strlen(later) + 1)
			if (*later && !strcmp(later + 1, note + 1))
				what = *later;
		for (unsigned int i = 0; i < nr_opened; i++)
			n += !strcmp(opened[i], note + 1);
		if (n != (what == 'f' || what == 'r'))
			abort();
	}
	for (unsigned int i = 0; i < nr_opened; i++)
		free((char *)opened[i]);
	free(copy);
}

/* --- requests --- */

static void fuzz_request(const unsigned char *data, size_t size)
{
	static const uid_t users[] = { 1, 1000, 10000, 4294967294u };
	const char *why = NULL;
	struct request req;
	char *copy;

	/* Of just that size, so that what is read behind its end is found. */
	copy = malloc(size ? size : 1);
	memcpy(copy, data, size);
	for (unsigned int i = 0; i < 4; i++) {
		struct peer peer = { .uid = users[i] }, only = { .uid = 0, .only = "vm" };
		int ret = request_parse(copy, size, &only, &req, &why);

		/* Of a connection for one VM, whoever has it. */
		if (!ret && (req.verb >= VERB_UPDATE || (*req.name && strcmp(req.name, "vm"))))
			abort();
		ret = request_parse(copy, size, &peer, &req, &why);
		if (ret && !why)
			abort();
		if (!ret && req.verb >= VERB_UPDATE)
			abort();
		if (ret || !*req.name)
			continue;
		if (memchr(req.name, 0, sizeof(req.name)) == NULL ||
		    !request_own(req.name, users[i]))
			abort();
		for (unsigned int j = 0; j < 4; j++)
			if (j != i && request_own(req.name, users[j]))
				abort();
	}
	/* Of root's, no name is the agent's own session. */
	if (!request_parse(copy, size, &(struct peer){}, &req, &why) &&
	    (!strcmp(req.name, OWN_SESSION) || !memchr(req.text, 0, sizeof(req.text))))
		abort();
	free(copy);
}

/* What each file begins with, no request does: a record is an object, notes have paths. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size && *data == '{')
		fuzz_record(data, size);
	else if (size >= 9 && !memcmp(data, "continuo-", 9))
		fuzz_registry(data, size);
	else if (size > 1 && data[1] == '/')
		fuzz_notes(data, size);
	else
		fuzz_request(data, size);
	return 0;
}
