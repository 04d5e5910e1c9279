/* SPDX-License-Identifier: GPL-2.0-only */
#define round_up(x, to)		((((x) - 1) | ((to) - 1)) + 1)
