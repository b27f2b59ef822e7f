/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Any sequence of ioctls, with arguments that point into memory that is there, that may only be read, that is not there, and
 * across the seams. In the end every descriptor is closed, and nothing may be left.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <isthmus/isthmus.h>

#include "input.h"
#include "support/model.h"

#define REQUIRE MODEL_REQUIRE
#define PAGE 4096u

enum { CONTEXTS = 2, FDS_MAX = 12, ROUNDS_MAX = 60, CARVE_OUT = 1 << 20, FUNC_WAIT = 3 };

static struct ist_manager *manager;
static char *arena; /* two pages, one that can only be read, and a hole */

struct client {
	struct ist_tee_device *device;
	struct ist_tee_context *context[CONTEXTS];
	int fd[FDS_MAX];
	unsigned fds;
};

static void make_manager(void)
{
	struct ist_manager_config config = {.paddr = 0x42000000, .size = CARVE_OUT};
	int fd = memfd_create("carve-out", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && ftruncate(fd, CARVE_OUT) == 0);
	config.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(ist_manager_create(&config, &manager) == 0 && ist_manager_set_file(manager, fd, 0) == 0);
	arena = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(arena != MAP_FAILED && mprotect(arena + 2 * PAGE, PAGE, PROT_READ) == 0 &&
	        mprotect(arena + 3 * PAGE, PAGE, PROT_NONE) == 0);
}

/* In the arena, near one of its seams, or nowhere. */
static uint64_t pointer(struct input *in)
{
	uint64_t kind = input_number(in, 1), near = input_number(in, 1);

	switch (kind % 8) {
	case 0:
		return near;
	case 1:
		return UINT64_MAX - near;
	case 2:
		return UINT64_C(0xffff800000000000) + near;
	case 3:
	case 4:
		return (uintptr_t)arena + (1 + kind / 8 % 4) * PAGE - near;
	default:
		return (uintptr_t)arena + near * 8;
	}
}

/* As many bytes of the input as the arena takes. */
static void write_arena(struct input *in, size_t bytes)
{
	size_t at = input_number(in, 1) * 8;

	for (size_t i = 0; i < bytes && at + i < 2 * (size_t)PAGE; i++)
		arena[at + i] = (char)input_number(in, 1);
}

/* Parameters that are nearly right get further than bytes by chance. */
static void write_call(struct input *in, char *at, size_t header, unsigned count)
{
	struct ist_tee_ioc_param *param = (struct ist_tee_ioc_param *)(void *)(at + header);

	for (unsigned i = 0; i < count; i++)
		param[i] = (struct ist_tee_ioc_param){
		        input_number(in, 1) % 12, input_size(in, PAGE), input_size(in, PAGE),
		        input_number(in, 1) % 16 == 15 ? UINT64_MAX : input_number(in, 1) % 8};
	memcpy(at + header - 4, &count, sizeof(count));
}

static void call(struct client *client, struct input *in, uint32_t command, size_t header)
{
	unsigned count = (unsigned)(input_number(in, 1) % 8);
	struct ist_tee_ioc_buf buf = {(uintptr_t)arena + PAGE,
	                              header + count * sizeof(struct ist_tee_ioc_param)};
	struct ist_tee_ioc_invoke *invoke = (struct ist_tee_ioc_invoke *)(void *)(arena + PAGE);
	uint64_t how = input_number(in, 1);

	memset(arena + PAGE, 0, header);
	if (command == IST_TEE_IOC_INVOKE) {
		invoke->func = (uint32_t)(how % 3);
		invoke->session = (uint32_t)(how / 4 % 4);
	} else {
		arena[PAGE] = (char)how;
	}
	write_call(in, arena + PAGE, header, count);
	if (how % 32 == 31) {
		buf.buf_ptr = pointer(in);
		buf.buf_len = input_size(in, 1024);
		/* Whatever stands there may ask to wait for ever. */
		if (command == IST_TEE_IOC_INVOKE)
			return;
	}
	ist_tee_ioctl(client->context[how / 128], command, &buf);
}

