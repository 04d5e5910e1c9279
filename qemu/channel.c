// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"

#define MAGIC		0x51435052u	/* "QCPR" */
#define SUBSECTION	5

/*
 * 10.2 and 11.1 have the same two lists. They are descriptions of their own all the same:
 * what is added to one is not believed of the other.
 */
static const struct channel_list lists_10_2[] = {
	{ NULL, 0, { FIELD_NAME, FIELD_ID, FIELD_FD } },
	{ "CprState/vfio devices", 1, { FIELD_NAME, FIELD_DEVICE, FIELD_IOAS, FIELD_HWPT } },
};

static const struct channel_list lists_11_1[] = {
	{ NULL, 0, { FIELD_NAME, FIELD_ID, FIELD_FD } },
	{ "CprState/vfio devices", 1, { FIELD_NAME, FIELD_DEVICE, FIELD_IOAS, FIELD_HWPT } },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	int major, minor;
	struct channel_format format;
} known[] = {
	{ 10, 2, { "10.2", MAGIC, 1, lists_10_2, N(lists_10_2) } },
	{ 11, 1, { "11.1", MAGIC, 1, lists_11_1, N(lists_11_1) } },
};

const struct channel_format *channel_format(int major, int minor)
{
	for (size_t i = 0; i < N(known); i++)
		if (known[i].major == major && known[i].minor == minor)
			return &known[i].format;
	return NULL;
}

const char *channel_versions(void)
{
	return "10.2, 11.1";
}

/* What is left to be read. @nr_carried: of @carried, those that have been met. */
struct reader {
	const uint8_t *bytes;
	size_t size, at;
	const uint32_t *carried;
	unsigned int nr, met;
	struct channel_why *why;
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct reader *r, const char *fmt, ...)
{
	va_list args;
	int n;

	n = snprintf(r->why->text, sizeof(r->why->text), "byte %zu of the CPR channel: ", r->at);
	va_start(args, fmt);
	vsnprintf(r->why->text + n, sizeof(r->why->text) - n, fmt, args);
	va_end(args);
	return -1;
}

/* The next @n bytes; NULL if it has less. */
static const uint8_t *take(struct reader *r, size_t n, const char *what)
{
	if (n > r->size - r->at) {
		refuse(r, "it ends in %s", what);
		return NULL;
	}
	r->at += n;
	return r->bytes + r->at - n;
}

static int take_byte(struct reader *r, uint8_t *value, const char *what)
{
	const uint8_t *at = take(r, 1, what);

	if (!at)
		return -1;
	*value = *at;
	return 0;
}

