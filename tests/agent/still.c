// SPDX-License-Identifier: GPL-2.0-only
/* still MS PATH...: has these file systems, and no others, stand still (agent/still.c). */
#include <fcntl.h>
#include <stdlib.h>

#include "still.h"

int main(int argc, char **argv)
{
	struct still *s = still_new();

	for (int i = 2; s && i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || !still_add(s, fd, argv[i]))
			return 2;
	}
	still_keep(s, argc > 1 ? atoi(argv[1]) : 0);
}
