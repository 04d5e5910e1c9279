/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands, and what they share. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"

/* What a command ends with. */
enum {
	EXIT_FINE = 0,		/* done; of check: the host is ready */
	EXIT_NOT_READY = 1,	/* of check, load and update: something stands against it; of load --show: no update can begin; of attach and abort: none is running; of confirm: there is nothing to confirm */
	EXIT_USAGE = 2,
	EXIT_TROUBLE = 3,	/* it could not be done; stderr says why */
	/*
	 * How an update ended: of update, attach and abort; of report, when it is asked for that
	 * and it is not what is expected. The last one is report's alone.
	 */
	EXIT_UNDONE = 4,
	EXIT_PARTLY = 5,	/* not by all, or not for all */
	EXIT_PENDING = 6,	/* it goes on: another operator has it, or time is up */
	EXIT_COMPLETE = 7,
};

enum option_id {
	OPT_JSON, OPT_ROOT, OPT_HELP, OPT_VERSION,
	/* of some commands */
	OPT_AGENT, OPT_TIMEOUT, OPT_VERBOSE,
	OPT_KERNEL, OPT_INITRD, OPT_APPEND, OPT_REUSE_CMDLINE, OPT_LEAVE, OPT_LEAVE_SILENT,
	OPT_WITHOUT_VMS, OPT_DRY_RUN, OPT_NOW, OPT_SERVICES_TIMEOUT,
	OPT_SHOW, OPT_UNLOAD,
	OPT_CONFIRM_WITHIN, OPT_BACK, OPT_BACK_INITRD, OPT_BACK_APPEND, OPT_FAILED_LOG,
	OPT_DISCARD,
	OPT_BUNDLE,
	OPT_RECORD, OPT_SVG, OPT_WAIT, OPT_EXPECT, OPT_BOOT,
	OPT_LIST, OPT_KEEP, OPT_HISTORY, OPT_METRICS,
	OPTIONS
};

struct options {
	bool json;
	const char *root;		/* in front of /sys, /proc and /dev; "" */
	const char *given[OPTIONS];	/* its value, "" if it has none; NULL if not given */
	int argc;			/* what follows the options */
	char **argv;
};

int cmd_check(const struct options *opt);
int cmd_list(const struct options *opt);
int cmd_show(const struct options *opt);
int cmd_inspect(const struct options *opt);
int cmd_load(const struct options *opt);
int cmd_update(const struct options *opt);
int cmd_attach(const struct options *opt);
int cmd_abort(const struct options *opt);
int cmd_preserve(const struct options *opt);
int cmd_unpreserve(const struct options *opt);
int cmd_retrieve(const struct options *opt);
int cmd_verify(const struct options *opt);
int cmd_finish(const struct options *opt);
int cmd_confirm(const struct options *opt);
int cmd_report(const struct options *opt);

/* What the kernel says of an update; those of before it have it in debugfs. */
#define VIEW_DEVICE	"/dev/liveupdate-view"
#define VIEW_DEBUGFS	"/sys/kernel/debug/liveupdate"

/* Adds tables "session" and "file" of what came from the previous kernel, if there is any. */
int view_incoming(const struct options *opt, struct json_object *o);
/*
 * The next of these sessions, from the *@at-th on, that nobody has taken over: the next jump
 * would be its end. NULL if there is none.
 */
const char *view_untaken(const struct json_object *o, size_t *at);
/* Does such a session say what its VM consists of? Then the next update can carry it on, without its VMM. */
bool view_has_manifest(const struct json_object *o, const char *session);
/* Adds tables "image" and "format" of the kernel that is loaded, if one is. */
int view_image(const struct options *opt, struct json_object *o);
/* All of it, as tables by type. */
int view_all(const struct options *opt, struct json_object *o);
/* check --bundle */
int bundle(const struct options *opt);
/* What "check" has found; to be put. */
struct json_object *check_host(const struct options *opt);

/* Say on stderr what cannot be done; returns EXIT_TROUBLE. */
int trouble(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Is what happens said on stderr as it happens? That is a terminal then, or it was asked for. */
bool is_watched(const struct options *opt);

/* A file below the root: its text without the newline at its end, or NULL; to be freed. */
char *read_text(const struct options *opt, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool is_there(const struct options *opt, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Does the host use no IOMMU, and may devices be driven without one? */
bool is_without_iommu(const struct options *opt);
/* Each IOMMU unit of this host, in no order; its name is for the call. */
void each_iommu(const struct options *opt, void (*one)(const char *name, void *arg), void *arg);

#endif
