/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel shows of an update. */
#ifndef RIG_UPDATE_VIEW_H
#define RIG_UPDATE_VIEW_H

/* Pass it on; view_step() only with view=. */
void view_emit(const char *at);
void view_step(const char *at);
/* Start, or stop, another process that reads it all the time. */
void view_reader(void);
/* The same while another process holds a session, after it died, and after. */
void view_holder(void);
/* While another process has /dev/liveupdate, and as users who may and may not look. */
void view_others(void);

#endif
