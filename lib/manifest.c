// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the manifest is read as it is, on little endian machines");
_Static_assert(sizeof(struct manifest_header) == 56, "layout of version 1");
_Static_assert(sizeof(struct manifest_memory) == 48, "layout of version 1");
_Static_assert(sizeof(struct manifest_mapping) == 40, "layout of version 1");
_Static_assert(sizeof(struct manifest_hwpt) == 16, "layout of version 1");
_Static_assert(sizeof(struct manifest_device) == 48, "layout of version 1");
_Static_assert(sizeof(struct manifest_vf_token) == 24, "layout of version 1");

static int __attribute__((format(printf, 2, 3)))
bad(struct manifest_why *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return -EBADMSG;
}

/* The counts are bounded, so that nothing overflows. */
static uint64_t size_of(const struct manifest_header *head)
{
	return sizeof(*head) +
	       (uint64_t)head->memories * sizeof(struct manifest_memory) +
	       (uint64_t)head->mappings * sizeof(struct manifest_mapping) +
	       (uint64_t)head->hwpts * sizeof(struct manifest_hwpt) +
	       (uint64_t)head->devices * sizeof(struct manifest_device) +
	       (uint64_t)head->vf_tokens * sizeof(struct manifest_vf_token);
}

static int check_head(const struct manifest_header *head,
		      struct manifest_why *why)
{
	const struct {
		const char *what;
		uint32_t n, most;
	} count[] = {
		{ "memories", head->memories, MANIFEST_MEMORIES },
		{ "address spaces", head->spaces, MANIFEST_SPACES },
		{ "mappings", head->mappings, MANIFEST_MAPPINGS },
		{ "HWPTs", head->hwpts, MANIFEST_HWPTS },
		{ "devices", head->devices, MANIFEST_DEVICES },
		{ "tokens of virtual functions", head->vf_tokens, MANIFEST_DEVICES },
	};

	for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		if (count[i].n > count[i].most)
			return bad(why, "%u %s; there are %u at most",
				   count[i].n, count[i].what, count[i].most);
	return 0;
}

int manifest_read(void *buffer, size_t size, struct manifest *m,
		  struct manifest_why *why)
{
	char *at = buffer;
	bool newer;
	int ret;

	if (size < sizeof(m->head))
		return bad(why, "%zu bytes are not even a header", size);
	memcpy(&m->head, at, sizeof(m->head));
	if (m->head.magic != MANIFEST_MAGIC)
		return bad(why, "it does not begin as a manifest does");
	/* A newer one can have more behind its records, and says who does not need that. */
	newer = m->head.version > MANIFEST_VERSION && m->head.oldest &&
		m->head.oldest <= MANIFEST_VERSION;
	if (m->head.version != MANIFEST_VERSION && !newer) {
		bad(why, "it is of version %u; this library reads version %u",
		    m->head.version, MANIFEST_VERSION);
		return -EPROTO;
	}
	ret = check_head(&m->head, why);
	if (ret)
		return ret;
	if (m->head.size < size_of(&m->head) || m->head.size > size ||
	    (!newer && (m->head.size != size_of(&m->head) || m->head.oldest)))
		return bad(why, "it says that it has %llu bytes; it has %zu, and its records take %llu",
			   (unsigned long long)m->head.size, size,
			   (unsigned long long)size_of(&m->head));
	at += sizeof(m->head);
	m->memory = (void *)at;
	at += m->head.memories * sizeof(*m->memory);
	m->mapping = (void *)at;
	at += m->head.mappings * sizeof(*m->mapping);
	m->hwpt = (void *)at;
	at += m->head.hwpts * sizeof(*m->hwpt);
	m->device = (void *)at;
	at += m->head.devices * sizeof(*m->device);
	m->vf_token = (void *)at;
	return 0;
}

