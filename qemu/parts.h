/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM is made of: devices, objects, and the files that its disks are in. The next QEMU
 * is started with the arguments that this one was started with, so the VM has to be as they say:
 * what was plugged in or out since, or a disk that is in another file, is not carried over.
 */
#ifndef PARTS_H
#define PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "args.h"
#include "qmp.h"

enum part_kind { PART_DEVICE, PART_OBJECT, PART_DISK };

/*
 * @name: a device's or object's path; a disk's device.
 * @what: its type; the file that the disk is in, or "" without a medium.
 */
struct part {
	enum part_kind kind;
	char *name, *what;
};

struct parts {
	struct part *of;
	size_t n;
};

typedef int parts_refuse(const char *rule, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void parts_free(struct parts *p);
/* Asks a QEMU that runs. 0, or -1 with why(). */
int parts_learn(struct parts *p, struct qmp *q, uint64_t until);
/*
 * How many differences there are between what it had and what it has, each of which is said to
 * @refuse.
 */
int parts_compare(const struct parts *had, const struct parts *has, parts_refuse *refuse);
/*
 * The same for a QEMU of which nothing is known but its arguments: devices that were plugged in, those of
 * the arguments that are not there, and disks in files that no argument names. -1 with why() if it cannot
 * be asked.
 */
int parts_of_arguments(const struct parts *has, const struct args *line, struct qmp *q, parts_refuse *refuse,
		       uint64_t until);
/* Work on disks that is not finished, which would be lost: how many, as above; -1 with why(). */
int parts_jobs(struct qmp *q, parts_refuse *refuse, uint64_t until);

#endif
