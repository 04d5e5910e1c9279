/* SPDX-License-Identifier: GPL-2.0-only */
/* The next kernel: whether it will do, and putting it in place for the jump. */
#ifndef NEXT_H
#define NEXT_H

#include "back.h"
#include "commands.h"
#include "steps.h"

struct next {
	const struct options *opt;
	struct steps *steps;
	char *append;			/* its command line; to be freed */
	bool in_place;			/* it was loaded before, by another process */
	bool loaded;			/* by this process, and not unloaded since */
	bool written;			/* so is the record of it */
	struct back back;
};

/* Each is a step. They return an exit status; if it is not EXIT_FINE, it was said why. */
int next_check_host(struct next *next);
/* Of the image that is given, or of the one that is in place if none is. */
int next_check(struct next *next);
/* It may have been loaded, and yet be refused: then it is to be unloaded. */
int next_load(struct next *next);
/* Does nothing if this process has loaded none. */
int next_unload(struct next *next);
/* Whoever has loaded it; no step. */
int next_unload_any(const struct options *opt);

/* Of the two images that one can load: what is known of the files before that; adds up their @bytes. */
int next_look_at(const struct options *opt, const char *kernel, const char *initrd, const char *append,
		 unsigned long long *bytes);
/* kexec_file_load(2): 0 or a negative errno. */
int next_kexec(int kernel, int initrd, const char *append, unsigned long flags);

/* What an errno (positive) means for one that is to be unloaded. */
const char *next_why_not_unloaded(int err);

/* Of kexec_file_load(2); headers of kernels without the way back do not have it. */
#define KEXEC_FILE_BACK		0x40000000ul
#ifndef KEXEC_FILE_UNLOAD
#define KEXEC_FILE_UNLOAD	1ul
#define KEXEC_FILE_NO_INITRAMFS	4ul
#endif

#endif
