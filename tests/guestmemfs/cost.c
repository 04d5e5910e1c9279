// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to open and check an image with the same files, on a machine with 1 GiB
 * for files and on one with 1 TiB. The compiler calls a function at the beginning of each
 * basic block of image.c; the blocks are counted. And the same with 16 times the files,
 * which are in directories that are as deep as there are directories.
 */
#include "support.h"

#include <math.h>

#define EXPONENT_MAX		0.1
#define EXPONENT_FILES_MAX	1.1

static bool counting;
static unsigned long blocks;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	blocks += counting;
}

static unsigned long cost(u64 units, u32 directories)
{
	const struct guestmemfs_range range = { .start = 512, .units = units };
	static unsigned long refused[BITS_TO_LONGS(65536)];
	struct guestmemfs_image image;
	u32 dir = 0, file, i, j, k;
	char name[24];

	stores.bytes = guestmemfs_image_bytes(units);
	stores.mem = new_memory(stores.bytes);
	memset(stores.mem, 0, stores.bytes);
	guestmemfs_image_make(&image, stores.mem, PHYS, &range, 1, 0);
	for (i = 0; i < directories; i++) {
		snprintf(name, sizeof(name), "directory %u", i);
		dir = create(&image, dir, name, S_IFDIR | 0755);
		for (j = 0; j < 8; j++) {
			snprintf(name, sizeof(name), "file %u", j);
			create(&image, dir, name, S_IFREG | 0644);
		}
	}
	/* All files in turn, so that each has many extents */
	for (k = 1; k <= 8; k++)
		for (file = 1; file < image.state->used_inodes; file++)
			if (S_ISREG(image.inodes[file].mode))
				must(!guestmemfs_image_grow(&image, file, k * UNIT, 0, zero_nothing, NULL));
	must(image.state->used_extents == directories * 8 * 8);
	blocks = 0;
	counting = true;
	must(!guestmemfs_image_open(&image, stores.mem, PHYS, stores.bytes));
	must(!guestmemfs_image_check(&image, refused, say_nothing, NULL));
	counting = false;
	free(stores.mem);
	return blocks;
}

int main(void)
{
	unsigned long small = cost(512, 5), large = cost(512 * 1024, 5), more = cost(512 * 1024, 5 * 16);
	double exponent = log((double)large / small) / log(1024);

	must(small > 1000);
	printf("open and check with 1 GiB: %lu basic blocks, with 1 TiB: %lu; exponent %.4f, below %.1f\n",
	       small, large, exponent, EXPONENT_MAX);
	printf("with 16 times the files: %lu; exponent %.2f, below %.1f\n",
	       more, log((double)more / large) / log(16), EXPONENT_FILES_MAX);
	return exponent >= EXPONENT_MAX || log((double)more / large) / log(16) >= EXPONENT_FILES_MAX;
}
