/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

/* What this thread is looking at, and where it goes on if that is not there. */
struct guard {
	sigjmp_buf landing;
	uintptr_t start, size;
};
static _Thread_local struct guard *current;

/* Only of the memory that the thread said it would look at; any other SIGBUS is a fault of ours and ends the program. */
static void on_sigbus(int signal_number, siginfo_t *info, void *context)
{
	struct guard *guard = current;

	if (guard && (uintptr_t)info->si_addr - guard->start < guard->size) {
		/* Leaving a handler by a jump leaves its mask behind as well: the one of before is put back. */
		pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(guard->landing, 1);
	}
	signal(signal_number, SIG_DFL); /* and it happens again, at the same instruction */
}

int fault_install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

/* The fences are for the compiler: the handler runs in this thread. The handler takes care of the mask, so it need not be saved here. */
static bool guarded(void (*work)(void *, const void *, size_t), void *to, const void *from, size_t size,
                    const void *guest)
{
	struct guard guard = {.start = (uintptr_t)guest, .size = size};

	if (sigsetjmp(guard.landing, 0)) {
		current = NULL;
		return false;
	}
	current = &guard;
	atomic_signal_fence(memory_order_seq_cst);
	work(to, from, size);
	atomic_signal_fence(memory_order_seq_cst);
	current = NULL;
	return true;
}

static void copy(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

static void load(void *to, const void *from, size_t size)
{
	uint16_t value = atomic_load_explicit((const _Atomic uint16_t *)from, memory_order_acquire);

	memcpy(to, &value, size);
}

static void store(void *to, const void *from, size_t size)
{
	uint16_t value;

	memcpy(&value, from, size);
	atomic_store_explicit((_Atomic uint16_t *)to, value, memory_order_release);
}

bool fault_read(void *to, const void *guest, size_t size)
{
	return guarded(copy, to, guest, size, guest);
}

bool fault_write(void *guest, const void *from, size_t size)
{
	return guarded(copy, guest, from, size, guest);
}

bool fault_load16(const void *guest, uint16_t *out)
{
	return guarded(load, out, guest, sizeof(*out), guest);
}

bool fault_store16(void *guest, uint16_t value)
{
	return guarded(store, guest, &value, sizeof(value), guest);
}

#ifdef __SANITIZE_THREAD__
/* A guest may have the disk read into its own ring. It is its memory, and its race; what comes of it is checked as anything else. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:transfer\nrace:give_serial\nrace:guarded\n";
}
#endif
