// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "clocks.h"
#include "end.h"

#define EVERY_NS	2000000
#define SAID_MOST	20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct clocks last;
static _Atomic uint64_t backwards;

static uint64_t read_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

struct clocks clocks_now(void)
{
	return (struct clocks){
		.mono_ns = read_ns(CLOCK_MONOTONIC),
		.real_ns = read_ns(CLOCK_REALTIME),
		.tsc = __rdtsc(),
	};
}

static void compare(const char *name, long cpu, uint64_t before, uint64_t now)
{
	if (now >= before)
		return;
	if (backwards++ < SAID_MOST)
		say("clock %s went back by %llu on CPU %ld, from %llu", name,
		    (unsigned long long)(before - now), cpu, (unsigned long long)before);
}

static void *watch(void *arg)
{
	const struct timespec every = { .tv_nsec = EVERY_NS };
	long cpu = (long)arg;
	struct clocks now;
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		die("cannot run on CPU %ld: %m", cpu);
	for (;;) {
		pthread_mutex_lock(&lock);
		now = clocks_now();
		compare("monotonic", cpu, last.mono_ns, now.mono_ns);
		compare("real", cpu, last.real_ns, now.real_ns);
		compare("tsc", cpu, last.tsc, now.tsc);
		last = now;
		pthread_mutex_unlock(&lock);
		nanosleep(&every, NULL);
	}
	return NULL;
}

unsigned int clocks_watch(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;
	int err;

	for (long cpu = 0; cpu < cpus; cpu++) {
		err = pthread_create(&thread, NULL, watch, (void *)cpu);
		if (err)
			die("no thread for CPU %ld: %s", cpu, strerror(err));
	}
	return cpus;
}

uint64_t clocks_backwards(void)
{
	return backwards;
}
