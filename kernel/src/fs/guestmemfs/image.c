// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What is done to the image of guestmemfs
 *
 * include/linux/kho/abi/guestmemfs.h has the format. A kernel may die between any
 * two stores to the image, so these rules hold:
 *
 * - Each store is a word of eight bytes, made by put(), and later than the stores
 *   before it.
 * - Each change is a list of words, and the list is in the log before the first of them
 *   is stored. The log counts from the store of its length and checksum on, until its
 *   length is 0 again.
 * - An inode counts if it has an id. An extent counts as far as it is memory of an
 *   inode that counts: ids and index agree, and it is not behind the end of the
 *   file. All else is free.
 * - A change that is too long for the log is made in parts. A file has its new size with
 *   the last one if it grows, and with the first one if it shrinks or goes.
 * - Between two calls an extent has an id if, and only if, all of it counts. What a
 *   change leaves over it clears at its end. What a kernel that died left over
 *   guestmemfs_image_check() clears. So a slot without an id is free, and memory that
 *   once was a file's never becomes part of the file again by itself.
 * - There is one slot for each unit, and no two extents have a unit in common. So
 *   slots do not run out before memory does.
 *
 * The image of a kernel that died is good then: all checksums are right. It can still be
 * damaged by anyone who can write to memory. guestmemfs_image_open() refuses what makes
 * all of it unusable, guestmemfs_image_check() refuses single files and directories.
 *
 * If anything was refused no memory is given out, and what is left over stays. A file
 * that was refused may be one that a device writes to. Where that memory is says what
 * was damaged, so anything that looks free may be part of it: an extent in another
 * place, a file that is shorter or gone. The files that were not refused can be used as
 * before. Nothing repairs what was refused, so the next kernel finds the same.
 *
 * The caller keeps two changes apart, and a change apart from the functions that
 * only read. Inodes are given by their index; but for guestmemfs_image_check() it is
 * one that counts and was not refused.
 */

#include <asm/barrier.h>
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stat.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "image.h"

#define UNIT			BIT_ULL(GUESTMEMFS_UNIT_SHIFT)
/* A leaf of 1 GiB is possible where file and memory agree modulo this many units. */
#define BLOCK			512
#define ROOT_ID			1
/* A session has it shifted by two. */
#define MAX_ID			(U64_MAX >> 2)
#define UNITS_PER_INODE		8
#define MIN_INODES		64
#define MAX_INODES		65536

static_assert(sizeof(struct guestmemfs_layout) <= GUESTMEMFS_PAGE);
static_assert(sizeof(struct guestmemfs_state) <= GUESTMEMFS_PAGE);
/* Words are stored: nothing that is changed may be in two of them. */
static_assert(sizeof(struct guestmemfs_layout) % 8 == 0);
static_assert(offsetof(struct guestmemfs_layout, crc) % 8 == 0);
static_assert(offsetof(struct guestmemfs_layout, max_inodes) % 8 == 0);
static_assert(sizeof(struct guestmemfs_range) % 8 == 0);
static_assert(sizeof(struct guestmemfs_inode) % 8 == 0);
static_assert(sizeof(struct guestmemfs_extent) % 8 == 0);
/* All that changes of the state */
#define STATE_WORDS		(offsetof(struct guestmemfs_state, log) / 8)
#define INODE_WORDS		(sizeof(struct guestmemfs_inode) / 8)
#define EXTENT_WORDS		(sizeof(struct guestmemfs_extent) / 8)
/* A rename changes an inode, another one, and two directories. */
static_assert(4 * INODE_WORDS <= GUESTMEMFS_LOG);

/* Each store to the image is one of these. */
static void put(void *at, u64 value)
{
	/* No store overtakes another: the next kernel is who reads them. */
	smp_wmb();
	WRITE_ONCE(*(u64 *)at, value);
}

static void put_words(void *to, const void *from, size_t bytes)
{
	u64 word;
	size_t i;

	for (i = 0; i < bytes; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		put(to + i, word);
	}
}

/* The word that two fields make, the first one at the lower address */
static u64 pair(u32 first, u32 second)
{
	const u32 both[2] = { first, second };
	u64 word;

	memcpy(&word, both, sizeof(word));
	return word;
}

static u64 state_crc(const void *state)
{
	return crc32_le(~0, state, offsetof(struct guestmemfs_state, crc));
}

static u32 log_crc(const struct guestmemfs_state *state, u32 nr)
{
	return crc32_le(~0, (const u8 *)state->redo, nr * sizeof(state->redo[0]));
}

/* Begins with the index, so that a slot is not taken for another one. */
static u64 inode_crc(u32 index, const struct guestmemfs_inode *inode)
{
	return crc32_le(~index, (const u8 *)inode, offsetof(struct guestmemfs_inode, crc));
}

static u64 extent_crc(u32 index, const struct guestmemfs_extent *extent)
{
	return crc32_le(~index, (const u8 *)extent, offsetof(struct guestmemfs_extent, crc));
}

static bool inode_right(const struct guestmemfs_image *image, u32 index)
{
	return image->inodes[index].crc == inode_crc(index, &image->inodes[index]);
}

static bool extent_right(const struct guestmemfs_image *image, u32 index)
{
	return image->extents[index].crc == extent_crc(index, &image->extents[index]);
}

static u64 units_of(u64 size)
{
	return (size >> GUESTMEMFS_UNIT_SHIFT) + !!(size & (UNIT - 1));
}

static u64 pages(u64 bytes)
{
	return round_up(bytes, (u64)GUESTMEMFS_PAGE);
}

static u64 inodes_for(u64 units)
{
	return clamp_t(u64, units / UNITS_PER_INODE, MIN_INODES, MAX_INODES);
}

static u64 inodes_at(void)
{
	return 3 * GUESTMEMFS_PAGE;
}

static u64 extents_at(u64 max_inodes)
{
	return inodes_at() + pages(max_inodes * sizeof(struct guestmemfs_inode));
}

/**
 * guestmemfs_image_bytes() - How long is the image for so much memory?
 * @units: The memory, in units; at most U32_MAX.
 *
 * Two pages of the layout, one of the state; 64 inodes for each GiB, but at least 64
 * and at most 65536; an extent for each unit. From 1 GiB on that is less than 0.01 %
 * of the memory.
 *
 * Return: Its length in bytes, which is a multiple of GUESTMEMFS_PAGE.
 */
u64 guestmemfs_image_bytes(u64 units)
{
	return extents_at(inodes_for(units)) +
	       pages(units * sizeof(struct guestmemfs_extent));
}

static u64 units_of_ranges(const struct guestmemfs_range *range, u32 nr)
{
	u64 units = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		units += range[i].units;
	return units;
}

static u32 layout_crc(const struct guestmemfs_layout *layout)
{
	const size_t from = offsetofend(struct guestmemfs_layout, crc);

	return crc32_le(~0, (const u8 *)layout + from, sizeof(*layout) - from);
}

static void image_parts(struct guestmemfs_image *image, void *mem,
			const struct guestmemfs_layout *layout)
{
	image->layout = layout;
	image->state = mem + 2 * GUESTMEMFS_PAGE;
	image->inodes = mem + inodes_at();
	image->extents = mem + extents_at(layout->max_inodes);
	/* Until it was checked */
	image->damaged = true;
}

