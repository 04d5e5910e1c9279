/* SPDX-License-Identifier: GPL-2.0-only */
/* INTx of the audio device; see devices/hda_interrupts.c. */
#ifndef RIG_DEVICES_HDA_INTERRUPTS_H
#define RIG_DEVICES_HDA_INTERRUPTS_H

#include "devices/hda.h"

/* Connect INTx to an eventfd, if the option intx=1 asks for it. */
void hda_irq_wire(struct hda *hda);
/* Answer an interrupt, if there is one and nobody said that it be held. */
void hda_irq_poll(struct hda *hda);
/* How many interrupts were answered. */
unsigned long long hda_irq_count(void);
/*
 * From here on no interrupt is answered. @how is "pending": the next one is
 * there and was signalled; or "masked": INTx is masked, and then the next one
 * is there. Says "held".
 */
void hda_irq_hold(struct hda *hda, const char *how);

#endif
