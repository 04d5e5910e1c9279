// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzz target: whatever was done to an image, it is refused, or what is not refused
 * can be used. That has to stay so: what is good is not refused later, whatever is done
 * to it, and to memory that files which were refused have.
 *
 * And the law: two files are pinned, and devices write to their memory. As long as these
 * files were not let go nobody is given a unit of it, whatever was damaged. Only if the
 * checksums are made right again after the damage is this not judged: then it is one
 * that nobody can see.
 *
 * The input is a list of damages, then a zero, then a list of operations; each takes four
 * bytes.
 */
#include "support.h"

#include <stddef.h>

static const struct guestmemfs_range ranges[] = {
	{ .start = 100, .units = 7, .nid = 0 },
	{ .start = 107, .units = 6, .nid = 1 },
	{ .start = 300, .units = 9, .nid = 0 },
};

#define NR_RANGES	3
#define UNITS		22
#define MAX_INODES	64

/* The files that are pinned, and their memory */
static struct {
	u32 inode;
	u64 id;
	u64 bits;
} pinned[2];

static u8 *good, *mem;
static struct guestmemfs_image image;
static unsigned long refused[1], refused_later[1];

static void pin(u32 i, u32 inode)
{
	guestmemfs_image_set_pins(&image, inode, true);
	pinned[i].inode = inode;
	pinned[i].id = image.inodes[inode].id;
	pinned[i].bits = bits_of(&image, inode);
	must(pinned[i].bits);
}

static void init(void)
{
	u32 a, b, f;

	make(&image, ranges, NR_RANGES);
	mem = stores.mem;
	a = create(&image, 0, "a", S_IFDIR | 0755);
	b = create(&image, a, "b", S_IFDIR | 0755);
	f = create(&image, a, "f", S_IFREG | 0644);
	must(!guestmemfs_image_grow(&image, f, 5 * UNIT, 1, zero_nothing, NULL));
	f = create(&image, b, "g", S_IFREG | 0644);
	must(!guestmemfs_image_grow(&image, f, 3 * UNIT - 1, 0, zero_nothing, NULL));
	pin(0, f);
	f = create(&image, 0, "h", S_IFREG | 0644);
	must(!guestmemfs_image_grow(&image, f, 4 * UNIT, 0, zero_nothing, NULL));
	guestmemfs_image_shrink(&image, f, 2 * UNIT);
	pin(1, f);
	create(&image, 0, "i", S_IFREG | 0644);
	/* An inode and an extent that are free */
	f = create(&image, 0, "j", S_IFREG | 0644);
	must(!guestmemfs_image_grow(&image, f, UNIT, 0, zero_nothing, NULL));
	create(&image, 0, "k", S_IFREG | 0644);
	guestmemfs_image_remove(&image, f);
	guestmemfs_image_set_limit(&image, a, 12 * UNIT);
	good = new_memory(stores.bytes);
	memcpy(good, mem, stores.bytes);
}

static u64 value_of(u8 what)
{
	static const u64 values[] = {
		0, 1, 2, 3, U32_MAX, 1ull << 32, U64_MAX, 1ull << 63, UNIT, UNIT - 1, 3 * UNIT, UNITS * UNIT,
		UNITS * UNIT + 1, U32_MAX * UNIT, GUESTMEMFS_LOG, GUESTMEMFS_LOG + 1, '/', '.', S_IFREG | 0644, S_IFDIR | 0755,
	};

	return what < sizeof(values) / sizeof(values[0]) ? values[what] : what;
}

