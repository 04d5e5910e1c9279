/* SPDX-License-Identifier: GPL-2.0-only */
#define U32_MAX		(~(u32)0)
#define S64_MAX		((s64)(~(u64)0 >> 1))
