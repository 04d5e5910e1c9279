// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"

void power_off(void)
{
	if (ctl_fd() >= 0)
		tcdrain(ctl_fd());
	sync();
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(0);
}

void die(const char *fmt, ...)
{
	char text[512], *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "rig: %s\n", text);
	for (p = text; *p; p++)
		if (*p == '"' || *p == '\\' || *p < ' ')
			*p = '\'';
	emit("error", ",\"text\":\"%s\"", text);
	if (getpid() != 1)
		exit(1);
	power_off();
}

void must(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, strerror(-ret));
}
