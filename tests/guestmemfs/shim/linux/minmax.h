/* SPDX-License-Identifier: GPL-2.0-only */
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp_t(type, x, low, high)	min_t(type, max((type)(x), (type)(low)), high)