static void damage(const u8 *in)
{
	const u32 layout[] = { 0, 4, 8, 10, 12, 14, 15, 16, 18, 20, 21 };
	u64 value = value_of(in[3]);
	u32 at;

	switch (in[0] % 8) {
	case 0:		/* any byte; of the first ones, or elsewhere */
		mem[(in[1] << 8 | in[2]) % stores.bytes] ^= in[3];
		return;
	case 1:		/* a field of the layout, in both copies, and its checksum */
		at = layout[in[1] % (sizeof(layout) / sizeof(layout[0]))] * 4;
		memcpy(mem + at, &value, 4);
		memcpy(mem + GUESTMEMFS_PAGE + at, &value, 4);
		return;
	case 2:		/* the state, or its log */
		at = in[1] % (in[2] & 1 ? 5 : 40);
		memcpy((u64 *)image.state + at, &value, 8);
		return;
	case 3:		/* an entry of the log that is about the state or an inode */
		at = in[1] % 8;
		image.state->redo[at].at = (in[1] & 8 ? 2 : 3) * GUESTMEMFS_PAGE + in[2] * 8;
		image.state->redo[at].value = value;
		image.state->log = (image.state->log & ~(u64)U32_MAX) | (at + 1);
		return;
	case 4:		/* 4 bytes of an inode */
		memcpy((u8 *)&image.inodes[in[1] % 8] + in[2] % 32 * 4, &value, 4);
		return;
	case 5:		/* 8 bytes of an inode */
		memcpy((u8 *)&image.inodes[in[1] % 8] + in[2] % 16 * 8, &value, 8);
		return;
	case 6:		/* a field of an extent */
		at = in[2] % 8;
		memcpy((u8 *)&image.extents[in[1] % 8] + at * 4, &value, 4);
		return;
	default:	/* one inode or extent becomes a copy of another one, or a field of it does */
		if (in[3] & 1)
			image.inodes[in[1] % 8] = image.inodes[in[2] % 8];
		else if (in[3] & 2)
			image.extents[in[1] % 8] = image.extents[in[2] % 8];
		else
			image.inodes[in[1] % 8].id = image.state->next_id + in[2] % 4;
		image.state->used_extents = (in[3] >> 4) + 3;
	}
}

static bool usable(u32 i)
{
	return i < image.state->used_inodes && image.inodes[i].id && !test_bit(i, refused);
}

/* Is this a file that was pinned? Then its memory may go now. */
static void let_go(u32 i)
{
	u32 k;

	for (k = 0; k < 2; k++) {
		if (pinned[k].inode != i || pinned[k].id != image.inodes[i].id)
			continue;
		must(!image.inodes[i].pins);
		held &= ~pinned[k].bits;
	}
}

static bool is_dir(u32 i)
{
	return S_ISDIR(image.inodes[i].mode);
}

static bool is_empty(u32 i)
{
	u32 child = 0;

	return !guestmemfs_image_next(&image, i, &child);
}

/* What the file system does only if it may is not done otherwise here. */
static void operate(const u8 *in)
{
	u32 inode = in[1] % 16, dir = in[2] % 16, old = 0, at;
	const char name[2] = { 'a' + in[3] % 12, 0 };
	const struct guestmemfs_attr attr = { (in[3] & 0x80 ? S_IFDIR : S_IFREG) | 0600, 1, 2, 3, 4 };
	struct guestmemfs_piece piece[3];
	bool exists;

	if (!usable(inode) || !usable(dir) || !is_dir(dir))
		return;
	/* What is in no directory has no name to be renamed by, and nothing is put into it. */
	if (in[0] % 7 < 3 && ((inode && !image.inodes[inode].name_len) || (dir && !image.inodes[dir].name_len)))
		return;
	guestmemfs_image_fits(&image, inode, dir);
	exists = !guestmemfs_image_lookup(&image, dir, name, 1, &old);
	switch (in[0] % 7) {
	case 0:
		if (!exists)
			guestmemfs_image_create(&image, dir, name, 1, &attr, &old);
		return;
	case 1:
		if (inode && is_empty(inode) && in[3] & 1)
			guestmemfs_image_orphan(&image, inode);
		else if (inode && is_empty(inode) && !image.inodes[inode].pins) {
			let_go(inode);
			guestmemfs_image_remove(&image, inode);
		}
		return;
	case 2:
		for (at = dir; at; at = image.inodes[at].parent)
			if (at == inode)
				return;
		if (inode && (!exists || (old != inode && usable(old) && is_empty(old) &&
					  is_dir(old) == is_dir(inode) && !image.inodes[old].pins)))
			guestmemfs_image_rename(&image, inode, dir, name, 1, exists ? &old : NULL, 5);
		return;
	case 3:
		if (is_dir(inode))
			guestmemfs_image_set_limit(&image, inode, in[3] * UNIT / 4);
		else
			guestmemfs_image_set_pins(&image, inode, in[3] % 3);
		guestmemfs_image_used(&image, inode);
		return;
	case 4:
		if (!is_dir(inode))
			guestmemfs_image_grow(&image, inode, in[3] * UNIT / 8, in[2] >> 4, zero_unheld, NULL);
		return;
	case 5:
		if (is_dir(inode) || image.inodes[inode].pins)
			return;
		let_go(inode);
		guestmemfs_image_shrink(&image, inode, image.inodes[inode].size / 256 * in[3]);
		return;
	default:
		guestmemfs_image_setattr(&image, inode, &(struct guestmemfs_attr){
			(image.inodes[inode].mode & S_IFMT) | in[3], in[3], 1, 2, 3 });
		guestmemfs_image_pieces(&image, inode, piece, 3);
	}
}

