// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software of the VMM's that stands for a guest. When the VM is suspended it tells the device
 * to write to memory 100 ms later, when neither kernel runs; after the update it looks
 * whether the write has arrived.
 */
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define TEXT		"written by the device while no kernel was there"

static const struct machine *vm;

static void edu_dma(uint64_t from, uint64_t to, uint64_t count, uint64_t command)
{
	*(volatile uint32_t *)(vm->bar + EDU_SRC) = from;
	*(volatile uint32_t *)(vm->bar + EDU_DST) = to;
	*(volatile uint32_t *)(vm->bar + EDU_COUNT) = count;
	*(volatile uint32_t *)(vm->bar + EDU_DMA) = command | DMA_START;
}

static void edu_wait(void)
{
	while (*(volatile uint32_t *)(vm->bar + EDU_DMA) & DMA_START)
		usleep(1000);
}

int guest_state(void)
{
	return -1;
}

void guest_begin(const struct machine *m)
{
	vm = m;
	strcpy(vm->ram, TEXT);
	edu_dma(RAM_ADDRESS, EDU_BUFFER, sizeof(TEXT), 0);
	edu_wait();
	memset(vm->ram, 0, sizeof(TEXT));
}

void guest_suspend(void)
{
	edu_dma(EDU_BUFFER, RAM_ADDRESS + 4096, sizeof(TEXT), DMA_TO_RAM);
}

void guest_go_on(void)
{
	edu_wait();
	say("\"%.60s\"", vm->ram + 4096);
	if (strcmp(vm->ram + 4096, TEXT))
		die("that is not what the device was to write");
	memset(vm->ram + 4096, 0, sizeof(TEXT));
}

void guest_come(const struct machine *m, int state)
{
	(void)state;
	vm = m;
	guest_go_on();
}
