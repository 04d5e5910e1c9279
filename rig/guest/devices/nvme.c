// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of an NVMe controller that is never at rest: NVME_DEPTH commands are in flight
 * as long as it may issue more. Every bit of its state is in the DMA memory (see
 * devices/dma_memory.h), so that any process that has that memory and the controller can
 * go on where another one stopped.
 *
 * What a command does follows from its number alone, which is its command identifier,
 * too; rig/referee/disk.py knows the same rule. The even ones write, and so do the first
 * ones. An odd one reads what the write NVME_DEPTH + 1 before it has written: that one has
 * completed, since a command waits for the buffer of the one NVME_DEPTH before it. Each
 * block says which command has written it, and has a checksum.
 *
 * Completions are reported in the order in which the queue has them, in lists. Each list
 * carries the sum of the checksums computed over all blocks that its commands have read,
 * which only somebody who has read them can know.
 *
 * Registers, queues and commands: "NVM Express Base Specification", revision 1.4, sections
 * 3.1 "Register Definition", 4.1 to 4.6 (queues, entries, phase tag), 5.3 to 5.4 (creation
 * of queues), 5.15 "Identify command", 5.22 "Virtualization Management command", 6.9 "Read command", 6.15 "Write command", 7.6.1
 * "Initialization" and 8.3 "End-to-end Data Protection".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/control.h"
#include "core/crc32.h"
#include "core/end.h"
#include "devices/dma_memory.h"
#include "devices/nvme.h"
#include "devices/nvme_interrupts.h"
#include "interfaces/vfio.h"

/* Registers; those of 64 bits are accessed in two halves. */
enum {
	NVME_CAP_LO	= 0x00,
	NVME_CAP_HI	= 0x04,
	NVME_CC		= 0x14,
	NVME_CSTS	= 0x1c,
	NVME_AQA	= 0x24,
	NVME_ASQ	= 0x28,
	NVME_ACQ	= 0x30,
	NVME_DOORBELLS	= 0x1000,
};

#define CAP_HI_DSTRD(cap)	((cap) & 0xf)
#define CC_EN			(1u << 0)
#define CC_IOSQES(lg2)		((lg2) << 16)
#define CC_IOCQES(lg2)		((lg2) << 20)
#define CSTS_RDY		(1u << 0)
#define CSTS_CFS		(1u << 1)

enum {
	ADMIN_CREATE_SQ	= 0x01,
	ADMIN_CREATE_CQ	= 0x05,
	ADMIN_IDENTIFY	= 0x06,
	ADMIN_VIRTUAL	= 0x1c,
	NVM_WRITE	= 0x01,
	NVM_READ	= 0x02,
};

#define QUEUE_CONTIGUOUS	(1u << 0)
#define QUEUE_INTERRUPTS	(1u << 1)
/* The controller adds the protection information, or checks it and takes it off. */
#define PRINFO_PRACT		(1u << 29)
#define PRINFO_CHECK_GUARD	(1u << 28)

#define NSID		1u
#define ADMIN		0u
#define IO		1u		/* the id of both queues */
#define ADMIN_ENTRIES	32u
#define PATIENCE_MS	5000

/* "Figure 105: Command Format – Admin and NVM Command Set" */
struct command {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t mptr;
	uint64_t prp1;
	uint64_t prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* "Figure 122: Completion Queue Entry Layout" */
struct completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status;	/* bit 0: phase tag */
};

/* "Figure 245: Identify Namespace Data Structure", as far as it is needed. */
struct namespace {
	uint64_t size;		/* in blocks */
	uint8_t other[18];
	uint8_t formatted;	/* which of the formats below */
	uint8_t metadata, protections;
	uint8_t protection;	/* its type; 0 for none */
	uint8_t others[98];
	uint32_t format[16];
};

/* A block of the disk; rig/referee/disk.py reads it. */
struct block {
	uint64_t magic;
	uint64_t lba;
	uint64_t command;
	uint32_t reserved;
	uint32_t crc;		/* of all that is before it and all that follows */
	uint64_t word[508];
};