static void make_layout(struct guestmemfs_layout *layout, u64 phys,
			const struct guestmemfs_range *range, u32 nr_ranges)
{
	static const char compatible[sizeof(layout->compatible)] = GUESTMEMFS_COMPATIBLE;
	static const struct guestmemfs_range none;
	u64 units = units_of_ranges(range, nr_ranges);
	u32 i;

	put_words(layout->compatible, compatible, sizeof(compatible));
	put(&layout->crc, pair(0, nr_ranges));
	put(&layout->phys, phys);
	put(&layout->bytes, guestmemfs_image_bytes(units));
	put(&layout->max_inodes, pair(inodes_for(units), units));
	for (i = 0; i < GUESTMEMFS_RANGES; i++)
		put_words(&layout->range[i], i < nr_ranges ? &range[i] : &none,
			  sizeof(none));
	put(&layout->crc, pair(layout_crc(layout), nr_ranges));
}

/**
 * guestmemfs_image_make() - Make an image with nothing in it but the root
 * @image: On return, the image.
 * @mem: Where it is to be: guestmemfs_image_bytes() of the units of all ranges,
 *	at the beginning of a page. What is there before does not matter.
 * @phys: Physical address of @mem, in bytes; a multiple of GUESTMEMFS_PAGE.
 * @range: The memory for files, as guestmemfs_layout_check() wants it.
 * @nr_ranges: Number of entries of @range, 1 to GUESTMEMFS_RANGES.
 * @now: The time, in ns since 1970.
 *
 * Does the same amount of work for any amount of memory.
 */
void guestmemfs_image_make(struct guestmemfs_image *image, void *mem, u64 phys,
			   const struct guestmemfs_range *range, u32 nr_ranges,
			   s64 now)
{
	struct guestmemfs_inode root = {
		.id = ROOT_ID,
		.mode = S_IFDIR | 0755,
		.mtime = now,
		.ctime = now,
	};

	root.crc = inode_crc(0, &root);
	make_layout(mem, phys, range, nr_ranges);
	image_parts(image, mem, mem);
	image->damaged = false;
	put(&image->state->next_id, ROOT_ID + 1);
	put(&image->state->used_inodes, 1);
	put(&image->state->used_extents, 0);
	put(&image->state->crc, state_crc(image->state));
	put(&image->state->log, 0);
	put_words(image->inodes, &root, sizeof(root));
	put_words(mem + GUESTMEMFS_PAGE, mem, sizeof(struct guestmemfs_layout));
}

static const char *check_range(const struct guestmemfs_layout *layout, u32 i)
{
	const struct guestmemfs_range *range = &layout->range[i];
	const struct guestmemfs_range *before = i ? range - 1 : NULL;
	u64 from, last;

	if (range->reserved)
		return "a reserved field of a range is set";
	if (!range->units)
		return "a range of its memory is empty";
	if (range->units > U32_MAX || range->start > U32_MAX - range->units)
		return "a range of its memory has an impossible address";
	if (before && range->start < before->start + before->units)
		return "the ranges of its memory overlap or are not sorted";
	if (before && range->start == before->start + before->units &&
	    range->nid == before->nid)
		return "two ranges of its memory touch on one node";

	/* In units, so that no address overflows. */
	from = layout->phys >> GUESTMEMFS_UNIT_SHIFT;
	last = from + ((layout->phys & (UNIT - 1)) + layout->bytes - 1) / UNIT;
	if (from < range->start + range->units && range->start <= last)
		return "it is in the memory that it gives out";
	return NULL;
}

/**
 * guestmemfs_layout_check() - Check one copy of the layout
 * @layout: The copy.
 * @phys: Physical address of the image, in bytes.
 * @bytes: Its length.
 *
 * Return: NULL, or the rule that it breaks.
 */
const char *guestmemfs_layout_check(const struct guestmemfs_layout *layout,
				    u64 phys, u64 bytes)
{
	static const char compatible[sizeof(layout->compatible)] = GUESTMEMFS_COMPATIBLE;
	const char *why;
	u64 units;
	u32 i;

	if (memcmp(layout->compatible, compatible, sizeof(compatible)))
		return "its format is not known";
	if (layout->crc != layout_crc(layout))
		return "its checksum is wrong";
	if (layout->phys != phys || phys % GUESTMEMFS_PAGE)
		return "it is not where it says that it is";
	if (layout->bytes != bytes)
		return "it is not as long as it says that it is";
	if (!layout->nr_ranges || layout->nr_ranges > GUESTMEMFS_RANGES)
		return "its number of ranges is impossible";
	for (i = 0; i < layout->nr_ranges; i++) {
		why = check_range(layout, i);
		if (why)
			return why;
	}
	if (memchr_inv(&layout->range[i], 0,
		       (GUESTMEMFS_RANGES - i) * sizeof(layout->range[0])))
		return "there is something behind its ranges";
	/* They do not overlap, so the sum is no more than the highest address. */
	units = units_of_ranges(layout->range, layout->nr_ranges);
	if (layout->max_inodes != inodes_for(units) || layout->max_extents != units)
		return "its number of inodes or extents is not that for its memory";
	if (bytes != guestmemfs_image_bytes(units))
		return "its length is not that for its memory";
	return NULL;
}

/* What guestmemfs_redo.at counts from */
static void *base_of(const struct guestmemfs_image *image)
{
	return (void *)image->inodes - inodes_at();
}

static u32 log_length(const struct guestmemfs_state *state)
{
	return state->log;
}

static const char *check_log(const struct guestmemfs_image *image)
{
	const struct guestmemfs_state *state = image->state;
	u64 state_at = (void *)state - base_of(image);
	u64 state_end = state_at + STATE_WORDS * 8;
	u32 i, nr = log_length(state);
	u64 at;

	if (!state->log)
		return NULL;
	if (!nr || nr > GUESTMEMFS_LOG)
		return "its log has a length that no log has";
	if (state->log >> 32 != log_crc(state, nr))
		return "the checksum of its log is wrong";
	for (i = 0; i < nr; i++) {
		at = state->redo[i].at;
		if (at % 8 || at < state_at || at >= image->layout->bytes ||
		    (at >= state_end && at < inodes_at()))
			return "its log is about something that does not change";
	}
	return NULL;
}

static const char *check_state(const struct guestmemfs_image *image)
{
	const struct guestmemfs_layout *layout = image->layout;
	const struct guestmemfs_state *state = image->state;

	if (state->crc != state_crc(state))
		return "the checksum of its state is wrong";
	if (state->next_id <= ROOT_ID)
		return "its next id is impossible";
	if (!state->used_inodes || state->used_inodes > layout->max_inodes)
		return "its number of used inodes is impossible";
	if (state->used_extents > layout->max_extents)
		return "its number of used extents is impossible";
	return NULL;
}

static void apply_log(struct guestmemfs_image *image)
{
	struct guestmemfs_state *state = image->state;
	u32 i, nr = log_length(state);

	for (i = 0; i < nr; i++)
		put(base_of(image) + state->redo[i].at, state->redo[i].value);
	if (nr)
		put(&state->log, 0);
}

