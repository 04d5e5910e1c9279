// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whatever a view says, it is read to its end or refused, and what
 * was read can be printed both ways.
 */
#include "view.c"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int trouble(const char *fmt, ...)
{
	return EXIT_TROUBLE;
}

char *read_text(const struct options *opt, const char *fmt, ...)
{
	return NULL;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static FILE *nowhere;
	struct json_object *o = model_new("fuzz");
	char *text = malloc(size + 1);

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	memcpy(text, data, size);
	text[size] = 0;
	if (parse(text, o, NULL, NULL, "fuzz") == EXIT_FINE) {
		model_print(nowhere, o, true);
		model_print(nowhere, o, false);
	}
	json_object_put(o);
	free(text);
	return 0;
}
