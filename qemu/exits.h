/* SPDX-License-Identifier: GPL-2.0-only */
/* What the program ends with. */
#ifndef EXITS_H
#define EXITS_H

enum {
	EXIT_FINE = 0,		/* the VM has ended by itself; of check and args: nothing stands against it */
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_TROUBLE = 3,	/* it could not be done */
	EXIT_ENDED = 4,		/* QEMU has ended as it should not */
};

#endif