/* Add to the log what makes something in the image @new. */
static void log_words(struct guestmemfs_image *image, u32 *nr, const void *old,
		      const void *new, size_t bytes)
{
	struct guestmemfs_redo redo;
	size_t i;

	for (i = 0; i < bytes; i += sizeof(redo.value)) {
		if (!memcmp(old + i, new + i, sizeof(redo.value)))
			continue;
		redo.at = old + i - base_of(image);
		memcpy(&redo.value, new + i, sizeof(redo.value));
		put_words(&image->state->redo[*nr], &redo, sizeof(redo));
		++*nr;
	}
}

/* It is in the log no more than once. Sets the checksum of @new, too. */
static void log_inode(struct guestmemfs_image *image, u32 *nr, u32 index,
		      struct guestmemfs_inode *new)
{
	new->crc = inode_crc(index, new);
	log_words(image, nr, &image->inodes[index], new, sizeof(*new));
}

static void log_extent(struct guestmemfs_image *image, u32 *nr, u32 index,
		       struct guestmemfs_extent *new)
{
	new->crc = extent_crc(index, new);
	log_words(image, nr, &image->extents[index], new, sizeof(*new));
}

static void log_state(struct guestmemfs_image *image, u32 *nr, u64 next_id,
		      u64 used_inodes, u64 used_extents)
{
	u64 new[] = { next_id, used_inodes, used_extents, 0 };

	static_assert(sizeof(new) == STATE_WORDS * 8);
	new[3] = state_crc(new);
	log_words(image, nr, image->state, new, sizeof(new));
}

/* From here on the change is made, even if the next kernel has to do it. */
static void commit_log(struct guestmemfs_image *image, u32 *nr)
{
	if (*nr)
		put(&image->state->log, (u64)log_crc(image->state, *nr) << 32 | *nr);
	apply_log(image);
	*nr = 0;
}

static void change_inode(struct guestmemfs_image *image, u32 index,
			 struct guestmemfs_inode *new)
{
	u32 nr = 0;

	log_inode(image, &nr, index, new);
	commit_log(image, &nr);
}

/* How many units of an extent are memory of a file */
static u64 counts(const struct guestmemfs_image *image,
		  const struct guestmemfs_extent *extent)
{
	const struct guestmemfs_inode *inode;
	u64 units;

	if (!extent->id || extent->inode >= image->state->used_inodes)
		return 0;
	inode = &image->inodes[extent->inode];
	units = units_of(inode->size);
	if (inode->id != extent->id || extent->at >= units)
		return 0;
	/* What is not true does not count for files that are good. */
	if (image->damaged && !extent_right(image, extent - image->extents))
		return 0;
	return min_t(u64, extent->units, units - extent->at);
}

/* Let no extent have an id, or be longer, than what of it counts. */
static void tidy(struct guestmemfs_image *image)
{
	const struct guestmemfs_extent *extent;
	struct guestmemfs_extent new;
	u32 nr = 0;
	u64 i, units;

	if (image->damaged)
		return;
	for (i = 0; i < image->state->used_extents; i++) {
		extent = &image->extents[i];
		units = counts(image, extent);
		if (!extent->id || (units && units == extent->units))
			continue;
		new = *extent;
		if (units)
			new.units = units;
		else
			new.id = 0;
		log_extent(image, &nr, i, &new);
		if (nr + EXTENT_WORDS > GUESTMEMFS_LOG)
			commit_log(image, &nr);
	}
	commit_log(image, &nr);
}

/**
 * guestmemfs_image_open() - Use the image that the previous kernel has left
 * @image: On success, the image.
 * @mem: Where it is; at the beginning of a page.
 * @phys: Physical address of @mem, in bytes.
 * @bytes: Its length.
 *
 * Checks what is about the image as a whole, and finishes a change that was under way.
 * May be done again if the kernel died while it did this. Before anything else is done
 * with the image, guestmemfs_image_check() has to judge its files.
 *
 * One copy of the layout is enough. The other one stays as it is.
 *
 * Return: NULL, or the rule that it breaks; of two bad copies, the rule that the
 * first one breaks.
 */
const char *guestmemfs_image_open(struct guestmemfs_image *image, void *mem,
				  u64 phys, u64 bytes)
{
	const struct guestmemfs_layout *layout = mem;
	const char *why;

	if (bytes < inodes_at())
		return "it is too short for an image";
	why = guestmemfs_layout_check(layout, phys, bytes);
	if (why) {
		layout = mem + GUESTMEMFS_PAGE;
		if (guestmemfs_layout_check(layout, phys, bytes))
			return why;
	}
	image_parts(image, mem, layout);
	why = check_log(image);
	if (why)
		return why;
	/* It may be about the state. */
	apply_log(image);
	return check_state(image);
}

/**
 * struct part - An extent, as far as it counts
 * @start: Physical address, in units.
 * @units: Its length.
 * @inode: Index of the file.
 * @at: Where in the file, in units.
 */
struct part {
	u32 start;
	u32 units;
	u32 inode;
	u32 at;
};

static int compare(u64 a, u64 b)
{
	return a < b ? -1 : a > b;
}

static int by_start(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return compare(x->start, y->start) ?: compare(x->inode, y->inode);
}

static int by_file(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return compare(x->inode, y->inode) ?: compare(x->at, y->at);
}

/* All extents that count, or NULL if there is no memory for them */
static struct part *collect(const struct guestmemfs_image *image, u32 *nr)
{
	const struct guestmemfs_extent *extent;
	struct part *parts;
	u64 i, units;

	parts = kvmalloc_array(image->state->used_extents + 1, sizeof(*parts), GFP_KERNEL);
	if (!parts)
		return NULL;
	*nr = 0;
	for (i = 0; i < image->state->used_extents; i++) {
		extent = &image->extents[i];
		units = counts(image, extent);
		if (units)
			parts[(*nr)++] = (struct part) {
				.start = extent->start,
				.units = units,
				.inode = extent->inode,
				.at = extent->at,
			};
	}
	return parts;
}

/**
 * struct check - A check of all files
 * @image: The image.
 * @refused: Bitmap of the inodes that were refused.
 * @say: Is told each, and why.
 * @arg: Of @say.
 */
struct check {
	struct guestmemfs_image *image;
	unsigned long *refused;
	void (*say)(void *arg, u32 inode, const char *why);
	void *arg;
};

static void refuse(const struct check *check, u32 inode, const char *why)
{
	check->image->damaged = true;
	if (!__test_and_set_bit(inode, check->refused))
		check->say(check->arg, inode, why);
}

static bool is_orphan(const struct guestmemfs_image *image, u32 inode)
{
	return inode && !image->inodes[inode].name_len;
}

static const char *check_name(const struct guestmemfs_inode *inode)
{
	u32 len = inode->name_len;

	if (len >= GUESTMEMFS_NAME)
		return "its name is too long";
	if (memchr(inode->name, 0, len) || memchr(inode->name, '/', len))
		return "its name has a character that no name has";
	if (inode->name[0] == '.' && (len == 1 || (len == 2 && inode->name[1] == '.')))
		return "its name is one that each directory has already";
	if (memchr_inv(inode->name + len, 0, GUESTMEMFS_NAME - len))
		return "there is something behind its name";
	return NULL;
}

static const char *check_place(const struct guestmemfs_image *image,
			       const struct guestmemfs_inode *inode)
{
	const struct guestmemfs_inode *parent;

	if (inode->parent >= image->state->used_inodes)
		return "its directory does not exist";
	parent = &image->inodes[inode->parent];
	if (!parent->id)
		return "its directory does not exist";
	if (!S_ISDIR(parent->mode))
		return "it is in something that is not a directory";
	if (inode->name_len && is_orphan(image, inode->parent))
		return "its directory was removed";
	return NULL;
}

