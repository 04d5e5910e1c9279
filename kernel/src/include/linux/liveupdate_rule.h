/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* The rules of live updates: what has to be so, and what is said if it is not */
#ifndef _LINUX_LIVEUPDATE_RULE_H
#define _LINUX_LIVEUPDATE_RULE_H

#include <linux/compiler_attributes.h>
#include <linux/errno.h>
#include <linux/types.h>

/**
 * struct liveupdate_rule - A rule that what is to be preserved can break
 * @name: Its name, for programs.
 * @err:  What the call that breaks it returns; a negative errno.
 * @why:  What stands against the object, for people.
 *
 * The rules of a subsystem are a table, its header liveupdate_rules.h, which is
 * included after this one. The command continuo has these tables, too: a line is
 * LIVEUPDATE_RULE(name, errno, "why").
 */
struct liveupdate_rule {
	const char *name;
	int err;
	const char *why;
};

#define LIVEUPDATE_RULE(id, errno, text) \
	static const struct liveupdate_rule rule_##id __maybe_unused = { \
		.name = #id, .err = -(errno), .why = (text) }

__printf(3, 4)
int liveupdate_require(bool ok, const struct liveupdate_rule *rule,
		       const char *object, ...);

#endif /* _LINUX_LIVEUPDATE_RULE_H */
