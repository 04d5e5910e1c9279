// SPDX-License-Identifier: GPL-2.0-only
#include "support.h"

#include <limits.h>
#include <stddef.h>

struct stores stores = { .stop_at = ULONG_MAX };
long allocs_left = -1;

void shim_store(void *at, unsigned long long value)
{
	u8 *to = at;

	if (stores.nr == stores.stop_at)
		longjmp(stores.stop, 1);
	stores.nr++;
	must(to >= stores.mem && to + sizeof(value) <= stores.mem + stores.bytes);
	must((to - stores.mem) % sizeof(value) == 0);
	memcpy(to, &value, sizeof(value));
	if (stores.shadow)
		memcpy(stores.shadow + (to - stores.mem), &value, sizeof(value));
}

/* What was not freed yet. A function that is stopped never frees anything. */
static void *allocs[16];

void *shim_alloc(size_t n, size_t size)
{
	unsigned int i;

	if (!allocs_left)
		return NULL;
	if (allocs_left > 0)
		allocs_left--;
	for (i = 0; allocs[i]; i++)
		must(i + 1 < sizeof(allocs) / sizeof(allocs[0]));
	/* Of no length, so that the sanitizer sees each access to it */
	allocs[i] = calloc(n, size);
	must(allocs[i]);
	return allocs[i];
}

void shim_free(const void *mem)
{
	unsigned int i;

	if (!mem)
		return;
	for (i = 0; allocs[i] != mem; i++)
		must(i + 1 < sizeof(allocs) / sizeof(allocs[0]));
	free(allocs[i]);
	allocs[i] = NULL;
}

/* Free what was not freed; returns how much that was. */
unsigned int forget_allocs(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < sizeof(allocs) / sizeof(allocs[0]); i++) {
		nr += !!allocs[i];
		free(allocs[i]);
		allocs[i] = NULL;
	}
	return nr;
}

void *new_memory(u64 bytes)
{
	void *mem = aligned_alloc(GUESTMEMFS_PAGE, bytes);

	must(mem);
	return mem;
}

u64 units_in(const struct guestmemfs_range *range, u32 nr)
{
	u64 units = 0;

	while (nr--)
		units += range[nr].units;
	return units;
}

/* An empty image, in new memory that is full of something else */
void make(struct guestmemfs_image *image, const struct guestmemfs_range *range, u32 nr)
{
	stores.bytes = guestmemfs_image_bytes(units_in(range, nr));
	stores.mem = new_memory(stores.bytes);
	memset(stores.mem, 0xa5, stores.bytes);
	guestmemfs_image_make(image, stores.mem, PHYS, range, nr, 1000);
}

