/* SPDX-License-Identifier: GPL-2.0-only */
/* The update up to the jump. */
#ifndef RIG_UPDATE_PRESERVE_H
#define RIG_UPDATE_PRESERVE_H

#include <stdbool.h>

#include "devices/workload.h"

/* How much of it: see the option preserve. */
enum level { LEVEL_NONE, LEVEL_MEMFD, LEVEL_IOMMUFD, LEVEL_ALL };

enum level preserve_level(void);
/* Is anything preserved? Else the next kernel's process has nothing to resume. */
bool preserve_wanted(void);
/* Preserve everything and load the next kernel; what follows is kexec_jump(). */
void rig_preserve(struct rig *r);

/* The parts of it, which end the case if something fails. */
void mark_hwpts(struct rig *r);
void preserve_files(struct rig *r, enum level level);

/* The steps of a preserve, in the order that they have to be done in. */
enum preserve_step {
	STEP_MARK, STEP_SESSION, STEP_MEMFD, STEP_IOMMUFD, STEP_NIC, STEP_AUDIO,
};

/* One step: 0 or -errno. */
int preserve_step(struct rig *r, enum preserve_step step);
/* Preserve all and close the session, @n times: nothing may be left behind. */
void preserve_and_undo(struct rig *r, unsigned long n);

#endif
