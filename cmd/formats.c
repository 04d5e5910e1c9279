// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel decides at the jump, for what is preserved then. Here it is asked hours before
 * whether VMs could go over at all: of each kind of format the loaded kernel has to read a
 * version that this one writes. An older version does, as long as nothing newer is used. What the
 * driver of a physical function hands over is asked for only if it has virtual functions.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "record.h"

/* "iommufd-v2": how much of it is the kind? */
static size_t kind_of(const char *format)
{
	const char *at = format + strlen(format);

	while (at > format)
		if (!strncmp(--at, "-v", 2) && isdigit((unsigned char)at[2]))
			return at - format;
	return strlen(format);
}

/* 0 if there is no table. */
static size_t length_of(struct json_object *table)
{
	return json_object_is_type(table, json_type_array) ? json_object_array_length(table) : 0;
}

static struct json_object *row_of(struct json_object *table, size_t i)
{
	return json_object_array_get_idx(table, i);
}

static bool is_read(struct json_object *row)
{
	return !strcmp(record_text(row, "state"), "read");
}

/* Is there a version that it reads? */
static bool is_covered(struct json_object *formats, const char *format)
{
	size_t n = kind_of(format);

	for (size_t i = 0; i < length_of(formats); i++) {
		const char *other = record_text(row_of(formats, i), "compatible");

		if (!is_read(row_of(formats, i)))
			continue;
		if (kind_of(other) == n && !strncmp(other, format, n))
			return true;
		/* It has the driver's part in it. */
		if (!strcmp(other, "iommu-v1") && n == strlen("intel-iommu") &&
		    !strncmp(format, "intel-iommu", n))
			return true;
	}
	return false;
}

/* "igb-pf-v1" is the driver igb's. Is it of a driver that has nothing to hand over? */
static bool is_unused(const char *format, formats_has_vfs *has_vfs, const void *arg)
{
	size_t n = kind_of(format), suffix = strlen("-pf");
	bool unused = false;
	char *driver;

	if (n <= suffix || strncmp(format + n - suffix, "-pf", suffix))
		return false;
	driver = strndup(format, n - suffix);
	if (!driver)
		abort();
	unused = !has_vfs(arg, driver);
	free(driver);
	return unused;
}

char *formats_objection(struct json_object *view, formats_has_vfs *has_vfs, const void *arg)
{
	struct json_object *formats = record_get(view, "format"), *images = record_get(view, "image");
	const char *state = length_of(images) ? record_text(row_of(images, 0), "state") : "";
	char *why;

	if (!*state)
		return strdup("no kernel is loaded any more: somebody else has unloaded it");
	if (!strcmp(state, "without-handover"))
		return strdup("it was loaded by kexec_load(2), which hands nothing over; load it with kexec_file_load(2)");
	if (!strcmp(state, "without-list"))
		return strdup("it does not say which handover formats it reads, so no device could go over; load a kernel with Continuo's patches");
	for (size_t i = 0; i < length_of(formats); i++) {
		const char *format = record_text(row_of(formats, i), "compatible");

		if (is_covered(formats, format) || is_unused(format, has_vfs, arg))
			continue;
		if (asprintf(&why, "it does not read the handover format \"%s\", nor another version of it that this kernel writes; load a kernel that does ('continuo show format' lists them)",
			     format) < 0)
			abort();
		return why;
	}
	return NULL;
}

char *formats_line(struct json_object *view)
{
	struct json_object *formats = record_get(view, "format"), *images = record_get(view, "image");
	char *line = strdup(length_of(images) ? record_text(row_of(images, 0), "state") : ""), *more;

	for (size_t i = 0; i < length_of(formats); i++) {
		if (!is_read(row_of(formats, i)))
			continue;
		if (asprintf(&more, "%s %s", line, record_text(row_of(formats, i), "compatible")) < 0)
			abort();
		free(line);
		line = more;
	}
	return line;
}
