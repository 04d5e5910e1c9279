/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/* What is demanded of a memfd that is to be preserved, besides what 7.3 does */

LIVEUPDATE_RULE(memfd_bad, EHWPOISON, "memory of it is bad");
