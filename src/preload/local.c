/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Devices of this process, each made when it is opened first. In a child of fork they are made anew. */
#include "preload/preload.h"

#include <isthmus/manager.h>
#include <isthmus/share.h>
#include <isthmus/tee.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_DEFAULT ((size_t)32 << 20)
#define DRIVER_POOL ((size_t)256 << 10)

static struct {
	pthread_mutex_t lock;
	struct ist_tee_device *device[DEVICES];
	bool hooked;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void local_before_fork(void)
{
	pthread_mutex_lock(&all.lock);
}

static void local_after_fork(void)
{
	pthread_mutex_unlock(&all.lock);
}

static void local_in_child(void)
{
	memset(all.device, 0, sizeof(all.device)); /* the parent's */
	pthread_mutex_unlock(&all.lock);
}

static size_t size_wanted(void)
{
	const char *text = getenv("ISTHMUS_TEE_SIZE");
	char *end;
	unsigned long long size = text ? strtoull(text, &end, 0) : 0;

	if (!size)
		return SIZE_DEFAULT;
	return size << (*end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0);
}

static struct ist_tee_config config_wanted(void)
{
	const char *mode = getenv("ISTHMUS_TEE_MODE");
	struct ist_tee_config config = {.caps = 0};

	if (mode && strcmp(mode, "pool") == 0)
		config.caps = IST_TEE_CAP_GP;
	return config;
}

/* A manager over a memory file, which nobody else need map. */
static int make_manager(struct ist_manager **out)
{
	struct ist_manager_config config = {
	        .paddr = UINT64_C(0x42000000), .size = size_wanted(), .driver_pool_size = DRIVER_POOL};
	int fd = memfd_create("tee carve-out", MFD_CLOEXEC), error = -ENOMEM;

	if (fd < 0)
		return -errno;
	config.vaddr = MAP_FAILED;
	if (ftruncate(fd, (off_t)config.size) == 0)
		config.vaddr = real()->mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (config.vaddr != MAP_FAILED) {
		error = ist_manager_create(&config, out);
		if (!error)
			error = ist_manager_set_file(*out, fd, 0);
		if (error)
			real()->munmap(config.vaddr, config.size);
	}
	real()->close(fd);
	return error;
}

/* Under the lock. */
static int make_device(struct ist_tee_device **out)
{
	const struct ist_tee_config config = config_wanted();
	struct ist_manager *manager;
	int error = make_manager(&manager);

	if (error)
		return error;
	if (!all.hooked)
		all.hooked = pthread_atfork(local_before_fork, local_after_fork, local_in_child) == 0;
	error = ist_tee_device_create(manager, &config, out);
	if (error)
		ist_manager_destroy(manager);
	return error;
}

static int open_local(unsigned device, int flags)
{
	bool is_supplicant = device >= DEVICE_PRIVILEGED;
	struct ist_tee_context *context;
	int error = 0, fd;

	device %= DEVICE_PRIVILEGED;
	pthread_mutex_lock(&all.lock);
	if (!all.device[device])
		error = make_device(&all.device[device]);
	pthread_mutex_unlock(&all.lock);
	ist_tee_reap(
	        0); /* what went unseen, with fclose or a child: its ids are free, as the kernel would have it */
	if (!error)
		error = is_supplicant ? ist_tee_supplicant_open(all.device[device], &context)
		                      : ist_tee_context_open(all.device[device], &context);
	if (error)
		return error;
	fd = ist_tee_context_export(context);
	if (fd < 0)
		ist_tee_context_close(context);
	else if (flags & O_CLOEXEC)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int find_local(int fd, struct found *out)
{
	struct ist_tee_fd what;
	int error = ist_tee_fd_find(fd, &what);

	if (!error)
		*out = (struct found){.key = what.key,
		                      .is_context = what.is_context,
		                      .can_map = what.can_map,
		                      .size = what.size};
	return error;
}

static void closed_local(uint64_t key)
{
	ist_tee_reap(key);
}

const struct front local_front = {open_local, ist_tee_fd_ioctl, find_local, closed_local, NULL};
