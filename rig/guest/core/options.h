/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An option is "rig.NAME=value" on the kernel command line, or NAME=value in a command
 * from the referee. The later one wins.
 */
#ifndef RIG_CORE_OPTIONS_H
#define RIG_CORE_OPTIONS_H

#include <stddef.h>

const char *opt(const char *name, const char *dflt);
long opt_num(const char *name, long dflt);
void opt_load_cmdline(void);
void opt_set(const char *assignment);
/* All rig options as " rig.A=b rig.C=d", for the next kernel's command line. */
void opt_append_all(char *buf, size_t len);

#endif
