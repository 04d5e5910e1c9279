// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Memory of a preserved memfd that goes bad
 *
 * Between preserve and jump a page can go bad, and then there must be no jump. All VMs
 * wait in the freeze, which so cannot look at each page; nor only then when any page of
 * the machine has gone bad, which can have happened long ago to somebody else.
 *
 * So mm says of each page that goes bad which one it is. If it is of a file that is
 * preserved, that is noted down for the file, and the freeze asks just that. Such a file
 * is frozen, and its folios are pinned: they stay in its page cache, and their mapping is
 * the file's. A page that is none of a page cache can have anything in that place, so that
 * it is compared only, with the mappings that are watched, and never followed.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include "memfd_liveupdate.h"

/* By the address of a mapping: is a page of it known to be bad? */
static DEFINE_XARRAY(watched);

/**
 * memfd_bad_watch() - Note from now on if memory of a file goes bad
 * @mapping: That of a file that is about to be preserved. Nothing of it was looked at yet.
 *
 * Context: Process; may sleep.
 */
void memfd_bad_watch(struct address_space *mapping)
{
	xa_store(&watched, (unsigned long)mapping, xa_mk_value(false),
		 GFP_KERNEL | __GFP_NOFAIL);
}

/**
 * memfd_bad_forget() - Undo memfd_bad_watch()
 * @mapping: That of the file.
 */
void memfd_bad_forget(struct address_space *mapping)
{
	xa_erase(&watched, (unsigned long)mapping);
}

/**
 * memfd_bad_found() - Has memory of a file gone bad since it is watched?
 * @mapping: That of the file.
 *
 * Return: true if it has. What was bad before is for the preserve to find.
 */
bool memfd_bad_found(struct address_space *mapping)
{
	return xa_load(&watched, (unsigned long)mapping) == xa_mk_value(true);
}

/**
 * memfd_bad_note() - A page of the machine has gone bad
 * @pfn: The page, of any kind.
 *
 * Context: Process, as memory_failure().
 */
void memfd_bad_note(unsigned long pfn)
{
	struct address_space *mapping;

	if (!pfn_valid(pfn))
		return;
	mapping = READ_ONCE(page_folio(pfn_to_page(pfn))->mapping);
	/* There already: nothing is allocated. */
	xa_cmpxchg(&watched, (unsigned long)mapping, xa_mk_value(false), xa_mk_value(true),
		   GFP_ATOMIC);
}
