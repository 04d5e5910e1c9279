// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

/*
 * Fields of the setup header: Documentation/arch/x86/boot.rst, "Details of Header Fields".
 * kexec_file_load(2) takes images of this version and later ones.
 */
#define AT_BOOT_FLAG		0x1fe
#define AT_MAGIC		0x202
#define AT_VERSION		0x206
#define AT_CMDLINE_SIZE		0x238
#define END_OF_FIELDS		0x23c
#define BOOT_FLAG		0xaa55
#define LEAST_VERSION		0x020c

/*
 * Of an Image of arm64: Documentation/arch/arm64/booting.rst, "Call the kernel image".
 * kexec_file_load(2) takes those that say how large they are. Nothing says how long a command
 * line may be: it is COMMAND_LINE_SIZE of that kernel, which has been the same ever since.
 */
#define ARM64_AT_SIZE		0x10
#define ARM64_AT_MAGIC		0x38
#define ARM64_END_OF_FIELDS	0x40
#define ARM64_CMDLINE_SIZE	2048

/* The kernel's own, which is for the inside of it, and gets out all the same. */
#define ENOTSUPP		524

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...)
{
	va_list args;
	char *made;

	va_start(args, fmt);
	if (vasprintf(&made, fmt, args) < 0)
		abort();
	va_end(args);
	return made;
}

static uint32_t little(const unsigned char *at, int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

/* One more than a command line may have bytes with its NUL; 0 if the image is none of x86. */
static size_t x86_most(const unsigned char *head, size_t n)
{
	if (n < END_OF_FIELDS || little(head + AT_BOOT_FLAG, 2) != BOOT_FLAG ||
	    memcmp(head + AT_MAGIC, "HdrS", 4) || little(head + AT_VERSION, 2) < LEAST_VERSION)
		return 0;
	return little(head + AT_CMDLINE_SIZE, 4) + 1ul;
}

/* The same of arm64. */
static size_t arm64_most(const unsigned char *head, size_t n)
{
	if (n < ARM64_END_OF_FIELDS || memcmp(head + ARM64_AT_MAGIC, "ARM\x64", 4) ||
	    (!little(head + ARM64_AT_SIZE, 4) && !little(head + ARM64_AT_SIZE + 4, 4)))
		return 0;
	return ARM64_CMDLINE_SIZE + 1ul;
}

char *image_objection(const unsigned char *head, size_t n, const char *append, const char *machine)
{
	bool arm64 = !strcmp(machine, "aarch64");
	size_t most = arm64 ? arm64_most(head, n) : x86_most(head, n);

	if (!most && (arm64 ? x86_most(head, n) : arm64_most(head, n)))
		return text("it is a boot image for %s, and this machine is %s; give one for this machine",
			    arm64 ? "x86_64" : "aarch64", machine);
	if (!most)
		return text("it is no boot image that kexec_file_load(2) takes; give the %s, which Debian has as /boot/vmlinuz-RELEASE",
			    arm64 ? "Image, which is not compressed," : "bzImage");
	most--;
	/* The kernel counts the NUL at its end, too. */
	if (strlen(append) + 1 > most)
		return text("it takes a command line of less than %zu bytes, and this one has %zu; shorten it",
			    most, strlen(append));
	return NULL;
}

char *image_room(unsigned long long bytes, const char *meminfo)
{
	const char *at = strstr(meminfo, "MemAvailable:");
	unsigned long long have, need;

	/* The kernel has the files as they are, and as they are to lie, at the same time. */
	need = 2 * (bytes >> 20) + 2;
	if (!at)
		return NULL;
	have = strtoull(at + strlen("MemAvailable:"), NULL, 10) >> 10;
	if (have >= need)
		return NULL;
	return text("to load image and initramfs takes %llu MiB of memory, and %llu MiB are available; free some, or make the initramfs smaller (MODULES=dep of initramfs-tools)",
		    need, have);
}

char *image_lockdown(const char *list)
{
	const char *from = list ? strchr(list, '[') : NULL;

	return from ? strndup(from + 1, strcspn(from + 1, "]")) : strdup("none");
}

char *image_refused(int err, const char *lockdown, const char *disabled)
{
	switch (err) {
	case EPERM:
		if (disabled && strcmp(disabled, "0"))
			return text("loading was disabled (kernel.kexec_load_disabled); that lasts until the next reboot");
		if (strcmp(lockdown, "none"))
			return text("this kernel is locked down (%s) and takes only an image whose signature it can verify; sign it with a key that this kernel trusts (firmware's db, or enrolled with mokutil)",
				    lockdown);
		return text("it takes root with CAP_SYS_BOOT, and a kernel.kexec_load_limit_reboot that is not used up");
	case ENOKEY:
		return text("it is signed with a key that this kernel does not know; sign it with one that it trusts, or enroll that key (mokutil --import) and reboot once");
	case EKEYREJECTED:
		return text("its signature was rejected: the file was changed after it was signed, or it or its key was revoked; install the image anew, or sign it anew");
	case EKEYEXPIRED:
	case EKEYREVOKED:
		return text("the key that it is signed with has expired or was revoked; sign it with another one that this kernel trusts");
	case ENODATA:
	case EBADMSG:
	case ELIBBAD:
	case EMSGSIZE:
	case ENOPKG:
	case ENOTSUPP:
		return text("it has no signature that this kernel can read, and this kernel demands one; sign it (sbsign) with a key that this kernel trusts");
	case EACCES:
		return text("the security policy of this kernel (IMA, or another security module) refuses to read it; see its audit log");
	case ENOEXEC:
		return text("it is no boot image that this kernel can load; the kernel log says what it lacks");
	case ENOMEM:
	case EADDRNOTAVAIL:
		return text("there is not enough memory in one piece for image and initramfs; free some, or make the initramfs smaller");
	case EBUSY:
		return text("somebody else is loading or starting a kernel at this moment; try again");
	case EFBIG:
		return text("image or initramfs is larger than kexec takes");
	case ETXTBSY:
		return text("somebody has image or initramfs open to write it; wait until it is complete");
	case ENOSYS:
		return text("this kernel has no kexec_file_load(2); it takes CONFIG_KEXEC_FILE");
	default:
		return text("%s; the kernel log says why", strerror(err));
	}
}