static const char *check_kind(const struct guestmemfs_image *image,
			      const struct guestmemfs_inode *inode)
{
	if (inode->mode & ~(S_IFMT | 07777))
		return "its mode has bits that mean nothing";
	if (S_ISDIR(inode->mode)) {
		if (inode->size)
			return "it is a directory and has a size";
		if (inode->pins)
			return "it is a directory and pinned";
		return NULL;
	}
	if (!S_ISREG(inode->mode))
		return "it is neither a file nor a directory";
	if (inode->limit)
		return "it is a file and has a limit";
	if (inode->pins > GUESTMEMFS_PIN_IN)
		return "its pins mean nothing";
	if (units_of(inode->size) > image->layout->max_extents)
		return "it is larger than all of the memory";
	return NULL;
}

static const char *check_root(const struct guestmemfs_image *image)
{
	const struct guestmemfs_inode *root = image->inodes;

	if (!inode_right(image, 0))
		return "the checksum of the root is wrong";
	if (root->id != ROOT_ID)
		return "the root has another id than the root has";
	if (!S_ISDIR(root->mode))
		return "the root is not a directory";
	if (root->parent || root->name_len || memchr_inv(root->name, 0, GUESTMEMFS_NAME))
		return "the root has a name or a directory";
	return check_kind(image, root);
}

static const char *check_inode(const struct guestmemfs_image *image,
			       const struct guestmemfs_inode *inode)
{
	const char *why;

	if (inode->id <= ROOT_ID || inode->id >= image->state->next_id)
		return "its id was not given to it";
	why = check_kind(image, inode);
	if (!why)
		why = check_name(inode);
	if (!why)
		why = check_place(image, inode);
	return why;
}

static int by_id(const void *a, const void *b)
{
	const struct guestmemfs_inode *x = *(const void **)a, *y = *(const void **)b;

	return compare(x->id, y->id);
}

static int by_name(const void *a, const void *b)
{
	const struct guestmemfs_inode *x = *(const void **)a, *y = *(const void **)b;

	/* Orphans are not the same for that they have no name. */
	if (!x->name_len && !y->name_len)
		return x < y ? -1 : x > y;
	return compare(x->parent, y->parent) ?: compare(x->name_len, y->name_len) ?:
	       memcmp(x->name, y->name, min_t(u32, x->name_len, GUESTMEMFS_NAME));
}

/* Refuse all that are equal in the order that they are put in. */
static void check_unique(const struct check *check, const struct guestmemfs_inode **sorted,
			 u32 nr, int (*order)(const void *a, const void *b),
			 const char *why)
{
	u32 i;

	sort(sorted, nr, sizeof(*sorted), order, NULL);
	for (i = 1; i < nr; i++) {
		if (order(&sorted[i - 1], &sorted[i]))
			continue;
		refuse(check, sorted[i - 1] - check->image->inodes, why);
		refuse(check, sorted[i] - check->image->inodes, why);
	}
}

static int check_inodes(const struct check *check)
{
	const struct guestmemfs_image *image = check->image;
	const struct guestmemfs_inode *inode, **sorted;
	u32 used = image->state->used_inodes;
	const char *why;
	u32 i, nr = 0;

	sorted = kvmalloc_array(used, sizeof(*sorted), GFP_KERNEL);
	if (!sorted)
		return -ENOMEM;
	for (i = 1; i < used; i++) {
		inode = &image->inodes[i];
		/* What it says is nothing to hold against others. */
		if (!inode_right(image, i)) {
			refuse(check, i, "its checksum is not that of what it says");
			continue;
		}
		if (!inode->id)
			continue;
		sorted[nr++] = inode;
		why = check_inode(image, inode);
		if (why)
			refuse(check, i, why);
	}
	check_unique(check, sorted, nr, by_id, "another one has the same id");
	/*
	 * Others that were refused are part of this: guestmemfs_image_lookup() can only
	 * find one of two.
	 */
	check_unique(check, sorted, nr, by_name, "another one in its directory has the same name");
	kvfree(sorted);
	return 0;
}

/* What is known about the way from an inode to the root */
enum way {
	WAY_UNKNOWN,
	WAY_WALKED,	/* it is part of the way that is being walked */
	WAY_GOOD,
	WAY_REFUSED,
};

static enum way way_of(const struct check *check, const u8 *ways, u32 i)
{
	if (!i)
		return WAY_GOOD;
	return test_bit(i, check->refused) ? WAY_REFUSED : ways[i];
}

/* Refuse what is in a directory that was refused, or in a circle of directories. */
static int check_ways(const struct check *check)
{
	const struct guestmemfs_inode *inodes = check->image->inodes;
	u32 used = check->image->state->used_inodes;
	enum way end;
	u8 *ways;
	u32 i, at;

	ways = kvcalloc(used, sizeof(*ways), GFP_KERNEL);
	if (!ways)
		return -ENOMEM;
	for (i = 1; i < used; i++) {
		if (!inodes[i].id)
			continue;
		/* No inode is walked twice: each walk ends where another one was. */
		for (at = i; way_of(check, ways, at) == WAY_UNKNOWN; at = inodes[at].parent)
			ways[at] = WAY_WALKED;
		end = way_of(check, ways, at);
		for (at = i; way_of(check, ways, at) == WAY_WALKED; at = inodes[at].parent) {
			ways[at] = WAY_GOOD;
			if (end == WAY_WALKED)
				refuse(check, at, "the directories that it is in make a circle");
			else if (end == WAY_REFUSED)
				refuse(check, at, "its directory was refused");
		}
	}
	kvfree(ways);
	return 0;
}

/* Is each unit of each file in one place? */
static int check_covered(const struct check *check, struct part *parts, u32 nr)
{
	const struct guestmemfs_image *image = check->image;
	u32 used = image->state->used_inodes;
	u64 *covered;
	u32 i;

	covered = kvcalloc(used, sizeof(*covered), GFP_KERNEL);
	if (!covered)
		return -ENOMEM;
	sort(parts, nr, sizeof(*parts), by_file, NULL);
	for (i = 0; i < nr; i++) {
		if (parts[i].at < covered[parts[i].inode])
			refuse(check, parts[i].inode, "a part of it is in two places");
		else if (parts[i].at > covered[parts[i].inode])
			refuse(check, parts[i].inode, "a part of it is nowhere");
		covered[parts[i].inode] = (u64)parts[i].at + parts[i].units;
	}
	for (i = 1; i < used; i++)
		if (image->inodes[i].id && covered[i] < units_of(image->inodes[i].size))
			refuse(check, i, "a part of it is nowhere");
	kvfree(covered);
	return 0;
}

