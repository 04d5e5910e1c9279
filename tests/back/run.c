// SPDX-License-Identifier: GPL-2.0-only
/*
 * Back images with one thing wrong, and with any bytes: what luo_back_check.h makes of them. The
 * machine is an array of pages, some of which the previous kernel has preserved. A page that it
 * has not is not to be read.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long kimage_entry_t;
typedef u64 phys_addr_t;

#define __packed __attribute__((packed))
#define __init
#define PAGE_SIZE	4096ul
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PAGE_ALIGNED(a)	(!((unsigned long)(a) & (PAGE_SIZE - 1)))
#define IND_DESTINATION	1ul
#define IND_INDIRECTION	2ul
#define IND_DONE	4ul
#define IND_SOURCE	8ul

#define PAGES		64
#define BASE		0x100000ul

static u8 memory[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static bool preserved[PAGES];
static int failures, checks;

static void *phys_to_virt(unsigned long pa)
{
	unsigned long i = (pa - BASE) / PAGE_SIZE;

	if (pa < BASE || i >= PAGES || !preserved[i]) {
		printf("FAIL %#lx is read, which was not preserved\n", pa);
		exit(1);
	}
	return memory[i] + pa % PAGE_SIZE;
}

static unsigned long virt_to_phys(const void *at)
{
	return BASE + ((const u8 *)at - memory[0]);
}

static int get_order(unsigned long size)
{
	int order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

static bool kho_is_preserved(phys_addr_t pa, unsigned int order)
{
	u64 i = (pa - BASE) / PAGE_SIZE;

	/* The log is the only one that is larger than a page. */
	if (order)
		return pa == BASE + 32 * PAGE_SIZE;
	return PAGE_ALIGNED(pa) && pa >= BASE && i < PAGES && preserved[i];
}

static struct { phys_addr_t addr, size; } kho_scratch[2] = {
	{ 0x10000000, 0x1000000 }, { 0x20000000, 0x8000 },
};
static unsigned int kho_scratch_cnt = 2;

#include "back.h"
#include "luo_back_check.h"

/* The structure in page 0, a list in pages 1 and 2, and four pages of an image. */
#define PA(i)		(BASE + (i) * PAGE_SIZE)
#define LIST(i, n)	((u64 *)memory[i])[n]

static struct luo_back_ser *make(void)
{
	struct luo_back_ser *ser = (struct luo_back_ser *)memory[0];

	memset(memory, 0, sizeof(memory));
	memset(preserved, 0, sizeof(preserved));
	for (int i = 0; i < 7; i++)
		preserved[i] = true;
	ser->version = LUO_BACK_VERSION;
	ser->state = LUO_BACK_PARKED;
	ser->head = PA(1) | IND_INDIRECTION;
	ser->start = 0x10000040;
	ser->nr_pages = 6;
	ser->nr_segments = 2;
	ser->segments[0].pa = 0x10000000;
	ser->segments[0].size = 3 * PAGE_SIZE;
	ser->segments[1].pa = 0x20007000;
	ser->segments[1].size = PAGE_SIZE;
	ser->log_pa = PA(32);
	LIST(1, 0) = 0x10000000 | IND_DESTINATION;
	LIST(1, 1) = PA(3) | IND_SOURCE;
	LIST(1, 2) = PA(4) | IND_SOURCE;
	LIST(1, 3) = PA(5) | IND_SOURCE;
	LIST(1, 4) = PA(2) | IND_INDIRECTION;
	LIST(2, 0) = 0x20007000 | IND_DESTINATION;
	LIST(2, 1) = PA(6) | IND_SOURCE;
	LIST(2, 2) = IND_DONE;
	return ser;
}

/* @says: a part of the reason; "": it is fine. */
static void judge(const char *what, struct luo_back_ser *ser, const char *says)
{
	const char *why = check_ser(ser);

	checks++;
	if (*says ? why && strstr(why, says) : !why)
		return;
	failures++;
	printf("FAIL %s: says '%s', expected '%s'\n", what, why ?: "", says);
}

#define BAD(what, change, says) do {		\
	struct luo_back_ser *ser = make();	\
						\
	change;					\
	judge(what, ser, says);			\
} while (0)

static const char list[] = "list of pages is wrong", place[] = "not where the next kernel can be";

