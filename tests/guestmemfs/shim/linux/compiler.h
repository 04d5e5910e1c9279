/* SPDX-License-Identifier: GPL-2.0-only */
/* Each store to the image passes here, so that a test can stop after any of them. */
#ifndef SHIM_COMPILER_H
#define SHIM_COMPILER_H

void shim_store(void *at, unsigned long long value);

#define WRITE_ONCE(x, value)	shim_store(&(x), (value))

#endif
