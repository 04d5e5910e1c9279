// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each function does and returns, and each rule of the checks broken.
 *
 *   units
 *
 * Prints a line "provoked: RULE" for each rule that some damage has broken.
 */
#include "support.h"

#include <stddef.h>

/* Small, and with all that there can be: two nodes, two ranges that touch, a hole */
static const struct guestmemfs_range ranges[] = {
	{ .start = 100, .units = 7, .nid = 0 },
	{ .start = 107, .units = 6, .nid = 1 },
	{ .start = 300, .units = 9, .nid = 0 },
};

#define NR_RANGES	3
#define UNITS		22
#define MAX_INODES	64

/* Inodes of the image that is damaged */
enum { ROOT, A, F, G, B, H, I };

static struct guestmemfs_image image;
static u8 *mem;

#define at_layout	((struct guestmemfs_layout *)mem)

static int grow(u32 inode, u64 units)
{
	return guestmemfs_image_grow(&image, inode, units * UNIT, 0, zero_nothing, NULL);
}

/* a/f of 3 units, g of 2, a/b/h of 2 (the last is one byte), and i of no length */
static void good(void)
{
	free(mem);
	make(&image, ranges, NR_RANGES);
	mem = stores.mem;
	must(create(&image, ROOT, "a", S_IFDIR | 0755) == A);
	must(create(&image, A, "f", S_IFREG | 0644) == F);
	must(create(&image, ROOT, "g", S_IFREG | 0644) == G);
	must(create(&image, A, "b", S_IFDIR | 0700) == B);
	must(create(&image, B, "h", S_IFREG | 0600) == H);
	must(create(&image, ROOT, "i", S_IFREG | 0600) == I);
	must(!grow(F, 3));
	must(!grow(G, 2));
	must(!guestmemfs_image_grow(&image, H, UNIT + 1, 1, zero_nothing, NULL));
}

/* -- the image as a whole -- */

static void expect_bad(const char *expected, const char *why)
{
	if (!why || strcmp(why, expected))
		die("expected '%s', not '%s'", expected, why ?: "that all is good");
	printf("provoked: %s\n", why);
}

/* @damage is done to the layout, with a checksum that is right again, in both copies. */
#define LAYOUT(expected, damage) do {						\
	struct guestmemfs_layout *l = (good(), at_layout);			\
										\
	damage;									\
	l->crc = layout_crc(l);							\
	memcpy(mem + GUESTMEMFS_PAGE, l, sizeof(*l));				\
	expect_bad(expected, guestmemfs_image_open(&image, mem, PHYS, stores.bytes)); \
} while (0)

#define STATE(expected, damage) do {						\
	struct guestmemfs_state *s = (good(), image.state);			\
										\
	damage;									\
	repair(&image);								\
	expect_bad(expected, guestmemfs_image_open(&image, mem, PHYS, stores.bytes)); \
} while (0)

static void layouts(void)
{
	const u64 inodes = 3 * GUESTMEMFS_PAGE;

	good();
	must(!guestmemfs_layout_check(at_layout, PHYS, stores.bytes));
	must(at_layout->crc == layout_crc(at_layout));
	expect_bad("it is too short for an image", guestmemfs_image_open(&image, mem, PHYS, 8192));
	expect_bad("it is not where it says that it is",
		   guestmemfs_image_open(&image, mem, PHYS + 4096, stores.bytes));
	expect_bad("it is not as long as it says that it is",
		   guestmemfs_image_open(&image, mem, PHYS, stores.bytes - 4096));

	/* One copy is enough, whichever it is, and the other one stays as it is. */
	at_layout->range[0].units++;
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes));
	must((u8 *)image.layout == mem + GUESTMEMFS_PAGE && at_layout->range[0].units == 8);
	good();
	mem[GUESTMEMFS_PAGE] ^= 1;
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes));
	must((u8 *)image.layout == mem);
	at_layout->range[0].units++;
	expect_bad("its checksum is wrong", guestmemfs_image_open(&image, mem, PHYS, stores.bytes));

	LAYOUT("its format is not known", l->compatible[12] = '2');
	LAYOUT("its format is not known", l->compatible[31] = 1);
	LAYOUT("it is not where it says that it is", l->phys += 4096);
	LAYOUT("its number of ranges is impossible", l->nr_ranges = 0);
	LAYOUT("its number of ranges is impossible", l->nr_ranges = GUESTMEMFS_RANGES + 1);
	LAYOUT("a reserved field of a range is set", l->range[1].reserved = 1);
	LAYOUT("a range of its memory is empty", l->range[1].units = 0);
	LAYOUT("a range of its memory has an impossible address", l->range[2].units = 1ull << 32);
	LAYOUT("a range of its memory has an impossible address", l->range[2].start = U32_MAX - 8);
	LAYOUT("a range of its memory has an impossible address", l->range[2].start = U64_MAX);
	LAYOUT("the ranges of its memory overlap or are not sorted", l->range[1].start--);
	LAYOUT("two ranges of its memory touch on one node", l->range[1].nid = 0);
	LAYOUT("there is something behind its ranges", l->range[3].nid = 1);
	LAYOUT("there is something behind its ranges", l->nr_ranges--);
	LAYOUT("its number of inodes or extents is not that for its memory", l->max_inodes++);
	LAYOUT("its number of inodes or extents is not that for its memory", l->max_extents++);
	LAYOUT("its number of inodes or extents is not that for its memory", l->range[2].units++);
	LAYOUT("it is in the memory that it gives out", l->range[0].start = 0);
	good();
	at_layout->bytes += 4096;
	at_layout->crc = layout_crc(at_layout);
	expect_bad("its length is not that for its memory",
		   guestmemfs_layout_check(at_layout, PHYS, stores.bytes + 4096));
	/* The last byte of the image is the first one of the memory, and one byte before */
	good();
	at_layout->phys = 100 * UNIT - stores.bytes + 4096;
	at_layout->crc = layout_crc(at_layout);
	expect_bad("it is in the memory that it gives out",
		   guestmemfs_layout_check(at_layout, at_layout->phys, stores.bytes));
	at_layout->phys -= 4096;
	at_layout->crc = layout_crc(at_layout);
	must(!guestmemfs_layout_check(at_layout, at_layout->phys, stores.bytes));
	at_layout->phys = 113 * UNIT;
	at_layout->crc = layout_crc(at_layout);
	must(!guestmemfs_layout_check(at_layout, at_layout->phys, stores.bytes));

	STATE("its next id is impossible", s->next_id = 0);
	STATE("its next id is impossible", s->next_id = 1);
	STATE("its number of used inodes is impossible", s->used_inodes = 0);
	STATE("its number of used inodes is impossible", s->used_inodes = MAX_INODES + 1);
	STATE("its number of used extents is impossible", s->used_extents = UNITS + 1);
	STATE("its log has a length that no log has", s->log = GUESTMEMFS_LOG + 1);
	STATE("its log has a length that no log has", s->log = 1ull << 32);
