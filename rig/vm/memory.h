/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that the VM fills once and looks at once more at its end: nobody else has any business there. */
#ifndef RIG_VM_MEMORY_H
#define RIG_VM_MEMORY_H

void memory_fill(void);
/* Is all of it as it was filled? If not, the VM has failed. */
void memory_check(void);

#endif