_Static_assert(sizeof(struct command) == 64, "an entry of a submission queue");
_Static_assert(sizeof(struct completion) == 16, "an entry of a completion queue");
_Static_assert(offsetof(struct namespace, format) == 128, "LBA formats");
_Static_assert(sizeof(struct block) == PAGE, "a block");

#define BLOCK_MAGIC	0x4b4c424f554e4f43ull
#define WRITTEN		0x9e3779b97f4a7c15ull
#define STEP		0xff51afd7ed558ccdull
/* Places on the disk, of two blocks each, of which a command uses one or both. */
#define PLACES		2048u
#define BAD_REPORTED	100u

/* --- what command @n does --- */

static bool is_write(uint64_t n)
{
	return !(n & 1) || n <= NVME_DEPTH;
}

/* The command whose blocks it writes or reads. */
static uint64_t written_by(uint64_t n)
{
	return is_write(n) ? n : n - 1 - NVME_DEPTH;
}

static uint64_t lba_of(uint64_t n)
{
	return written_by(n) % PLACES * 2;
}

static unsigned int blocks_of(uint64_t n)
{
	return 1 + (written_by(n) >> 1 & 1);
}

/* --- places in the memory --- */

static void *at(struct nvme *d, uint64_t off)
{
	return d->mem + (off - OFF_NVME);
}

static uint64_t iova(struct nvme *d, uint64_t off)
{
	return d->iova + (off - OFF_NVME);
}

static uint64_t buffer_off(uint64_t n)
{
	return OFF_NVME_BUF + n % NVME_DEPTH * NVME_BUF;
}

/* --- blocks --- */

static uint32_t block_crc(const struct block *b)
{
	uint32_t crc = crc32_rig(0, b, offsetof(struct block, crc));

	return crc32_rig(crc, b->word, sizeof(b->word));
}

static void fill(struct block *b, uint64_t n, uint64_t lba)
{
	b->magic = BLOCK_MAGIC;
	b->lba = lba;
	b->command = n;
	b->reserved = 0;
	for (unsigned int i = 0; i < sizeof(b->word) / sizeof(b->word[0]); i++)
		b->word[i] = n * WRITTEN + lba + i * STEP;
	b->crc = block_crc(b);
}

/* --- registers --- */

static void ring(struct nvme *d, unsigned int queue, bool completion,
		 uint32_t entry)
{
	uint32_t stride = 4u << CAP_HI_DSTRD(rd32(d->dev, NVME_CAP_HI));

	wr32(d->dev, NVME_DOORBELLS + (2 * queue + completion) * stride, entry);
}

static void await_ready(struct nvme *d, uint32_t ready)
{
	for (unsigned int i = 0; i < PATIENCE_MS; i++) {
		uint32_t csts = rd32(d->dev, NVME_CSTS);

		if (csts & CSTS_CFS)
			break;
		if ((csts & CSTS_RDY) == ready)
			return;
		usleep(1000);
	}
	die("disk %s: the controller does not become %sready (CSTS 0x%x)",
	    d->dev->bdf, ready ? "" : "un", rd32(d->dev, NVME_CSTS));
}

/* --- the admin queue, which is used at the start only --- */

static void admin(struct nvme *d, unsigned int i, struct command c)
{
	volatile struct completion *done =
		(volatile struct completion *)at(d, OFF_NVME_ACQ) + i;

	c.cid = i;
	((struct command *)at(d, OFF_NVME_ASQ))[i] = c;
	ring(d, ADMIN, false, i + 1);
	for (unsigned int ms = 0; !(done->status & 1); ms++) {
		if (ms == PATIENCE_MS)
			die("disk %s: admin command 0x%x does not complete",
			    d->dev->bdf, c.opcode);
		usleep(1000);
	}
	if (done->status >> 1 || done->cid != i)
		die("disk %s: admin command 0x%x: status 0x%x, command id %u",
		    d->dev->bdf, c.opcode, done->status >> 1, done->cid);
	ring(d, ADMIN, true, i + 1);
}

static void look_at_namespace(struct nvme *d)
{
	struct namespace *ns = at(d, OFF_NVME_ID);
	unsigned int lg2 = ns->format[ns->formatted & 0xf] >> 16 & 0x3f;

	d->st->protected = ns->protection & 7;
	if (1ul << lg2 != PAGE)
		die("disk %s: its blocks do not have %lu bytes", d->dev->bdf,
		    PAGE);
	if (ns->size < 2 * PLACES)
		die("disk %s: %llu blocks are too few", d->dev->bdf,
		    (unsigned long long)ns->size);
}