#define LOG(where)	STATE("its log is about something that does not change", s->log = 1; s->redo[0].at = (where))
	LOG(0);
	LOG(GUESTMEMFS_PAGE);
	LOG(inodes - GUESTMEMFS_PAGE - 8);
	LOG(inodes - GUESTMEMFS_PAGE + offsetof(struct guestmemfs_state, log));
	LOG(inodes - 8);
	LOG(inodes + 4);
	LOG(stores.bytes);
	LOG(U64_MAX - 7);
	good();
	image.state->next_id++;
	expect_bad("the checksum of its state is wrong", guestmemfs_image_open(&image, mem, PHYS, stores.bytes));
	good();
	image.state->log = 1;
	expect_bad("the checksum of its log is wrong", guestmemfs_image_open(&image, mem, PHYS, stores.bytes));

	/* A log that counts is applied, and is empty then. */
	good();
	image.state->redo[0].at = inodes + F * sizeof(struct guestmemfs_inode) +
				  offsetof(struct guestmemfs_inode, mtime);
	image.state->redo[0].value = 77;
	image.state->log = 1;
	repair(&image);
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes));
	must(image.inodes[F].mtime == 77 && !image.state->log && image.damaged);
}

/* -- file by file -- */

static struct {
	u64 said;
	const char *why[MAX_INODES];
	const char *nobodys;
} told;

static void tell(void *arg, u32 inode, const char *why)
{
	must(arg == &told);
	if (inode == GUESTMEMFS_NOBODY) {
		must(!told.nobodys);
		told.nobodys = why;
		return;
	}
	must(inode < MAX_INODES && !(told.said >> inode & 1));
	told.said |= 1ull << inode;
	told.why[inode] = why;
}

static int check(unsigned long *refused)
{
	int ret;

	told.said = 0;
	told.nobodys = NULL;
	*refused = 0x5555;
	ret = guestmemfs_image_check(&image, refused, tell, &told);
	must(!forget_allocs());
	must(image.damaged == (ret || told.said || told.nobodys));
	must(image.damaged || !untidy(&image));
	return ret;
}

/* Those that are refused, of an image with any number of inodes */
static u64 all_refused(void)
{
	static unsigned long refused[BITS_TO_LONGS(65536)];

	must(!check(refused) && refused[0] == told.said);
	return told.said;
}

/* @damage, with checksums that are right again, makes the check refuse @inode because of @expected, and in all @set. */
#define REFUSED(set, inode, expected, damage) do {				\
	struct guestmemfs_inode *n = (good(), image.inodes);			\
	struct guestmemfs_extent *e = image.extents;				\
	unsigned long refused;							\
										\
	damage;									\
	(void)n, (void)e;							\
	repair(&image);								\
	must(!check(&refused));							\
	if (refused != (set) || told.said != (set))				\
		die("'%s': refused are %lx, not %lx", expected, refused, (unsigned long)(set)); \
	expect_bad(expected, told.why[inode]);					\
} while (0)

#define NOT_REFUSED(damage) do {						\
	struct guestmemfs_inode *n = (good(), image.inodes);			\
	struct guestmemfs_extent *e = image.extents;				\
	unsigned long refused;							\
										\
	damage;									\
	(void)n, (void)e;							\
	repair(&image);								\
	must(!check(&refused) && !refused && !told.said);			\
} while (0)

#define ROOT_BAD(expected, damage) do {						\
	struct guestmemfs_inode *n = (good(), image.inodes);			\
	unsigned long refused;							\
										\
	damage;									\
	repair(&image);								\
	must(check(&refused) == -EINVAL && refused == ~0ul && told.said == 1);	\
	expect_bad(expected, told.why[0]);					\
} while (0)

#define BIT(n)		(1ul << (n))
#define ALL_IN_A	(BIT(A) | BIT(F) | BIT(B) | BIT(H))

