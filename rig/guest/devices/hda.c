// SPDX-License-Identifier: GPL-2.0-only
/*
 * One output stream over a cyclic buffer list: once it runs, the controller
 * fetches samples and writes its position back for ever, with no CPU behind
 * it. Registers and verbs: "High Definition Audio Specification", revision
 * 1.0a, sections "Register Interface" and "Codec Features and Requirements".
 */
#include <string.h>
#include <unistd.h>

#include "core/end.h"
#include "core/options.h"
#include "core/pattern.h"
#include "devices/dma_address.h"
#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "interfaces/vfio.h"

enum {
	HDA_GCTL	= 0x08,
	HDA_STATESTS	= 0x0e,
	HDA_INTCTL	= 0x20,
	HDA_ICOI	= 0x60,	/* immediate command output */
	HDA_ICII	= 0x64,	/* immediate command input */
	HDA_ICIS	= 0x68,	/* immediate command status */
	HDA_DPLBASE	= 0x70,
	HDA_DPUBASE	= 0x74,
	HDA_SD_FIRST	= 0x80,
	HDA_SD_SIZE	= 0x20,
	SD_CTL		= 0x00,
	SD_STS		= 0x03,
	SD_LPIB		= 0x04,
	SD_CBL		= 0x08,
	SD_LVI		= 0x0c,
	SD_FMT		= 0x12,
	SD_BDPL		= 0x18,
	SD_BDPU		= 0x1c,
};

#define GCTL_CRST	(1u << 0)
#define ICIS_BUSY	(1u << 0)
#define ICIS_VALID	(1u << 1)
#define CTL_SRST	(1u << 0)
#define CTL_RUN		(1u << 1)
#define CTL_IOCE	(1u << 2)
#define CTL_STREAM(n)	((n) << 20)
#define DPLBASE_ENABLE	(1u << 0)
#define INTCTL_GIE	(1u << 31)
#define STS_BCIS	(1u << 2)
#define BDL_IOC		(1u << 0)

#define STREAM		1u
#define SD_INDEX	4u	/* the first output stream: after 4 input ones */
#define FMT_48K_S16_2CH	0x0011u

/* QEMU's hda-output: node 2 converts, node 3 is the line-out pin. */
#define NID_DAC		2u
#define NID_PIN		3u
#define VERB_SET_FORMAT(f)	(0x20000u | (f))
#define VERB_SET_STREAM(s)	(0x70600u | (s) << 4)
#define VERB_SET_PIN(c)		(0x70700u | (c))
#define PIN_OUT_ENABLE		0x40u

#define BDL_ENTRIES	16u

struct bdl_entry {
	uint64_t addr;
	uint32_t length;
	uint32_t flags;
};

/* With the option intx=1 each entry of the buffer list ends with an interrupt. */
static bool interrupts(void)
{
	return opt_num("intx", 0);
}

/* Registers of the stream. */
static uint32_t stream(void)
{
	return HDA_SD_FIRST + SD_INDEX * HDA_SD_SIZE;
}

static void hda_verb(struct hda *hda, unsigned int nid, uint32_t verb)
{
	struct vdev *v = hda->dev;

	*(volatile uint16_t *)(v->bar0 + HDA_ICIS) = ICIS_VALID;
	wr32(v, HDA_ICOI, nid << 20 | verb);
	*(volatile uint16_t *)(v->bar0 + HDA_ICIS) = ICIS_BUSY;
	for (int i = 0; i < 1000; i++) {
		if (*(volatile uint16_t *)(v->bar0 + HDA_ICIS) & ICIS_VALID)
			return;
		usleep(1000);
	}
	die("audio %s: no answer to verb 0x%x for node %u", v->bdf, verb, nid);
}

/* An entry that is on two pieces of the memory becomes two; returns how many there are. */
static unsigned int hda_list(struct hda *hda)
{
	struct bdl_entry *bdl = (struct bdl_entry *)hda->mem;
	uint64_t at = OFF_HDA_PCM, end, next;
	unsigned int n = 0;

	for (; at < OFF_HDA_END; at = next) {
		end = at + PCM_BYTES / BDL_ENTRIES -
		      (at - OFF_HDA_PCM) % (PCM_BYTES / BDL_ENTRIES);
		next = (at / DMA_PIECE + 1) * DMA_PIECE;
		if (!hda->phys || next > end)
			next = end;
		bdl[n++] = (struct bdl_entry){
			.addr = dma_address(hda->phys, at),
			.length = next - at,
			.flags = interrupts() && next == end ? BDL_IOC : 0,
		};
	}
	return n;
}

void hda_start(struct hda *hda)
{
	uint64_t list = dma_address(hda->phys, OFF_HDA_BDL);
	uint64_t pos = dma_address(hda->phys, OFF_HDA_POS);
	struct vdev *v = hda->dev;
	unsigned int entries;
	int i;

	wr32(v, HDA_GCTL, 0);
	usleep(1000);
	wr32(v, HDA_GCTL, GCTL_CRST);
	for (i = 0; i < 1000; i++) {
		if (*(volatile uint16_t *)(v->bar0 + HDA_STATESTS) & 1)
			break;
		usleep(1000);
	}
	if (i == 1000)
		die("audio %s: no codec at address 0", v->bdf);
	wr32(v, HDA_INTCTL, interrupts() ? INTCTL_GIE | 1u << SD_INDEX : 0);

	pattern_fill((uint16_t *)(hda->mem + (OFF_HDA_PCM - OFF_HDA_BDL)));
	entries = hda_list(hda);

	hda_verb(hda, NID_DAC, VERB_SET_FORMAT(FMT_48K_S16_2CH));
	hda_verb(hda, NID_DAC, VERB_SET_STREAM(STREAM));
	hda_verb(hda, NID_PIN, VERB_SET_PIN(PIN_OUT_ENABLE));

	wr32(v, HDA_DPUBASE, pos >> 32);
	wr32(v, HDA_DPLBASE, (uint32_t)pos | DPLBASE_ENABLE);
	wr32(v, stream() + SD_CTL, CTL_SRST);
	usleep(1000);
	wr32(v, stream() + SD_CTL, 0);
	wr32(v, stream() + SD_CBL, PCM_BYTES);
	*(volatile uint16_t *)(v->bar0 + stream() + SD_LVI) = entries - 1;
	*(volatile uint16_t *)(v->bar0 + stream() + SD_FMT) = FMT_48K_S16_2CH;
	wr32(v, stream() + SD_BDPL, (uint32_t)list);
	wr32(v, stream() + SD_BDPU, list >> 32);
	wr32(v, stream() + SD_CTL, CTL_STREAM(STREAM) | CTL_RUN |
	     (interrupts() ? CTL_IOCE : 0));
}

bool hda_pending(struct hda *hda)
{
	return *(hda->dev->bar0 + stream() + SD_STS) & STS_BCIS;
}

void hda_ack(struct hda *hda)
{
	*(hda->dev->bar0 + stream() + SD_STS) = STS_BCIS;
}

void hda_stop(struct hda *hda)
{
	wr32(hda->dev, stream() + SD_CTL, CTL_STREAM(STREAM));
}

unsigned int hda_position(struct hda *hda)
{
	return rd32(hda->dev, stream() + SD_LPIB);
}

unsigned int hda_position_written(struct hda *hda)
{
	return *(volatile uint32_t *)(hda->mem + (OFF_HDA_POS - OFF_HDA_BDL) +
				      8 * SD_INDEX);
}
