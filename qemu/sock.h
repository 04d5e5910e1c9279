/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets that have a deadline, and descriptors over them. */
#ifndef SOCK_H
#define SOCK_H

#include <stddef.h>
#include <stdint.h>

/* Functions return a descriptor or 0, or -1 with why(). */

/* Tries until somebody listens there. */
int sock_dial(const char *path, uint64_t until);
/* A file of that name is removed before. */
int sock_listen(const char *path);
int sock_accept(int listener, uint64_t until);

int sock_send(int fd, const void *bytes, size_t size, uint64_t until);
/* One byte, which carries a descriptor. */
int sock_send_fd(int fd, uint8_t byte, int carried, uint64_t until);

#endif
