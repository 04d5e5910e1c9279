// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer target: whoever asks for whatever names no session but his own. */
#include <stdlib.h>
#include <string.h>

#include "request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const uid_t users[] = { 1, 1000, 10000, 4294967294u };
	const char *why = NULL;
	struct request req;
	char *copy;

	/* Of just that size, so that what is read behind its end is found. */
	copy = malloc(size ? size : 1);
	memcpy(copy, data, size);
	for (unsigned int i = 0; i < 4; i++) {
		struct peer peer = { .uid = users[i] }, only = { .uid = 0, .only = "vm" };
		int ret = request_parse(copy, size, &only, &req, &why);

		/* Of a connection for one VM, whoever has it. */
		if (!ret && (req.verb >= VERB_UPDATE || (*req.name && strcmp(req.name, "vm"))))
			abort();
		ret = request_parse(copy, size, &peer, &req, &why);
		if (ret && !why)
			abort();
		if (!ret && req.verb >= VERB_UPDATE)
			abort();
		if (ret || !*req.name)
			continue;
		if (memchr(req.name, 0, sizeof(req.name)) == NULL ||
		    !request_own(req.name, users[i]))
			abort();
		for (unsigned int j = 0; j < 4; j++)
			if (j != i && request_own(req.name, users[j]))
				abort();
	}
	/* Of root's, no name is the agent's own session. */
	if (!request_parse(copy, size, &(struct peer){}, &req, &why) &&
	    (!strcmp(req.name, OWN_SESSION) || !memchr(req.text, 0, sizeof(req.text))))
		abort();
	free(copy);
	return 0;
}
