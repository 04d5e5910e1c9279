/* SPDX-License-Identifier: GPL-2.0-only */
/* Before an update, who has the physical function preserves it in a session of its own. */
#ifndef RIG_UPDATE_PF_PRESERVE_H
#define RIG_UPDATE_PF_PRESERVE_H

#define PF_SESSION	"continuo-pf"

void pf_preserve(void);
/* The same; 0, or what the kernel says of the function. */
int pf_try_preserve(void);

#endif
