/* SPDX-License-Identifier: GPL-2.0-only */
/* What is not carried over, from one table: docs/qemu.md shows it, all checks use it. */
#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Each of @devices, @objects, @options and @files is a list with blanks between, of
 * patterns as a shell has them:
 *  @devices: types of -device, and of objects of a QEMU that runs.
 *  @objects: types of -object.
 *  @options: OPTION; OPTION:TYPE; OPTION:KEY=VALUE (of -device: any device's property).
 *  @files:   what the process has open.
 */
struct rule {
	const char *name;
	const char *what;
	const char *devices, *objects, *options, *files;
	const char *instead;
};

extern const struct rule rules[];
extern const unsigned int nr_rules;

/* The rule of a name, which has to exist. */
const struct rule *rule_named(const char *name);
/* The rule that a type of device, of object, or a file breaks; or NULL. */
const struct rule *rule_of_device(const char *type);
const struct rule *rule_of_object(const char *type);
const struct rule *rule_of_file(const char *path);

/* Does one of the patterns fit? */
bool rule_lists(const char *list, const char *text);
/* The same, for whoever has patterns of another kind. */
bool rule_lists_by(const char *list, bool (*fits)(const char *pattern, const void *what), const void *what);
/* The sentence of a refusal: what it is that breaks the rule, the rule, and the remedy. */
void rule_sentence(const struct rule *rule, const char *what, char *text, size_t size);
/* The table as it is in the document. */
void rules_print(FILE *to);

#endif