static void files(void)
{
	unsigned long refused;
	unsigned int i;

	good();
	must(!check(&refused) && !refused && !told.said);
	/* Extents: 0 is that of F, 1 of G, 2 of H. */
	for (i = 0; i < 3; i++)
		must(image.extents[i].inode == (u32[]){ F, G, H }[i]);
	must(image.state->used_extents == 3);

	ROOT_BAD("the root has another id than the root has", n[0].id = 0);
	ROOT_BAD("the root has another id than the root has", n[0].id = 2);
	ROOT_BAD("the root is not a directory", n[0].mode = S_IFREG | 0755);
	ROOT_BAD("the root has a name or a directory", n[0].parent = 1);
	ROOT_BAD("the root has a name or a directory", n[0].name_len = 1);
	ROOT_BAD("the root has a name or a directory", n[0].name[255] = 1);
	ROOT_BAD("it is a directory and has a size", n[0].size = 1);

	REFUSED(BIT(G), G, "its id was not given to it", n[G].id = 1);
	REFUSED(BIT(G), G, "its id was not given to it", n[G].id = image.state->next_id);
	REFUSED(BIT(G), G, "its mode has bits that mean nothing", n[G].mode |= 1 << 16);
	REFUSED(ALL_IN_A, A, "it is a directory and has a size", n[A].size = 1);
	REFUSED(BIT(B) | BIT(H), B, "it is a directory and pinned", n[B].pins = 1);
	REFUSED(BIT(B) | BIT(H), H, "its directory was refused", n[B].pins = 1);
	REFUSED(BIT(G), G, "it is neither a file nor a directory", n[G].mode = 0644);
	REFUSED(BIT(G), G, "it is neither a file nor a directory", n[G].mode = S_IFLNK | 0644);
	REFUSED(BIT(G), G, "it is a file and has a limit", n[G].limit = 1);
	REFUSED(BIT(G), G, "its pins mean nothing", n[G].pins = 3);
	REFUSED(BIT(G), G, "it is larger than all of the memory", n[G].size = UNITS * UNIT + 1);
	REFUSED(BIT(G), G, "it is larger than all of the memory", n[G].size = U64_MAX);
	REFUSED(BIT(G), G, "there is something behind its name", n[G].name_len = 0);
	REFUSED(BIT(G), G, "its name is too long", n[G].name_len = GUESTMEMFS_NAME);
	REFUSED(BIT(G), G, "its name is too long", n[G].name_len = U32_MAX);
	REFUSED(BIT(G), G, "its name has a character that no name has", n[G].name[0] = '/');
	REFUSED(BIT(G), G, "its name has a character that no name has", n[G].name_len = 2);
	REFUSED(BIT(G), G, "its name is one that each directory has already", n[G].name[0] = '.');
	REFUSED(BIT(G), G, "its name is one that each directory has already",
		memcpy(n[G].name, "..", 2); n[G].name_len = 2);
	NOT_REFUSED(memcpy(n[G].name, "...", 3); n[G].name_len = 3);
	REFUSED(BIT(G), G, "there is something behind its name", n[G].name[255] = 'x');
	REFUSED(BIT(G), G, "its directory does not exist", n[G].parent = image.state->used_inodes);
	REFUSED(BIT(F), F, "its directory does not exist", n[F].parent = I; n[I].id = 0);
	REFUSED(BIT(G), G, "it is in something that is not a directory", n[G].parent = F);
	REFUSED(BIT(F) | BIT(B) | BIT(H), F, "its directory was removed", n[A].name_len = 0; n[A].name[0] = 0);
	REFUSED(BIT(F) | BIT(G), G, "another one has the same id", n[F].id = n[G].id; e[0].id = n[G].id);
	REFUSED(BIT(G) | BIT(I), G, "another one in its directory has the same name", n[I].name[0] = 'g');
	REFUSED(BIT(G) | BIT(F) | BIT(I), I, "another one in its directory has the same name",
		n[I].name[0] = 'g'; n[F].name[0] = 'g'; n[F].parent = ROOT);
	/* One that is refused for another reason as well; and the same name elsewhere */
	REFUSED(BIT(G) | BIT(I), G, "another one in its directory has the same name",
		n[I].name[0] = 'g'; n[I].pins = 3);
	NOT_REFUSED(n[F].name[0] = 'g');
	REFUSED(ALL_IN_A, A, "the directories that it is in make a circle", n[A].parent = B);
	REFUSED(ALL_IN_A, A, "the directories that it is in make a circle", n[A].parent = A);
	REFUSED(ALL_IN_A, F, "its directory was refused", n[A].parent = A);

	REFUSED(BIT(G), G, "a part of it is nowhere", n[G].size += UNIT);
	REFUSED(BIT(G), G, "a part of it is nowhere", e[1].id = 0);
	REFUSED(BIT(G), G, "a part of it is nowhere", e[1].at = 1; n[G].size = 3 * UNIT);
	REFUSED(BIT(G), G, "a part of it is nowhere", e[1].units = 0);
	REFUSED(BIT(G), G, "a part of it is in two places",
		e[3] = e[1]; e[3].start = 309; e[3].at = 1; image.state->used_extents = 4);
	must(!told.nobodys);
	REFUSED(BIT(G), G, "a part of it is not in memory for files", e[1].start = 299);
	REFUSED(BIT(G), G, "a part of it is not in memory for files", e[1].start = 308);
	REFUSED(BIT(G), G, "a part of it is not in memory for files", e[1].start = 309);
	REFUSED(BIT(G), G, "a part of it is not in memory for files", e[1].start = 97);
	REFUSED(BIT(G), G, "a part of it is not in memory for files", e[1].start = U32_MAX);
	/* Into the next range, which is on another node */
	REFUSED(BIT(I), I, "a part of it is not in memory for files",
		must(!grow(I, 1)); e[3].units = 3; e[3].start = 105; n[I].size = 3 * UNIT; n[F].id = 0; n[G].id = 0; n[H].id = 0);
	REFUSED(BIT(F) | BIT(G), G, "a part of it is another one's, too", e[1].start = e[0].start + 2);
	REFUSED(BIT(F) | BIT(G) | BIT(H), H, "a part of it is another one's, too",
		e[1].start = e[0].start + 1; e[1].units = 1; n[G].size = UNIT; e[2].start = e[0].start + 2; n[H].size = UNIT);
	/* An extent of no file, or behind the end of one, is nobody's. */
	NOT_REFUSED(e[1].inode = 99; n[G].size = 0);
	NOT_REFUSED(e[1].units = 9; e[1].start = 300);

	/* What is left over is cleared, if nothing is refused. */
	for (i = 0; i < 2; i++) {
		good();
		image.inodes[G].id = 0;
		image.inodes[F].size -= 2 * UNIT;
		if (i)
			image.inodes[H].pins = 3;
		repair(&image);
		must(image.extents[0].inode == F);
		must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes) && untidy(&image));
		must(all_refused() == (i ? BIT(H) : 0) && !untidy(&image) == !i);
		must(image.extents[0].units == (i ? 3 : 1) && guestmemfs_image_units(&image) == 3);
	}

	/* No memory, whichever it is for */
	for (i = 0; i < 4; i++) {
		good();
		allocs_left = i;
		must(check(&refused) == -ENOMEM);
		allocs_left = -1;
	}
}

