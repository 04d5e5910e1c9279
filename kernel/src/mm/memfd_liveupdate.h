/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _MM_MEMFD_LIVEUPDATE_H
#define _MM_MEMFD_LIVEUPDATE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/shmem_fs.h>
#include <linux/types.h>

struct folio;
struct liveupdate_file_op_args;
struct liveupdate_mem;
struct memfd_luo_folio_ser;
struct memfd_luo_ser;

/* How many of the folios of a file that cannot be retrieved may be freed? */
static inline long memfd_liveupdate_unused(u64 nr)
{
	return 0;
}

/* Was a file made just now, or is it one that a retrieve did not get to fill? */
static inline bool memfd_liveupdate_new(struct file *file)
{
	return !file->private_data;
}

/*
 * How many pages of the whole machine are known to be bad. Only those who test memory
 * errors make it smaller (unpoisoning), which may hide one that comes afterwards.
 */
static inline unsigned long memfd_bad_pages(void)
{
	return IS_ENABLED(CONFIG_MEMORY_FAILURE) ? atomic_long_read(&num_poisoned_pages) : 0;
}

/*
 * The first page of a folio, by number, that went bad when KHO had it and nobody looked at
 * more than that page; -1 if none did.
 */
static inline long memfd_bad_page(struct folio *folio)
{
	long i, nr = memfd_bad_pages() ? folio_nr_pages(folio) : 0;

	for (i = 0; i < nr; i++)
		if (PageHWPoison(folio_page(folio, i)))
			return i;
	return -1;
}

/* mm/memfd_bad.c */
void memfd_bad_watch(struct address_space *mapping);
void memfd_bad_forget(struct address_space *mapping);
bool memfd_bad_found(struct address_space *mapping);

#ifdef CONFIG_LIVEUPDATE_MEMFD
void memfd_bad_note(unsigned long pfn);
#else
static inline void memfd_bad_note(unsigned long pfn) {}
#endif

/* A file is preserved, or that is undone; its inode is locked. */
static inline void memfd_liveupdate_keep(struct inode *inode, bool keep)
{
	shmem_freeze(inode, keep);
	if (keep)
		memfd_bad_watch(inode->i_mapping);
	else
		memfd_bad_forget(inode->i_mapping);
}

int memfd_liveupdate_check(struct folio *folio);
int memfd_liveupdate_freeze(struct liveupdate_file_op_args *args);
struct memfd_luo_ser *memfd_liveupdate_ser(struct liveupdate_file_op_args *args);
struct file *memfd_liveupdate_resume(struct liveupdate_file_op_args *args);
struct memfd_luo_folio_ser *
memfd_liveupdate_folios(struct liveupdate_file_op_args *args, struct file *file);
u64 memfd_liveupdate_next(struct file *file);
struct folio *memfd_liveupdate_folio(struct file *file, u64 i,
				     phys_addr_t phys);
void memfd_liveupdate_hold(struct file *file, int err);
bool memfd_liveupdate_failed(struct liveupdate_file_op_args *args, int err);
bool memfd_liveupdate_finish(struct liveupdate_file_op_args *args);

/**
 * struct memfd_kind - The memfds of one handler that came over
 * @name:       Of one of them, in messages.
 * @compatible: Of the handler.
 * @check:      NULL, or the rule that what came of one breaks.
 * @size:       Of what is kept of one; its beginning is a struct memfd_unfilled.
 * @unfilled:   Those of which something is kept, until they are filled.
 * @lock:       Protects the list.
 */
struct memfd_kind {
	const char *name, *compatible;
	const char *(*check)(struct liveupdate_mem *mem, u64 data);
	size_t size;
	struct list_head unfilled;
	/* What is in the list is protected by LUO: one call for a file. */
	struct mutex lock;
};

/**
 * struct memfd_unfilled - A memfd that is not filled
 * @list: In the list of its kind.
 * @data: Its handle in the handover.
 * @busy: A retrieve or the finish of it is under way.
 */
struct memfd_unfilled {
	struct list_head list;
	u64 data;
	bool busy;
};

/* mm/memfd_unfilled.c */
int memfd_check(struct memfd_kind *kind, u64 data, gfp_t gfp);
void *memfd_unfilled_begin(struct memfd_kind *kind, u64 data, gfp_t gfp);
void memfd_unfilled_end(struct memfd_kind *kind, struct memfd_unfilled *file, bool done);

#endif
