/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's record of an update, as whoever shows it reads it; docs/agent.md has the
 * format. Whatever a file says, it is read or refused: nothing here trusts it.
 */
#ifndef RECORD_H
#define RECORD_H

#include "commands.h"

/* From where to where a phase goes, by names of the record. */
struct record_phase {
	const char *phase, *begin, *end;
	const char *colour;		/* in the picture; "": it is not in there */
};

/* Of the host, of a VM; the last one has no name. */
extern const struct record_phase record_phases[], record_vm_phases[];

/* @name: below the root. NULL if there is none, with @err, or none that can be read (0), which was said. */
struct json_object *record_read(const struct options *opt, const char *name, int *err);

struct json_object *record_get(struct json_object *o, const char *key);
/* A time of the record; false if there is none. */
bool record_time(struct json_object *o, const char *key, long long *us);
/* When a phase was, of the host's times or of a VM's; false if it was not, or is not over. */
bool record_took(struct json_object *o, const struct record_phase *phase,
		 long long *begin, long long *end);
/* "" if there is none. */
const char *record_text(struct json_object *o, const char *key);
/* How it stands with a VM of the record. */
const char *record_vm_state(struct json_object *vm);


/* How an update ended, if it has. */
enum record_verdict {
	VERDICT_PENDING,	/* it goes on; or VMs have not come back yet */
	VERDICT_COMPLETE,	/* every VM went over */
	VERDICT_UNDONE,		/* no VM did, and every VM goes on as before */
	VERDICT_PARTLY,		/* a VM was left behind, or did not answer to the undo */
	VERDICTS
};

extern const char *const record_verdicts[VERDICTS];

enum record_verdict record_verdict(struct json_object *record);

/* The history: print what is new in a record, and keep it; list what was kept. */
int history_keep(const struct options *opt, struct json_object *record);
int history_list(const struct options *opt);
/* From the end of the suspend until the next kernel's user space, in the last update; -1 if there was none. */
long long history_last_jump(const struct options *opt);
/* The record as metrics, into the file of --metrics. */
int metrics_write(const struct options *opt, struct json_object *record);

#endif
