/* SPDX-License-Identifier: GPL-2.0-only */
#define U32_MAX		(~(u32)0)
#define U64_MAX		(~(u64)0)