static void keep(struct client *client, long fd)
{
	if (fd < 0)
		return;
	if (client->fds == FDS_MAX) {
		close((int)fd);
		ist_tee_reap(0);
		return;
	}
	client->fd[client->fds++] = (int)fd;
}

static void let_go(struct client *client, uint64_t which)
{
	struct ist_tee_fd what;
	unsigned at;

	if (client->fds == 0)
		return;
	at = (unsigned)(which % client->fds);
	REQUIRE(ist_tee_fd_find(client->fd[at], &what) == 0);
	close(client->fd[at]);
	REQUIRE(ist_tee_reap(what.key) == 1);
	client->fd[at] = client->fd[--client->fds];
}

/* What can only be told by its error, or makes a descriptor. */
static void step(struct client *client, struct input *in)
{
	struct ist_tee_context *context = client->context[input_number(in, 1) % CONTEXTS];
	struct ist_tee_ioc_register reg;
	struct ist_tee_ioc_alloc alloc;
	struct ist_tee_version version;

	switch (input_number(in, 1) % 10) {
	case 0:
		alloc = (struct ist_tee_ioc_alloc){input_size(in, CARVE_OUT), input_number(in, 1) % 16 == 9,
		                                   0};
		keep(client, ist_tee_ioctl(context, IST_TEE_IOC_SHM_ALLOC, &alloc));
		return;
	case 1:
		reg = (struct ist_tee_ioc_register){pointer(in), input_size(in, PAGE), 0, 0};
		keep(client, ist_tee_ioctl(context, IST_TEE_IOC_SHM_REGISTER, &reg));
		return;
	case 2:
		let_go(client, input_number(in, 1));
		return;
	case 3:
		call(client, in, IST_TEE_IOC_OPEN_SESSION, sizeof(struct ist_tee_ioc_open));
		return;
	case 4:
	case 5:
		call(client, in, IST_TEE_IOC_INVOKE, sizeof(struct ist_tee_ioc_invoke));
		return;
	case 6:
		write_arena(in, 24);
		keep(client,
		     ist_tee_ioctl(context, IST_TEE_IOC_SHM_REGISTER, (void *)(uintptr_t)pointer(in)));
		return;
	case 7:
		keep(client, ist_tee_ioctl(context, IST_TEE_IOC_SHM_ALLOC, (void *)(uintptr_t)pointer(in)));
		return;
	case 8:
		ist_tee_ioctl(context,
		              input_number(in, 1) % 2 ? IST_TEE_IOC_CLOSE_SESSION : IST_TEE_IOC_CANCEL,
		              (void *)(uintptr_t)pointer(in));
		return;
	default:
		REQUIRE(ist_tee_ioctl(context, input_number(in, 4) | 0x10000000u, &version) == -EINVAL);
	}
}

/* The manager stays, and what it has is reached by way of memory where the detector does not look; the counts are checked instead. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct client client = {.fds = 0};
	struct ist_tee_config config = {.caps = 0};
	struct ist_tee_stats stats;

	if (!manager)
		make_manager();
	memset(arena, 0, 2 * (size_t)PAGE);
	if (input_number(&in, 1) % 4 == 0)
		config.caps = IST_TEE_CAP_GP;
	REQUIRE(ist_tee_device_create(manager, &config, &client.device) == 0);
	for (int i = 0; i < CONTEXTS; i++)
		REQUIRE(ist_tee_context_open(client.device, &client.context[i]) == 0);
	for (int round = 0; round < ROUNDS_MAX && input_more(&in); round++)
		step(&client, &in);
	while (client.fds)
		let_go(&client, 0);
	for (int i = 0; i < CONTEXTS; i++)
		ist_tee_context_close(client.context[i]);
	ist_tee_reap(0);
	ist_tee_device_stats(client.device, &stats);
	REQUIRE(stats.contexts == 0 && stats.shms == 0 && stats.registered == 0 && stats.sessions == 0 &&
	        stats.descriptors == 0 && stats.calls == 0);
	REQUIRE(ist_tee_device_destroy(client.device, false) == 0);
	REQUIRE(ist_mapping_drain(manager) == 0); /* what waits for readers no leak detector sees */
	return 0;
}