/* Is each extent in the memory, and in nobody else's? */
static void check_apart(const struct check *check, struct part *parts, u32 nr)
{
	const struct guestmemfs_layout *layout = check->image->layout;
	const struct guestmemfs_range *range = layout->range;
	const struct guestmemfs_range *last = range + layout->nr_ranges - 1;
	u64 start, end, reach = 0;
	u32 i, owner = 0;

	sort(parts, nr, sizeof(*parts), by_start, NULL);
	for (i = 0; i < nr; i++) {
		start = parts[i].start;
		end = start + parts[i].units;
		while (range < last && range->start + range->units <= start)
			range++;
		if (start < range->start || end > range->start + range->units)
			refuse(check, parts[i].inode, "a part of it is not in memory for files");
		/*
		 * An extent that overlaps one before it overlaps the one that reaches
		 * furthest, too. And the first one that overlaps it finds it to be that.
		 */
		if (start < reach) {
			refuse(check, owner, "a part of it is another one's, too");
			refuse(check, parts[i].inode, "a part of it is another one's, too");
		}
		if (end > reach) {
			reach = end;
			owner = parts[i].inode;
		}
	}
}

static int check_extents(const struct check *check)
{
	struct guestmemfs_image *image = check->image;
	struct part *parts;
	u32 i, nr;
	int err;

	for (i = 0; i < image->state->used_extents; i++) {
		if (extent_right(image, i))
			continue;
		image->damaged = true;
		check->say(check->arg, GUESTMEMFS_NOBODY, "an extent has a wrong checksum");
		break;
	}
	parts = collect(image, &nr);
	if (!parts)
		return -ENOMEM;
	err = check_covered(check, parts, nr);
	if (!err)
		check_apart(check, parts, nr);
	kvfree(parts);
	return err;
}

/**
 * guestmemfs_image_check() - Check each file and directory
 * @image: An image that guestmemfs_image_open() has found to be good.
 * @refused: Bitmap of guestmemfs_layout.max_inodes bits. On return, those of inodes
 *	that may not be used are set, and no others.
 * @say: Is called once for each of these, with @arg, its index, and the rule that it
 *	breaks; and with GUESTMEMFS_NOBODY if there is an extent that may be anybody's.
 * @arg: For @say.
 *
 * What is in a directory that is refused is refused, too. @image->damaged says whether
 * @say was called. Only if it was not, what a kernel that died left over is cleared; if
 * it was, the image is not written to. The work is in proportion to what is used, and
 * to its logarithm.
 *
 * Return: 0, also if something was refused; -EINVAL if the root is bad, and all is
 * refused; -ENOMEM if there is no memory for the check, and nothing may be used either.
 */
int guestmemfs_image_check(struct guestmemfs_image *image,
			   unsigned long *refused,
			   void (*say)(void *arg, u32 inode, const char *why),
			   void *arg)
{
	const struct check check = {
		.image = image,
		.refused = refused,
		.say = say,
		.arg = arg,
	};
	const char *why;
	int err;

	bitmap_zero(refused, image->layout->max_inodes);
	image->damaged = false;
	why = check_root(image);
	if (why) {
		image->damaged = true;
		say(arg, 0, why);
		bitmap_fill(refused, image->layout->max_inodes);
		return -EINVAL;
	}
	err = check_inodes(&check);
	if (!err)
		err = check_ways(&check);
	if (!err)
		err = check_extents(&check);
	if (err)
		image->damaged = true;
	tidy(image);
	return err;
}

/**
 * guestmemfs_image_lookup() - Find a name in a directory
 * @image: The image.
 * @parent: The directory.
 * @name: The name.
 * @len: Its length, in bytes.
 * @inode: On success, the index of what has this name. It may be one that
 *	guestmemfs_image_check() has refused, but not if another one has this name.
 *
 * Return: 0, or -ENOENT if there is none.
 */
int guestmemfs_image_lookup(const struct guestmemfs_image *image, u32 parent,
			    const char *name, u32 len, u32 *inode)
{
	const struct guestmemfs_inode *child;
	int err = -ENOENT;
	u32 i = 0;

	while (guestmemfs_image_next(image, parent, &i)) {
		child = &image->inodes[i];
		if (child->name_len != len || len >= GUESTMEMFS_NAME ||
		    memcmp(child->name, name, len))
			continue;
		*inode = i;
		err = 0;
		/* Another one may have this name, and not only because it was damaged. */
		if (!image->damaged || inode_right(image, i))
			break;
	}
	return err;
}

/**
 * guestmemfs_image_next() - Find the next inode in a directory
 * @image: The image.
 * @parent: The directory.
 * @inode: The index of the one before, or 0 for the first one. If there is a next one,
 *	its index on return. It may be one that guestmemfs_image_check() has refused.
 *
 * Return: Whether there is a next one.
 */
bool guestmemfs_image_next(const struct guestmemfs_image *image, u32 parent,
			   u32 *inode)
{
	u64 i;

	for (i = (u64)*inode + 1; i < image->state->used_inodes; i++) {
		if (image->inodes[i].id && image->inodes[i].parent == parent &&
		    image->inodes[i].name_len) {
			*inode = i;
			return true;
		}
	}
	return false;
}

/* The next id. A refused inode may have it already, and is judged again some day. */
static u64 new_id(const struct guestmemfs_image *image)
{
	u64 i, id = image->state->next_id;

	for (i = 0; i < image->state->used_inodes; i++) {
		if (image->inodes[i].id != id || id == U64_MAX)
			continue;
		id++;
		i = 0;
	}
	return id;
}

/**
 * guestmemfs_image_create() - Create an empty file or a directory
 * @image: The image.
 * @parent: The directory that it is to be in.
 * @name: Its name, which @parent does not have yet, and which is one that
 *	guestmemfs_image_check() lets pass.
 * @len: Length of @name, in bytes.
 * @attr: What it is, and whose.
 * @inode: On success, its index.
 *
 * The times of @parent are the caller's to change.
 *
 * Return: 0; -ENAMETOOLONG if the name is longer than GUESTMEMFS_NAME - 1; -ENOSPC if
 * all inodes are used, or all ids.
 */
int guestmemfs_image_create(struct guestmemfs_image *image, u32 parent,
			    const char *name, u32 len,
			    const struct guestmemfs_attr *attr, u32 *inode)
{
	const struct guestmemfs_state *state = image->state;
	struct guestmemfs_inode new = {
		.id = new_id(image),
		.mode = attr->mode,
		.name_len = len,
		.uid = attr->uid,
		.gid = attr->gid,
		.parent = parent,
		.mtime = attr->mtime,
		.ctime = attr->ctime,
	};
	u32 i, nr = 0;

	if (len >= GUESTMEMFS_NAME)
		return -ENAMETOOLONG;
	for (i = 1; i < state->used_inodes; i++)
		if (!image->inodes[i].id && (!image->damaged || inode_right(image, i)))
			break;
	if (i == image->layout->max_inodes || new.id > MAX_ID)
		return -ENOSPC;
	memcpy(new.name, name, len);
	log_inode(image, &nr, i, &new);
	log_state(image, &nr, new.id + 1, max_t(u64, state->used_inodes, i + 1),
		  state->used_extents);
	commit_log(image, &nr);
	*inode = i;
	return 0;
}

static void drop_name(struct guestmemfs_inode *inode)
{
	inode->name_len = 0;
	memset(inode->name, 0, sizeof(inode->name));
}

/* What was removed from a directory that goes itself counts for the one above it. */
static void move_orphans(struct guestmemfs_image *image, u32 *nr, u32 from, u32 to)
{
	struct guestmemfs_inode new;
	u64 i;

	for (i = 1; i < image->state->used_inodes; i++) {
		new = image->inodes[i];
		if (!new.id || new.parent != from)
			continue;
		new.parent = to;
		log_inode(image, nr, i, &new);
		/* Too many for one log: those that are moved are only not there any more. */
		if (*nr + 2 * INODE_WORDS > GUESTMEMFS_LOG)
			commit_log(image, nr);
	}
}

