// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* The part of luo_session.c that is ours: what the view shows of a session. */

#include <linux/kho/abi/luo.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include "luo_internal.h"

/*
 * Held while the incoming sessions are read from the handover, at the first
 * open of /dev/liveupdate. Outside of all other locks of luo_session.c.
 */
DEFINE_MUTEX(luo_session_read_lock);

static void luo_session_show_one(struct luo_session *session,
				 struct liveupdate_view *v)
{
	v->session = session->name;
	liveupdate_show_record(v, "session");
	liveupdate_show_text(v, "name", session->name);
	if (!v->incoming) {
		liveupdate_show_word(v, "state", "outgoing");
	} else if (!session->retrieved) {
		liveupdate_show_word(v, "state", "not-retrieved");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RETRIEVE);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
	} else if (session->file_set.count) {
		liveupdate_show_word(v, "state", "retrieved");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
	} else {
		liveupdate_show_word(v, "state", "finished");
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_CLOSE);
	}
	liveupdate_show_num(v, "files", session->file_set.count);
	liveupdate_show_task(v, &session->holder);
	luo_file_set_show(&session->file_set, v);
	v->session = NULL;
}

/*
 * Nobody has opened /dev/liveupdate yet. To read the files of a session would
 * need their handlers, and would be final, so only what is there is shown.
 */
static void luo_session_show_unread(struct kho_block_set *block_set,
				    struct liveupdate_view *v)
{
	char name[LIVEUPDATE_SESSION_NAME_LENGTH + 1] = {};
	struct luo_session_ser *ser;
	struct kho_block_set_it it;

	kho_block_set_it_init(&it, block_set);
	while ((ser = kho_block_set_it_read_entry(&it))) {
		memcpy(name, ser->name, sizeof(ser->name));
		liveupdate_show_record(v, "session");
		liveupdate_show_text(v, "name", name);
		liveupdate_show_word(v, "state", "not-read");
		liveupdate_show_num(v, "files", ser->file_set_ser.count);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_RETRIEVE);
		liveupdate_show_wait(v, LIVEUPDATE_WAIT_FINISH);
	}
}

/* Sessions that nobody has read yet, if that is how it is. */
static int luo_session_show_handover(struct liveupdate_view *v, bool *unread)
{
	struct kho_block_set *block_set = luo_session_sides.incoming.block_set;
	int err;

	err = mutex_lock_interruptible(&luo_session_read_lock);
	if (err)
		return err;
	*unread = !kho_block_set_is_empty(block_set);
	if (*unread)
		luo_session_show_unread(block_set, v);
	mutex_unlock(&luo_session_read_lock);
	return 0;
}

/**
 * luo_session_show - Show the sessions of one side
 * @v: The view.
 *
 * Waits for nobody who is busy with a session, and so keeps nobody waiting. Does
 * not take luo_session_serialize_rwsem, which nobody gets any more when reboot(2)
 * is under way.
 *
 * Return: 0, or -EINTR if a signal came.
 */
int luo_session_show(struct liveupdate_view *v)
{
	const struct luo_session_side *side = v->incoming ?
		&luo_session_sides.incoming : &luo_session_sides.outgoing;
	struct luo_session *session;
	bool unread = false;
	int err;

	if (v->incoming) {
		err = luo_session_show_handover(v, &unread);
		if (err || unread)
			return err;
	}
	err = down_read_interruptible(side->rwsem);
	if (err)
		return err;
	list_for_each_entry(session, side->list, list) {
		if (mutex_trylock(&session->mutex)) {
			luo_session_show_one(session, v);
			mutex_unlock(&session->mutex);
			continue;
		}
		liveupdate_show_record(v, "session");
		liveupdate_show_text(v, "name", session->name);
		liveupdate_show_word(v, "state", "busy");
	}
	up_read(side->rwsem);
	return 0;
}
