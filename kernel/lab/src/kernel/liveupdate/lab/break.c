// SPDX-License-Identifier: GPL-2.0-only
/*
 * Break live update laws on purpose: liveupdate.break=NAME[,NAME...]
 *
 * The negative twins of the rig's cases boot with this. What was asked for is
 * read back from /sys/module/liveupdate/parameters/break, the kernel says so in
 * its log and is tainted. See enum liveupdate_law for what the names mean.
 */
#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/liveupdate_lab.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static const char * const law_names[] = {
	[LIVEUPDATE_LAW_GAP]	= "gap",
	[LIVEUPDATE_LAW_HOLD]	= "hold",
	[LIVEUPDATE_LAW_TRUST]	= "trust",
	[LIVEUPDATE_LAW_UNDO]	= "undo",
	[LIVEUPDATE_LAW_UNDO_PAGE] = "undo-page",
	[LIVEUPDATE_LAW_MASTER]	= "master",
	[LIVEUPDATE_LAW_SCRUB]	= "scrub",
	[LIVEUPDATE_LAW_FREE]	= "free",
	[LIVEUPDATE_LAW_INTERRUPT] = "interrupt",
	[LIVEUPDATE_LAW_FORMATS] = "formats",
	[LIVEUPDATE_LAW_COST]	= "cost",
	[LIVEUPDATE_LAW_REMAP]	= "remap",
	[LIVEUPDATE_LAW_ADOPT]	= "adopt",
	[LIVEUPDATE_LAW_WAIT]	= "wait",
	[LIVEUPDATE_LAW_POOL]	= "pool",
	[LIVEUPDATE_LAW_CUT]	= "cut",
	[LIVEUPDATE_LAW_PIN]	= "pin",
	[LIVEUPDATE_LAW_IMAGE]	= "image",
	[LIVEUPDATE_LAW_PF]	= "pf",
	[LIVEUPDATE_LAW_SRIOV]	= "sriov",
	[LIVEUPDATE_LAW_PORT]	= "port",
	[LIVEUPDATE_LAW_QUEUES]	= "queues",
	[LIVEUPDATE_LAW_TOKEN]	= "token",
	[LIVEUPDATE_LAW_RESET]	= "reset",
	[LIVEUPDATE_LAW_PAGES]	= "pages",
	[LIVEUPDATE_LAW_DEVTLB]	= "devtlb",
	[LIVEUPDATE_LAW_HELD]	= "held",
	[LIVEUPDATE_LAW_BACK]	= "back",
	[LIVEUPDATE_LAW_PARKED]	= "parked",
	[LIVEUPDATE_LAW_DIGEST]	= "digest",
};

static_assert(ARRAY_SIZE(law_names) == LIVEUPDATE_LAW_NR);

static DECLARE_BITMAP(broken_laws, LIVEUPDATE_LAW_NR) __ro_after_init;

/**
 * liveupdate_breaks - Ask whether a law is to be broken
 * @law: the law that the caller is about to observe
 *
 * Return: true if liveupdate.break= names @law.
 */
bool liveupdate_breaks(enum liveupdate_law law)
{
	return test_bit(law, broken_laws);
}
EXPORT_SYMBOL_GPL(liveupdate_breaks);

static int break_set(const char *val, const struct kernel_param *kp)
{
	DECLARE_BITMAP(laws, LIVEUPDATE_LAW_NR) = {};
	size_t len;
	int law;

	for (; *val; val += len + (val[len] == ',')) {
		len = strcspn(val, ",");
		for (law = 0; law < LIVEUPDATE_LAW_NR; law++)
			if (strlen(law_names[law]) == len &&
			    !strncmp(val, law_names[law], len))
				break;
		if (law == LIVEUPDATE_LAW_NR) {
			pr_err("break=%.*s: there is no law of this name\n",
			       (int)len, val);
			return -EINVAL;
		}
		__set_bit(law, laws);
	}

	for_each_set_bit(law, laws, LIVEUPDATE_LAW_NR)
		pr_warn("the law \"%s\" is broken on purpose, never do this in production\n",
			law_names[law]);
	if (!bitmap_empty(laws, LIVEUPDATE_LAW_NR))
		add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	bitmap_copy(broken_laws, laws, LIVEUPDATE_LAW_NR);
	return 0;
}

static int break_get(char *buf, const struct kernel_param *kp)
{
	int law, len = 0;

	for_each_set_bit(law, broken_laws, LIVEUPDATE_LAW_NR)
		len += sysfs_emit_at(buf, len, "%s%s", len ? "," : "",
				     law_names[law]);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops break_ops = {
	.set = break_set,
	.get = break_get,
};

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param_cb(break, &break_ops, NULL, 0444);
