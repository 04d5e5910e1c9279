/* SPDX-License-Identifier: GPL-2.0-only */
/* What an audio device plays; rig/referee/audio.py knows it. */
#ifndef RIG_CORE_PATTERN_H
#define RIG_CORE_PATTERN_H

#include <stdint.h>

#define PATTERN_FRAMES	65536		/* of two samples; then it begins again */

void pattern_fill(uint16_t pcm[2 * PATTERN_FRAMES]);

#endif
