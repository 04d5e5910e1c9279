// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel with one more version of each handover format of ours
 *
 * The next version has another version string and the same layout. This kernel
 * reads both, and writes the next one if the loaded image reads it. With
 * liveupdate.formats_next=1 it writes the next one whatever the image reads.
 */
#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/kernel.h>
#include <linux/liveupdate_lab.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/string.h>

static bool write_next;

/* Not the name of this file, which is of no interest to the user */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "liveupdate."
module_param_named(formats_next, write_next, bool, 0444);

/* The next version of a format, or NULL if it has none. */
static const char *format_next(const char *format)
{
	size_t len = strlen(format);
	const char *name;

	for (name = luo_formats; *name; name += strlen(name) + 1)
		if (!strncmp(name, format, len) &&
		    !strcmp(name + len, LIVEUPDATE_FORMAT_NEXT))
			return name;
	return NULL;
}

/**
 * luo_format_written() - The version string that a format is written with
 * @format: The version string that its handler has.
 *
 * Context: reboot(2), under the lock of kexec.
 * Return: that of the next version, if the loaded image reads that; else @format.
 */
const char *luo_format_written(const char *format)
{
	const char *next = format_next(format);

	if (next && (write_next || luo_image_reads(next)))
		return next;
	return format;
}

/**
 * luo_format_is() - Does the reader of one version read another one, too?
 * @format: The version string that a handler has.
 * @came:   The one that came.
 *
 * Return: true if it is @format, or the version after it.
 */
bool luo_format_is(const char *format, const char *came)
{
	const char *next = format_next(format);

	if (!next || strcmp(next, came))
		return !strcmp(format, came);
	pr_info("came as \"%s\"\n", next);
	return true;
}
