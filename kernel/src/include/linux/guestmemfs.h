/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
/* Files of guestmemfs, for those who give their memory to devices */
#ifndef _LINUX_GUESTMEMFS_H
#define _LINUX_GUESTMEMFS_H

#include <linux/errno.h>
#include <linux/types.h>

struct crash_mem;
struct file;
struct vm_area_struct;

#ifdef CONFIG_GUESTMEMFS
void guestmemfs_carve(void);
int guestmemfs_kexec(void);
/* Only with CONFIG_CRASH_DUMP. */
unsigned int guestmemfs_dump(struct crash_mem *dump);

bool guestmemfs_file(const struct file *file);
bool guestmemfs_vma(const struct vm_area_struct *vma);
int guestmemfs_pin(struct file *file, u64 end);
void guestmemfs_unpin(struct file *file);
phys_addr_t guestmemfs_phys(const struct file *file, u64 offset, u64 *len);
#else
static inline void guestmemfs_carve(void) {}

static inline int guestmemfs_kexec(void)
{
	return 0;
}

static inline unsigned int guestmemfs_dump(struct crash_mem *dump)
{
	return 0;
}

static inline bool guestmemfs_file(const struct file *file)
{
	return false;
}

static inline bool guestmemfs_vma(const struct vm_area_struct *vma)
{
	return false;
}

static inline int guestmemfs_pin(struct file *file, u64 end)
{
	return -EINVAL;
}

static inline void guestmemfs_unpin(struct file *file) {}

static inline phys_addr_t guestmemfs_phys(const struct file *file, u64 offset,
					  u64 *len)
{
	*len = 0;
	return 0;
}
#endif

#endif /* _LINUX_GUESTMEMFS_H */