/* -- names -- */

static void directories(void)
{
	const struct guestmemfs_attr attr = { S_IFREG | 0640, 1, 2, 3, 4 };
	char name[300];
	u32 i, inode;
	u64 id;

	good();
	must(!guestmemfs_image_lookup(&image, A, "f", 1, &inode) && inode == F);
	must(guestmemfs_image_lookup(&image, ROOT, "f", 1, &inode) == -ENOENT);
	must(guestmemfs_image_lookup(&image, A, "ff", 2, &inode) == -ENOENT);
	must(guestmemfs_image_lookup(&image, A, "", 0, &inode) == -ENOENT);
	inode = 0;
	must(guestmemfs_image_next(&image, ROOT, &inode) && inode == A);
	must(guestmemfs_image_next(&image, ROOT, &inode) && inode == G);
	must(guestmemfs_image_next(&image, ROOT, &inode) && inode == I);
	must(!guestmemfs_image_next(&image, ROOT, &inode) && inode == I);
	inode = U32_MAX;
	must(!guestmemfs_image_next(&image, ROOT, &inode));

	memset(name, 'n', sizeof(name));
	must(guestmemfs_image_create(&image, A, name, 256, &attr, &inode) == -ENAMETOOLONG);
	must(!guestmemfs_image_create(&image, A, name, 255, &attr, &inode) && inode == I + 1);
	must(!guestmemfs_image_lookup(&image, A, name, 255, &inode) && inode == I + 1);
	must(guestmemfs_image_lookup(&image, A, name, 256, &inode) == -ENOENT);
	must(image.inodes[inode].mode == (S_IFREG | 0640) && image.inodes[inode].uid == 1 &&
	     image.inodes[inode].gid == 2 && image.inodes[inode].mtime == 3 && image.inodes[inode].ctime == 4);

	/* A slot is used again, an id is not. */
	id = image.inodes[G].id;
	guestmemfs_image_remove(&image, G);
	must(guestmemfs_image_lookup(&image, ROOT, "g", 1, &inode) == -ENOENT);
	must(guestmemfs_image_units(&image) == 5 && !untidy(&image));
	must(create(&image, ROOT, "g", S_IFREG) == G && image.inodes[G].id > id && !image.inodes[G].size);

	/* Nor is one that an inode has that was refused. */
	good();
	id = image.state->next_id;
	image.inodes[I].id = id + 1;
	image.inodes[G].id = id;
	repair(&image);
	inode = create(&image, ROOT, "new", S_IFREG);
	must(image.inodes[inode].id == id + 2 && image.state->next_id == id + 3);

	good();
	image.state->next_id = U64_MAX;
	must(guestmemfs_image_create(&image, A, "x", 1, &attr, &inode) == -ENOSPC);
	good();
	for (i = I + 1; i < MAX_INODES; i++) {
		snprintf(name, sizeof(name), "%u", i);
		must(create(&image, B, name, S_IFREG) == i);
	}
	must(guestmemfs_image_create(&image, A, "x", 1, &attr, &inode) == -ENOSPC);
	must(!all_refused());

	/* Another name and place, and what was there is gone. */
	good();
	inode = F;
	guestmemfs_image_rename(&image, G, A, "f", 1, &inode, 99);
	must(!image.inodes[F].name_len && image.inodes[F].parent == A && image.inodes[G].parent == A && image.inodes[G].ctime == 99);
	must(image.inodes[G].mtime == 2000 && image.inodes[A].mtime == 99 && image.inodes[ROOT].ctime == 99);
	must(!guestmemfs_image_lookup(&image, A, "f", 1, &inode) && inode == G);
	must(guestmemfs_image_units(&image) == 7 && !untidy(&image) && !image.state->log);
	must(!all_refused());
	guestmemfs_image_remove(&image, F);
	must(guestmemfs_image_units(&image) == 4 && !untidy(&image));
	guestmemfs_image_rename(&image, B, ROOT, "a longer name", 13, NULL, 100);
	must(!guestmemfs_image_lookup(&image, ROOT, "a longer name", 13, &inode) && inode == B);
	guestmemfs_image_rename(&image, B, ROOT, "b", 1, NULL, 101);
	must(!all_refused());
	/* The longest log that there can be */
	memset(name, 'n', sizeof(name));
	inode = I;
	guestmemfs_image_rename(&image, G, ROOT, name, 255, &inode, -1);
	must(!all_refused());

	/* Removed while it is open: it has its memory, and counts; another one may have its name. */
	good();
	guestmemfs_image_set_pins(&image, H, true);
	guestmemfs_image_orphan(&image, H);
	must(image.inodes[H].pins == 1 && guestmemfs_image_lookup(&image, B, "h", 1, &inode) == -ENOENT);
	must(guestmemfs_image_used(&image, A) == 5 * UNIT && guestmemfs_image_units(&image) == 7);
	must(create(&image, B, "h", S_IFREG) == I + 1 && !grow(I + 1, 1));
	guestmemfs_image_orphan(&image, I + 1);
	must(!all_refused());
	guestmemfs_image_set_limit(&image, B, 3 * UNIT);
	must(grow(I + 1, 2) == -EDQUOT && grow(H, 3) == -EDQUOT);
	/* Its directory goes: it counts for the one above. */
	inode = 0;
	must(!guestmemfs_image_next(&image, B, &inode));
	guestmemfs_image_orphan(&image, B);
	must(!all_refused() && guestmemfs_image_used(&image, A) == 6 * UNIT);
	guestmemfs_image_remove(&image, B);
	must(image.inodes[H].parent == A && image.inodes[I + 1].parent == A);
	must(!all_refused() && guestmemfs_image_used(&image, A) == 6 * UNIT && grow(I + 1, 2) == 0);
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes) && !all_refused());
	must(!image.inodes[H].name_len && guestmemfs_image_units(&image) == 9);

	/* Does what is moved fit? A directory that it is below already has it already. */
	good();
	guestmemfs_image_set_limit(&image, B, 4 * UNIT);
	guestmemfs_image_set_limit(&image, A, 5 * UNIT);
	must(!guestmemfs_image_fits(&image, I, B) && !guestmemfs_image_fits(&image, I, A));
	must(guestmemfs_image_fits(&image, G, B) == -EDQUOT && guestmemfs_image_fits(&image, G, A) == -EDQUOT);
	must(guestmemfs_image_fits(&image, F, B) == -EDQUOT && !guestmemfs_image_fits(&image, H, A));
	must(!guestmemfs_image_fits(&image, B, ROOT) && !guestmemfs_image_fits(&image, G, ROOT));
	guestmemfs_image_set_limit(&image, A, 7 * UNIT);
	must(!guestmemfs_image_fits(&image, G, A) && !guestmemfs_image_fits(&image, G, B));

	guestmemfs_image_setattr(&image, H, &attr);
	must(image.inodes[H].mode == (S_IFREG | 0640) && image.inodes[H].uid == 1 && image.inodes[H].gid == 2 &&
	     image.inodes[H].mtime == 3 && image.inodes[H].ctime == 4 && image.inodes[H].size == UNIT + 1);
	guestmemfs_image_set_pins(&image, H, true);
	must(image.inodes[H].pins == 1 && image.inodes[H].parent == B);
	guestmemfs_image_set_pins(&image, H, false);
	must(image.inodes[H].pins == 0);
}

