// SPDX-License-Identifier: GPL-2.0-only
/*
 * A memfd of huge pages of which nothing is sealed, so that it is the preserve alone that
 * keeps it as it is. Its last page is not there before it is preserved.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "interfaces/luo.h"
#include "interfaces/memory.h"
#include "scenarios/uncooperative/frozen_file.h"
#include "scenarios/uncooperative/requests.h"
#include "update/names.h"

#define HUGE_SHIFT	21
#define HUGE		(1ul << HUGE_SHIFT)
#define FILLED		3ul	/* pages that are there */
#define PAGES		4ul
#define WORDS		(HUGE / sizeof(uint64_t))
#define HOLE		(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static long pages_free(void)
{
	static char text[16384];

	read_file("/proc/meminfo", text, sizeof(text));
	return number_of(text, "HugePages_Free");
}

static int result(int ret)
{
	return ret ? -errno : 0;
}

static uint64_t word_of(unsigned long i)
{
	return i * 0x9e3779b97f4a7c15ull ^ 0xff51afd7ed558ccdull;
}

/* How many words are not what they are to be: behind @filled pages they are zero. */
static unsigned long wrong_words(const uint64_t *p, unsigned long filled)
{
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < PAGES * WORDS; i++)
		wrong += p[i] != (i < filled * WORDS ? word_of(i) : 0);
	return wrong;
}

static void try_all(const char *state, int fd, uint8_t *p)
{
	cell(state, "longer", result(ftruncate(fd, (PAGES + 1) * HUGE)));
	cell(state, "memory behind the end", result(fallocate(fd, 0, (PAGES + 1) * HUGE, HUGE)));
	cell(state, "memory within", result(fallocate(fd, 0, 0, PAGES * HUGE)));
	cell(state, "shorter", result(ftruncate(fd, HUGE)));
	cell(state, "hole", result(fallocate(fd, HOLE, 0, HUGE)));
	/* Of a part of a page it would make zeros. */
	cell(state, "hole in a page", result(fallocate(fd, HOLE, HUGE, 4096)));
	cell(state, "MADV_REMOVE", result(madvise(p, HUGE, MADV_REMOVE)));
}

void uncoop_frozen(struct rig *r, const char *arg)
{
	int fd = memfd_create("frozen", MFD_CLOEXEC | MFD_HUGETLB | HUGE_SHIFT << MFD_HUGE_SHIFT);
	long before, preserved, after, punched;
	unsigned long wrong, left;
	struct stat st;
	int session;
	uint64_t *p;

	if (fd < 0 || ftruncate(fd, PAGES * HUGE))
		die("make a memfd of huge pages: %s", strerror(errno));
	p = mmap(NULL, PAGES * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("map huge pages: %s", strerror(errno));
	for (unsigned long i = 0; i < FILLED * WORDS; i++)
		p[i] = word_of(i);
	before = pages_free();

	session = luo_session_create(SESSION);
	if (session < 0 || luo_preserve(session, fd, TOKEN_MEMFD))
		die("preserve huge pages: %d", session);
	preserved = pages_free();
	try_all("huge pages, preserved", fd, (uint8_t *)p);
	/* The page that the preserve has made is touched, too. */
	wrong = fstat(fd, &st) || st.st_size != PAGES * HUGE ? PAGES * WORDS : wrong_words(p, FILLED);
	after = pages_free();
	close(session);

	try_all("huge pages, undone", fd, (uint8_t *)p);
	/* All but the first page was cut off, and that was thrown out by the last two. */
	punched = pages_free();
	if (ftruncate(fd, PAGES * HUGE))
		die("have huge pages again: %s", strerror(errno));
	left = wrong_words(p, 0);
	emit("frozen", ",\"before\":%ld,\"preserved\":%ld,\"after\":%ld,\"wrong\":%lu,\"punched\":%ld,\"left\":%lu,\"again\":%ld",
	     before, preserved, after, wrong, punched, left, pages_free());
	munmap(p, PAGES * HUGE);
	close(fd);
}
