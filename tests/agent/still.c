// SPDX-License-Identifier: GPL-2.0-only
/*
 * still NOTES MS PATH...: has these file systems, and no others, stand still (agent/still.c);
 * still NOTES: as an agent that is started;
 * still --flush NOTES MS: those of the files MOUNTS and MOUNTINFO, in place of the system's, as an update
 * has it (agent/flush.c).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "still.h"

#undef STILL_FILE
#define STILL_FILE	notes
#define setmntent(path, how) setmntent(getenv("MOUNTS"), how)
#define fopen(path, how) fopen(getenv("MOUNTINFO"), how)
#define sync		no_sync

static const char *notes;

static void no_sync(void)
{
}

#include "flush.c"

int main(int argc, char **argv)
{
	struct still *s;

	if (argc == 2) {
		still_again(argv[1]);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "--flush")) {
		notes = argv[2];
		still_ms = atoi(argv[3]);
		work_and_keep_still();
	}
	s = still_new();

	for (int i = 3; s && i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || still_add(s, fd, argv[i]) != 1)
			return 2;
	}
	still_keep(s, argv[1], argc > 2 ? atoi(argv[2]) : 0);
}
