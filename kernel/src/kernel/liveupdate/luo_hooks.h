/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_LUO_HOOKS_H
#define _LINUX_LUO_HOOKS_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_formats.h>
#include <linux/liveupdate_show.h>
#include <linux/mutex.h>
#include <linux/stddef.h>

struct kho_block_set;
struct luo_file;
struct luo_file_set;
struct luo_flb_ser;
struct rw_semaphore;

/* What handlers see of a file set: an opaque session. */
static inline struct liveupdate_session *
luo_file_set_session(struct luo_file_set *file_set)
{
	return (struct liveupdate_session *)file_set;
}

void luo_file_set_show(struct luo_file_set *file_set,
		       struct liveupdate_view *v);

/*
 * luo_file.c, whose struct luo_file nobody else sees. Its fields are written down
 * here once more; LUO_FILE_HOOKS() there asserts that they are the same.
 */
struct luo_file_seen {
	struct liveupdate_file_handler *fh;
	struct file *file;
	u64 serialized_data;
	void *private_data;
	int retrieve_status;
	struct mutex mutex;	/* protects all but the list and the token */
	struct list_head list;
	u64 token;
	struct liveupdate_task holder;
	char compatible[LIVEUPDATE_HNDL_COMPAT_LENGTH];
};

#define LUO_FILE_HOOKS							\
	static_assert(offsetof(struct luo_file, fh) ==			\
		      offsetof(struct luo_file_seen, fh));		\
	static_assert(__same_type(((struct luo_file *)0)->fh,		\
				  ((struct luo_file_seen *)0)->fh));	\
	static_assert(offsetof(struct luo_file, file) ==		\
		      offsetof(struct luo_file_seen, file));		\
	static_assert(__same_type(((struct luo_file *)0)->file,		\
				  ((struct luo_file_seen *)0)->file));	\
	static_assert(offsetof(struct luo_file, serialized_data) ==	\
		      offsetof(struct luo_file_seen, serialized_data));	\
	static_assert(__same_type(((struct luo_file *)0)->serialized_data,	\
				  ((struct luo_file_seen *)0)->serialized_data));	\
	static_assert(offsetof(struct luo_file, private_data) ==	\
		      offsetof(struct luo_file_seen, private_data));	\
	static_assert(__same_type(((struct luo_file *)0)->private_data,	\
				  ((struct luo_file_seen *)0)->private_data));	\
	static_assert(offsetof(struct luo_file, retrieve_status) ==	\
		      offsetof(struct luo_file_seen, retrieve_status));	\
	static_assert(__same_type(((struct luo_file *)0)->retrieve_status,	\
				  ((struct luo_file_seen *)0)->retrieve_status));	\
	static_assert(offsetof(struct luo_file, mutex) ==		\
		      offsetof(struct luo_file_seen, mutex));		\
	static_assert(__same_type(((struct luo_file *)0)->mutex,	\
				  ((struct luo_file_seen *)0)->mutex));	\
	static_assert(offsetof(struct luo_file, list) ==		\
		      offsetof(struct luo_file_seen, list));		\
	static_assert(__same_type(((struct luo_file *)0)->list,		\
				  ((struct luo_file_seen *)0)->list));	\
	static_assert(offsetof(struct luo_file, token) ==		\
		      offsetof(struct luo_file_seen, token));		\
	static_assert(__same_type(((struct luo_file *)0)->token,	\
				  ((struct luo_file_seen *)0)->token));	\
	static_assert(offsetof(struct luo_file, holder) ==		\
		      offsetof(struct luo_file_seen, holder));		\
	static_assert(__same_type(((struct luo_file *)0)->holder,	\
				  ((struct luo_file_seen *)0)->holder));	\
	static_assert(offsetof(struct luo_file, compatible) ==		\
		      offsetof(struct luo_file_seen, compatible));	\
	static_assert(__same_type(((struct luo_file *)0)->compatible,	\
				  ((struct luo_file_seen *)0)->compatible));	\
	static_assert(sizeof(struct luo_file) == sizeof(struct luo_file_seen));	\
	struct list_head *const luo_file_handlers = &luo_file_handler_list

extern struct list_head *const luo_file_handlers;
extern struct liveupdate_file_handler luo_file_no_handler;

void luo_file_find_handler(struct luo_file *file);

/* luo_flb.c, whose struct luo_flb_link nobody else sees; the same with that one */
struct luo_flb_link_seen {
	struct liveupdate_flb *flb;
	struct list_head list;
};

#define LUO_FLB_HOOKS							\
	static_assert(offsetof(struct luo_flb_link, flb) ==		\
		      offsetof(struct luo_flb_link_seen, flb));		\
	static_assert(__same_type(((struct luo_flb_link *)0)->flb,	\
				  ((struct luo_flb_link_seen *)0)->flb));	\
	static_assert(offsetof(struct luo_flb_link, list) ==		\
		      offsetof(struct luo_flb_link_seen, list));	\
	static_assert(__same_type(((struct luo_flb_link *)0)->list,	\
				  ((struct luo_flb_link_seen *)0)->list));	\
	static_assert(sizeof(struct luo_flb_link) == sizeof(struct luo_flb_link_seen))

bool luo_flb_reads(const struct liveupdate_flb *flb, const char *name);
void luo_flb_finish_file(struct liveupdate_flb *flb);
void luo_flb_serialize_version(struct liveupdate_flb *flb,
			       struct luo_flb_ser *ser);

/**
 * struct luo_session_side - The sessions of one side
 * @list:      The sessions.
 * @rwsem:     Protects @list.
 * @block_set: Incoming: where they are read from.
 */
struct luo_session_side {
	struct list_head *list;
	struct rw_semaphore *rwsem;
	struct kho_block_set *block_set;
};

/**
 * struct luo_session_sides - All sessions, of which only luo_session.c knows
 * @incoming: The sessions that came.
 * @outgoing: Those that will go.
 */
struct luo_session_sides {
	struct luo_session_side incoming;
	struct luo_session_side outgoing;
};

#define LUO_SESSION_HOOKS						\
	const struct luo_session_sides luo_session_sides = {		\
		.incoming = {						\
			.list = &luo_session_global.incoming.list,	\
			.rwsem = &luo_session_global.incoming.rwsem,	\
			.block_set = &luo_session_global.incoming.block_set,	\
		},							\
		.outgoing = {						\
			.list = &luo_session_global.outgoing.list,	\
			.rwsem = &luo_session_global.outgoing.rwsem,	\
			.block_set = &luo_session_global.outgoing.block_set,	\
		},							\
	}

extern const struct luo_session_sides luo_session_sides;
extern struct mutex luo_session_read_lock;

#endif /* _LINUX_LUO_HOOKS_H */