void nvme_enable(struct nvme *d)
{
	struct vdev *v = d->dev;

	memset(at(d, OFF_NVME_ASQ), 0, OFF_NVME_SQ - OFF_NVME_ASQ);
	wr32(v, NVME_CC, 0);
	await_ready(d, 0);
	wr32(v, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
	wr32(v, NVME_ASQ, (uint32_t)iova(d, OFF_NVME_ASQ));
	wr32(v, NVME_ASQ + 4, iova(d, OFF_NVME_ASQ) >> 32);
	wr32(v, NVME_ACQ, (uint32_t)iova(d, OFF_NVME_ACQ));
	wr32(v, NVME_ACQ + 4, iova(d, OFF_NVME_ACQ) >> 32);
	/* Memory pages of 4 KiB, round robin, the NVM command set: all 0. */
	wr32(v, NVME_CC, CC_IOSQES(6) | CC_IOCQES(4) | CC_EN);
	await_ready(d, CSTS_RDY);
}

void nvme_manage(struct nvme *d, unsigned int i, enum nvme_action action,
		 enum nvme_resource resource, uint16_t controller,
		 uint32_t number)
{
	admin(d, i, (struct command){
		.opcode = ADMIN_VIRTUAL,
		.cdw10 = (uint32_t)controller << 16 | resource << 8 | action,
		.cdw11 = number,
	});
}

void nvme_start(struct nvme *d)
{
	memset(d->st, 0, sizeof(*d->st));
	memset(d->mem, 0, OFF_NVME_END - OFF_NVME);
	nvme_enable(d);
	admin(d, 0, (struct command){
		.opcode = ADMIN_IDENTIFY, .nsid = NSID,
		.prp1 = iova(d, OFF_NVME_ID),
	});
	look_at_namespace(d);
	admin(d, 1, (struct command){
		.opcode = ADMIN_CREATE_CQ, .prp1 = iova(d, OFF_NVME_CQ),
		.cdw10 = (NVME_CQ_ENTRIES - 1) << 16 | IO,
		.cdw11 = NVME_VECTOR << 16 | QUEUE_INTERRUPTS | QUEUE_CONTIGUOUS,
	});
	admin(d, 2, (struct command){
		.opcode = ADMIN_CREATE_SQ, .prp1 = iova(d, OFF_NVME_SQ),
		.cdw10 = (NVME_SQ_ENTRIES - 1) << 16 | IO,
		.cdw11 = IO << 16 | QUEUE_CONTIGUOUS,
	});
}

/* --- commands --- */

static void issue(struct nvme *d, uint64_t n)
{
	struct command *c = (struct command *)at(d, OFF_NVME_SQ) +
			    n % NVME_SQ_ENTRIES;
	struct block *b = at(d, buffer_off(n));
	unsigned int blocks = blocks_of(n);
	uint64_t lba = lba_of(n);

	/* What was in a buffer must not pass for what is read. */
	memset(b, 0xee, NVME_BUF);
	for (unsigned int i = 0; is_write(n) && i < blocks; i++)
		fill(b + i, n, lba + i);
	*c = (struct command){
		.opcode = is_write(n) ? NVM_WRITE : NVM_READ,
		.cid = n,
		.nsid = NSID,
		.prp1 = iova(d, buffer_off(n)),
		.prp2 = blocks > 1 ? iova(d, buffer_off(n)) + PAGE : 0,
		.cdw10 = (uint32_t)lba,
		.cdw11 = lba >> 32,
		.cdw12 = blocks - 1,
	};
	if (d->st->protected) {
		c->cdw12 |= PRINFO_PRACT | PRINFO_CHECK_GUARD;
		c->cdw14 = (uint32_t)lba;	/* the reference tag */
	}
}

static void issue_more(struct nvme *d)
{
	struct nvme_state *st = d->st;
	uint64_t first = st->next;

	while (st->next < st->allowed &&
	       !(st->busy >> st->next % NVME_DEPTH & 1)) {
		issue(d, st->next);
		st->busy |= 1ull << st->next % NVME_DEPTH;
		st->next++;
	}
	if (st->next != first)
		ring(d, IO, false, st->next % NVME_SQ_ENTRIES);
}

void nvme_allow(struct nvme *d, uint64_t commands)
{
	d->st->allowed += commands;
	issue_more(d);
}

/* --- completions --- */

static void bad(struct nvme *d, const char *why, uint64_t n, uint64_t value)
{
	if (d->st->bad++ < BAD_REPORTED)
		emit("diskbad", ",\"why\":\"%s\",\"at\":%llu,\"command\":%llu,\"value\":%llu",
		     why, (unsigned long long)d->st->taken,
		     (unsigned long long)n, (unsigned long long)value);
}

void nvme_flush(struct nvme *d)
{
	struct nvme_run *run = &d->st->run;
	char text[8 * NVME_RUN] = "";
	size_t used = 0;

	if (!run->count)
		return;
	for (unsigned int i = 0; i < run->count; i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%u",
				 i ? "," : "", run->cid[i]);
	emit("completed", ",\"at\":%llu,\"cids\":[%s],\"crcs\":%llu",
	     (unsigned long long)(d->st->taken - run->count), text,
	     (unsigned long long)run->crc_sum);
	memset(run, 0, sizeof(*run));
}

static void take_blocks(struct nvme *d, uint64_t n)
{
	const struct block *b = at(d, buffer_off(n));

	for (unsigned int i = 0; i < blocks_of(n); i++) {
		uint32_t crc = block_crc(b + i);

		if (b[i].magic != BLOCK_MAGIC || b[i].lba != lba_of(n) + i ||
		    b[i].command != written_by(n))
			bad(d, "another block was read", n, b[i].command);
		else if (crc != b[i].crc)
			bad(d, "checksum", n, crc);
		d->st->run.crc_sum += crc;
	}
}

static void take(struct nvme *d, uint16_t cid, uint16_t status)
{
	struct nvme_state *st = d->st;
	/* The one in flight whose number ends like this. */
	uint64_t n = st->next - (uint16_t)(st->next - cid);

	if (n >= st->next || st->next - n > NVME_DEPTH ||
	    !(st->busy >> n % NVME_DEPTH & 1))
		bad(d, "it is not in flight", n, status);
	else if (status)
		bad(d, "status", n, status);
	else if (!is_write(n))
		take_blocks(d, n);
	st->busy &= ~(1ull << n % NVME_DEPTH);
	st->run.cid[st->run.count++] = cid;
	st->taken++;
	if (st->run.count == NVME_RUN)
		nvme_flush(d);
}

void nvme_poll(struct nvme *d)
{
	struct nvme_state *st = d->st;
	uint64_t first = st->taken;

	for (;;) {
		volatile struct completion *c =
			(volatile struct completion *)at(d, OFF_NVME_CQ) +
			st->taken % NVME_CQ_ENTRIES;
		uint16_t status = c->status;

		/* The phase tag changes with each round, and begins with 1. */
		if ((status & 1) == (st->taken / NVME_CQ_ENTRIES & 1))
			break;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		take(d, c->cid, status >> 1);
	}
	if (st->taken == first)
		return;
	ring(d, IO, true, st->taken % NVME_CQ_ENTRIES);
	issue_more(d);
	if (st->taken == st->allowed) {
		nvme_flush(d);
		emit("disk_idle", ",\"taken\":%llu",
		     (unsigned long long)st->taken);
	}
}

void nvme_report(struct nvme *d)
{
	struct nvme_state *st = d->st;

	nvme_flush(d);
	emit("disk", ",\"issued\":%llu,\"taken\":%llu,\"allowed\":%llu,\"bad\":%llu,\"interrupts\":%llu,\"cc\":%u,\"csts\":%u",
	     (unsigned long long)st->next, (unsigned long long)st->taken,
	     (unsigned long long)st->allowed, (unsigned long long)st->bad,
	     nvme_irq_count(), rd32(d->dev, NVME_CC),
	     rd32(d->dev, NVME_CSTS));
}
