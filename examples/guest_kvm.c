// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest is a virtual CPU of /dev/kvm: 32 bits, no paging, its memory where the device sees
 * it, and the device's BAR. It counts, and has the device carry each number there and back by
 * DMA, so that a transfer is under way whenever it is stopped. It says each number that has
 * come back as it went; one that has not, or one that is left out, is the end.
 *
 * What KVM knows of the CPU is in a memfd that goes over. This machine has no interrupt
 * controller, timer or clock; where there are some, a VMM has more to read and to set: the
 * kernel's Documentation/virt/kvm/api.rst, for x86 KVM_GET_MSRS, KVM_GET_XSAVE2,
 * KVM_GET_LAPIC, KVM_GET_IRQCHIP, KVM_GET_PIT2 and KVM_GET_CLOCK.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "guest.h"

#define BAR_ADDRESS	0xe0000000
#define COUNT_AT	0x1000		/* in the memory */
#define FROM_AT		0x2000
#define TO_AT		0x3000
#define PORT_DONE	0x10
#define PORT_WRONG	0x11

#define STATE_BYTES	4096
#define STATE_MAGIC	0x6b766d31	/* "kvm1" */

#define STR(x)	#x
#define XSTR(x)	STR(x)
#define DMA(from, to, command) \
	"	movl	$" from ", " XSTR(EDU_SRC) "(%ebx)\n" \
	"	movl	$" to ", " XSTR(EDU_DST) "(%ebx)\n" \
	"	movl	$4, " XSTR(EDU_COUNT) "(%ebx)\n" \
	"	movl	$" command ", " XSTR(EDU_DMA) "(%ebx)\n" \
	"9:	testl	$" XSTR(DMA_START) ", " XSTR(EDU_DMA) "(%ebx)\n" \
	"	jnz	9b\n"

extern const char code[], code_end[];

asm("	.pushsection .rodata\n"
    "	.code32\n"
    "code:\n"
    "	movl	$" XSTR(BAR_ADDRESS) ", %ebx\n"
    "	movl	$" XSTR(RAM_ADDRESS) ", %esi\n"
    "1:	movl	" XSTR(COUNT_AT) "(%esi), %eax\n"
    "	incl	%eax\n"
    "	movl	%eax, " XSTR(FROM_AT) "(%esi)\n"
    DMA(XSTR(RAM_ADDRESS) "+" XSTR(FROM_AT), XSTR(EDU_BUFFER), XSTR(DMA_START))
    DMA(XSTR(EDU_BUFFER), XSTR(RAM_ADDRESS) "+" XSTR(TO_AT), XSTR(DMA_START) "+" XSTR(DMA_TO_RAM))
    "	movl	%eax, " XSTR(COUNT_AT) "(%esi)\n"
    "	cmpl	%eax, " XSTR(TO_AT) "(%esi)\n"
    "	jne	2f\n"
    "	outl	%eax, $" XSTR(PORT_DONE) "\n"
    "	jmp	1b\n"
    "2:	outl	%eax, $" XSTR(PORT_WRONG) "\n"
    "	jmp	2b\n"
    "code_end:\n"
    "	.code64\n"
    "	.popsection\n");

struct state {
	uint32_t magic, count;		/* the last number that it has said */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_vcpu_events events;
};
_Static_assert(sizeof(struct state) <= STATE_BYTES, "the state has to fit into its memfd");

static int vm, vcpu, state_fd = -1;
static struct kvm_run *run;
static uint32_t count;
static bool first = true;			/* it has said nothing since it runs */

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool stopped;

static void must(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, strerror(errno));
}

/* --- its thread --- */

static void heard(unsigned int port, uint32_t value)
{
	if (port != PORT_DONE)
		die("the device has brought back something else than %u", value);
	if (value != count + 1)
		die("%u comes after %u", value, count);
	count = value;
	if (first)
		say("the device has brought back %u", value);
	first = false;
}

