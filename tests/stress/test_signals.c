/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Allocate and free in a signal handler that interrupts allocate and free of the same thread, again and again. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "support/support.h"

static struct fixture f;
static _Atomic long handled, errors;

static void allocate_and_free(size_t size)
{
	struct ist_shm driver, client;

	if (ist_driver_pool_alloc(f.driver, size, &driver) ||
	    ist_client_pool_alloc_nozero(f.client, size, &client) || ist_shm_free(&driver) ||
	    ist_shm_free(&client))
		atomic_fetch_add(&errors, 1);
}

static void on_signal(int signal)
{
	(void)signal;
	allocate_and_free(300);
	atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
}

static _Atomic int stop;

static void *send_signals(void *arg)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void a_handler_interrupts_allocate_and_free(void **state)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pthread_t self = pthread_self(), sender;
	long goal = scaled(200000);
	double begin = seconds_now();

	(void)state;
	f = fixture_make(1 * MIB, 64 * KIB);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&sender, NULL, send_signals, &self);
	while (atomic_load_explicit(&handled, memory_order_relaxed) < goal && seconds_now() - begin < 8)
		allocate_and_free(300);
	atomic_store(&stop, 1);
	pthread_join(sender, NULL);
	signal(SIGUSR1, SIG_IGN);
	print_message("%ld signals handled, errors (must be 0): %ld\n", handled, errors);
	assert_int_equal(errors, 0);
	assert_true(handled > 100);
	fixture_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_handler_interrupts_allocate_and_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
