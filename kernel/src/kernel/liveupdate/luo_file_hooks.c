// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * The part of luo_file.c that is ours: what a handler may ask about other files,
 * files that no handler is registered for, and what the view shows of a file.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/list_private.h>
#include <linux/liveupdate.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include "luo_internal.h"

/**
 * liveupdate_outgoing_token - Find a file in the session of a running callback
 * @session: The session, from &struct liveupdate_file_op_args.session.
 * @file:    The file to look for.
 * @tokenp:  On success, the token under which @file is preserved.
 *
 * A handler uses this to insist that what its file depends on is preserved
 * first, and in the same session.
 *
 * Context: Only inside .preserve(), .unpreserve(), .freeze() and .unfreeze(),
 *          which run under the lock of the session.
 * Return: 0 on success, -ENOENT if @file is not preserved in @session.
 */
int liveupdate_outgoing_token(struct liveupdate_session *session,
			      struct file *file, u64 *tokenp)
{
	struct luo_file_set *file_set = (struct luo_file_set *)session;
	struct luo_file_seen *iter;

	list_for_each_entry(iter, &file_set->files_list, list) {
		if (iter->file == file) {
			*tokenp = iter->token;
			return 0;
		}
	}
	return -ENOENT;
}
EXPORT_SYMBOL_GPL(liveupdate_outgoing_token);

/* ---- a file that nobody here can read, so far ---- */

static int luo_file_no_retrieve(struct liveupdate_file_op_args *args)
{
	args->retry = true;
	return -EOPNOTSUPP;
}

static bool luo_file_no_finish(struct liveupdate_file_op_args *args)
{
	pr_warn("cannot finish: there is a file that no handler is registered for\n");
	return false;
}

static const struct liveupdate_file_ops luo_file_no_handler_ops = {
	.retrieve = luo_file_no_retrieve,
	.can_finish = luo_file_no_finish,
};

/*
 * Has the files whose handler is not there: it can be in a module that is loaded
 * later. Until then such a file cannot be retrieved, and its session cannot be
 * finished; other files and sessions do not mind.
 */
struct liveupdate_file_handler luo_file_no_handler = {
	.ops = &luo_file_no_handler_ops,
};

/**
 * luo_file_find_handler() - Has somebody registered a handler meanwhile?
 * @file: The file, which may have one.
 *
 * Context: Under the mutex of the file.
 */
void luo_file_find_handler(struct luo_file *file)
{
	struct luo_file_seen *luo_file = (struct luo_file_seen *)file;
	struct liveupdate_file_handler *fh;

	if (luo_file->fh != &luo_file_no_handler)
		return;
	guard(rwsem_read)(&luo_register_rwlock);
	list_private_for_each_entry(fh, luo_file_handlers, list) {
		if (strcmp(fh->compatible, luo_file->compatible))
			continue;
		if (try_module_get(fh->ops->owner))
			luo_file->fh = fh;
		return;
	}
}

static void luo_file_show(struct luo_file_set *file_set,
			  struct luo_file_seen *luo_file,
			  struct liveupdate_view *v)
{
	struct liveupdate_file_op_args args = {
		.handler = luo_file->fh,
		.session = luo_file_set_session(file_set),
		.retrieve_status = luo_file->retrieve_status,
		.file = luo_file->file,
		.serialized_data = luo_file->serialized_data,
		.private_data = luo_file->private_data,
	};

	v->token = luo_file->token;
	liveupdate_show_record(v, "file");
	liveupdate_show_text(v, "session", v->session);
	liveupdate_show_hex(v, "token", v->token);
	if (luo_file->fh == &luo_file_no_handler) {
		liveupdate_show_text(v, "compatible", luo_file->compatible);
		liveupdate_show_word(v, "handler", "missing");
	} else {
		liveupdate_show_text(v, "compatible", luo_file->fh->compatible);
	}
	if (!v->incoming) {
		liveupdate_show_word(v, "state", "preserved");
	} else {
		liveupdate_show_word(v, "state", !luo_file->retrieve_status ?
				     "not-retrieved" :
				     luo_file->retrieve_status > 0 ?
				     "retrieved" : "failed");
		if (luo_file->retrieve_status < 0)
			liveupdate_show_num(v, "errno",
					    -luo_file->retrieve_status);
		if (!luo_file->retrieve_status)
			liveupdate_show_wait(v, LIVEUPDATE_WAIT_RETRIEVE);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
	}
	liveupdate_show_task(v, &luo_file->holder);
	/* One reference is the session's. */
	if (luo_file->file)
		liveupdate_show_refs(v, "open",
				     file_count(luo_file->file) - 1);
	if (luo_file->fh->ops->show)
		luo_file->fh->ops->show(v, &args);
}

/**
 * luo_file_set_show - Show the files of a session
 * @file_set: The files.
 * @v:        The view, with the name of the session.
 *
 * Context: Under the lock of the session.
 */
void luo_file_set_show(struct luo_file_set *file_set, struct liveupdate_view *v)
{
	struct luo_file_seen *luo_file;

	list_for_each_entry(luo_file, &file_set->files_list, list) {
		guard(mutex)(&luo_file->mutex);
		luo_file_show(file_set, luo_file, v);
	}
}
