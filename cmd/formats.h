/* SPDX-License-Identifier: GPL-2.0-only */
/* Which handover formats the loaded kernel reads, from what the running one says of it. */
#ifndef FORMATS_H
#define FORMATS_H

#include "model.h"

/* Has this driver physical functions with virtual ones? @arg: as given to formats_objection(). */
typedef bool formats_has_vfs(const void *arg, const char *driver);

/*
 * What keeps VMs from going over to the kernel that is loaded, or NULL; to be freed. @view:
 * has the tables "image" and "format", if there are any.
 */
char *formats_objection(struct json_object *view, formats_has_vfs *has_vfs, const void *arg);
/* The same tables as one line, to see whether another kernel is loaded now; to be freed. */
char *formats_line(struct json_object *view);

#endif
