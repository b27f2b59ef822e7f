/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A message of any bytes in driver memory, page lists of any bytes in a guest's memory, and some registered memory: what is resolved
 * is inside of what it names, and when all is given back nothing is left.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <isthmus/isthmus.h>

#include "input.h"
#include "support/model.h"

#define REQUIRE MODEL_REQUIRE
#define PAGE 4096u
#define RAM_PADDR UINT64_C(0x80000000)
#define PADDR UINT64_C(0x42000000)

enum { RAM_PAGES = 32, LIST_PAGE = 30, CARVE_OUT = 1 << 18, MESSAGE = 1 << 12, COOKIES = 4 };

static struct ist_manager *manager;
static char *ram;
static struct ist_shm message, client;

static void set_up(void)
{
	struct ist_manager_config config = {.paddr = PADDR, .size = CARVE_OUT};
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = RAM_PAGES * PAGE};

	backing.fd = memfd_create("ram", MFD_CLOEXEC);
	REQUIRE(backing.fd >= 0 && ftruncate(backing.fd, RAM_PAGES * PAGE) == 0);
	ram = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, backing.fd, 0);
	config.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(ist_manager_create(&config, &manager) == 0 && ist_backing_add(manager, &backing) == 0);
	REQUIRE(ist_driver_pool_alloc(ist_manager_driver_pool(manager), MESSAGE, &message) == 0);
	REQUIRE(ist_client_pool_alloc(ist_manager_client_pool(manager), 2 * PAGE, &client) == 0);
}

static uint64_t address(struct input *in)
{
	uint64_t kind = input_number(in, 1), near = input_number(in, 1);

	switch (kind % 6) {
	case 0:
		return 0;
	case 1:
		return client.view.paddr + near;
	case 2:
		return RAM_PADDR + LIST_PAGE * PAGE + near;
	case 3:
		return RAM_PADDR + kind / 6 * PAGE + near;
	case 4:
		return UINT64_MAX - near;
	default:
		return input_number(in, 8);
	}
}

static void write_message(struct input *in)
{
	struct ist_msg_header *header = message.view.vaddr;
	struct ist_msg_param *param = (struct ist_msg_param *)(void *)(header + 1);
	uint64_t count = input_number(in, 1);

	memset(message.view.vaddr, 0, MESSAGE);
	header->cmd = (uint32_t)(input_number(in, 1) % 8);
	header->num_params = (uint32_t)(count == 255 ? input_number(in, 4) : count < 128 ? count % 8 : count);
	for (uint64_t i = 0; i < count % 8; i++) {
		uint64_t attr = input_number(in, 2) % 0x410;

		param[i].attr = attr;
		param[i].a = (attr & 0xff) >= IST_MSG_TMEM_IN ? address(in) : input_size(in, 3 * PAGE);
		param[i].b = input_size(in, 3 * PAGE);
		param[i].c = input_number(in, 1) % COOKIES;
	}
}

static void write_list(struct input *in)
{
	uint64_t *word = (uint64_t *)(void *)(ram + LIST_PAGE * PAGE);

	for (unsigned i = 0; i < 8; i++) {
		uint64_t what = input_number(in, 1);

		word[i] = what == 255 ? input_number(in, 8) : RAM_PADDR + what % (RAM_PAGES + 1) * PAGE;
	}
}

static void check_resolved(const struct ist_msg_read *read)
{
	for (unsigned i = 0; i < read->header.num_params; i++) {
		const struct ist_msg_reference *reference = &read->reference[i];

		REQUIRE(!reference->is_null || (!reference->vaddr && reference->size == 0));
		if (reference->vaddr && reference->size) { /* both ends are there */
			char ends[2];

			memcpy(&ends[0], reference->vaddr, 1);
			memcpy(&ends[1], (char *)reference->vaddr + reference->size - 1, 1);
		}
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
	static struct ist_msg_read read;
	const struct ist_registration known = {.paddr = RAM_PADDR + 3 * PAGE + 5, .size = 5000, .cookie = 1};
	struct ist_mapping_stats stats;
	struct ist_mapping mapping;
	struct input in = {data, size};

	if (!manager)
		set_up();
	REQUIRE(ist_mapping_register(manager, &known, &mapping) == 0);
	for (int round = 0; round < 8 && input_more(&in); round++) {
		write_message(&in);
		write_list(&in);
		if (ist_msg_read(manager, message.view.paddr, MESSAGE, &read) != 0)
			continue;
		if (read.header.cmd >= IST_MSG_REGISTER_SHM) {
			ist_msg_serve(manager, 0, &read);
		} else if (ist_msg_resolve(manager, 0, &read) == 0) {
			check_resolved(&read);
			ist_msg_release(manager, &read);
		}
	}
	for (uint64_t cookie = 1; cookie < COOKIES; cookie++)
		ist_mapping_unregister(manager, 0, cookie, IST_UNREGISTER_TRY);
	REQUIRE(ist_mapping_drain(manager) == 0); /* what waits for readers no leak detector sees */
	ist_mapping_stats(manager, &stats);
	REQUIRE(stats.mappings == 0 && stats.referenced == 0);
	return 0;
}
