/* SPDX-License-Identifier: GPL-2.0-only */
/* What the session and the files in it are called, for one kernel and the next. */
#ifndef RIG_UPDATE_NAMES_H
#define RIG_UPDATE_NAMES_H

#define SESSION		"continuo"

enum token {
	TOKEN_MEMFD	= 0x6d656d,
	TOKEN_IOMMUFD	= 0x696f,
	TOKEN_NIC	= 0x6e6963,
	TOKEN_AUDIO	= 0x617564,
	TOKEN_DISK	= 0x6469736b,
	TOKEN_HWPT_NIC	= 0x11000000000001,
	TOKEN_HWPT_AUDIO = 0x11000000000002,
	TOKEN_HWPT_DISK	= 0x11000000000003,
};

#endif
