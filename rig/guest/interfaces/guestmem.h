/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_INTERFACES_GUESTMEM_H
#define RIG_INTERFACES_GUESTMEM_H

#define GUESTMEM_DIR	"/guestmem"

/* Mount guestmemfs there, unless it is; 0 or an errno. */
int guestmem_mount(void);

/* Where in the machine's memory the largest piece of it begins, which the first file is at. */
unsigned long guestmem_base(void);

/* A new file of it; dies if there can be none. */
int guestmem_make(const char *path, unsigned long size);

#endif
