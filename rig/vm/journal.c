// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"
#include "core/crc32.h"
#include "end.h"
#include "journal.h"

#define DISK		"/dev/vda"
#define RECORD_BYTES	4096
#define MAGIC		"RIGVMJ01"
#define EVERY_NS	20000000

struct record {
	char magic[8];
	uint64_t seq, mono_ns;
	uint32_t crc;			/* of the record, with 0 for this */
	uint32_t zero;
	uint32_t words[(RECORD_BYTES - 32) / 4];
};

static pthread_t thread;
static _Atomic uint64_t acknowledged;
static _Atomic bool stopping;
static uint64_t room;
static int disk;

static void fill(struct record *r, uint64_t seq)
{
	uint32_t x = seq * 2654435761u + 1;

	memset(r, 0, sizeof(*r));
	memcpy(r->magic, MAGIC, sizeof(r->magic));
	r->seq = seq;
	r->mono_ns = clocks_now().mono_ns;
	for (unsigned int i = 0; i < sizeof(r->words) / sizeof(r->words[0]); i++) {
		x = x * 1664525 + 1013904223;
		r->words[i] = x;
	}
	r->crc = crc32_rig(0, r, sizeof(*r));
}

static void *write_on(void *arg)
{
	const struct timespec every = { .tv_nsec = EVERY_NS };
	static struct record r;

	_Static_assert(sizeof(r) == RECORD_BYTES, "a record is a page");
	for (uint64_t seq = 0; !stopping; seq++) {
		if (seq == room)
			die("the disk is full after %llu records", (unsigned long long)seq);
		fill(&r, seq);
		if (pwrite(disk, &r, sizeof(r), seq * sizeof(r)) != sizeof(r) || fdatasync(disk))
			die("record %llu of the journal: %m", (unsigned long long)seq);
		acknowledged = seq + 1;
		nanosleep(&every, NULL);
	}
	return NULL;
}

void journal_start(void)
{
	uint64_t bytes;
	int err;

	disk = open(DISK, O_RDWR | O_CLOEXEC);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes))
		die("%s: %m", DISK);
	room = bytes / RECORD_BYTES;
	err = pthread_create(&thread, NULL, write_on, NULL);
	if (err)
		die("no thread for the journal: %s", strerror(err));
}

uint64_t journal_acknowledged(void)
{
	return acknowledged;
}

void journal_stop(void)
{
	stopping = true;
	pthread_join(thread, NULL);
}
