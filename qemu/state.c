// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "reason.h"
#include "state.h"

static const char *const names[STATE_PARTS] = {
	[STATE_DESCRIPTION] = "description",
	[STATE_CHANNEL] = "CPR channel",
	[STATE_STREAM] = "stream",
};

/* The room of the parts that come before the stream, which has all the rest. */
static const size_t room_of[STATE_STREAM] = {
	[STATE_DESCRIPTION] = STATE_DESCRIPTION_BYTES,
	[STATE_CHANNEL] = CHANNEL_BYTES,
};

static size_t offset_of(enum state_part part)
{
	size_t at = STATE_HEAD;

	for (int i = 0; i < (int)part; i++)
		at += room_of[i];
	return at;
}

uint64_t state_sum(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ at[i]) * 0x100000001b3ull;
	return sum;
}

static uint64_t head_sum(const struct state_head *h)
{
	return state_sum(h, offsetof(struct state_head, sum));
}

size_t state_size(size_t room)
{
	return (offset_of(STATE_STREAM) + room + STATE_HEAD - 1) & ~(size_t)(STATE_HEAD - 1);
}

void state_make(void *at, size_t size)
{
	struct state_head *h = at;

	memset(at, 0, STATE_HEAD);
	h->magic = STATE_MAGIC;
	h->version = STATE_VERSION;
	h->parts = STATE_PARTS;
	h->size = size;
	for (int i = 0; i < STATE_PARTS; i++)
		h->part[i].offset = offset_of(i);
}

void *state_room(void *at, enum state_part part, size_t *room)
{
	const struct state_head *h = at;

	*room = part == STATE_STREAM ? h->size - offset_of(part) : room_of[part];
	return (char *)at + offset_of(part);
}

void state_put(void *at, enum state_part part, size_t length)
{
	struct state_head *h = at;

	h->part[part].length = length;
	h->part[part].sum = state_sum((char *)at + h->part[part].offset, length);
}

void state_seal(void *at)
{
	struct state_head *h = at;

	h->sum = head_sum(h);
}

void state_unseal(void *at)
{
	struct state_head *h = at;

	state_make(at, h->size);
}

int state_read(const void *at, size_t size, struct state_view *view, char *why, size_t why_size)
{
	struct state_head h;
	uint64_t end = STATE_HEAD;

	if (size < STATE_HEAD)
		return reason(why, why_size, "the state has %zu bytes; its head alone has %u", size, STATE_HEAD);
	memcpy(&h, at, sizeof(h));
	if (h.magic != STATE_MAGIC)
		return reason(why, why_size, "this is no state of a VM under QEMU");
	if (h.version != STATE_VERSION)
		return reason(why, why_size, "the state is of version %u; this continuo-qemu reads %u: take one that belongs to the kernel before",
			      h.version, STATE_VERSION);
	if (!h.sum)
		return reason(why, why_size, "the state was not finished: the VM was never suspended");
	if (h.sum != head_sum(&h) || h.size != size || h.parts != STATE_PARTS)
		return reason(why, why_size, "the head of the state is damaged");
	for (int i = 0; i < STATE_PARTS; i++) {
		if (h.part[i].offset < end || h.part[i].offset > size ||
		    h.part[i].length > size - h.part[i].offset || !h.part[i].length)
			return reason(why, why_size, "the %s of the state is not where it can be", names[i]);
		view->part[i] = (const char *)at + h.part[i].offset;
		view->length[i] = h.part[i].length;
		if (state_sum(view->part[i], view->length[i]) != h.part[i].sum)
			return reason(why, why_size, "the %s of the state is damaged", names[i]);
		end = h.part[i].offset + h.part[i].length;
	}
	return 0;
}