static int take_number(struct reader *r, uint32_t *value, const char *what)
{
	const uint8_t *at = take(r, 4, what);

	if (!at)
		return -1;
	*value = (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
	return 0;
}

static int take_name(struct reader *r, char name[CHANNEL_NAME])
{
	const uint8_t *at;
	uint32_t n;

	if (take_number(r, &n, "the length of a name"))
		return -1;
	if (n < 2 || n > CHANNEL_NAME)
		return refuse(r, "a name of %u bytes; it has 2 to %d, with its NUL", n, CHANNEL_NAME);
	at = take(r, n, "a name");
	if (!at)
		return -1;
	if (at[n - 1] || memchr(at, 0, n - 1))
		return refuse(r, "a name whose NUL is not at its end");
	for (uint32_t i = 0; i < n - 1; i++)
		if (at[i] < 0x20 || at[i] > 0x7e)
			return refuse(r, "a name with a byte %#x in it", at[i]);
	memcpy(name, at, n);
	return 0;
}

static int take_fd(struct reader *r, uint32_t *where)
{
	uint8_t byte;

	*where = r->at;
	if (take_byte(r, &byte, "the byte that carries a descriptor"))
		return -1;
	if (r->met == r->nr || r->carried[r->met] != *where)
		return refuse(r, "no descriptor came with the byte before, which has to carry one");
	r->met++;
	return 0;
}

/* A record goes into both; which of them it is for the list's fields say. */
static int take_record(struct reader *r, const struct channel_list *list,
		       struct channel_fd *fd, struct channel_device *d)
{
	char name[CHANNEL_NAME];
	uint32_t id;
	int ret = 0;

	for (unsigned int i = 0; !ret && list->field[i] != FIELD_END; i++) {
		switch (list->field[i]) {
		case FIELD_END:
			break;
		case FIELD_NAME:
			ret = take_name(r, name);
			if (!ret) {
				memcpy(fd->name, name, sizeof(name));
				memcpy(d->name, name, sizeof(name));
			}
			break;
		case FIELD_ID:
			ret = take_number(r, &id, "the id of a descriptor");
			fd->id = ret ? 0 : (int32_t)id;
			break;
		case FIELD_FD:
			ret = take_fd(r, &fd->at);
			break;
		case FIELD_DEVICE:
			d->device_at = r->at;
			ret = take_number(r, &d->device, "the id of a device");
			break;
		case FIELD_IOAS:
			d->ioas_at = r->at;
			ret = take_number(r, &d->ioas, "the id of an IOAS");
			break;
		case FIELD_HWPT:
			d->hwpt_at = r->at;
			ret = take_number(r, &d->hwpt, "the id of a HWPT");
			break;
		}
	}
	return ret;
}

static bool has_field(const struct channel_list *list, enum channel_field field)
{
	for (unsigned int i = 0; list->field[i] != FIELD_END; i++)
		if (list->field[i] == field)
			return true;
	return false;
}

static int add_fd(struct reader *r, struct channel *out, const struct channel_fd *fd)
{
	for (unsigned int i = 0; i < out->fds; i++)
		if (!strcmp(out->fd[i].name, fd->name) && out->fd[i].id == fd->id)
			return refuse(r, "two descriptors are called \"%.60s\" %d", fd->name, fd->id);
	if (out->fds == CHANNEL_FDS)
		return refuse(r, "it has more than %d descriptors", CHANNEL_FDS);
	out->fd[out->fds++] = *fd;
	return 0;
}

static int add_device(struct reader *r, struct channel *out, const struct channel_device *d)
{
	for (unsigned int i = 0; i < out->devices; i++)
		if (!strcmp(out->device[i].name, d->name) || out->device[i].device == d->device)
			return refuse(r, "device \"%.60s\" (%u) is there twice", d->name, d->device);
	if (!d->device || !d->ioas || !d->hwpt || d->device > INT32_MAX)
		return refuse(r, "device \"%.60s\" has the ids %u, %u and %u: no object has the id 0",
			      d->name, d->device, d->ioas, d->hwpt);
	if (out->devices == CHANNEL_DEVICES)
		return refuse(r, "it has more than %d VFIO devices", CHANNEL_DEVICES);
	out->device[out->devices++] = *d;
	return 0;
}

static int take_list(struct reader *r, const struct channel_list *list, struct channel *out)
{
	for (;;) {
		struct channel_device d = {};
		struct channel_fd fd = {};
		uint8_t more;
		int ret;

		if (take_byte(r, &more, "a list"))
			return -1;
		if (!more)
			return 0;
		if (more != 1)
			return refuse(r, "a byte %#x before a record", more);
		if (take_record(r, list, &fd, &d))
			return -1;
		ret = has_field(list, FIELD_FD) ? add_fd(r, out, &fd) : add_device(r, out, &d);
		if (ret)
			return ret;
	}
}

static int take_section(struct reader *r, const struct channel_list *list)
{
	const uint8_t *name;
	uint32_t version;
	uint8_t byte, n;

	if (take_byte(r, &byte, "the mark of a section") ||
	    take_byte(r, &n, "the length of a section's name"))
		return -1;
	name = take(r, n, "the name of a section");
	if (!name)
		return -1;
	if (byte != SUBSECTION)
		return refuse(r, "a section begins with byte %#x", byte);
	if (n != strlen(list->section) || memcmp(name, list->section, n))
		return refuse(r, "section \"%.*s\", where \"%s\" has to be", n < 60 ? n : 60, name,
			      list->section);
	if (take_number(r, &version, "the version of a section"))
		return -1;
	if (version != list->version)
		return refuse(r, "section \"%s\" has version %u; %u is known", list->section, version,
			      list->version);
	return 0;
}

int channel_parse(const struct channel_format *format, const uint8_t *bytes, size_t size,
		  const uint32_t *carried, unsigned int nr, struct channel *out,
		  struct channel_why *why)
{
	struct reader r = { .bytes = bytes, .size = size, .carried = carried, .nr = nr, .why = why };
	uint32_t magic, version;

	out->fds = out->devices = 0;
	why->text[0] = 0;
	if (size > CHANNEL_BYTES)
		return refuse(&r, "it has %zu bytes; %u are the most", size, CHANNEL_BYTES);
	if (take_number(&r, &magic, "its magic number") ||
	    take_number(&r, &version, "its version"))
		return -1;
	if (magic != format->magic)
		return refuse(&r, "it begins with %#x; that of QEMU %s with %#x", magic, format->qemu,
			      format->magic);
	if (version != format->version)
		return refuse(&r, "its version is %u; that of QEMU %s is %u", version, format->qemu,
			      format->version);
	for (unsigned int i = 0; i < format->nr_lists; i++) {
		const struct channel_list *list = &format->lists[i];

		if ((list->section && take_section(&r, list)) || take_list(&r, list, out))
			return -1;
	}
	if (r.at != size)
		return refuse(&r, "%zu bytes follow that QEMU %s is not known to write", size - r.at,
			      format->qemu);
	if (r.met != nr)
		return refuse(&r, "%u descriptors came, and it names %u", nr, r.met);
	return 0;
}

static void put_number(uint8_t *at, uint32_t value)
{
	at[0] = value >> 24;
	at[1] = value >> 16;
	at[2] = value >> 8;
	at[3] = value;
}

void channel_set(uint8_t *bytes, const struct channel_device *d, uint32_t device,
		 uint32_t ioas, uint32_t hwpt)
{
	put_number(bytes + d->device_at, device);
	put_number(bytes + d->ioas_at, ioas);
	put_number(bytes + d->hwpt_at, hwpt);
}
