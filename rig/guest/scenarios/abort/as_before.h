/* SPDX-License-Identifier: GPL-2.0-only */
/* After a preserve that failed or was undone, the machine is as it was. */
#ifndef RIG_SCENARIOS_ABORT_AS_BEFORE_H
#define RIG_SCENARIOS_ABORT_AS_BEFORE_H

#include "devices/workload.h"
#include "update/preserve.h"

#define STEPS_ALL	(STEP_AUDIO + 1)

/* The HWPT that the devices have, and another one that says the same. */
extern int own_hwpt, other_hwpt;

/* Makes the other HWPT, and marks their own. Both devices have to be there. */
void prepare_both(struct rig *r);
/* Steps of a preserve: from @from on, up to the one before @end. */
void preserve_steps(struct rig *r, int from, int end);
void undo_session(struct rig *r);
/* With no session: nothing says that there ever was one. @pages: see kho_pages(). */
void must_be_as_before(struct rig *r, long pages);

#endif
