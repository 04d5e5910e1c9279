/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next kernel's image: what stands against it, as far as it can be known before the
 * jump. Each objection says which rule it is and what to do; or it is NULL. To be freed.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>

/* As much of an image as image_objection() looks at. */
#define IMAGE_HEAD	1024

/*
 * Can it be loaded with that command line? @head: the first @n bytes of the image; @machine:
 * the one that it is loaded on, as uname(2) has it: "x86_64" or "aarch64".
 */
char *image_objection(const unsigned char *head, size_t n, const char *append, const char *machine);
/* Is there memory to load files of so many bytes? @meminfo: the text of /proc/meminfo. */
char *image_room(unsigned long long bytes, const char *meminfo);
/* The word of /sys/kernel/security/lockdown that counts; "none" if there is none. To be freed. */
char *image_lockdown(const char *text);
/*
 * Why kexec_file_load(2) has failed with @err. @lockdown: as above; @disabled: the text of
 * /proc/sys/kernel/kexec_load_disabled, or NULL.
 */
char *image_refused(int err, const char *lockdown, const char *disabled);

#endif
