/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An update of who has the physical function (devices/pf_owner.h), in a session of its own.
 *
 * Command "pf WHAT", each answered by an event with its errno:
 *
 *	preserve	in a session of its own, which rig_preserve() does first
 *	undo		end that session
 *	resume		get the PF back
 *	resume-wrong	the same, and try to bind it without a token and with a wrong one first
 *	reset		VFIO_DEVICE_RESET
 *	token		set another token
 *	close, open	close the PF's file; open its cdev, as anybody could
 *	open-vf HOW	open the second virtual function: HOW is none, wrong or right
 *	vf-first	preserve the first one, of which the PF is not preserved
 *	retrieve-vf	retrieve that one, and then bind-vf: with the right token
 */
#ifndef RIG_UPDATE_PF_UPDATE_H
#define RIG_UPDATE_PF_UPDATE_H

struct rig;
struct vdev;

void pf_do(struct rig *r, const char *what);
/* Try to bind a retrieved device without a token and with a wrong one. */
void pf_wrong_tokens(struct vdev *v, int iommufd, const char *what);

#endif