static bool name_is_good(const char name[CONTINUO_NAME])
{
	size_t n = strnlen(name, CONTINUO_NAME);

	if (!n || n == CONTINUO_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	/* Nothing is hidden behind its end. */
	for (size_t i = n; i < CONTINUO_NAME; i++)
		if (name[i])
			return false;
	return true;
}

static int by_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b)
{
	return strncmp(a, b, CONTINUO_NAME);
}

static bool twice(void *items, size_t n, size_t size,
		  int (*compare)(const void *, const void *))
{
	char *at = items;

	qsort(items, n, size, compare);
	for (size_t i = 1; i < n; i++)
		if (!compare(at + (i - 1) * size, at + i * size))
			return true;
	return false;
}

static int check_tokens(const struct manifest *m, struct manifest_why *why)
{
	size_t n = 0, most = m->head.memories + m->head.devices + 2ul;
	uint64_t *token = calloc(most > m->head.hwpts ? most : m->head.hwpts,
				 sizeof(*token));
	int ret = 0;

	if (!token)
		return -ENOMEM;
	token[n++] = MANIFEST_TOKEN;
	token[n++] = m->head.iommufd_token;
	for (uint32_t i = 0; i < m->head.memories; i++)
		token[n++] = m->memory[i].token;
	for (uint32_t i = 0; i < m->head.devices; i++)
		token[n++] = m->device[i].token;
	if (twice(token, n, sizeof(*token), by_u64))
		ret = bad(why, "two files have the same token");
	for (n = 0; n < m->head.hwpts; n++)
		token[n] = m->hwpt[n].token;
	if (!ret && twice(token, n, sizeof(*token), by_u64))
		ret = bad(why, "two HWPTs have the same token");
	free(token);
	return ret;
}

static int check_names(const struct manifest *m, struct manifest_why *why)
{
	char (*name)[CONTINUO_NAME];
	uint32_t i;
	int ret = 0;

	name = calloc(m->head.memories + m->head.devices + 1ul, sizeof(*name));
	if (!name)
		return -ENOMEM;
	for (i = 0; i < m->head.memories; i++)
		memcpy(name[i], m->memory[i].name, CONTINUO_NAME);
	if (twice(name, i, sizeof(*name), by_name))
		ret = bad(why, "two memories have the same name");
	for (i = 0; i < m->head.devices; i++)
		memcpy(name[i], m->device[i].name, CONTINUO_NAME);
	if (!ret && twice(name, i, sizeof(*name), by_name))
		ret = bad(why, "two devices have the same name");
	free(name);
	return ret;
}

