/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What is demanded of a file of guestmemfs that is to be preserved */

LIVEUPDATE_RULE(guestmemfs_bad, EHWPOISON, "memory of it is bad");
LIVEUPDATE_RULE(guestmemfs_no_way_back, EOPNOTSUPP,
		"a back image is loaded, and what guestmemfs hands over is not kept for a way back");
