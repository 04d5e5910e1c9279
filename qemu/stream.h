/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's migration stream, as far as somebody between two QEMUs has to know it: where it
 * ends, and what the new QEMU says on the way back. The broker looks at nothing else of it.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Is this a whole stream? It has QEMU's magic number and version 3, and ends with the end
 * of the last section (0), and the description: 6, its length in 32 bits, and a JSON object
 * of just that length. An old QEMU that waits for the new one's word does not close the
 * stream, so that its end has to be seen.
 */
bool stream_whole(const uint8_t *bytes, size_t size);

/* What a new QEMU says; other messages (pong) are skipped. */
enum stream_word { STREAM_MORE, STREAM_DONE, STREAM_FAILED, STREAM_UNKNOWN };

/*
 * Reads messages of the way back at the beginning of @bytes, and says in @used how many
 * bytes they had. STREAM_MORE: no verdict yet.
 */
enum stream_word stream_hear(const uint8_t *bytes, size_t size, size_t *used);

#endif