/* -- memory -- */

static struct {
	u64 units;
	int fail_at;
	int calls;
} zeroed;

static int zero(void *arg, u32 start, u32 units)
{
	must(arg == &zeroed);
	must(start + units);
	zeroed.units += units;
	return zeroed.calls++ == zeroed.fail_at ? -EIO : 0;
}

#define get(inode)	guestmemfs_image_pieces(&image, inode, piece, sizeof(piece) / sizeof(piece[0]))

static void sizes(void)
{
	struct guestmemfs_piece piece[4];
	u8 *before;
	u32 i, j;

	good();
	must(guestmemfs_image_units(&image) == 7);
	must(guestmemfs_image_used(&image, ROOT) == 7 * UNIT);
	must(guestmemfs_image_used(&image, A) == 5 * UNIT && guestmemfs_image_used(&image, B) == 2 * UNIT);
	/* Those in a circle are below what is in it, and below nothing else; it comes to an end. */
	image.inodes[A].parent = B;
	must(guestmemfs_image_used(&image, A) == 5 * UNIT && guestmemfs_image_used(&image, I) == 0);
	must(guestmemfs_image_used(&image, ROOT) == 7 * UNIT);
	image.inodes[A].parent = 9999;
	must(guestmemfs_image_used(&image, I) == 0);

	/* Errors, after each of which nothing has changed */
	good();
	must(!grow(G, 1) && image.inodes[G].size == 2 * UNIT);
	before = new_memory(stores.bytes);
	memcpy(before, mem, stores.bytes);
	must(guestmemfs_image_grow(&image, G, (1ull << 53) + 1, 0, zero, &zeroed) == -EFBIG);
	must(guestmemfs_image_grow(&image, G, U64_MAX, 0, zero, &zeroed) == -EFBIG);
	must(grow(G, 2 + 15 + 1) == -ENOSPC);
	for (i = 0; i < 3; i++) {
		allocs_left = i;
		must(grow(G, 3) == -ENOMEM && !forget_allocs());
	}
	allocs_left = -1;
	for (i = 0; i < 3; i++) {
		memset(&zeroed, 0, sizeof(zeroed));
		zeroed.fail_at = i;
		must(guestmemfs_image_grow(&image, G, 17 * UNIT, 0, zero, &zeroed) == -EIO);
		must(zeroed.calls == (int)i + 1);
	}
	must(!memcmp(before, mem, stores.bytes));
	free(before);
	zeroed.fail_at = -1;
	zeroed.units = 0;
	must(!guestmemfs_image_grow(&image, G, 17 * UNIT - 1, 0, zero, &zeroed) && zeroed.units == 15);
	/* To the end of the unit: no more memory */
	must(!guestmemfs_image_grow(&image, G, 17 * UNIT, 0, zero, &zeroed) && zeroed.units == 15);
	must(guestmemfs_image_units(&image) == UNITS);
	must(!all_refused());
	must(guestmemfs_image_pieces(&image, G, piece, 1) > 1);
	guestmemfs_image_shrink(&image, G, UNIT);
	must(guestmemfs_image_pieces(&image, G, piece, 4) == 1 && piece[0].units == 1 && !untidy(&image));
	guestmemfs_image_shrink(&image, G, 1);
	must(image.inodes[G].size == 1 && guestmemfs_image_units(&image) == 6);
	guestmemfs_image_shrink(&image, G, 0);
	must(guestmemfs_image_pieces(&image, G, NULL, 0) == 0);

	/* Limits: of the directory, of one above it, of the root; in whole units */
	good();
	guestmemfs_image_set_limit(&image, B, 4 * UNIT - 1);
	must(!grow(H, 3) && grow(H, 4) == -EDQUOT);
	guestmemfs_image_set_limit(&image, B, 4 * UNIT);
	must(!grow(H, 4) && grow(H, 5) == -EDQUOT);
	guestmemfs_image_set_limit(&image, B, 0);
	guestmemfs_image_set_limit(&image, A, 9 * UNIT);
	must(!grow(H, 6) && grow(H, 7) == -EDQUOT && grow(F, 4) == -EDQUOT);
	must(!grow(G, 3));
	guestmemfs_image_set_limit(&image, ROOT, 12 * UNIT);
	must(grow(G, 4) == -EDQUOT);
	guestmemfs_image_set_limit(&image, ROOT, 1);
	must(grow(G, 4) == -EDQUOT);

	/* The node that was asked for comes first; its memory is all used before another one's. */
	good();
	must(!guestmemfs_image_grow(&image, I, 5 * UNIT, 1, zero_nothing, NULL));
	must(guestmemfs_image_pieces(&image, I, piece, 4) == 2);
	must(piece[0].start == 109 && piece[0].units == 4 && piece[1].at == 4 && piece[1].units == 1);
	must(piece[1].start < 107 || piece[1].start >= 300);

	/* Two ranges that touch: a file goes on in the second one, with a piece of its own. */
	good();
	guestmemfs_image_shrink(&image, F, 0);
	guestmemfs_image_shrink(&image, G, 0);
	guestmemfs_image_shrink(&image, H, 0);
	must(!grow(I, 7) && get(I) == 1 && piece[0].start == 100);
	must(!guestmemfs_image_grow(&image, I, 9 * UNIT, 1, zero_nothing, NULL));
	must(get(I) == 2 && piece[1].start == 107 && piece[1].units == 2);
	must(!grow(I, 22) && get(I) == 4);
	must(!all_refused());

	/* Something was refused: no memory is given out, nor does any become free. */
	good();
	must(!guestmemfs_image_grow(&image, I, 1, 0, zero_nothing, NULL));
	image.inodes[G].size = 1;
	must(all_refused() == BIT(G));
	must(grow(I, 2) == -EUCLEAN && grow(F, 4) == -EUCLEAN);
	must(!grow(I, 1) && image.inodes[I].size == UNIT);
	must(grow(I, 1u << 31) == -EUCLEAN && guestmemfs_image_grow(&image, I, U64_MAX, 0, zero_nothing, NULL) == -EFBIG);
	guestmemfs_image_shrink(&image, F, UNIT);
	must(get(F) == 1 && piece[0].units == 1 && image.extents[0].units == 3);
	guestmemfs_image_remove(&image, H);
	must(image.extents[2].id);
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes) && all_refused() == BIT(G));
	must(image.extents[0].units == 3 && image.extents[2].id && grow(I, 2) == -EUCLEAN);
	/* The same name: the one that is good is found, wherever it is. */
	for (i = F; i <= I; i++) {
		good();
		if (i == A || i == B || i == H)
			continue;
		image.inodes[i].parent = B;
		image.inodes[i].name[0] = 'h';
		must(all_refused() == BIT(i) && !guestmemfs_image_lookup(&image, B, "h", 1, &j) && j == H);
		image.inodes[i].name[0] = 'k';
		must(!guestmemfs_image_lookup(&image, B, "k", 1, &j) && j == i);
	}
	/* A slot whose id was damaged is no free slot. */
	good();
	image.inodes[G].id = 0;
	must(all_refused() == BIT(G) && create(&image, ROOT, "new", S_IFREG) == I + 1);
}

