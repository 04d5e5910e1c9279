// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process 1 of the VM in the rig's host: a small tenant, who knows nothing of live
 * updates. It drives the network device with the kernel's own driver and answers each
 * frame, writes a journal to its disk, and watches its clocks. All that it says goes out on
 * the wire, to the referee; its console has what the kernel complains of.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "clocks.h"
#include "core/crc32.h"
#include "end.h"
#include "journal.h"
#include "memory.h"
#include "sound.h"
#include "wire.h"

static void mount_all(void)
{
	static const char *const fs[][2] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" },
	};

	for (unsigned int i = 0; i < sizeof(fs) / sizeof(fs[0]); i++) {
		mkdir(fs[i][1], 0755);
		/* The kernel may have mounted one of them itself. */
		mount(fs[i][0], fs[i][1], fs[i][0], 0, NULL);
	}
}

/* For somebody who looks into the console of a case that failed. */
static void say_file(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		say("%s", line);
	}
	if (f)
		fclose(f);
}

int main(void)
{
	enum wire_end end;
	unsigned int cpus;

	mount_all();
	/* It makes its table when it is asked first, and two threads will ask. */
	crc32_rig(0, "", 0);
	say_file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
	memory_fill();
	cpus = clocks_watch();
	journal_start();
	sound_play();
	agent_start();
	wire_open(cpus);
	say("%u CPUs", cpus);
	end = wire_serve();
	journal_stop();
	memory_check();
	if (end == WIRE_REBOOT)
		boot_again();
	wire_close();
	say_file("/proc/interrupts");
	say("%llu records, %llu steps back", (unsigned long long)journal_acknowledged(),
	    (unsigned long long)clocks_backwards());
	power_off();
}
