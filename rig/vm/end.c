// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "end.h"

static void say_all(const char *how, const char *fmt, va_list ap)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "vm: %s", how);

	len += vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	if (len > (int)sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len++] = '\n';
	/* In one piece: there are several threads. */
	if (write(1, text, len) != len)
		return;
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_all("", fmt, ap);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_all("failed: ", fmt, ap);
	va_end(ap);
	power_off();
}

void boot_again(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	die("boot again: %m");
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}
