// SPDX-License-Identifier: GPL-2.0-only
/* What is in /proc/vmcore, which is an ELF file. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "scenarios/crash_dump.h"

#define VMCORE	"/proc/vmcore"

void crash_dump_memory(void)
{
	int fd = open(VMCORE, O_RDONLY | O_CLOEXEC);
	unsigned int pieces = 0;
	Elf64_Phdr part;
	Elf64_Ehdr head;

	if (fd < 0)
		die("open " VMCORE ": %s", strerror(errno));
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) ||
	    head.e_phentsize != sizeof(part))
		die(VMCORE " is not what a dump is made from");
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), head.e_phoff + i * sizeof(part)) != sizeof(part))
			die("read " VMCORE ": %s", strerror(errno));
		if (part.p_type != PT_LOAD)
			continue;
		emit("dumped", ",\"start\":%llu,\"bytes\":%llu", (unsigned long long)part.p_paddr,
		     (unsigned long long)part.p_memsz);
		pieces++;
	}
	close(fd);
	emit("dump", ",\"pieces\":%u", pieces);
}
