// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: What may be preserved
 *
 * A rule is data: its name, the errno of the call that breaks it, and what is said
 * of the object then. Each subsystem has a table of its rules. All that asks one
 * goes through liveupdate_require(), so that each refusal is told once, in the
 * log and in the view, and so that each is a place where fault
 * injection can say no (fail_function).
 *
 * The last refusals are kept for the view of what goes out. They are not tied to
 * the objects that they are about: these may be gone, or be preserved by now.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/error-injection.h>
#include <linux/export.h>
#include <linux/liveupdate_rule.h>
#include <linux/liveupdate_show.h>
#include <linux/lockdep.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <linux/stdarg.h>
#include <linux/string.h>

/* So many of the last ones are shown. */
#define REFUSALS	16U

/**
 * struct refusal - What was said of an object that may not be preserved
 * @number: Counts refusals; that of the last time. 0: there is none here.
 * @err:    What the call that was refused has returned.
 * @rule:   Name of the rule that it breaks; copied, since a module can go.
 * @object: What it is.
 * @why:    What stands against it.
 */
struct refusal {
	u64 number;
	int err;
	char rule[24];
	char object[96];
	char why[112];
};

static DEFINE_SPINLOCK(refusals_lock);
static struct refusal refusals[REFUSALS];
static u64 refusals_nr;		/* ever */

/* The same refusal, again and again, does not drive the others out: the oldest one goes. */
static struct refusal *refusal_place(const struct refusal *refusal)
{
	struct refusal *place = &refusals[0];
	unsigned int i;

	lockdep_assert_held(&refusals_lock);
	for (i = 0; i < REFUSALS; i++) {
		if (!strcmp(refusals[i].rule, refusal->rule) &&
		    !strcmp(refusals[i].object, refusal->object))
			return &refusals[i];
		if (refusals[i].number < place->number)
			place = &refusals[i];
	}
	return place;
}

/**
 * liveupdate_require() - Ask for what a rule demands
 * @ok:     Is it so?
 * @rule:   The rule.
 * @object: Format of what it is demanded of, as in "HWPT %u".
 *
 * If it is not so, the log and the view say which rule the object breaks. The
 * caller undoes what it has done, and returns the error; nobody else has to tell
 * the user why. The log is written at a limited rate, since user space can ask for
 * what it cannot have as often as it likes.
 *
 * Context: Any but NMI. Better without a spinlock: it writes to the log.
 * Return: 0 if @ok; else the rule's errno, or what fault injection wants.
 */
int liveupdate_require(bool ok, const struct liveupdate_rule *rule,
		       const char *object, ...)
{
	struct refusal r = { .err = rule->err };
	va_list args;

	if (likely(ok))
		return 0;

	strscpy(r.rule, rule->name);
	strscpy(r.why, rule->why);
	va_start(args, object);
	vsnprintf(r.object, sizeof(r.object), object, args);
	va_end(args);
	scoped_guard(spinlock_irqsave, &refusals_lock) {
		r.number = ++refusals_nr;
		*refusal_place(&r) = r;
	}
	pr_warn_ratelimited("%s: cannot be preserved: %s\n", r.object,
			    rule->why);
	return rule->err;
}
EXPORT_SYMBOL_GPL(liveupdate_require);
ALLOW_ERROR_INJECTION(liveupdate_require, ERRNO);

/* The first one after number @after. */
static bool next_refusal(u64 after, struct refusal *next)
{
	bool found = false;
	unsigned int i;

	guard(spinlock_irqsave)(&refusals_lock);
	for (i = 0; i < REFUSALS; i++) {
		if (refusals[i].number <= after ||
		    (found && refusals[i].number > next->number))
			continue;
		*next = refusals[i];
		found = true;
	}
	return found;
}

/**
 * liveupdate_show_refusals() - Show what could not be preserved of late
 * @v: The view.
 *
 * What was refused again has the number, and the place, of the last time.
 */
void liveupdate_show_refusals(struct liveupdate_view *v)
{
	u64 shown, last = READ_ONCE(refusals_nr);
	struct refusal r;

	for (shown = 0; next_refusal(shown, &r) && r.number <= last; shown = r.number) {
		liveupdate_show_record(v, "refusal");
		liveupdate_show_num(v, "number", r.number);
		liveupdate_show_text(v, "object", r.object);
		liveupdate_show_word(v, "state", "refused");
		liveupdate_show_text(v, "rule", r.rule);
		liveupdate_show_num(v, "errno", -r.err);
		liveupdate_show_text(v, "why", r.why);
	}
}
