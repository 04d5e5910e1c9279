/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages to those who are connected. None of them waits for anybody. */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>
#include <stdint.h>

#define REPLY_BYTES	4096

/* A message, and a descriptor if @fd is one. False if it could not be sent. */
bool reply(int client, int fd, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The same to a client that waits for more: if it cannot be sent, the connection is ended,
 * since the client would wait for ever.
 */
bool reply_or_end(int client, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line to stderr; returns what the program ends with. */
int trouble(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC */
uint64_t now_us(void);

#endif
