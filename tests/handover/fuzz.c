// SPDX-License-Identifier: GPL-2.0-only
/* The fuzz target: whatever is handed over, the checks come to an end. */
#include <stdlib.h>

#include "image.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static bool ready;
	char out[16384];

	if (!ready)
		image_init();
	ready = true;
	if (!size)
		return 0;
	image_reset(data[0] & 8 ? M_PASIDS : data[0] & 1, data[0] & 2, data[0] & 4);
	input_apply(data + 1, size - 1);
	image_judge(out, sizeof(out));
	return 0;
}
