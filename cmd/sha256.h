/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHA256_H
#define SHA256_H

#define SHA256_TEXT	65		/* of a hash, with its NUL */

/* Of all that is in an open file, wherever its offset is; 0 or a negative errno. */
int sha256_file(int fd, char text[SHA256_TEXT]);

#endif
