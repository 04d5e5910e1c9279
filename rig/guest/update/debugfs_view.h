/* SPDX-License-Identifier: GPL-2.0-only */
/* What debugfs shows of an update. */
#ifndef RIG_UPDATE_DEBUGFS_VIEW_H
#define RIG_UPDATE_DEBUGFS_VIEW_H

/* Pass it on; view_step() only with view=1. */
void view_emit(const char *at);
void view_step(const char *at);
/* Start, or stop, another process that reads it all the time. */
void view_reader(void);
/* The same while another process holds a session, after it died, and after. */
void view_holder(void);

#endif
