/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that retrieve in odd orders, or what they cannot have, and exit. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_ODD_PROCESSES_H
#define RIG_SCENARIOS_UNCOOPERATIVE_ODD_PROCESSES_H

#include "devices/workload.h"

void uncoop_order(struct rig *r, const char *arg);
/* Throw out of the memory what the network device writes to. */
void uncoop_replace_page(struct rig *r, const char *arg);
void uncoop_verify_elsewhere(struct rig *r, const char *arg);
void uncoop_preserve_unprivileged(struct rig *r, const char *arg);
void uncoop_retrieve_unprivileged(struct rig *r, const char *arg);
void uncoop_elsewhere(struct rig *r, const char *arg);
void uncoop_punch(struct rig *r, const char *arg);
/* Get half of the memory. */
void uncoop_starve(struct rig *r, const char *arg);
/* The same with nothing preserved but memory. */
void uncoop_give_up(struct rig *r, const char *arg);
/* May not open files. */
void uncoop_short(struct rig *r, const char *arg);
/* Retrieves what the two above could not. */
void uncoop_fed(struct rig *r, const char *arg);
/* Retrieves what it can, without a handler for the rest. */
void uncoop_no_handler(struct rig *r, const char *arg);

#endif