/* Ranges as they are in large machines: no memory is touched, so they can be of any size. */
static void blocks(void)
{
	static const struct guestmemfs_range large[] = {
		{ .start = 1000, .units = 4000, .nid = 0 },
		{ .start = 8192, .units = 512, .nid = 1 },
		{ .start = 9000, .units = 1200, .nid = 1 },
	};
	struct guestmemfs_piece piece[8];
	u32 f, g, i;

#define fresh()		(free(mem), make(&image, large, 3), mem = stores.mem, \
			 f = create(&image, ROOT, "f", S_IFREG), g = create(&image, ROOT, "g", S_IFREG))
	fresh();
	must(!grow(f, 1024));
	must(get(f) == 1 && piece[0].start % 512 == 0 && piece[0].units == 1024);
	/* Less than a block goes where it fits best, and leaves the blocks alone. */
	must(!grow(g, 24) && get(g) == 1 && piece[0].start == 1000 && piece[0].units == 24);

	/* The file goes on where it ends: not even a piece more. */
	fresh();
	for (i = 1; i < 20; i++)
		must(!grow(f, i) && get(f) == 1);
	must(image.state->used_extents == 1 && image.extents[0].units == 19);
	/* Blocks begin in the middle of what the file gets: file and memory agree. */
	must(!grow(f, 2000) && get(f) == 2);
	must(piece[1].at == 19 && (piece[1].start - 19) % 512 == 0 && piece[1].units == 1981);
	must(!all_refused());

	/* Node 1: a block in each of two ranges, then what is left of it, then node 0 */
	fresh();
	must(!guestmemfs_image_grow(&image, f, 1712 * UNIT, 1, zero_nothing, NULL));
	must(guestmemfs_image_units(&image) == 1712);
	must(get(f) == 4 && piece[0].start == 9216 && piece[0].units == 512 && piece[1].start == 8192 &&
	     piece[1].at == 512 && piece[1].units == 512);
	must(!guestmemfs_image_grow(&image, f, (1712 + 600) * UNIT, 1, zero_nothing, NULL));
	must(get(f) == 5 && piece[4].at == 1712 && piece[4].start < 5000);
	must(!grow(f, 5712) && grow(f, 5713) == -ENOSPC && guestmemfs_image_units(&image) == 5712);
	must(!all_refused());

	/* The next block goes where the file ends, though another gap would do, too. */
	fresh();
	must(!guestmemfs_image_grow(&image, f, 512 * UNIT, 0, zero_nothing, NULL));
	must(get(f) == 1 && piece[0].start == 1024);
	must(!guestmemfs_image_grow(&image, f, 1024 * UNIT, 0, zero_nothing, NULL) && get(f) == 1);

	/* Memory in many parts: as few pieces as there can be */
	fresh();
	must(!grow(f, 5712));
	guestmemfs_image_remove(&image, f);
	must(!grow(g, 5712));
}

