/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* The way back; see kernel/liveupdate/luo_back.c. */
#ifndef _LINUX_LIVEUPDATE_BACK_H
#define _LINUX_LIVEUPDATE_BACK_H

#include <linux/types.h>

struct kimage;
struct page;

#ifdef CONFIG_LIVEUPDATE_BACK
#define LUO_BACK_FLAG		KEXEC_FILE_LIVEUPDATE_BACK

/* Of kexec_file_load(2) */
struct kimage **luo_back_slot(struct kimage **slot, unsigned long flags);
int luo_back_park(struct kimage *image, unsigned long flags);
bool luo_back_formats(unsigned long *formats);
bool luo_back_parked(void);

/* Of KHO */
int luo_back_keep_node(phys_addr_t node, void *data);
void luo_back_hold(struct page *page, unsigned int order);

/* Of the kernel that may fail */
void luo_back_panic(const char *reason);
bool luo_back_armed(void);
bool luo_back_going(void);
void luo_back_instead(const char *why);
#else
#define LUO_BACK_FLAG		0

static inline struct kimage **luo_back_slot(struct kimage **slot,
					    unsigned long flags)
{
	return slot;
}

static inline int luo_back_park(struct kimage *image, unsigned long flags)
{
	return 0;
}

static inline bool luo_back_formats(unsigned long *formats)
{
	return false;
}

static inline bool luo_back_parked(void)
{
	return false;
}

static inline int luo_back_keep_node(phys_addr_t node, void *data)
{
	return 0;
}

static inline void luo_back_hold(struct page *page, unsigned int order)
{
}

static inline void luo_back_panic(const char *reason)
{
}

static inline bool luo_back_armed(void)
{
	return false;
}

static inline bool luo_back_going(void)
{
	return false;
}

static inline void luo_back_instead(const char *why)
{
}
#endif

#endif /* _LINUX_LIVEUPDATE_BACK_H */
