/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is used for other things meanwhile. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_MEMORY_USE_H
#define RIG_SCENARIOS_UNCOOPERATIVE_MEMORY_USE_H

#include "devices/workload.h"

/* Say what the kernel's memory is used for. */
void uncoop_memory(struct rig *r, const char *arg);
/* Say how many pages of tables it takes to map all of the memory once more, for a moment. */
void uncoop_leaves(struct rig *r, const char *arg);
/* Fill and read memory, as other programs would. */
void uncoop_work(struct rig *r, const char *arg);

#endif