static void share(void)
{
	u64 units;

	must(guestmemfs_image_bytes(1) == 3 * 4096 + 6 * 4096 + 4096);
	for (units = 512; units <= U32_MAX; units += 1 + units / 1000)
		must(guestmemfs_image_bytes(units) < units * UNIT / 10000);
	must(guestmemfs_image_bytes(1024 * 512) == 3 * 4096 + 65536 * 328 + 524288 * 32);
	printf("of 1 GiB and 1 TiB the image takes %.4f %% and %.4f %%\n",
	       100.0 * guestmemfs_image_bytes(512) / (512 * UNIT), 100.0 * guestmemfs_image_bytes(524288) / (524288 * UNIT));
}

/* An image is made with the same few stores, however much memory there is. */
static void making(void)
{
	const struct guestmemfs_range small = { .start = 1, .units = 1, .nid = 3 }, large = { .start = 512, .units = 524288 };
	unsigned long nr;

	free(mem);
	stores.nr = 0;
	make(&image, &small, 1);
	nr = stores.nr;
	must(!all_refused() && !guestmemfs_image_units(&image));
	must(image.inodes[0].mode == (S_IFDIR | 0755) && image.inodes[0].mtime == 1000 && image.layout->max_inodes == 64);
	free(stores.mem);
	stores.nr = 0;
	make(&image, &large, 1);
	must(stores.nr == nr && image.layout->max_inodes == 65536 && image.layout->max_extents == 524288);
	must(!guestmemfs_image_open(&image, stores.mem, PHYS, stores.bytes));
	free(stores.mem);
	mem = NULL;
}

/* -- any damage -- */

/* Inodes and extents that are free, behind those that good() makes and before the end of what was used */
enum { FREE = I + 1, LAST };

static const u32 patterns[] = { 1, U32_MAX, 1u << 31 };

#define NR_PATTERNS	(sizeof(patterns) / sizeof(patterns[0]) + 1)

/* Returns whether it is another image then. */
static bool damage(u32 at, unsigned int pattern)
{
	u32 word, new = 0;

	memcpy(&word, mem + at, sizeof(word));
	if (pattern < NR_PATTERNS - 1)
		new = word ^ patterns[pattern];
	memcpy(mem + at, &new, sizeof(new));
	return new != word;
}

/* Give @inode what can be had; zero_unheld() judges what it gets. */
static void take_all(u32 inode)
{
	u32 units;

	for (units = UNITS; units; units--)
		guestmemfs_image_grow(&image, inode, units * UNIT, units & 1, zero_unheld, NULL);
}

static void take_all_again(unsigned long refused)
{
	u32 i;

	for (i = 1; i < image.state->used_inodes; i++)
		if (!(refused >> i & 1) && image.inodes[i].id && S_ISREG(image.inodes[i].mode))
			take_all(i);
	take_all(create(&image, ROOT, "all there is", S_IFREG));
}

/* Also f and g are pinned, there is a free inode and a free extent, and the log was used. */
static void good_and_held(void)
{
	good();
	must(create(&image, ROOT, "j", S_IFREG) == FREE && create(&image, ROOT, "k", S_IFREG) == LAST);
	must(!grow(FREE, 1) && !grow(LAST, 1));
	guestmemfs_image_remove(&image, FREE);
	guestmemfs_image_set_pins(&image, F, true);
	guestmemfs_image_set_pins(&image, G, true);
	must(image.state->used_inodes == LAST + 1 && image.state->used_extents == 5 && !image.extents[3].id);
	held = bits_of(&image, F) | bits_of(&image, G);
	must(__builtin_popcountll(held) == 5);
}

/* What was not damaged can be used, and the next kernel finds the same. */
static void use_the_rest(unsigned long refused, const u8 *before)
{
	const struct guestmemfs_attr attr = { S_IFREG | 0600, 1, 2, 3, 4 };
	const struct guestmemfs_image was = {
		image.layout, (void *)before + 8192, (void *)before + 12288,
		(void *)(before + ((u8 *)image.extents - mem)), false,
	};
	unsigned long later;
	u32 i, found;

	for (i = 1; i <= LAST; i++) {
		if (i == FREE || refused >> i & 1)
			continue;
		must(!guestmemfs_image_lookup(&image, image.inodes[i].parent, (const char *)image.inodes[i].name, 1, &found));
		must(found == i && bits_of(&image, i) == bits_of(&was, i));
		if (!S_ISREG(image.inodes[i].mode))
			continue;
		guestmemfs_image_setattr(&image, i, &attr);
		guestmemfs_image_rename(&image, i, image.inodes[i].parent, "x", 1, NULL, 5);
		guestmemfs_image_rename(&image, i, image.inodes[i].parent, (const char *)was.inodes[i].name, 1, NULL, 5);
		if (image.inodes[i].pins) {
			guestmemfs_image_set_pins(&image, i, false);
			guestmemfs_image_set_pins(&image, i, true);
		}
	}
	if (!(refused >> LAST & 1)) {
		guestmemfs_image_shrink(&image, LAST, 1);
		guestmemfs_image_orphan(&image, LAST);
		guestmemfs_image_remove(&image, LAST);
	}
	if (!(refused >> H & 1))
		guestmemfs_image_shrink(&image, H, UNIT);
	take_all_again(refused);
	must(!guestmemfs_image_open(&image, mem, PHYS, stores.bytes) && !check(&later) && later == refused && image.damaged);
	take_all_again(refused);
}

