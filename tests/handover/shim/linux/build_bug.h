/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's static_assert() needs no message; C11's does, as clang says. */
#include <assert.h>
#undef static_assert
#define static_assert(expr)	_Static_assert(expr, #expr)