/**
 * guestmemfs_image_orphan() - Take a file or an empty directory out of its directory
 * @image: The image.
 * @inode: Its index; not the root's.
 *
 * It keeps its memory until guestmemfs_image_remove(), and counts for the limits that
 * it counted for. The times of its directory are the caller's to change.
 */
void guestmemfs_image_orphan(struct guestmemfs_image *image, u32 inode)
{
	struct guestmemfs_inode new = image->inodes[inode];

	drop_name(&new);
	change_inode(image, inode, &new);
}

/**
 * guestmemfs_image_remove() - Remove a file or an empty directory
 * @image: The image.
 * @inode: Its index; not the root's, and not that of a file that is pinned.
 *
 * The times of its directory are the caller's to change.
 */
void guestmemfs_image_remove(struct guestmemfs_image *image, u32 inode)
{
	struct guestmemfs_inode new = image->inodes[inode];

	u32 nr = 0;

	if (S_ISDIR(new.mode))
		move_orphans(image, &nr, inode, new.parent);
	new.id = 0;
	log_inode(image, &nr, inode, &new);
	commit_log(image, &nr);
	tidy(image);
}

static void log_times(struct guestmemfs_image *image, u32 *nr, u32 inode, s64 now)
{
	struct guestmemfs_inode new = image->inodes[inode];

	new.mtime = now;
	new.ctime = now;
	log_inode(image, nr, inode, &new);
}

/**
 * guestmemfs_image_rename() - Give a file or a directory another name or place
 * @image: The image.
 * @inode: Its index.
 * @parent: The directory that it is to be in; not itself, nor one below it.
 * @name: The name that it is to have.
 * @len: Length of @name, in bytes; less than GUESTMEMFS_NAME.
 * @replaced: What has this name now and is to be an orphan in the same moment; NULL
 *	if nothing has. A directory has to be empty.
 * @now: The time, in ns since 1970. It becomes the ctime of @inode, and the mtime and
 *	ctime of the directory that it was in and of @parent.
 */
void guestmemfs_image_rename(struct guestmemfs_image *image, u32 inode,
			     u32 parent, const char *name, u32 len,
			     const u32 *replaced, s64 now)
{
	struct guestmemfs_inode new = image->inodes[inode];
	u32 from = new.parent;
	u32 nr = 0;

	new.parent = parent;
	new.name_len = len;
	memset(new.name, 0, sizeof(new.name));
	memcpy(new.name, name, len);
	new.ctime = now;
	log_inode(image, &nr, inode, &new);
	log_times(image, &nr, parent, now);
	if (from != parent)
		log_times(image, &nr, from, now);
	if (replaced) {
		new = image->inodes[*replaced];
		drop_name(&new);
		log_inode(image, &nr, *replaced, &new);
	}
	commit_log(image, &nr);
}

/**
 * guestmemfs_image_setattr() - Change attributes, all of them in one moment
 * @image: The image.
 * @inode: The index of a file or directory.
 * @attr: What its attributes are to be. Whether it is a file or a directory may not
 *	change.
 */
void guestmemfs_image_setattr(struct guestmemfs_image *image, u32 inode,
			      const struct guestmemfs_attr *attr)
{
	struct guestmemfs_inode new = image->inodes[inode];

	new.mode = attr->mode;
	new.uid = attr->uid;
	new.gid = attr->gid;
	new.mtime = attr->mtime;
	new.ctime = attr->ctime;
	change_inode(image, inode, &new);
}

/**
 * guestmemfs_image_set_limit() - Limit what the files below a directory may have
 * @image: The image.
 * @inode: The directory.
 * @limit: In bytes; 0 for no limit. It may be less than they have already. Of a unit
 *	they have all or nothing, so what is over whole units is of no use.
 */
void guestmemfs_image_set_limit(struct guestmemfs_image *image, u32 inode, u64 limit)
{
	struct guestmemfs_inode new = image->inodes[inode];

	new.limit = limit;
	change_inode(image, inode, &new);
}

/**
 * guestmemfs_image_set_pins() - Note that a file was preserved, or is not any more
 * @image: The image.
 * @inode: The file.
 * @pins: GUESTMEMFS_PIN_OUT, GUESTMEMFS_PIN_IN, or 0.
 */
void guestmemfs_image_set_pins(struct guestmemfs_image *image, u32 inode, u32 pins)
{
	struct guestmemfs_inode new = image->inodes[inode];

	new.pins = pins;
	change_inode(image, inode, &new);
}

/**
 * struct gap - Memory that is free
 * @start: Physical address, in units.
 * @units: Its length.
 * @nid: Its node.
 */
struct gap {
	u32 start;
	u32 units;
	u32 nid;
};

/**
 * struct plan - Where memory for a file is going to be
 * @layout: What memory there is.
 * @gap: What is free, and not planned for yet. Some are of length 0.
 * @nr_gaps: Number of them.
 * @piece: What is planned.
 * @nr_pieces: Number of them.
 * @at: Up to here the file has memory, in units.
 * @left: How much is still to be found.
 * @next: Where memory goes on in the piece that has the unit before @at; U64_MAX if
 *	nowhere.
 */
struct plan {
	const struct guestmemfs_layout *layout;
	struct gap *gap;
	u32 nr_gaps;
	struct guestmemfs_piece *piece;
	u32 nr_pieces;
	u64 at;
	u64 left;
	u64 next;
};

static void add_gap(struct plan *plan, u64 start, u64 units, u32 nid)
{
	plan->gap[plan->nr_gaps++] = (struct gap) {
		.start = start,
		.units = units,
		.nid = nid,
	};
}

static void find_gaps(struct plan *plan, struct part *parts, u32 nr)
{
	const struct guestmemfs_range *range = plan->layout->range;
	u64 end, from;
	u32 i, part = 0;

	sort(parts, nr, sizeof(*parts), by_start, NULL);
	for (i = 0; i < plan->layout->nr_ranges; i++, range++) {
		from = range->start;
		end = range->start + range->units;
		for (; part < nr && parts[part].start < end; part++) {
			if (parts[part].start > from)
				add_gap(plan, from, parts[part].start - from, range->nid);
			from = (u64)parts[part].start + parts[part].units;
		}
		if (from < end)
			add_gap(plan, from, end - from, range->nid);
	}
}

static int by_length(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return compare(y->units, x->units) ?: compare(x->start, y->start);
}

/* Where a piece that ends at @end may go on; a piece is in one range. */
static u64 next_of(const struct guestmemfs_layout *layout, u64 end)
{
	u32 i;

	for (i = 0; i < layout->nr_ranges; i++)
		if (layout->range[i].start == end)
			return U64_MAX;
	return end;
}

static u64 extent_next(const struct guestmemfs_image *image,
		       const struct guestmemfs_extent *extent)
{
	return next_of(image->layout, (u64)extent->start + extent->units);
}

