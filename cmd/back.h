/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way back (docs/way-back.md): the image that the machine goes on with if the next kernel
 * fails. It is loaded before the next kernel, and goes when that goes.
 */
#ifndef BACK_H
#define BACK_H

#include "commands.h"

/* The word by which a kernel is told how long it has; it is of one update. */
#define BACK_WITHIN	"liveupdate.confirm_within"
#define BACK_FOLDER	"/sys/kernel/liveupdate_back"

/* All to be freed by back_free(); @append is a command line that is complete. */
struct back {
	bool wanted;
	char *kernel, *initrd;		/* @initrd: NULL if it has none */
	char *append;
};

/* Which of its options do not fit together? Returns an exit status. */
int back_wrong_options(const struct options *opt);
/* Which image would it be, and what stands against it? @bytes: of its files. Returns an exit status. */
int back_check(const struct options *opt, struct back *back, const char *now, unsigned long long *bytes);
/* The next kernel's command line with what it has to be told; frees @append. */
char *back_told(const struct options *opt, char *append);
/* What is missing on it, or NULL; to be freed. @within: as it was given, or NULL. */
char *back_objection(const char *append, const char *within);
/* One that was loaded before is given up. Returns an exit status. */
int back_unload(const struct options *opt);
void back_free(struct back *back);

/* Has this kernel a back image loaded? */
bool back_is_loaded(const struct options *opt);
/* How this kernel came here, "none" without a way back; to be freed. */
char *back_state(const struct options *opt);

#endif
