/* SPDX-License-Identifier: GPL-2.0-only */
/* The jump. */
#ifndef RIG_INTERFACES_KEXEC_H
#define RIG_INTERFACES_KEXEC_H

void kexec_load_next(void);
/* With back=1 the one to go back to is loaded, too; this takes it out again. */
void kexec_unload_back(void);
/* The same kernel, without going one stage on: the jump is not to happen yet. */
void kexec_load_this_stage(void);
/*
 * An initramfs and a command line in /tmp/later, for who loads a kernel himself and is to do it in that one, too: the
 * next one's own has no kernel in it, and the command line in /next is that of stage 2.
 */
void kexec_write_later(void);
/* One page of nothing, by kexec_load(2): it is never to be jumped into. */
void kexec_load_segments(void);
/* The same kernel, with more parameters, in place of this one if it panics. */
void kexec_load_crash(const char *more);
void kexec_jump(void) __attribute__((noreturn));
/* The same, again and again as long as a device is busy. */
void kexec_jump_patiently(void) __attribute__((noreturn));
/* As kexec_jump(), but returns -errno if the kernel refuses. */
int kexec_try(void);

#endif
