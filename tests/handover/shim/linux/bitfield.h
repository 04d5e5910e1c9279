/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_BITFIELD_H
#define SHIM_BITFIELD_H

#define FIELD_PREP(mask, value)	(((unsigned long long)(value) << __builtin_ctzll(mask)) & (mask))
#define FIELD_GET(mask, value)	(((value) & (mask)) >> __builtin_ctzll(mask))

#endif