u32 crc32_le(u32 crc, const u8 *p, size_t len)
{
	static u32 table[256];
	u32 i, bit;

	for (i = 0; i < 256 && !table[255]; i++)
		for (table[i] = i, bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	for (; len; len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

/* Of all behind the checksum */
u32 layout_crc(const struct guestmemfs_layout *layout)
{
	const u8 *from = (const u8 *)layout + offsetof(struct guestmemfs_layout, nr_ranges);

	return crc32_le(~0u, from, (const u8 *)(layout + 1) - from);
}

/* Make the checksums right, of all but the layout, whatever was damaged. */
void repair(struct guestmemfs_image *image)
{
	struct guestmemfs_state *state = image->state;
	const u64 max_inodes = ((u8 *)image->extents - (u8 *)image->inodes) / sizeof(*image->inodes);
	const u64 max_extents = (stores.mem + stores.bytes - (u8 *)image->extents) / sizeof(*image->extents);
	u32 nr = state->log;
	u64 i;

	/* The layout, too, may have been damaged. */
	for (i = 0; i < state->used_inodes && i < max_inodes; i++)
		image->inodes[i].crc = crc32_le(~(u32)i, (u8 *)&image->inodes[i],
						offsetof(struct guestmemfs_inode, crc));
	for (i = 0; i < state->used_extents && i < max_extents; i++)
		image->extents[i].crc = crc32_le(~(u32)i, (u8 *)&image->extents[i],
						 offsetof(struct guestmemfs_extent, crc));
	state->crc = crc32_le(~0u, (u8 *)state, offsetof(struct guestmemfs_state, crc));
	if (nr && nr <= GUESTMEMFS_LOG)
		state->log = (u64)crc32_le(~0u, (u8 *)state->redo, nr * sizeof(state->redo[0])) << 32 | nr;
}

u32 create(struct guestmemfs_image *image, u32 parent, const char *name, u32 mode)
{
	const struct guestmemfs_attr attr = { mode, 10, 20, 2000, 2001 };
	u32 inode;

	must(!guestmemfs_image_create(image, parent, name, strlen(name), &attr, &inode));
	return inode;
}

int zero_nothing(void *arg, u32 start, u32 units)
{
	(void)arg, (void)start, (void)units;
	return 0;
}

u64 held;

/* A bit for each of the units 100 to 112 and 300 to 308. With another layout there are more. */
static u64 bits(u32 start, u32 units)
{
	u64 set = 0, unit;

	for (unit = start; unit < (u64)start + units; unit++)
		if (unit >= 100 && unit < 113)
			set |= 1ull << (unit - 100);
		else if (unit >= 300 && unit < 309)
			set |= 1ull << (unit - 300 + 13);
	return set;
}

/* The units of a file. One that has more than 32 pieces has none. */
u64 bits_of(const struct guestmemfs_image *image, u32 inode)
{
	struct guestmemfs_piece piece[32];
	int nr = guestmemfs_image_pieces(image, inode, piece, 32);
	u64 set = 0;

	while (nr-- > 0)
		set |= bits(piece[nr].start, piece[nr].units);
	return set;
}

/* The law: memory that a device may write to is nobody else's. */
int zero_unheld(void *arg, u32 start, u32 units)
{
	(void)arg;
	must(!(held & bits(start, units)));
	return 0;
}

void say_nothing(void *arg, u32 inode, const char *why)
{
	(void)arg, (void)inode, (void)why;
}

/* All that counts, as text */
void dump(const struct guestmemfs_image *image, char *out, size_t size)
{
	struct guestmemfs_piece piece[256];
	char *end = out + size;
	int i, j, nr;

#define add(...)	(out += snprintf(out, end - out, __VA_ARGS__), must(out < end))
	for (i = 0; i < (int)image->state->used_inodes; i++) {
		const struct guestmemfs_inode *inode = &image->inodes[i];

		if (!inode->id)
			continue;
		add("%d: %llu in %u '%.*s' %o %u:%u pins %u size %llu limit %llu times %lld %lld", i,
		    (unsigned long long)inode->id, inode->parent, (int)inode->name_len,
		    (const char *)inode->name, inode->mode, inode->uid, inode->gid, inode->pins,
		    (unsigned long long)inode->size, (unsigned long long)inode->limit,
		    (long long)inode->mtime, (long long)inode->ctime);
		nr = guestmemfs_image_pieces(image, i, piece, 256);
		must(nr <= 256);
		for (j = 0; j < nr; j++)
			add(" [%u: %u+%u]", piece[j].at, piece[j].start, piece[j].units);
		add("\n");
	}
#undef add
}

/* Between two calls an extent has an id if, and only if, all of it counts. */
const char *untidy(const struct guestmemfs_image *image)
{
	const struct guestmemfs_inode *file;
	u64 i;

	for (i = 0; i < image->state->used_extents; i++) {
		const struct guestmemfs_extent *extent = &image->extents[i];

		if (!extent->id)
			continue;
		if (extent->inode >= image->state->used_inodes)
			return "an extent of no inode";
		file = &image->inodes[extent->inode];
		if (file->id != extent->id)
			return "an extent of an inode that is gone";
		if (!extent->units || (u64)extent->at + extent->units > file->size / UNIT + !!(file->size % UNIT))
			return "an extent behind the end of its file";
	}
	return NULL;
}
