/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM that came with the last update, and that nobody has taken over, is carried on by the next one:
 * a process of its own keeps it until then, registered with the agent as its VMM would be.
 */
#ifndef KEEP_H
#define KEEP_H

#include "commands.h"

/*
 * From now on the VM of a session is kept. EXIT_FINE: its process is registered, or one of an earlier
 * update is. Else it was said why not.
 */
int keep_begin(const struct options *opt, const char *name);
/* The update begins. Up to here the end of the calling process is the end of those that keep. */
void keep_go(void);
/* The update is over. Those that were not asked to preserve have ended when this returns: all is as it was. */
void keep_end(void);

#endif
