// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks for the list in the image on its standard input, and prints the names in it. Before
 * that, in all that the image may have become: cut off anywhere, and with each of its bytes
 * something else; each in memory of its own, so that a sanitizer notices what is read beyond.
 */
#include <stdio.h>
#include <stdlib.h>

#include "shim.h"

static const struct liveupdate_formats_chunk *found_in(const void *image, size_t len)
{
	const struct liveupdate_formats_chunk *chunk = luo_formats_find(image, len);

	/* All of what it says that it has is there. */
	if (chunk) {
		const char *at = (const char *)chunk;

		for (size_t i = 0; i < get_unaligned_le32(&chunk->size); i++)
			(void)*(const volatile char *)(at + i);
	}
	return chunk;
}

static void *copy(const void *image, size_t len)
{
	return memcpy(malloc(len ?: 1), image, len);
}

int main(void)
{
	static unsigned char image[1 << 16];
	static const unsigned char values[] = { 0, 1, 0x7f, 0xff };
	size_t len = fread(image, 1, sizeof(image), stdin);
	const struct liveupdate_formats_chunk *chunk;
	unsigned char *changed;

	for (size_t n = 0; n < len; n++) {
		changed = copy(image, n);
		found_in(changed, n);
		free(changed);
	}
	changed = copy(image, len);
	for (size_t at = 0; at < len; at++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			changed[at] = values[i];
			found_in(changed, len);
		}
		changed[at] = image[at];
	}
	chunk = found_in(changed, len);
	if (!chunk)
		puts("none");
	for (const char *name = chunk ? chunk->names : ""; *name; name += strlen(name) + 1)
		puts(name);
	free(changed);
	return 0;
}
