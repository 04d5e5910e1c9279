// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/memory.h"
#include "scenarios/uncooperative/memory_use.h"

void uncoop_memory(struct rig *r, const char *arg)
{
	static char text[16384];
	long free_kb, shmem_kb, tables, huge, huge_free, surplus;

	read_file("/proc/meminfo", text, sizeof(text));
	free_kb = number_of(text, "MemFree");
	shmem_kb = number_of(text, "Shmem");
	huge = number_of(text, "HugePages_Total");
	huge_free = number_of(text, "HugePages_Free");
	surplus = number_of(text, "HugePages_Surp");
	read_vmstat(text, sizeof(text));
	tables = number_of(text, "nr_iommu_pages");
	emit("memory", ",\"free_kb\":%ld,\"shmem_kb\":%ld,\"iommu_pages\":%ld,\"huge\":%ld,\"huge_free\":%ld,\"huge_surplus\":%ld",
	     free_kb, shmem_kb, tables, huge, huge_free, surplus);
}

/* In the same table of the topmost level as what is in use, and as aligned as a leaf can be. */
#define LEAVES_IOVA	0x4000000000ull
#define LEAF		(2ull << 20)

void uncoop_leaves(struct rig *r, const char *arg)
{
	static char text[16384];
	uint64_t bytes;
	struct stat st;
	long before;

	if (fstat(r->memfd, &st))
		die("stat the memory: %s", strerror(errno));
	/* The end of another file than one of huge pages is within a leaf. */
	bytes = st.st_size & ~(LEAF - 1);
	read_vmstat(text, sizeof(text));
	before = number_of(text, "nr_iommu_pages");
	must(iommufd_map_file(r->iommufd, r->ioas, r->memfd, 0, bytes, LEAVES_IOVA),
	     "map all of the memory");
	read_vmstat(text, sizeof(text));
	emit("leaves", ",\"bytes\":%llu,\"tables\":%ld", (unsigned long long)bytes,
	     number_of(text, "nr_iommu_pages") - before);
	must(iommufd_unmap(r->iommufd, r->ioas, LEAVES_IOVA, bytes), "unmap it");
}

/* Words; no frame is so small that it would fit in between. */
#define WORK_STEP	8

/* Write to it, wait, and see how many words are not what was written. */
static size_t use(size_t bytes, int flags)
{
	size_t n = bytes / sizeof(uint64_t), bad = 0;
	uint64_t *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap %zu bytes of memory to work with: %s", bytes, strerror(errno));
	for (size_t i = 0; i < n; i += WORK_STEP)
		mem[i] = i ^ 0x5a5a5a5a5a5aul;
	sleep(2);
	for (size_t i = 0; i < n; i += WORK_STEP)
		bad += mem[i] != (i ^ 0x5a5a5a5a5a5aul);
	munmap(mem, bytes);
	return bad;
}

/*
 * Memory that belongs to others for as long as this runs: if what was preserved
 * had been given out, DMA would land in it. Where that is of huge pages (rig.hugetlb=),
 * all that are free of their pool, and these first: DMA ends when the ring is full, and the rest
 * takes long on a busy machine.
 */
void uncoop_work(struct rig *r, const char *arg)
{
	unsigned long shift = opt_num("hugetlb", 0);
	size_t bytes, huge = 0, bad = 0;
	static char text[16384];

	read_file("/proc/meminfo", text, sizeof(text));
	bytes = (size_t)number_of(text, "MemAvailable") * 1024 / 4 * 3;
	if (shift)
		huge = (size_t)number_of(text, "HugePages_Free") << shift;
	if (huge)
		bad += use(huge, MAP_HUGETLB | shift << MAP_HUGE_SHIFT);
	bad += use(bytes, 0);
	emit("worked", ",\"bytes\":%zu,\"huge_bytes\":%zu,\"bad\":%zu", bytes, huge, bad);
}
