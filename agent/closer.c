// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "closer.h"
#include "continuo.h"
#include "systemd.h"

struct job {
	struct job *next;
	bool close;
	int fd;
	char name[CONTINUO_SESSION_NAME];
};

struct list {
	struct job *first, **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct list todo = { .last = &todo.first }, closed = { .last = &closed.first };
static int news = -1;
static bool threaded;

static void append(struct list *list, struct job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static struct job *take(struct list *list)
{
	struct job *first = list->first;

	list->first = NULL;
	list->last = &list->first;
	return first;
}

/*
 * systemd closes what it has of them before we do: else what was released would still be
 * there for whoever makes it anew. One barrier is for all of them.
 */
static void tell_systemd(struct job *jobs)
{
	bool forgotten = false;

	for (struct job *job = jobs; job; job = job->next) {
		if (job->close)
			systemd_forget(job->name);
		else
			systemd_keep(job->name, job->fd);
		forgotten |= job->close;
	}
	if (forgotten)
		systemd_barrier();
}

static void say_closed(struct job *job)
{
	pthread_mutex_lock(&lock);
	append(&closed, job);
	pthread_mutex_unlock(&lock);
	if (news >= 0)
		eventfd_write(news, 1);
}

static void do_all(struct job *jobs)
{
	struct job *next;

	tell_systemd(jobs);
	for (struct job *job = jobs; job; job = next) {
		next = job->next;
		if (job->close) {
			close(job->fd);
			say_closed(job);
		} else {
			free(job);
		}
	}
}

static void *work(void *arg)
{
	(void)arg;
	for (;;) {
		struct job *jobs;

		pthread_mutex_lock(&lock);
		while (!todo.first)
			pthread_cond_wait(&more, &lock);
		jobs = take(&todo);
		pthread_mutex_unlock(&lock);
		do_all(jobs);
	}
	return NULL;
}

int closer_begin(void)
{
	sigset_t all, before;
	pthread_t thread;
	int ret;

	news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (news < 0)
		return -errno;
	/* Signals are for the main loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, NULL, work, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	threaded = !ret;
	return -ret;
}

int closer_fd(void)
{
	return news;
}

static void add(const char *name, int fd, bool closes)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		/* A session that ends too late is better than one that never does. */
		if (closes)
			close(fd);
		return;
	}
	strncpy(job->name, name, sizeof(job->name) - 1);
	job->fd = fd;
	job->close = closes;
	if (!threaded) {
		do_all(job);
		return;
	}
	pthread_mutex_lock(&lock);
	append(&todo, job);
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

void closer_keep(const char *name, int fd)
{
	add(name, fd, false);
}

void closer_close(const char *name, int fd)
{
	add(name, fd, true);
}

void closer_news(void (*each)(const char *name))
{
	struct job *job, *next;
	eventfd_t n;

	if (news >= 0)
		eventfd_read(news, &n);
	pthread_mutex_lock(&lock);
	job = take(&closed);
	pthread_mutex_unlock(&lock);
	for (; job; job = next) {
		next = job->next;
		each(job->name);
		free(job);
	}
}
