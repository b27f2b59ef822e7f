/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A thread is stopped by a signal at a random point, most of them inside allocate or free, a hundred times and
 * more. While it stands still the others must finish a fixed amount of work. The same test over a pool behind a
 * mutex must see them blocked, or it could not see anything.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "support/support.h"

enum { WORKERS = 2, WORK = 2000 };

struct work_place {
	struct any_pool pool;
	pthread_mutex_t *mutex; /* null: as the library is */
	size_t size;
	_Atomic int stop;
	_Atomic long errors;
};

static struct work_place place;
static sem_t ready, frozen, thaw; /* ready: a thread that begins may hold locks of the C library or a sanitizer */

static void freeze(int signal)
{
	int saved = errno;

	(void)signal;
	sem_post(&frozen);
	while (sem_wait(&thaw) && errno == EINTR)
		continue;
	errno = saved;
}

static int one_round(void)
{
	struct ist_shm shm;
	int result;

	if (place.mutex)
		pthread_mutex_lock(place.mutex);
	result = place.pool.alloc(&place.pool, place.size, &shm);
	if (place.mutex)
		pthread_mutex_unlock(place.mutex);
	if (result)
		return result;
	if (place.mutex)
		pthread_mutex_lock(place.mutex);
	result = ist_shm_free(&shm);
	if (place.mutex)
		pthread_mutex_unlock(place.mutex);
	return result;
}

static void *victim(void *arg)
{
	(void)arg;
	sem_post(&ready);
	while (!atomic_load_explicit(&place.stop, memory_order_relaxed)) {
		if (one_round())
			atomic_fetch_add(&place.errors, 1);
	}
	return NULL;
}

struct worker {
	pthread_t thread;
	sem_t start, done;
};

static void *worker(void *arg)
{
	struct worker *self = arg;

	sem_post(&ready);
	for (;;) {
		sem_wait(&self->start);
		if (atomic_load(&place.stop))
			return NULL;
		for (int i = 0; i < WORK; i++) {
			if (one_round())
				atomic_fetch_add(&place.errors, 1);
		}
		sem_post(&self->done);
	}
}

static bool done_within(struct worker *worker, double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)seconds;
	until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (sem_timedwait(&worker->done, &until)) {
		if (errno == ETIMEDOUT)
			return false;
	}
	return true;
}

/* Freeze the victim `times` times; how often did a worker not finish in time? */
static long blocked(struct any_pool pool, size_t size, pthread_mutex_t *mutex, long times, double limit)
{
	struct worker workers[WORKERS];
	struct sigaction action = {.sa_handler = freeze};
	pthread_t victim_thread;
	uint64_t seed = 9;
	long result = 0;

	place.pool = pool;
	place.size = size;
	place.mutex = mutex;
	atomic_store(&place.stop, 0);
	atomic_store(&place.errors, 0);
	sem_init(&ready, 0, 0);
	sem_init(&frozen, 0, 0);
	sem_init(&thaw, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&victim_thread, NULL, victim, NULL);
	for (int i = 0; i < WORKERS; i++) {
		sem_init(&workers[i].start, 0, 0);
		sem_init(&workers[i].done, 0, 0);
		pthread_create(&workers[i].thread, NULL, worker, &workers[i]);
	}
	for (int i = 0; i < WORKERS + 1; i++) {
		while (sem_wait(&ready) && errno == EINTR)
			continue;
	}
	for (long round = 0; round < times; round++) {
		bool late = false, in_time[WORKERS];
		struct timespec pause = {0, (long)random_below(&seed, 300000)};

		nanosleep(&pause, NULL);
		pthread_kill(victim_thread, SIGUSR1);
		while (sem_wait(&frozen) && errno == EINTR)
			continue;
		for (int i = 0; i < WORKERS; i++)
			sem_post(&workers[i].start);
		for (int i = 0; i < WORKERS; i++) {
			in_time[i] = done_within(&workers[i], limit);
			late = late || !in_time[i];
		}
		sem_post(&thaw);
		for (int i = 0; i < WORKERS; i++) {
			if (!in_time[i])
				sem_wait(&workers[i].done);
		}
		result += late;
	}
	atomic_store(&place.stop, 1);
	for (int i = 0; i < WORKERS; i++) {
		sem_post(&workers[i].start);
		pthread_join(workers[i].thread, NULL);
	}
	pthread_join(victim_thread, NULL);
	assert_int_equal(atomic_load(&place.errors), 0);
	return result;
}

static void nobody_waits_for_a_stopped_thread(void **state)
{
	struct fixture f = fixture_make(4 * MIB, 256 * KIB);
	const size_t driver_sizes[] = {8, 224, 5000},
	             client_sizes[] = {1, 20 * IST_PAGE_SIZE, 600 * IST_PAGE_SIZE};
	long stops = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(blocked(any_driver(f.driver), driver_sizes[i], NULL, scaled(220), 20), 0);
		stops += scaled(220);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(blocked(any_client_nozero(f.client), client_sizes[i], NULL, scaled(220), 20),
		                 0);
		stops += scaled(220);
	}
	print_message("%ld stops, workers blocked (must be 0): 0\n", stops);
	fixture_drop(&f);
}

static void this_test_sees_a_mutex(void **state)
{
	struct fixture f = fixture_make(4 * MIB, 256 * KIB);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	long times = 0, seen = 0;

	(void)state;
	while (seen == 0 && times < 500) {
		seen += blocked(any_driver(f.driver), 224, &mutex, 20, 0.1);
		times += 20;
	}
	print_message("behind a mutex: workers blocked %ld times in %ld (must not be 0)\n", seen, times);
	assert_true(seen > 0);
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_waits_for_a_stopped_thread),
	        cmocka_unit_test(this_test_sees_a_mutex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
