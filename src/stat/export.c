/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "stat/export.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"
#include "rcu/rcu.h"
#include "stat/sequence.h"
#include "stat/survey.h"

#define STAT_SECOND UINT64_C(1000000000)
#define STAT_MILLISECOND UINT64_C(1000000)
#define STAT_DEFAULT_MS 100u
#define STAT_DEFAULT_OWNERS 64u
#define STAT_PAUSES 9u /* a pause is at least so many times as long as what it is from */

struct ist_stat {
	struct survey survey;
	int fd;
	struct ist_stat_head *page; /* not in a forked child */
	pthread_mutex_t lock; /* held while a snapshot is taken */
	pthread_cond_t wake;
	pthread_t thread;
	uint64_t period_ns; /* 0: no thread */
	bool stop;
};

static uint64_t clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * STAT_SECOND + (uint64_t)time.tv_nsec;
}

/* With the lock held. Returns how long it took. */
static uint64_t take_snapshot(struct ist_stat *stat, bool is_last)
{
	struct ist_stat_body *body = survey_body(&stat->survey);
	const struct ist_stat_head *head = &stat->survey.head;
	uint64_t before = clock_now(), took;

	survey_take(&stat->survey);
	took = clock_now() - before;
	body->time_ns = before;
	body->took_ns = took;
	body->period_ns = stat->period_ns;
	body->ended = is_last;
	stat_publish(&stat->page->sequence, (uint64_t *)(void *)((char *)stat->page + head->body_at),
	             stat->survey.snapshot, head->body_size);
	return took;
}

static void *run_refresher(void *context)
{
	struct ist_stat *stat = context;

	pthread_mutex_lock(&stat->lock);
	while (!stat->stop) {
		uint64_t until = clock_now() +
		                 bits_max(stat->period_ns, STAT_PAUSES * survey_body(&stat->survey)->took_ns);
		struct timespec at = {.tv_sec = (time_t)(until / STAT_SECOND),
		                      .tv_nsec = (long)(until % STAT_SECOND)};
		int error = 0;

		while (!stat->stop && error != ETIMEDOUT)
			error = pthread_cond_timedwait(&stat->wake, &stat->lock, &at);
		if (!stat->stop)
			take_snapshot(stat, false);
	}
	pthread_mutex_unlock(&stat->lock);
	return NULL;
}

static int check_export(struct ist_manager *manager, const struct ist_stat_options *options)
{
	if ((options->flags & ~IST_STAT_MANUAL) || options->owners > IST_STAT_OWNERS_MAX ||
	    options->cells > IST_STAT_CELLS_MAX ||
	    strnlen(options->name, sizeof(((struct ist_stat_head *)NULL)->name)) ==
	            sizeof(((struct ist_stat_head *)NULL)->name))
		return -EINVAL;
	if (rcu_inside())
		return -EDEADLK;
	return slabs_check(&manager->driver.slabs);
}

/* The file, mapped, with its head in it. */
static int make_page(struct ist_stat *stat)
{
	const struct ist_stat_head *head = &stat->survey.head;
	void *page;
	int fd = platform_shown_file(IST_STAT_FILE, head->file_size, &page);

	if (fd < 0)
		return fd;
	stat->fd = fd;
	stat->page = page;
	*stat->page = *head;
	return 0;
}

static void drop_export(struct ist_stat *stat)
{
	if (stat->page)
		platform_hide_file(stat->fd, stat->page, stat->survey.head.file_size);
	survey_drop(&stat->survey);
	pthread_cond_destroy(&stat->wake);
	pthread_mutex_destroy(&stat->lock);
	free(stat);
}

static void init_export(struct ist_stat *stat, struct ist_manager *manager,
                        const struct ist_stat_options *options)
{
	cond_init_monotonic(&stat->wake);
	pthread_mutex_init(&stat->lock, NULL);
	survey_layout(&stat->survey, manager, options->owners ? options->owners : STAT_DEFAULT_OWNERS,
	              options->cells);
	strcpy(stat->survey.head.name, options->name);
	stat->survey.head.pid = platform_pid();
	if (!(options->flags & IST_STAT_MANUAL))
		stat->period_ns =
		        (options->period_ms ? options->period_ms : STAT_DEFAULT_MS) * STAT_MILLISECOND;
}

int stat_export(struct ist_manager *manager, const struct ist_stat_options *options, struct ist_stat **out)
{
	struct ist_stat_options wanted = options ? *options : (struct ist_stat_options){0};
	struct ist_stat *stat;
	int error;

	if (!wanted.name)
		wanted.name = "isthmus";
	error = check_export(manager, &wanted);
	if (error)
		return error;
	stat = calloc(1, sizeof(*stat));
	if (!stat)
		return -ENOMEM;
	init_export(stat, manager, &wanted);
	error = survey_init(&stat->survey);
	if (!error)
		error = make_page(stat);
	if (!error) {
		take_snapshot(stat, false);
		error = stat->period_ns ? -thread_start(&stat->thread, run_refresher, stat) : 0;
	}
	if (error) {
		drop_export(stat);
		return error;
	}
	/* Relaxed: destroying the manager comes after, by its caller. */
	atomic_fetch_add_explicit(&manager->exports, 1, memory_order_relaxed);
	*out = stat;
	return 0;
}

static int may_use_export(const struct ist_stat *stat)
{
	int error = slabs_check(&stat->survey.manager->driver.slabs);

	return error ? error : rcu_inside() ? -EDEADLK : 0;
}

int stat_refresh(struct ist_stat *stat)
{
	int error = may_use_export(stat);

	if (error)
		return error;
	pthread_mutex_lock(&stat->lock);
	take_snapshot(stat, false);
	pthread_mutex_unlock(&stat->lock);
	return 0;
}

int stat_unexport(struct ist_stat *stat)
{
	int error = may_use_export(stat);

	if (error)
		return error;
	pthread_mutex_lock(&stat->lock);
	stat->stop = true;
	pthread_cond_signal(&stat->wake);
	pthread_mutex_unlock(&stat->lock);
	if (stat->period_ns)
		pthread_join(stat->thread, NULL);
	take_snapshot(stat, true);
	atomic_fetch_sub_explicit(&stat->survey.manager->exports, 1, memory_order_relaxed);
	drop_export(stat);
	return 0;
}
