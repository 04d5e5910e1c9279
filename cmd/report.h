/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef REPORT_H
#define REPORT_H

/* The agent's record of the last update; docs/agent.md has the format. */
#define REPORT_FILE		"/run/continuo/update.json"
#define REPORT_FORMAT_VERSION	1
/* Where "report --keep" keeps it. */
#define REPORT_HISTORY		"/var/lib/continuo/updates"

#endif
