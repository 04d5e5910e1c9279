// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel dies after each store of each operation.
 *
 *   walk OPERATIONS SEED
 *   walk parts
 *
 * Random operations, always the same ones for a seed. Each is stopped before each of its
 * stores in turn. What is in memory then is opened, also by a kernel that dies while it
 * does this, and has to be what there was before the operation or after it; and it has to
 * be of use: all memory that is free can be had. Or some operations on files that have so
 * many extents that the log takes them only in parts.
 */
#include "support.h"

#include <limits.h>

static const struct guestmemfs_range ranges[] = {
	{ .start = 100, .units = 7, .nid = 0 },
	{ .start = 107, .units = 6, .nid = 1 },
	{ .start = 300, .units = 9, .nid = 0 },
};

/* A file and its neighbour have one unit in turn: as many extents as units. */
static const struct guestmemfs_range many_ranges[] = {
	{ .start = 1000, .units = 320, .nid = 0 },
};

#define PIECES		150
#define MAX_INODES	64
#define TEXT		65536

static u64 all_units;

static u64 seed;

static u32 below(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

enum kind { CREATE, ORPHAN, REMOVE, RENAME, SETATTR, LIMIT, PIN, GROW, SHRINK, KINDS };
static const char *const names[] = {
	"create", "orphan", "remove", "rename", "setattr", "limit", "pin", "grow", "shrink",
};

struct op {
	enum kind kind;
	u32 inode;
	u32 parent;
	char name[8];
	bool replaces;
	u32 replaced;
	struct guestmemfs_attr attr;
	u64 size;
	u32 nid;
};

static bool exists(const struct guestmemfs_image *image, u32 i)
{
	return i < image->state->used_inodes && image->inodes[i].id;
}

static u32 some(const struct guestmemfs_image *image, bool directory)
{
	u32 i, nr = 0, chosen = UINT_MAX;

	for (i = directory ? 0 : 1; i < image->state->used_inodes; i++)
		if (image->inodes[i].id && S_ISDIR(image->inodes[i].mode) == directory && !below(++nr))
			chosen = i;
	return chosen;
}

static bool may_go(const struct guestmemfs_image *image, u32 i)
{
	u32 child = 0;

	return i && !image->inodes[i].pins && !guestmemfs_image_next(image, i, &child);
}

/* An operation that is possible, or false */
static bool choose(const struct guestmemfs_image *image, struct op *op)
{
	/* Most of them are about memory. */
	static const enum kind kinds[] = {
		CREATE, CREATE, ORPHAN, REMOVE, REMOVE, RENAME, RENAME, SETATTR, LIMIT, PIN, GROW, GROW, GROW, GROW, SHRINK, SHRINK,
	};
	bool directory = below(3) == 0;
	u32 at;

	memset(op, 0, sizeof(*op));
	op->kind = kinds[below(sizeof(kinds) / sizeof(kinds[0]))];
	op->inode = some(image, op->kind == LIMIT ||
			 (op->kind != PIN && op->kind != GROW && op->kind != SHRINK && directory));
	op->parent = some(image, true);
	snprintf(op->name, sizeof(op->name), "n%u", below(6));
	op->attr = (struct guestmemfs_attr) {
		.mode = (directory ? S_IFDIR : S_IFREG) | below(01000),
		.uid = below(3), .gid = below(3), .mtime = below(1000), .ctime = below(1000),
	};
	op->nid = below(3);
	op->replaces = !guestmemfs_image_lookup(image, op->parent, op->name, strlen(op->name), &op->replaced);
	/* What is in no directory has no name to be renamed by, and nothing is put into it. */
	if ((op->kind == CREATE || op->kind == RENAME) && op->parent && !image->inodes[op->parent].name_len)
		return false;
	if (op->kind == CREATE)
		return !op->replaces;
	if (op->inode == UINT_MAX)
		return false;
	op->attr.mode = (image->inodes[op->inode].mode & S_IFMT) | (op->attr.mode & 07777);
	op->size = image->inodes[op->inode].size;
	switch (op->kind) {
	case ORPHAN:
	case REMOVE:
		return may_go(image, op->inode);
	case RENAME:
		if (!image->inodes[op->inode].name_len)
			return false;
		for (at = op->parent; at; at = image->inodes[at].parent)
			if (at == op->inode)
				return false;
		return op->inode && (!op->replaces ||
		       (op->replaced != op->inode && may_go(image, op->replaced) &&
			(image->inodes[op->replaced].mode & S_IFMT) == (op->attr.mode & S_IFMT)));
	case LIMIT:
		op->size = below(4) ? 0 : below(30) * UNIT;
		return true;
	case GROW:
		op->size += below(2) ? (1 + below(8)) * UNIT : 1 + below(3 * UNIT);
		return true;
	case SHRINK:
		op->size = op->size ? op->size - 1 - below(op->size) : 0;
		return !image->inodes[op->inode].pins && image->inodes[op->inode].size;
	default:
		return true;
	}
}

static int apply(struct guestmemfs_image *image, const struct op *op)
{
	u32 inode;

	switch (op->kind) {
	case CREATE:
		return guestmemfs_image_create(image, op->parent, op->name, strlen(op->name), &op->attr, &inode);
	case ORPHAN:
		guestmemfs_image_orphan(image, op->inode);
		return 0;
	case REMOVE:
		guestmemfs_image_remove(image, op->inode);
		return 0;
	case RENAME:
		guestmemfs_image_rename(image, op->inode, op->parent, op->name, strlen(op->name),
					op->replaces ? &op->replaced : NULL, op->attr.mtime);
		return 0;
	case SETATTR:
		guestmemfs_image_setattr(image, op->inode, &op->attr);
		return 0;
	case LIMIT:
		guestmemfs_image_set_limit(image, op->inode, op->size);
		return 0;
	case PIN:
		guestmemfs_image_set_pins(image, op->inode, op->nid);
		return 0;
	case GROW:
		return guestmemfs_image_grow(image, op->inode, op->size, op->nid, zero_nothing, NULL);
	default:
		guestmemfs_image_shrink(image, op->inode, op->size);
		return 0;
	}
}

static char what[256];		/* is being done, for a message */

#define wrong(...)	(printf("%s: ", what), die(__VA_ARGS__))

static void say(void *arg, u32 inode, const char *why)
{
	(void)arg;
	wrong("inode %u is refused: %s", inode, why);
}

static void check(struct guestmemfs_image *image)
{
	unsigned long refused[BITS_TO_LONGS(MAX_INODES)];

	must(!guestmemfs_image_check(image, refused, say, NULL));
	if (untidy(image))
		wrong("there is %s", untidy(image));
}

/* All memory that is free, and no more than that, can be had. */
static void fill(struct guestmemfs_image *image)
{
	u64 units = 0, left;
	u32 i, file;

	for (i = 0; i < image->state->used_inodes; i++)
		if (image->inodes[i].id)
			units += (image->inodes[i].size + UNIT - 1) / UNIT;
	if (units != guestmemfs_image_units(image))
		wrong("%llu units are used, and not %llu", (unsigned long long)guestmemfs_image_units(image),
		      (unsigned long long)units);
	left = all_units - units;
	guestmemfs_image_set_limit(image, 0, 0);
	if (exists(image, MAX_INODES - 1))
		return;
	file = create(image, 0, "all that is left", S_IFREG);
	if (guestmemfs_image_grow(image, file, (left + 1) * UNIT, 1, zero_nothing, NULL) != -ENOSPC)
		wrong("more memory can be had than there is");
	if (guestmemfs_image_grow(image, file, left * UNIT, 1, zero_nothing, NULL))
		wrong("not all memory that is free can be had");
	check(image);
}

/* Opens @from, after a kernel that died before store @stop of its opening it. Returns its stores. */
static unsigned long reopen(const u8 *from, unsigned long stop, struct guestmemfs_image *image)
{
	unsigned long refused[BITS_TO_LONGS(MAX_INODES)];
	const char *why;

	memcpy(stores.mem, from, stores.bytes);
	stores.nr = 0;
	stores.stop_at = stop;
	if (!setjmp(stores.stop) && !guestmemfs_image_open(image, stores.mem, PHYS, stores.bytes))
		guestmemfs_image_check(image, refused, say_nothing, NULL);
	stores.stop_at = ULONG_MAX;
	forget_allocs();
	stop = stores.nr;
	why = guestmemfs_image_open(image, stores.mem, PHYS, stores.bytes);
	if (why)
		wrong("it cannot be opened: %s", why);
	return stop;
}

static __attribute__((noinline)) void stop(struct guestmemfs_image *image, const struct op *op, unsigned long at)
{
	stores.nr = 0;
	stores.stop_at = at;
	if (!setjmp(stores.stop)) {
		apply(image, op);
		wrong("it was not stopped");
	}
	stores.stop_at = ULONG_MAX;
	forget_allocs();
}

static u8 *base, *end, *crashed, *shadow;
static unsigned long stops;

static void start(struct guestmemfs_image *image, const struct guestmemfs_range *range, u32 nr)
{
	make(image, range, nr);
	all_units = units_in(range, nr);
	base = new_memory(stores.bytes);
	end = new_memory(stores.bytes);
	crashed = new_memory(stores.bytes);
	shadow = new_memory(stores.bytes);
}

static void finish(void)
{
	free(base), free(end), free(crashed), free(shadow), free(stores.mem);
}

/*
 * Does @op, and stops it before each of its stores; and what opens the image then before
 * one in @step of its stores. Returns the stores of @op, or 0 if it failed.
 */
static unsigned long walk(struct guestmemfs_image *image, const struct op *op, unsigned long n, unsigned long step)
{
	static char before[TEXT], after[TEXT], now[TEXT];
	unsigned long k, j, opening, nr_stores;
	bool done = false;
	int ret;

	dump(image, before, TEXT);
	memcpy(base, stores.mem, stores.bytes);
	memcpy(shadow, stores.mem, stores.bytes);
	stores.shadow = shadow;
	stores.nr = 0;
	snprintf(what, sizeof(what), "operation %lu, %s", n, names[op->kind]);
	ret = apply(image, op);
	stores.shadow = NULL;
	nr_stores = stores.nr;
	must(!forget_allocs());
	if (memcmp(shadow, stores.mem, stores.bytes))
		wrong("a store was not made by put()");
	memcpy(end, stores.mem, stores.bytes);
	dump(image, after, TEXT);
	/* Before the check, which tidies up after a kernel that died */
	if (untidy(image))
		wrong("there is %s", untidy(image));
	check(image);
	if (ret && (nr_stores || strcmp(before, after)))
		wrong("it failed (%d) and changed something", ret);
	for (k = 0; k < nr_stores; k++) {
		memcpy(stores.mem, base, stores.bytes);
		stop(image, op, k);
		memcpy(crashed, stores.mem, stores.bytes);
		for (j = 0, opening = ULONG_MAX; j <= opening; j += j ? step : 1 + k % step) {
			snprintf(what, sizeof(what), "operation %lu, %s, stopped after %lu of %lu stores, opened up to store %ld",
				 n, names[op->kind], k, nr_stores, j ? (long)j - 1 : -1);
			if (j)
				reopen(crashed, j - 1, image);
			else
				opening = reopen(crashed, ULONG_MAX, image);
			check(image);
			dump(image, now, TEXT);
			if (strcmp(now, done ? after : before)) {
				if (strcmp(now, after))
					wrong("neither what was before nor what is after:\n%sbefore:\n%safter:\n%s", now, before, after);
				done = true;
			}
			if (!j)
				fill(image);
			stops++;
		}
	}
	memcpy(stores.mem, end, stores.bytes);
	if (guestmemfs_image_open(image, stores.mem, PHYS, stores.bytes))
		wrong("it cannot be opened");
	check(image);
	dump(image, now, TEXT);
	if (strcmp(now, after))
		wrong("what is opened is not what there was");
	fill(image);
	memcpy(stores.mem, end, stores.bytes);
	return ret ? 0 : nr_stores;
}

/* A log is in three stores for each word: where, what, and the word itself. */
static void walk_parts(void)
{
	const unsigned long log = 3 * GUESTMEMFS_LOG;
	struct op remove = { .kind = REMOVE }, grow = { .kind = GROW }, shrink = { .kind = SHRINK };
	struct guestmemfs_image image;
	u64 i;

	start(&image, many_ranges, 1);
	create(&image, 0, "stays", S_IFREG);
	remove.inode = create(&image, 0, "goes", S_IFREG);
	for (i = 1; i <= PIECES; i++) {
		must(!guestmemfs_image_grow(&image, 1, i * UNIT, 0, zero_nothing, NULL));
		must(!guestmemfs_image_grow(&image, remove.inode, i * UNIT, 0, zero_nothing, NULL));
	}
	must(walk(&image, &remove, 1, 997) > log);
	grow.inode = create(&image, 0, "comes", S_IFREG);
	grow.size = (PIECES + 20) * UNIT;
	must(walk(&image, &grow, 2, 997) > 2 * log);
	shrink.inode = grow.inode;
	shrink.size = 5 * UNIT;
	must(walk(&image, &shrink, 3, 997) > log);
	printf("a change in parts: stopped %lu times\n", stops);
	finish();
}

int main(int argc, char **argv)
{
	unsigned long n, per_kind[KINDS] = {};
	struct guestmemfs_image image;
	struct op op;
	u32 k;

	if (argc == 2 && !strcmp(argv[1], "parts")) {
		walk_parts();
		return 0;
	}
	must(argc == 3);
	seed = strtoull(argv[2], NULL, 10);
	start(&image, ranges, 3);
	for (n = 0; n < strtoul(argv[1], NULL, 10); n++) {
		while (!choose(&image, &op))
			;
		per_kind[op.kind] += !!walk(&image, &op, n, 8);
	}
	printf("%lu operations, stopped %lu times:", n, stops);
	for (k = 0; k < KINDS; k++) {
		printf(" %lu %s", per_kind[k], names[k]);
		must(per_kind[k]);
	}
	printf("\n");
	finish();
	return 0;
}