static void damages(void)
{
	BAD("good", , "");
	BAD("itself not kept", preserved[0] = false, "it was not preserved");
	BAD("log elsewhere", ser->log_pa = PA(3), "its log was not preserved");
	BAD("no segment", ser->nr_segments = 0, "number of segments");
	BAD("17 segments", ser->nr_segments = 17, "number of segments");
	BAD("all segments", ser->nr_segments = 0xffffffff, "number of segments");
	BAD("below the scratch", ser->segments[0].pa -= PAGE_SIZE, place);
	BAD("beyond the scratch", ser->segments[1].size += PAGE_SIZE, place);
	BAD("as large as all", ser->segments[0].size = 0 - PAGE_SIZE, place);
	BAD("wraps around", ser->segments[0].pa = 0 - PAGE_SIZE, place);
	BAD("no page", ser->segments[0].pa += 8, place);
	BAD("half a page", ser->segments[0].size += 8, place);
	BAD("starts before", ser->start = 0xfffffff, "starts outside");
	BAD("starts behind", ser->start = 0x10003000, "starts outside");
	BAD("no list", ser->head = 0, list);
	BAD("ends at once", ser->head = IND_DONE, list);
	BAD("head is a page", ser->head = PA(3) | IND_SOURCE, list);
	BAD("head is a place", ser->head = 0x10000000 | IND_DESTINATION, list);
	BAD("head not kept", ser->head = PA(9) | IND_INDIRECTION, list);
	BAD("head is nowhere", ser->head = 0xdead000 | IND_INDIRECTION, list);
	BAD("list goes on at what was not kept", LIST(1, 4) = PA(9) | IND_INDIRECTION, list);
	BAD("list comes back to itself", LIST(2, 2) = PA(1) | IND_INDIRECTION, list);
	BAD("list does not end", for (int i = 2; i < 512; i++) LIST(2, i) = 0x20007000 | IND_DESTINATION, list);
	BAD("two kinds at once", LIST(1, 1) |= IND_INDIRECTION, list);
	BAD("no kind", LIST(1, 1) &= PAGE_MASK, list);
	BAD("a kind that is none", LIST(1, 1) |= 0x10, list);
	BAD("page not kept", LIST(1, 2) = PA(9) | IND_SOURCE, list);
	BAD("what says so", LIST(1, 2) = PA(0) | IND_SOURCE, list);
	BAD("page beyond memory", LIST(1, 2) = PA(PAGES) | IND_SOURCE, list);
	BAD("page to nowhere", LIST(1, 0) = 0x30000000 | IND_DESTINATION, list);
	BAD("page behind its segment", LIST(1, 0) = 0x10001000 | IND_DESTINATION, list);
	BAD("page before a place", LIST(1, 0) = PA(6) | IND_SOURCE, list);
	BAD("a page too many", ser->nr_pages = 5, list);
	BAD("a page too few", ser->nr_pages = 7, list);
	BAD("ends in the middle", LIST(1, 3) = 0, list);
}

static unsigned long seed = 1;

static unsigned long any(unsigned long n)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (seed >> 33) % n;
}

/* Of what was let through all goes where it may, and comes from what was kept. */
static int must_be_fine(kimage_entry_t entry, void *arg)
{
	(void)arg;
	if (has_page(entry))
		phys_to_virt(entry & PAGE_MASK);
	return 0;
}

static void any_bytes(unsigned int rounds)
{
	unsigned int good = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		struct luo_back_ser *ser = make();

		for (unsigned long n = any(3) + 1; n; n--) {
			u8 *at = any(2) ? memory[1 + any(2)] + any(48) : memory[0] + any(offsetof(struct luo_back_ser, digest));

			*at = any(2) ? *at ^ 1u << any(8) : any(256);
		}
		checks++;
		if (check_ser(ser))
			continue;
		good++;
		if (walk_list(ser->head, must_be_fine, NULL)) {
			failures++;
			puts("FAIL a list that was let through cannot be walked");
		}
	}
	if (!good || good == rounds) {
		failures++;
		printf("FAIL of %u images with any bytes %u are fine\n", rounds, good);
	}
}

int main(void)
{
	damages();
	any_bytes(200000);
	printf("%s: %d checks of back images, %d failed\n", failures ? "FAIL" : "ok", checks, failures);
	return !!failures;
}
