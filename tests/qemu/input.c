// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "input.h"

static void mark(struct input *in, int what)
{
	in->mark[in->marks].what = what;
	in->mark[in->marks++].at = in->size;
}

static void put_byte(struct input *in, uint8_t byte)
{
	in->bytes[in->size++] = byte;
}

static void put_number(struct input *in, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		put_byte(in, value >> shift);
}

static void put_text(struct input *in, const char *text, size_t n)
{
	memcpy(in->bytes + in->size, text, n);
	in->size += n;
}

static void put_record(struct input *in, const struct channel_list *list, const char *name, int32_t id,
		       const struct channel_device *d)
{
	for (const enum channel_field *field = list->field; *field != FIELD_END; field++) {
		mark(in, *field);
		switch (*field) {
		case FIELD_END:
			break;
		case FIELD_NAME:
			put_number(in, strlen(name) + 1);
			put_text(in, name, strlen(name) + 1);
			break;
		case FIELD_ID:
			put_number(in, id);
			break;
		case FIELD_FD:
			in->carried[in->nr++] = in->size;
			put_byte(in, ' ');
			break;
		case FIELD_DEVICE:
			put_number(in, d->device);
			break;
		case FIELD_IOAS:
			put_number(in, d->ioas);
			break;
		case FIELD_HWPT:
			put_number(in, d->hwpt);
			break;
		}
	}
}

void input_channel(const struct channel_format *format, const struct channel *c, struct input *in)
{
	memset(in, 0, sizeof(*in));
	mark(in, INPUT_MAGIC);
	put_number(in, format->magic);
	mark(in, INPUT_VERSION);
	put_number(in, format->version);
	for (unsigned int i = 0; i < format->nr_lists; i++) {
		const struct channel_list *list = &format->lists[i];
		bool devices = list->section;
		unsigned int n = devices ? c->devices : c->fds;

		if (list->section) {
			mark(in, INPUT_MARK);
			put_byte(in, 5);
			put_byte(in, strlen(list->section));
			mark(in, INPUT_SECTION);
			put_text(in, list->section, strlen(list->section));
			mark(in, INPUT_SECTION_VERSION);
			put_number(in, list->version);
		}
		for (unsigned int k = 0; k < n; k++) {
			mark(in, INPUT_MORE);
			put_byte(in, 1);
			put_record(in, list, devices ? c->device[k].name : c->fd[k].name,
				   devices ? 0 : c->fd[k].id, &c->device[k]);
		}
		mark(in, INPUT_LAST);
		put_byte(in, 0);
	}
}

void input_example(struct channel *c, unsigned int fds, unsigned int devices)
{
	memset(c, 0, sizeof(*c));
	c->fds = fds;
	c->devices = devices;
	for (unsigned int i = 0; i < fds; i++) {
		snprintf(c->fd[i].name, CHANNEL_NAME, i % 2 ? "0000:00:04.0_interrupt" : "memory-%u", i);
		c->fd[i].id = i % 2 ? (int32_t)i : 0;
	}
	for (unsigned int i = 0; i < devices; i++) {
		snprintf(c->device[i].name, CHANNEL_NAME, "0000:00:%02x.0", i);
		c->device[i].device = 1 + 3 * i;
		c->device[i].ioas = 2;
		c->device[i].hwpt = 3 + 3 * i;
	}
}