static void take(struct plan *plan, struct gap *gap, u64 start, u64 units)
{
	u64 before = start - gap->start;
	u64 behind = gap->units - before - units;

	if (plan->nr_pieces && start == plan->next)
		plan->piece[plan->nr_pieces - 1].units += units;
	else
		plan->piece[plan->nr_pieces++] = (struct guestmemfs_piece) {
			.at = plan->at,
			.start = start,
			.units = units,
		};
	plan->at += units;
	plan->left -= units;
	plan->next = next_of(plan->layout, start + units);
	if (before) {
		gap->units = before;
		if (behind)
			add_gap(plan, start + units, behind, gap->nid);
	} else {
		gap->start = start + units;
		gap->units = behind;
	}
}

/* Memory is taken from one node first, and then from all others. */
static bool wanted(const struct gap *gap, u32 nid, bool local)
{
	return local ? gap->nid == nid : gap->nid != nid;
}

/* The smallest that is large enough is best, else the largest. */
static bool better(u64 room, u64 best, u64 want)
{
	if (room >= want && best >= want)
		return room < best;
	return room > best;
}

/* Units up to the next block of the file */
static u64 to_block(const struct plan *plan)
{
	return -plan->at % BLOCK;
}

/* How far into a gap file and memory agree modulo a block */
static u64 skew(const struct plan *plan, const struct gap *gap)
{
	return (plan->at - gap->start) % BLOCK;
}

/*
 * Plan for whole blocks of the file where one leaf can map each: the memory agrees with
 * the file, and a piece that is not the last one ends where a block of the file ends.
 */
static void take_blocks(struct plan *plan, u32 nid, bool local)
{
	u64 room, best_room;
	struct gap *gap, *best;
	u32 i, nr = 0;

	sort(plan->gap, plan->nr_gaps, sizeof(*plan->gap), by_length, NULL);
	while (nr < plan->nr_gaps && plan->gap[nr].units >= BLOCK)
		nr++;
	/* A gap is taken from once. What is left of it is less than a block, so 2 for each. */
	while (plan->left >= to_block(plan) + BLOCK) {
		best = NULL;
		best_room = 0;
		for (i = 0; i < nr; i++) {
			gap = &plan->gap[i];
			if (!wanted(gap, nid, local) || gap->units < skew(plan, gap))
				continue;
			room = gap->units - skew(plan, gap);
			if (room < to_block(plan) + BLOCK)
				continue;
			if (gap->start == plan->next && !skew(plan, gap)) {
				best = gap;
				best_room = room;
				break;
			}
			if (!best || better(room, best_room, plan->left)) {
				best = gap;
				best_room = room;
			}
		}
		if (!best)
			break;
		if (best_room < plan->left)
			best_room -= (plan->at + best_room) % BLOCK;
		take(plan, best, best->start + skew(plan, best), min(best_room, plan->left));
	}
}

/* Plan for as few pieces as there can be, wherever they are. */
static void take_any(struct plan *plan, u32 nid, bool local)
{
	struct gap *gap;
	u32 i, j;

	/* What goes on where the file ends is not even a piece of its own. */
	for (i = 0; i < plan->nr_gaps && plan->left; i++) {
		gap = &plan->gap[i];
		if (gap->units && gap->start == plan->next && wanted(gap, nid, local)) {
			take(plan, gap, gap->start, min_t(u64, plan->left, gap->units));
			break;
		}
	}
	sort(plan->gap, plan->nr_gaps, sizeof(*plan->gap), by_length, NULL);
	for (i = 0; i < plan->nr_gaps && plan->left; i++) {
		gap = &plan->gap[i];
		if (!gap->units || !wanted(gap, nid, local))
			continue;
		for (j = i; j < plan->nr_gaps && plan->gap[j].units >= plan->left; j++)
			if (wanted(&plan->gap[j], nid, local))
				gap = &plan->gap[j];
		take(plan, gap, gap->start, min_t(u64, plan->left, gap->units));
	}
}

static void free_plan(struct plan *plan)
{
	kvfree(plan->piece);
	kvfree(plan->gap);
}

/* Find memory for the units that a file is to have more. */
static int make_plan(const struct guestmemfs_image *image, struct plan *plan, u32 nid,
		     const struct guestmemfs_extent *last)
{
	struct part *parts;
	size_t max_gaps;
	u32 nr;

	parts = collect(image, &nr);
	if (!parts)
		return -ENOMEM;
	max_gaps = (size_t)nr + image->layout->nr_ranges;
	plan->gap = kvmalloc_array(2 * max_gaps, sizeof(*plan->gap), GFP_KERNEL);
	plan->piece = kvmalloc_array(3 * max_gaps, sizeof(*plan->piece), GFP_KERNEL);
	if (!plan->gap || !plan->piece) {
		kvfree(parts);
		free_plan(plan);
		return -ENOMEM;
	}
	plan->layout = image->layout;
	find_gaps(plan, parts, nr);
	kvfree(parts);
	plan->next = last ? extent_next(image, last) : U64_MAX;
	take_blocks(plan, nid, true);
	take_any(plan, nid, true);
	take_blocks(plan, nid, false);
	take_any(plan, nid, false);

	if (plan->left) {
		free_plan(plan);
		return -ENOSPC;
	}
	return 0;
}

/* Write the extents, and with the last ones the size. Before that none of them counts. */
static void write_plan(struct guestmemfs_image *image, u32 inode, u64 size,
		       const struct plan *plan, const struct guestmemfs_extent *last)
{
	const struct guestmemfs_state *state = image->state;
	struct guestmemfs_inode file = image->inodes[inode];
	u64 slot = 0, used = state->used_extents;
	const struct guestmemfs_piece *piece;
	struct guestmemfs_extent new;
	u32 i, nr = 0;

	for (i = 0; i < plan->nr_pieces; i++) {
		piece = &plan->piece[i];
		if (!i && last && piece->start == extent_next(image, last)) {
			new = *last;
			new.units += piece->units;
			log_extent(image, &nr, last - image->extents, &new);
			continue;
		}
		while (slot < used && image->extents[slot].id)
			slot++;
		if (nr + EXTENT_WORDS + STATE_WORDS + INODE_WORDS > GUESTMEMFS_LOG)
			commit_log(image, &nr);
		new = (struct guestmemfs_extent) {
			.id = file.id,
			.inode = inode,
			.at = piece->at,
			.start = piece->start,
			.units = piece->units,
		};
		log_extent(image, &nr, slot, &new);
		slot++;
		used = max(used, slot);
	}
	log_state(image, &nr, state->next_id, state->used_inodes, used);
	file.size = size;
	log_inode(image, &nr, inode, &file);
	commit_log(image, &nr);
}

/* The extent that has the last unit of a file; NULL if the file has none */
static struct guestmemfs_extent *last_extent(const struct guestmemfs_image *image,
					     u32 inode)
{
	u64 units = units_of(image->inodes[inode].size);
	struct guestmemfs_extent *extent;
	u64 i;

	for (i = 0; i < image->state->used_extents; i++) {
		extent = &image->extents[i];
		if (extent->inode == inode && counts(image, extent) &&
		    (u64)extent->at + extent->units == units)
			return extent;
	}
	return NULL;
}

/* May there be so many units more below a directory? */
static bool within_limit(const struct guestmemfs_image *image, u32 dir, u64 units)
{
	u64 limit = image->inodes[dir].limit;

	return !limit || (guestmemfs_image_used(image, dir) >> GUESTMEMFS_UNIT_SHIFT) +
			 units <= limit >> GUESTMEMFS_UNIT_SHIFT;
}

