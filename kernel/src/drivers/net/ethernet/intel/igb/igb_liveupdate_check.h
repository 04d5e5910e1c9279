/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _IGB_LIVEUPDATE_CHECK_H_
#define _IGB_LIVEUPDATE_CHECK_H_

struct igb_pf_ser;

const char *igb_pf_ser_check(const struct igb_pf_ser *ser);

#endif /* _IGB_LIVEUPDATE_CHECK_H_ */