static void *run_vcpu(void *arg)
{
	(void)arg;
	for (;;) {
		int ret = ioctl(vcpu, KVM_RUN, 0);

		if (ret < 0 && errno != EINTR && errno != EAGAIN)
			die("run the virtual CPU: %s", strerror(errno));
		if (ret < 0) {
			/* An exit of before is done with: what KVM knows of the CPU is all there is. */
			pthread_mutex_lock(&lock);
			while (run->immediate_exit) {
				stopped = true;
				pthread_cond_broadcast(&changed);
				pthread_cond_wait(&changed, &lock);
			}
			stopped = false;
			pthread_mutex_unlock(&lock);
		} else if (run->exit_reason == KVM_EXIT_IO && run->io.size == 4) {
			heard(run->io.port, *(uint32_t *)((char *)run + run->io.data_offset));
		} else {
			die("the virtual CPU has stopped, for KVM's reason %u", run->exit_reason);
		}
	}
	return NULL;
}

/* Only so that KVM_RUN is interrupted. */
static void kick(int sig)
{
	(void)sig;
}

/* --- the CPU --- */

static void make(const struct machine *m)
{
	struct kvm_userspace_memory_region ram = {
		.slot = 0,
		.guest_phys_addr = RAM_ADDRESS,
		.memory_size = m->ram_bytes,
		.userspace_addr = (uintptr_t)m->ram,
	}, bar = {
		.slot = 1,
		.guest_phys_addr = BAR_ADDRESS,
		.memory_size = m->bar_bytes,
		.userspace_addr = (uintptr_t)m->bar,
	};
	struct sigaction action = { .sa_handler = kick };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), bytes;

	must(kvm, "/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	must(vm, "make a VM");
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &ram), "give it memory");
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &bar), "give it the device's BAR");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	must(vcpu, "make a virtual CPU");
	bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	must(bytes, "how large is a virtual CPU's page");
	run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		die("map a virtual CPU's page: %s", strerror(errno));
	close(kvm);
	must(sigaction(SIGUSR1, &action, NULL), "take a signal");
}

static void start(void)
{
	int err = pthread_create(&thread, NULL, run_vcpu, NULL);

	if (err)
		die("start a thread: %s", strerror(err));
}

/* Protected mode, all of the address space, at the beginning of the code. */
static void reset(void)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1,
	}, text = data;
	struct kvm_regs regs = { .rip = RAM_ADDRESS, .rflags = 2 };
	struct kvm_sregs sregs;

	text.selector = 0x8;
	text.type = 11;
	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "read the system registers");
	sregs.cr0 |= 1;
	sregs.cs = text;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "set the system registers");
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "set the registers");
}

int guest_state(void)
{
	if (state_fd < 0) {
		state_fd = memfd_create("cpu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		must(state_fd, "make memory for the CPU's state");
		must(ftruncate(state_fd, STATE_BYTES), "make memory for the CPU's state");
		must(fcntl(state_fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), "seal it");
	}
	return state_fd;
}

void guest_begin(const struct machine *m)
{
	memcpy(m->ram, code, code_end - code);
	make(m);
	reset();
	start();
}

void guest_suspend(void)
{
	struct state s = { .magic = STATE_MAGIC };

	pthread_mutex_lock(&lock);
	run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	while (!stopped)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);

	s.count = count;
	must(ioctl(vcpu, KVM_GET_REGS, &s.regs), "read the registers");
	must(ioctl(vcpu, KVM_GET_SREGS, &s.sregs), "read the system registers");
	must(ioctl(vcpu, KVM_GET_FPU, &s.fpu), "read the FPU");
	must(ioctl(vcpu, KVM_GET_VCPU_EVENTS, &s.events), "read what is pending");
	if (pwrite(state_fd, &s, sizeof(s), 0) != sizeof(s))
		die("write the CPU's state: %s", strerror(errno));
	say("stopped after %u", count);
}

void guest_go_on(void)
{
	pthread_mutex_lock(&lock);
	first = true;
	run->immediate_exit = 0;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void guest_come(const struct machine *m, int state)
{
	struct state s;

	if (pread(state, &s, sizeof(s), 0) != sizeof(s) || s.magic != STATE_MAGIC)
		die("the CPU's state has not come");
	state_fd = state;
	count = s.count;
	make(m);
	must(ioctl(vcpu, KVM_SET_SREGS, &s.sregs), "set the system registers");
	must(ioctl(vcpu, KVM_SET_REGS, &s.regs), "set the registers");
	must(ioctl(vcpu, KVM_SET_FPU, &s.fpu), "set the FPU");
	must(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &s.events), "set what is pending");
	say("goes on after %u", count);
	start();
}
