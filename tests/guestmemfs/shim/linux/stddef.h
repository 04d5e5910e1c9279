/* SPDX-License-Identifier: GPL-2.0-only */
#include <stddef.h>
#define offsetofend(type, member)	(offsetof(type, member) + sizeof(((type *)0)->member))
