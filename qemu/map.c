// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "map.h"
#include "reason.h"

#define PAGE	4096u

/*
 * A view begins with "FlatView #", names its address spaces, each in a line ' AS "NAME", …',
 * and has a line for each range:
 *
 *   0000000000100000-000000003fffffff (prio 0, ram): ram0 @0000000000100000 KVM
 *
 * with the offset only if it is not 0, and the accelerator's name only if that has it.
 */

/* @n hexadecimal digits. */
static bool read_hex(const char **at, const char *end, uint64_t *value)
{
	*value = 0;
	if (end - *at < 16)
		return false;
	for (int i = 0; i < 16; i++) {
		char c = *(*at)++;
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

static bool skip(const char **at, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *at) < n || memcmp(*at, text, n))
		return false;
	*at += n;
	return true;
}

/* The name ends at the offset, at the accelerator, or with the line. */
static bool read_name(const char *at, const char *end, struct map_piece *p)
{
	const char *name = at;
	size_t n;

	while (at < end && *at != ' ')
		at++;
	n = at - name;
	if (!n || n >= sizeof(p->name))
		return false;
	memcpy(p->name, name, n);
	p->name[n] = 0;
	p->offset = 0;
	if (skip(&at, end, " @") && !read_hex(&at, end, &p->offset))
		return false;
	return true;
}

enum range { RANGE_MEMORY, RANGE_OTHER, RANGE_WRONG };

static enum range read_range(const char *at, const char *end, struct map_piece *p)
{
	const char *kind;

	if (!read_hex(&at, end, &p->first) || !skip(&at, end, "-") ||
	    !read_hex(&at, end, &p->last) || !skip(&at, end, " (prio "))
		return RANGE_WRONG;
	while (at < end && (*at == '-' || (*at >= '0' && *at <= '9')))
		at++;
	if (!skip(&at, end, ", "))
		return RANGE_WRONG;
	kind = at;
	while (at < end && *at != ')')
		at++;
	if (at - kind == 3 && !memcmp(kind, "ram", 3))
		p->readonly = false;
	else if (at - kind == 3 && !memcmp(kind, "rom", 3))
		p->readonly = true;
	else
		return RANGE_OTHER;
	if (!skip(&at, end, "): ") || !read_name(at, end, p))
		return RANGE_WRONG;
	return RANGE_MEMORY;
}

/* Whole pages of it; false if there is none. */
static bool whole_pages(struct map_piece *p)
{
	uint64_t first = (p->first + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (first < p->first || p->last == UINT64_MAX || ((p->last + 1) & ~(uint64_t)(PAGE - 1)) <= first)
		return false;
	p->offset += first - p->first;
	p->first = first;
	p->last = ((p->last + 1) & ~(uint64_t)(PAGE - 1)) - 1;
	return true;
}

int map_read(const char *text, struct map_piece piece[MAP_PIECES], char *why, size_t size)
{
	bool wanted = false, seen = false;
	unsigned int n = 0, line = 0;

	for (const char *end; *text; text = *end ? end + 1 : end) {
		struct map_piece p = {};
		const char *at = text;

		line++;
		end = strchrnul(text, '\n');
		if (end > at && end[-1] == '\r')
			end--;
		if (skip(&at, end, "FlatView #")) {
			wanted = false;
		} else if (skip(&at, end, " AS \"memory\", ")) {
			wanted = seen = true;
		} else if (wanted && skip(&at, end, "  ") && at < end && *at != ' ' && *at != 'N') {
			switch (read_range(at, end, &p)) {
			case RANGE_WRONG:
				return reason(why, size, "line %u of QEMU's memory map is not of a form that is known: \"%.*s\"",
					      line, (int)(end - at > 80 ? 80 : end - at), at);
			case RANGE_OTHER:
				break;
			case RANGE_MEMORY:
				if (p.last < p.first || (n && p.first <= piece[n - 1].last) ||
				    p.offset > UINT64_MAX - (p.last - p.first))
					return reason(why, size, "line %u of QEMU's memory map: the range cannot be", line);
				if (n == MAP_PIECES)
					return reason(why, size, "the guest has its memory in more than %d pieces", MAP_PIECES);
				if (whole_pages(&p))
					piece[n++] = p;
				break;
			}
		}
		if (*end == '\r')
			end++;
	}
	if (!seen)
		return reason(why, size, "QEMU's memory map has no address space \"memory\"");
	return n;
}
