/* SPDX-License-Identifier: GPL-2.0-only */
/* The checksum of frames. */
#ifndef RIG_CORE_CRC32_H
#define RIG_CORE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 as in Ethernet and zlib; @crc: of what comes before, or 0. */
uint32_t crc32_rig(uint32_t crc, const void *data, size_t len);

#endif