/* May a file have so many units more? */
static bool within_limits(const struct guestmemfs_image *image, u32 inode, u64 units)
{
	u32 dir = inode;

	do {
		dir = image->inodes[dir].parent;
		if (!within_limit(image, dir, units))
			return false;
	} while (dir);
	return true;
}

/**
 * guestmemfs_image_grow() - Make a file larger
 * @image: The image.
 * @inode: The file.
 * @size: Its new size, in bytes. If it is that large already, nothing is done.
 * @nid: The node that memory is taken from as long as that has any.
 * @zero: Makes @units units of memory from physical unit @start on zero. It is called
 *	with @arg before that memory becomes part of the file, and returns 0 or an
 *	error.
 * @arg: For @zero.
 *
 * What is behind the end of the file in its last unit becomes part of the file as it
 * is. It has to be zero: who makes a file smaller zeroes it, see
 * guestmemfs_image_shrink().
 *
 * Memory is chosen so that leaves of 1 GiB can map it where that is possible, and
 * else so that there are few pieces.
 *
 * Return: 0; -EFBIG if a file cannot be so large on any machine; -EUCLEAN if it needs
 * memory and something was refused (@image->damaged); -EDQUOT if a directory that the
 * file is below has a limit, and would have more; -ENOSPC if there is not as much
 * memory; -ENOMEM if there is none to work this out; or what @zero has returned. After
 * an error the file is as it was.
 */
int guestmemfs_image_grow(struct guestmemfs_image *image, u32 inode, u64 size,
			  u32 nid, int (*zero)(void *arg, u32 start, u32 units),
			  void *arg)
{
	const struct guestmemfs_inode *file = &image->inodes[inode];
	u64 units = units_of(size), before = units_of(file->size);
	const struct guestmemfs_extent *last = NULL;
	struct plan plan = {};
	int err = 0;
	u32 i;

	if (size <= file->size)
		return 0;
	if (units > U32_MAX)
		return -EFBIG;
	if (units > before) {
		if (image->damaged)
			return -EUCLEAN;
		if (!within_limits(image, inode, units - before))
			return -EDQUOT;
		plan.at = before;
		plan.left = units - before;
		last = last_extent(image, inode);
		err = make_plan(image, &plan, nid, last);
		if (err)
			return err;
		for (i = 0; i < plan.nr_pieces && !err; i++)
			err = zero(arg, plan.piece[i].start, plan.piece[i].units);
	}
	if (!err)
		write_plan(image, inode, size, &plan, last);
	free_plan(&plan);
	return err;
}

/**
 * guestmemfs_image_shrink() - Make a file smaller
 * @image: The image.
 * @inode: The file, which is not pinned.
 * @size: Its new size, in bytes; not more than it has.
 *
 * Memory behind its last unit is free from then on; if something was refused it stays
 * unused (@image->damaged). What is behind @size in the last unit stays the file's, and
 * is part of it again if it grows. So the caller makes it zero, before this call:
 * otherwise it is not if the kernel dies in between.
 */
void guestmemfs_image_shrink(struct guestmemfs_image *image, u32 inode, u64 size)
{
	struct guestmemfs_inode new = image->inodes[inode];

	new.size = size;
	change_inode(image, inode, &new);
	tidy(image);
}

static int by_at(const void *a, const void *b)
{
	const struct guestmemfs_piece *x = a, *y = b;

	return compare(x->at, y->at);
}

/**
 * guestmemfs_image_pieces() - Where is the memory of a file?
 * @image: The image.
 * @inode: The file.
 * @piece: On return, its pieces, sorted by where they are in the file. If there are
 *	more than @nr, any @nr of them.
 * @nr: Number of entries of @piece.
 *
 * Return: How many pieces there are, which may be more than @nr.
 */
int guestmemfs_image_pieces(const struct guestmemfs_image *image, u32 inode,
			    struct guestmemfs_piece *piece, u32 nr)
{
	const struct guestmemfs_extent *extent;
	u32 found = 0;
	u64 i, units;

	for (i = 0; i < image->state->used_extents; i++) {
		extent = &image->extents[i];
		units = extent->inode == inode ? counts(image, extent) : 0;
		if (!units)
			continue;
		if (found < nr)
			piece[found] = (struct guestmemfs_piece) {
				.at = extent->at,
				.start = extent->start,
				.units = units,
			};
		found++;
	}
	sort(piece, min(found, nr), sizeof(*piece), by_at, NULL);
	return found;
}

/* Ends even if directories that were refused make a circle. */
static bool is_below(const struct guestmemfs_image *image, u32 inode, u32 directory)
{
	u32 mark = inode, steps = 0;

	while (inode != directory) {
		if (!inode || inode >= image->state->used_inodes)
			return false;
		inode = image->inodes[inode].parent;
		/* In a circle the way is back at a mark as soon as marks are far enough apart. */
		if (inode == mark)
			return false;
		steps++;
		if (!(steps & (steps - 1)))
			mark = inode;
	}
	return true;
}

/**
 * guestmemfs_image_fits() - May a file or a directory be moved into a directory?
 * @image: The image.
 * @inode: What is to be moved.
 * @parent: Where to; a directory that is not below it.
 *
 * Return: 0, or -EDQUOT if a directory would have more below it than its limit, and
 * more than before.
 */
int guestmemfs_image_fits(const struct guestmemfs_image *image, u32 inode, u32 parent)
{
	u64 units = units_of(image->inodes[inode].size);
	u32 dir = parent;

	if (S_ISDIR(image->inodes[inode].mode))
		units = guestmemfs_image_used(image, inode) >> GUESTMEMFS_UNIT_SHIFT;
	while (!is_below(image, inode, dir)) {
		if (!within_limit(image, dir, units))
			return -EDQUOT;
		if (!dir)
			break;
		dir = image->inodes[dir].parent;
	}
	return 0;
}

/**
 * guestmemfs_image_units() - How much memory do files have?
 * @image: The image.
 *
 * Those that were refused have theirs, too.
 *
 * Return: The units of all files.
 */
u64 guestmemfs_image_units(const struct guestmemfs_image *image)
{
	u64 i, units = 0;

	for (i = 0; i < image->state->used_extents; i++)
		units += counts(image, &image->extents[i]);
	return units;
}

/**
 * guestmemfs_image_used() - How much memory do the files below a directory have?
 * @image: The image.
 * @directory: The directory; 0, the root, for all files, even those that are not
 *	below it because a directory was damaged.
 *
 * Return: The bytes that their units have.
 */
u64 guestmemfs_image_used(const struct guestmemfs_image *image, u32 directory)
{
	const struct guestmemfs_extent *extent;
	u32 file = U32_MAX;
	bool below = false;
	u64 i, n, units = 0;

	if (!directory)
		return guestmemfs_image_units(image) << GUESTMEMFS_UNIT_SHIFT;
	for (i = 0; i < image->state->used_extents; i++) {
		extent = &image->extents[i];
		n = counts(image, extent);
		if (!n)
			continue;
		/* Often the next extent is one of the same file. */
		if (extent->inode != file) {
			file = extent->inode;
			below = is_below(image, file, directory);
		}
		if (below)
			units += n;
	}
	return units << GUESTMEMFS_UNIT_SHIFT;
}
