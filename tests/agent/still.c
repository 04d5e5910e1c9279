// SPDX-License-Identifier: GPL-2.0-only
/*
 * still NOTES MS PATH...: has these file systems, and no others, stand still (agent/still.c);
 * still NOTES: as an agent that is started.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "still.h"

int main(int argc, char **argv)
{
	struct still *s;

	if (argc == 2) {
		still_again(argv[1]);
		return 0;
	}
	s = still_new();

	for (int i = 3; s && i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || !still_add(s, fd, argv[i]))
			return 2;
	}
	still_keep(s, argv[1], argc > 2 ? atoi(argv[2]) : 0);
}
