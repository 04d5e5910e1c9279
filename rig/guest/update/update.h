/* SPDX-License-Identifier: GPL-2.0-only */
/* The user-space side of a live update, stage by stage. */
#ifndef RIG_UPDATE_UPDATE_H
#define RIG_UPDATE_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "devices/igb.h"
#include "interfaces/vfio.h"

#define SESSION		"continuo"

enum token {
	TOKEN_MEMFD	= 0x6d656d,
	TOKEN_IOMMUFD	= 0x696f,
	TOKEN_NIC	= 0x6e6963,
	TOKEN_AUDIO	= 0x617564,
	TOKEN_HWPT_NIC	= 0x11000000000001,
	TOKEN_HWPT_AUDIO = 0x11000000000002,
};

#define ID_INTEL	0x8086
#define ID_IGB		0x10c9
#define ID_HDA_ICH6	0x2668
#define ID_HDA_ICH9	0x293e

/* A device of one kind with what belongs to it. */
struct device {
	bool present;
	struct vdev v;
	int hwpt;		/* that it is attached to */
	int marked;		/* the HWPT of its that was marked; ids start at 1 */
};

struct rig {
	int memfd;
	int iommufd;
	int session;		/* -1: none */
	int ioas;
	uint8_t *mem;
	struct rig_state *st;
	struct device nic;
	struct device audio;
	struct igb igb;
	struct hda hda;
};

/* What is mapped for DMA, at IOVA_BASE + its offset in the memfd. */
#define RIG_AREAS	3
extern const struct rig_area {
	uint64_t from, end;
} rig_area[RIG_AREAS];

/* If set, rig_resume() calls it after each of its steps. */
extern void (*rig_reached)(struct rig *r, const char *step);

/* Stage 1: take the devices from reset to DMA. */
void rig_start(struct rig *r);
/* Is anything preserved? Else the next kernel's process has nothing to resume. */
bool rig_preserves(void);
/* Preserve everything and load the next kernel; what follows is kexec_jump(). */
void rig_preserve(struct rig *r);
/* Stage 2 and later: get everything back, rebuild, replace, finish. */
void rig_resume(struct rig *r);
/* A call that is to go well: see there what sweep=1 makes of it. */
int rig_swept(struct rig *r, const char *name, int (*call)(void *arg), void *arg);
/* @n times from one HWPT to another that says the same, under load. */
void rig_replace(struct rig *r, unsigned long n);
void rig_poll(struct rig *r);
/*
 * With wire=late: somebody opens the network device's cdev and closes it, then
 * its interrupts are connected. Says "wired".
 */
void rig_wire_late(struct rig *r);
/* Say what has been received and played so far; the latter alone. */
void rig_report(struct rig *r);
void emit_audio(struct rig *r);
/* Preserve all and close the session, @n times: nothing may be left behind. */
void rig_undo(struct rig *r, unsigned long n);
/* Does what the rules forbid before a jump, and reports how it was refused. */
void rig_refusals(struct rig *r);

/* Pass on what debugfs shows of an update; view_step() only with view=1. */
void view_emit(const char *at);
void view_step(const char *at);
/* Start, or stop, another process that reads it all the time. */
void view_reader(void);
/* The same while another process holds a session, after it died, and after. */
void view_holder(void);
/* The steps of a preserve, in the order that they have to be done in. */
enum rig_step {
	STEP_MARK, STEP_SESSION, STEP_MEMFD, STEP_IOMMUFD, STEP_NIC, STEP_AUDIO,
};

/* One step: 0 or -errno. */
int rig_step(struct rig *r, enum rig_step step);
/* Map and unmap a page that nothing uses: 0 or -errno, -EBUSY if frozen. */
int rig_probe(struct rig *r);
/* Maps pages into the IOAS in use until @n have tables of their own. */
void rig_tables(struct rig *r, uint64_t n);
/* Steps of the above. */
void rig_wire(struct rig *r);
void rig_mmap(struct rig *r);
void build_ioas(struct rig *r, uint64_t hole);
void find_devices(struct rig *r);
void take_device(struct rig *r, struct device *d, const char *what);

/* In place of rig_resume() if the handover may be damaged. */
void rig_salvage(struct rig *r);
/* Have the handover damaged as the option "corrupt" says, if it does. */
void rig_corrupt(void);
/* Replace all HWPTs by ones that lack a page, and keep the old ones. */
void rig_shrink(struct rig *r);
/* See scenarios/other_device.c. */
void rig_try(struct rig *r, char *args);

/* A device that does DMA and is not preserved. */
void bystander_start(void);
void bystander_poll(void);

#endif