static int by_iova(const void *a, const void *b)
{
	const struct manifest_mapping *x = *(struct manifest_mapping *const *)a;
	const struct manifest_mapping *y = *(struct manifest_mapping *const *)b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

static int check_overlaps(const struct manifest *m, struct manifest_why *why)
{
	const struct manifest_mapping **sorted;
	int ret = 0;

	sorted = calloc(m->head.mappings + 1ul, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->head.mappings; i++)
		sorted[i] = &m->mapping[i];
	qsort(sorted, m->head.mappings, sizeof(*sorted), by_iova);
	for (uint32_t i = 1; i < m->head.mappings && !ret; i++)
		if (sorted[i]->space == sorted[i - 1]->space &&
		    sorted[i]->iova - sorted[i - 1]->iova < sorted[i - 1]->length)
			ret = bad(why, "IOVA %#llx of address space %u is mapped twice",
				  (unsigned long long)sorted[i]->iova,
				  sorted[i]->space);
	free(sorted);
	return ret;
}

static int check_mapping(const struct manifest *m, uint32_t i,
			 struct manifest_why *why)
{
	const struct manifest_mapping *map = &m->mapping[i];
	uint64_t size;

	if (map->memory >= m->head.memories || map->space >= m->head.spaces)
		return bad(why, "mapping %u is of memory %u in address space %u, which are not there",
			   i, map->memory, map->space);
	if (!map->prot || map->prot & ~(CONTINUO_READ | CONTINUO_WRITE) ||
	    map->reserved)
		return bad(why, "mapping %u has permissions %#x and reserved field %#x",
			   i, map->prot, map->reserved);
	if ((map->offset | map->length | map->iova) % MANIFEST_PAGE ||
	    !map->length)
		return bad(why, "mapping %u is not of whole pages of %u bytes",
			   i, MANIFEST_PAGE);
	size = m->memory[map->memory].size;
	if (map->length > size || map->offset > size - map->length)
		return bad(why, "mapping %u goes beyond the end of memory %u",
			   i, map->memory);
	if (map->iova > UINT64_MAX - (map->length - 1))
		return bad(why, "mapping %u goes beyond the last IOVA", i);
	return 0;
}

static int check_records(const struct manifest *m, struct manifest_why *why)
{
	uint32_t i, d;
	int ret;

	for (i = 0; i < m->head.memories; i++) {
		if (!name_is_good(m->memory[i].name))
			return bad(why, "memory %u has no proper name", i);
		if (!m->memory[i].size || m->memory[i].size % MANIFEST_PAGE ||
		    m->memory[i].size > INT64_MAX)
			return bad(why, "memory %u has %llu bytes", i,
				   (unsigned long long)m->memory[i].size);
	}
	for (i = 0; i < m->head.mappings; i++) {
		ret = check_mapping(m, i, why);
		if (ret)
			return ret;
	}
	for (i = 0; i < m->head.devices; i++) {
		if (!name_is_good(m->device[i].name) || m->device[i].reserved)
			return bad(why, "device %u has no proper name, or its reserved field is in use", i);
		if (m->device[i].hwpt >= m->head.hwpts)
			return bad(why, "device %u is on HWPT %u, which is not there",
				   i, m->device[i].hwpt);
	}
	for (i = 0; i < m->head.hwpts; i++) {
		if (m->hwpt[i].space >= m->head.spaces || m->hwpt[i].flags & ~CONTINUO_HWPT_FLAGS)
			return bad(why, "HWPT %u is of address space %u, which is not there, or has flags that this library does not know",
				   i, m->hwpt[i].space);
		for (d = 0; d < m->head.devices; d++)
			if (m->device[d].hwpt == i)
				break;
		if (d == m->head.devices)
			return bad(why, "no device is on HWPT %u", i);
	}
	for (i = 0; i < m->head.vf_tokens; i++)
		if (m->vf_token[i].device >= m->head.devices || m->vf_token[i].reserved ||
		    (i && m->vf_token[i].device <= m->vf_token[i - 1].device))
			return bad(why, "the token of a virtual function, %u, is of device %u: of none, out of order, or with its reserved field in use",
				   i, m->vf_token[i].device);
	return 0;
}

int manifest_check(const struct manifest *m, struct manifest_why *why)
{
	int ret = check_head(&m->head, why);

	if (!ret)
		ret = check_records(m, why);
	if (!ret)
		ret = check_names(m, why);
	if (!ret)
		ret = check_tokens(m, why);
	if (!ret)
		ret = check_overlaps(m, why);
	if (ret == -ENOMEM)
		snprintf(why->text, sizeof(why->text), "out of memory");
	return ret;
}

size_t manifest_size(struct manifest *m)
{
	m->head.magic = MANIFEST_MAGIC;
	m->head.version = MANIFEST_VERSION;
	m->head.size = size_of(&m->head);
	return m->head.size;
}

static char *put(char *at, const void *from, size_t n)
{
	if (n)
		memcpy(at, from, n);
	return at + n;
}

void manifest_write(const struct manifest *m, void *buffer)
{
	char *at = put(buffer, &m->head, sizeof(m->head));

	at = put(at, m->memory, m->head.memories * sizeof(*m->memory));
	at = put(at, m->mapping, m->head.mappings * sizeof(*m->mapping));
	at = put(at, m->hwpt, m->head.hwpts * sizeof(*m->hwpt));
	at = put(at, m->device, m->head.devices * sizeof(*m->device));
	put(at, m->vf_token, m->head.vf_tokens * sizeof(*m->vf_token));
}
