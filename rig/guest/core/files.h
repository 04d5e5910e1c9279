/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole files: sysfs, procfs, debugfs. */
#ifndef RIG_CORE_FILES_H
#define RIG_CORE_FILES_H

#include <stddef.h>
#include <sys/types.h>

/* Ends the case if the file cannot be written. */
void write_file(const char *path, const char *text);
/* As package managers do it: beside @to, and then in its place. 0, or -errno. */
int install_file(const char *from, const char *to);
/* Size read, or -errno; the text is always terminated. */
ssize_t read_file(const char *path, char *buf, size_t len);

#endif
