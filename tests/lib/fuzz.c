// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: a manifest that can be used is one whatever one does with it,
 * and written again it is the same. A newer one is written as one of this version: its
 * records are the same.
 */
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of just that size, so that what is read behind its end is found. */
	uint8_t *copy = malloc(size ? size : 1), *again;
	struct manifest_why why = {};
	struct manifest_header read;
	struct manifest m;
	int ret;

	memcpy(copy, data, size);
	ret = manifest_read(copy, size, &m, &why);
	if (!ret)
		ret = manifest_check(&m, &why);
	if (ret && !why.text[0])
		abort();
	if (!ret) {
		if (manifest_size(&m) > size)
			abort();
		for (uint32_t i = 0; i < m.head.mappings; i++)
			if (m.mapping[i].offset + m.mapping[i].length >
			    m.memory[m.mapping[i].memory].size)
				abort();
		for (uint32_t i = 0; i < m.head.devices; i++)
			if (m.hwpt[m.device[i].hwpt].space >= m.head.spaces)
				abort();
		again = malloc(m.head.size);
		manifest_write(&m, again);
		if (memcmp(again + sizeof(m.head), copy + sizeof(m.head),
			   m.head.size - sizeof(m.head)))
			abort();
		memcpy(&read, copy, sizeof(read));
		if (read.version == MANIFEST_VERSION ?
		    memcmp(again, copy, sizeof(read)) :
		    read.oldest != MANIFEST_VERSION || m.head.version != MANIFEST_VERSION)
			abort();
		free(again);
	}
	free(copy);
	return 0;
}
