// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring has the whole pattern in it, and the stream is never stopped for want of samples: the
 * device plays it again and again, whatever the CPUs do.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sound/asound.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/pattern.h"
#include "end.h"
#include "options.h"
#include "sound.h"

#define DEVICE		"/dev/snd/pcmC0D0p"
#define DRIVER		"snd_hda_intel"
#define RATE		48000
#define CHANNELS	2
#define PERIODS		4
#define PROBE_S		60	/* the driver looks for the codec when it has time */

static bool playing;

static int open_device(void)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int fd;

	for (int i = 0; i < PROBE_S * 100; i++) {
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			break;
		nanosleep(&moment, NULL);
	}
	die(DEVICE ": %m");
	return -1;
}

static void set_mask(struct snd_pcm_hw_params *p, int what, unsigned int bit)
{
	struct snd_mask *m = &p->masks[what - SNDRV_PCM_HW_PARAM_FIRST_MASK];

	memset(m, 0, sizeof(*m));
	m->bits[bit / 32] = 1u << bit % 32;
}

static void set_interval(struct snd_pcm_hw_params *p, int what, unsigned int value)
{
	p->intervals[what - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL] =
		(struct snd_interval){ .min = value, .max = value, .integer = 1 };
}

static void set_hardware(int fd)
{
	struct snd_pcm_hw_params p = { .rmask = ~0u };

	memset(p.masks, 0xff, sizeof(p.masks));
	for (unsigned int i = 0; i < sizeof(p.intervals) / sizeof(p.intervals[0]); i++)
		p.intervals[i].max = UINT_MAX;
	set_mask(&p, SNDRV_PCM_HW_PARAM_ACCESS, SNDRV_PCM_ACCESS_MMAP_INTERLEAVED);
	set_mask(&p, SNDRV_PCM_HW_PARAM_FORMAT, SNDRV_PCM_FORMAT_S16_LE);
	set_interval(&p, SNDRV_PCM_HW_PARAM_CHANNELS, CHANNELS);
	set_interval(&p, SNDRV_PCM_HW_PARAM_RATE, RATE);
	set_interval(&p, SNDRV_PCM_HW_PARAM_BUFFER_SIZE, PATTERN_FRAMES);
	set_interval(&p, SNDRV_PCM_HW_PARAM_PERIODS, PERIODS);
	if (ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, &p))
		die(DEVICE ": 16 bits, %u channels, %u Hz, a ring of %u frames: %m", CHANNELS, RATE, PATTERN_FRAMES);
}

static void set_software(int fd)
{
	/* As large as it can be: so much the device can be ahead of us. */
	const unsigned long boundary = LONG_MAX / PATTERN_FRAMES * PATTERN_FRAMES;
	struct snd_pcm_sw_params p = {
		.period_step = 1, .avail_min = 1,
		.start_threshold = boundary, .stop_threshold = boundary, .boundary = boundary,
	};

	if (ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &p))
		die(DEVICE ": that it is never to stop: %m");
	/* The kernel says what the boundary is. */
	p.start_threshold = p.stop_threshold = p.boundary;
	if (ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &p))
		die(DEVICE ": that it is never to stop: %m");
}

void sound_play(void)
{
	const size_t bytes = PATTERN_FRAMES * CHANNELS * sizeof(uint16_t);
	void *ring;
	int fd;

	if (!option_given("vm.sound=1"))
		return;
	fd = open_device();
	set_hardware(fd);
	set_software(fd);
	ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, SNDRV_PCM_MMAP_OFFSET_DATA);
	if (ring == MAP_FAILED)
		die(DEVICE ": its ring: %m");
	if (ioctl(fd, SNDRV_PCM_IOCTL_PREPARE))
		die(DEVICE ": prepare: %m");
	pattern_fill(ring);
	if (ioctl(fd, SNDRV_PCM_IOCTL_START))
		die(DEVICE ": start: %m");
	playing = true;
}

uint32_t sound_interrupts(void)
{
	char line[1024];
	uint32_t all = 0;
	FILE *f = playing ? fopen("/proc/interrupts", "re") : NULL;

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strchr(line, ':'), *end;

		if (!at || !strstr(line, DRIVER))
			continue;
		/* A number for each CPU. */
		for (at++;; at = end) {
			unsigned long n = strtoul(at, &end, 10);

			if (end == at)
				break;
			all += n;
		}
	}
	if (f)
		fclose(f);
	return all;
}