/* What has to be refused if a word at @at was damaged */
static unsigned long hit(u32 at)
{
	const u32 owner[] = { F, G, H, FREE, LAST };
	u32 i = (at - 3 * GUESTMEMFS_PAGE) / sizeof(struct guestmemfs_inode);

	if ((u8 *)image.extents <= mem + at) {
		i = owner[(mem + at - (u8 *)image.extents) / sizeof(struct guestmemfs_extent)];
		return i == FREE ? 0 : BIT(i);
	}
	return i == A ? ALL_IN_A : i == B ? BIT(B) | BIT(H) : BIT(i);
}

#define INODE_CRC	"its checksum is not that of what it says"
#define EXTENT_CRC	"an extent has a wrong checksum"

/* The one that was damaged; what is refused with it comes later. */
static u32 first_of(unsigned long refused)
{
	return __builtin_ctzl(refused);
}

static void any_word(void)
{
	const u32 log = 2 * GUESTMEMFS_PAGE + offsetof(struct guestmemfs_state, redo);
	u32 at, pattern, end, inodes_end, images = 0, files = 0, nothing = 0;
	unsigned long refused;
	u8 *base, *before;
	const char *why;

	good_and_held();
	base = new_memory(stores.bytes);
	before = new_memory(stores.bytes);
	memcpy(base, mem, stores.bytes);
	inodes_end = (u8 *)&image.inodes[image.state->used_inodes] - mem;
	end = (u8 *)&image.extents[image.state->used_extents] - mem;
	for (at = 2 * GUESTMEMFS_PAGE; at < end; at += 4) {
		if (at >= inodes_end && mem + at < (u8 *)image.extents)
			continue;
		for (pattern = 0; pattern < NR_PATTERNS; pattern++) {
			memcpy(mem, base, stores.bytes);
			if (!damage(at, pattern))
				continue;
			memcpy(before, mem, stores.bytes);
			why = guestmemfs_image_open(&image, mem, PHYS, stores.bytes);
			must(!why == (at >= log));
			images += !!why;
			if (why)
				continue;
			if (check(&refused)) {
				must(hit(at) == BIT(ROOT));
				images++;
				continue;
			}
			if (at < 3 * GUESTMEMFS_PAGE) {
				/* The log is empty: nobody reads it. */
				must(!image.damaged);
				take_all_again(0);
				nothing++;
				continue;
			}
			must(image.damaged && refused == hit(at) && !told.nobodys == (at < inodes_end));
			must(!strcmp(told.nobodys ?: told.why[first_of(refused)], at < inodes_end ? INODE_CRC : EXTENT_CRC));
			must(!memcmp(before, mem, stores.bytes));
			use_the_rest(refused, base);
			files++;
		}
	}
	printf("damaged words: %u times the image was refused, %u times a part of it, %u times it did not matter\n",
	       images, files, nothing);
	must(images > 250 && files > 2000);
	expect_bad(EXTENT_CRC, told.nobodys);
	good();
	image.inodes[F].mtime++;
	must(all_refused() == BIT(F));
	expect_bad(INODE_CRC, told.why[F]);
	good();
	image.inodes[ROOT].mtime++;
	must(check(&refused) == -EINVAL);
	expect_bad("the checksum of the root is wrong", told.why[ROOT]);
	free(base), free(before);
}

/* The kernel dies, and what it was about is damaged. */
static __attribute__((noinline)) void die_at(unsigned long store, void (*change)(void))
{
	stores.nr = 0;
	stores.stop_at = store;
	if (!setjmp(stores.stop))
		change();
	stores.stop_at = ~0ul;
	forget_allocs();
}

static void change_size(void)
{
	guestmemfs_image_grow(&image, I, 6 * UNIT, 1, zero_unheld, NULL);
}

static void change_pinned(void)
{
	guestmemfs_image_grow(&image, G, 6 * UNIT, 1, zero_unheld, NULL);
}

static void change_pins(void)
{
	guestmemfs_image_set_pins(&image, H, true);
}

static void change_names(void)
{
	const u32 replaced = I;

	guestmemfs_image_rename(&image, F, ROOT, "i", 1, &replaced, 7);
}

static void dying(void)
{
	static void (*const changes[])(void) = { change_size, change_pinned, change_pins, change_names };
	const u32 log = 2 * GUESTMEMFS_PAGE, log_end = log + offsetof(struct guestmemfs_state, redo[8]);
	unsigned long k, nr, refused;
	unsigned int change, pattern;
	u32 at, n = 0;
	u8 *base, *died;

	good_and_held();
	base = new_memory(stores.bytes);
	died = new_memory(stores.bytes);
	memcpy(base, mem, stores.bytes);
	for (change = 0; change < sizeof(changes) / sizeof(changes[0]); change++) {
		memcpy(mem, base, stores.bytes);
		image.damaged = false;
		die_at(~0ul, changes[change]);
		nr = stores.nr;
		must(nr > 3);
		for (k = 0; k < nr; k++) {
			memcpy(mem, base, stores.bytes);
			image.damaged = false;
			die_at(k, changes[change]);
			memcpy(died, mem, stores.bytes);
			for (at = log; at < log_end; at += 4) {
				for (pattern = 0; pattern < NR_PATTERNS; pattern++) {
					memcpy(mem, died, stores.bytes);
					if (!damage(at, pattern))
						continue;
					n++;
					if (!guestmemfs_image_open(&image, mem, PHYS, stores.bytes) && !check(&refused))
						take_all_again(refused);
				}
			}
		}
	}
	must(n > 1000);
	free(base), free(died);
}

int main(void)
{
	layouts();
	files();
	directories();
	sizes();
	blocks();
	share();
	making();
	any_word();
	dying();
	free(mem);
	return 0;
}
