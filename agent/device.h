/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps a second agent off. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>

/* One agent runs at a time, whatever its options say. False if there is one, which was said. */
bool device_lock(void);

#endif