static void say_later(void *arg, u32 inode, const char *why)
{
	(void)arg;
	if (inode != GUESTMEMFS_NOBODY && !test_bit(inode, refused)) {
		fprintf(stderr, "inode %u was good, and is refused now: %s\n", inode, why);
		abort();
	}
}

/* Each file gets what it can get. */
static void take_all(void)
{
	u32 i, units;

	for (i = 1; i < image.state->used_inodes; i++)
		for (units = UNITS; units && usable(i) && !is_dir(i); units /= 2)
			guestmemfs_image_grow(&image, i, image.inodes[i].size + units * UNIT, 0, zero_unheld, NULL);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct guestmemfs_layout *layout;
	bool repaired = false, damaged;
	u32 i;

	if (!mem)
		init();
	layout = (struct guestmemfs_layout *)mem;
	memcpy(mem, good, stores.bytes);
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes));
	for (; size >= 4 && data[0]; size -= 4, data += 4) {
		damage(data);
		repaired |= data[0] & 0x80;
	}
	layout->crc = layout_crc(layout);
	if (repaired)
		repair(&image);
	held = repaired ? 0 : pinned[0].bits | pinned[1].bits;
	if (guestmemfs_image_open(&image, mem, PHYS, stores.bytes))
		return 0;
	if (guestmemfs_image_check(&image, refused, say_nothing, NULL))
		return 0;
	damaged = image.damaged;
	if (!damaged && untidy(&image))
		abort();
	for (i = 0; i < MAX_INODES; i++)
		guestmemfs_image_used(&image, i);
	for (size -= !!size, data++; size < 1u << 20 && size >= 4; size -= 4, data += 4)
		operate(data);
	/* And so it is for the next kernel. */
	if ((!damaged && untidy(&image)) || guestmemfs_image_open(&image, mem, PHYS, stores.bytes))
		abort();
	if (guestmemfs_image_check(&image, refused_later, say_later, NULL))
		abort();
	if (!repaired && image.damaged != damaged)
		abort();
	if (!repaired && memcmp(refused, refused_later, sizeof(refused)))
		abort();
	take_all();
	if (forget_allocs())
		abort();
	return 0;
}

#ifdef SEEDS
/* Writes an input for each kind of damage and operation into a folder. */
int main(int argc, char **argv)
{
	char path[4096];
	unsigned int i, j, n = 0;
	FILE *f;

	must(argc == 2);
	for (i = 1; i < 17; i++)
		for (j = 0; j < 24; j++) {
			const u8 input[] = { i < 9 ? i : 0x78 + i, j, j + i, j, 0, 0, 0, j * 3, j * 5, 4, 3, j, 200, 2, j, 2, j, 1, j, 1, 1, 4, j, 0, 255 };

			snprintf(path, sizeof(path), "%s/%u", argv[1], n++);
			f = fopen(path, "w");
			must(f && fwrite(input, sizeof(input), 1, f) == 1 && !fclose(f));
			LLVMFuzzerTestOneInput(input, sizeof(input));
		}
	return 0;
}
#endif
