/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Register and unregister at once, beside what the system calls alone take: buffers of a memory file, mapped memory, scattered pages. */
#include "mapping.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lib/random.h"

#define BUFFER ((size_t)64 << 10)
#define BUFFERS (RAM_BYTES / BUFFER)

enum { CACHE_BYTES = 16 << 20, CACHED_BUFFERS = 64, OTHERS = 1000, COOKIE = 5 };

double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- guest RAM -------------------------------------------------------------------------------------------------- */

static struct {
	int fd;
	char *mapped;
} ram;

int mapping_ram_file(void)
{
	if (ram.mapped)
		return ram.fd;
	ram.fd = memfd_create("ram", MFD_CLOEXEC);
	must(ram.fd < 0 || ftruncate(ram.fd, (off_t)RAM_BYTES));
	ram.mapped = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram.fd, 0);
	must((void *)ram.mapped == MAP_FAILED);
	memset(ram.mapped, 1, RAM_BYTES);
	return ram.fd;
}

struct ist_manager *mapping_manager(enum ram kind, uint64_t cache_bytes)
{
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = RAM_BYTES, .fd = mapping_ram_file()};
	struct ist_mapping_config config = {.cache_size = cache_bytes};
	struct ist_manager *manager = suites_manager(IST_PAGE_SIZE, 60 * IST_PAGE_SIZE);

	backing.vaddr = kind == RAM_MAPPED ? ram.mapped : NULL;
	if (kind != RAM_NONE)
		must(ist_backing_add(manager, &backing));
	must(ist_mapping_configure(manager, &config));
	return manager;
}

void mapping_manager_drop(struct ist_manager *manager)
{
	must(ist_manager_destroy(manager)); /* its carve-out stays: a quarter of a MiB of address space */
}

void mapping_add_wide(struct ist_manager *manager)
{
	struct ist_backing backing = {
	        .paddr = WIDE_PADDR, .size = WIDE_PAGES * IST_PAGE_SIZE, .vaddr = WIDE_VADDR};

	must(ist_backing_add(manager, &backing));
}

void mapping_owner(struct ist_manager *manager, uint32_t id)
{
	must(ist_owner_create(manager, &(struct ist_owner_config){.id = id}));
}

/* --- buffers of 64 KiB, in turn --------------------------------------------------------------------------------- */

enum { IN_FILE, IN_CACHE, IN_MAPPED, IN_MAPPED_BESIDE_OTHERS, KINDS };

static const struct kind {
	const char *name;
	enum ram ram;
	size_t cache, different, size;
} kinds[KINDS] = {
        [IN_FILE] = {"mapping/register/isthmus", RAM_FILE, 0, BUFFERS, BUFFER},
        [IN_CACHE] = {"mapping/register/isthmus, cached", RAM_FILE, CACHE_BYTES, CACHED_BUFFERS, BUFFER},
        [IN_MAPPED] = {"mapping/register_mapped/isthmus, 64 KiB", RAM_MAPPED, 0, BUFFERS, BUFFER},
        [IN_MAPPED_BESIDE_OTHERS] = {"mapping/register_mapped/isthmus, 4 KiB beside 1000 in 12 MiB",
                                     RAM_MAPPED, 0, BUFFERS, IST_PAGE_SIZE},
};

static struct ist_manager *manager_of(const struct kind *kind)
{
	static struct ist_manager *managers[KINDS];
	struct ist_manager **manager = &managers[kind - kinds];
	struct ist_mapping mapping;

	if (*manager)
		return *manager;
	*manager = mapping_manager(kind->ram, kind->cache);
	for (uint64_t i = 0; kind == &kinds[IN_MAPPED_BESIDE_OTHERS] && i < OTHERS; i++) {
		struct ist_registration r = {.paddr = RAM_PADDR + i * 3 * IST_PAGE_SIZE,
		                             .size = IST_PAGE_SIZE,
		                             .cookie = 1000 + i};

		must(ist_mapping_register(*manager, &r, &mapping));
	}
	return *manager;
}

static uint64_t next_buffer(size_t *turn, size_t different)
{
	*turn = (*turn + 1) % different;
	return (uint64_t)*turn * 7 % BUFFERS * BUFFER;
}

static void touch_pages(char *at)
{
	for (size_t i = 0; i < BUFFER; i += IST_PAGE_SIZE)
		at[i]++;
}

static void registration(struct gbench_state *state, const struct kind *kind, bool touch)
{
	struct ist_manager *manager = manager_of(kind);
	size_t turn = 0;

	while (gbench_keep_running(state)) {
		struct ist_registration r = {.paddr = RAM_PADDR + next_buffer(&turn, kind->different),
		                             .size = kind->size,
		                             .cookie = COOKIE};
		struct ist_mapping mapping;

		must(ist_mapping_register(manager, &r, &mapping));
		if (touch)
			touch_pages(mapping.vaddr);
		must(ist_mapping_unregister(manager, 0, COOKIE, 0));
	}
}

static void register_buffers(struct gbench_state *state, void *context)
{
	registration(state, context, gbench_argument(state));
}

static void register_mapped(struct gbench_state *state, void *context)
{
	registration(state, context, false);
}

static void bare_buffers(struct gbench_state *state, void *context)
{
	int fd = mapping_ram_file();
	size_t turn = 0;

	(void)context;
	while (gbench_keep_running(state)) {
		char *at = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		                (off_t)next_buffer(&turn, BUFFERS));

		must(at == MAP_FAILED);
		if (gbench_argument(state))
			touch_pages(at);
		munmap(at, BUFFER);
	}
}

/* --- scattered pages: used where they are, or mapped side by side ---------------------------------------------------- */

enum { LISTS = 64, MOST = 256 }; /* buffers in turn, pages in each */

/* Two threads of two guests, or of two owners in one memory. */
static struct scattered {
	uint32_t owner;
	uint64_t ram; /* where its memory begins */
	uint64_t list[LISTS][MOST];
} guest[2], neighbour[2];
static struct ist_manager *scattered_manager;
static pthread_once_t scattered_made = PTHREAD_ONCE_INIT;

static void scatter(struct scattered *s, uint32_t owner, uint64_t at)
{
	uint64_t random = owner;

	s->owner = owner;
	s->ram = at;
	mapping_owner(scattered_manager, owner);
	for (size_t i = 0; i < LISTS; i++) {
		for (size_t k = 0; k < MOST; k++) /* no two of a list are neighbours */
			s->list[i][k] = at + random_below(&random, RAM_PAGES / 2) * 2 * IST_PAGE_SIZE;
	}
}

static void make_scattered(void)
{
	struct ist_backing second = {.paddr = RAM_PADDR + RAM_BYTES, .size = RAM_BYTES};

	scattered_manager = mapping_manager(RAM_FILE, 0);
	second.fd = memfd_create("ram", MFD_CLOEXEC);
	must(second.fd < 0 || ftruncate(second.fd, (off_t)RAM_BYTES));
	must(ist_backing_add(scattered_manager, &second));
	close(second.fd);
	scatter(&guest[0], 1, RAM_PADDR);
	scatter(&guest[1], 2, second.paddr);
	scatter(&neighbour[0], 3, RAM_PADDR);
	scatter(&neighbour[1], 4, RAM_PADDR);
}

static void register_scattered(struct gbench_state *state, const struct scattered *s, size_t pages,
                               uint32_t flags)
{
	size_t turn = 0;

	while (gbench_keep_running(state)) {
		struct ist_registration r = {.pages = s->list[turn++ % LISTS],
		                             .page_count = pages,
		                             .size = pages * IST_PAGE_SIZE,
		                             .owner = s->owner,
		                             .flags = flags,
		                             .cookie = COOKIE};
		struct ist_mapping mapping;

		must(ist_mapping_register(scattered_manager, &r, &mapping));
		must(ist_mapping_unregister(scattered_manager, s->owner, COOKIE, 0));
	}
}

static void segments(struct gbench_state *state, void *context)
{
	(void)context;
	pthread_once(&scattered_made, make_scattered);
	register_scattered(state, &guest[0], (size_t)gbench_argument(state), IST_MAPPING_SEGMENTS);
}

static void side_by_side(struct gbench_state *state, void *context)
{
	(void)context;
	pthread_once(&scattered_made, make_scattered);
	register_scattered(state, &guest[0], (size_t)gbench_argument(state), 0);
}

static void segments_by_two(struct gbench_state *state, void *context)
{
	const struct scattered *two = context;

	pthread_once(&scattered_made, make_scattered);
	register_scattered(state, &two[gbench_thread_index(state)], (size_t)gbench_argument(state),
	                   IST_MAPPING_SEGMENTS);
}

/* What putting the same pages side by side takes at least. */
static void bare_scattered(struct gbench_state *state, void *context)
{
	size_t pages = (size_t)gbench_argument(state), turn = 0;
	int fd = mapping_ram_file();

	(void)context;
	pthread_once(&scattered_made, make_scattered);
	while (gbench_keep_running(state)) {
		const uint64_t *list = guest[0].list[turn++ % LISTS];
		char *at = mmap(NULL, pages * IST_PAGE_SIZE, PROT_NONE,
		                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		for (size_t k = 0; k < pages; k++)
			must(mmap(at + k * IST_PAGE_SIZE, IST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			          MAP_SHARED | MAP_FIXED, fd, (off_t)(list[k] - RAM_PADDR)) == MAP_FAILED);
		munmap(at, pages * IST_PAGE_SIZE);
	}
}

static void add_by_two(const char *who, struct scattered *two)
{
	struct gbench *b = gbench_register(segments_by_two, two, "mapping/scattered_by_two/%s", who);

	gbench_over(b, "pages", 16);
	gbench_threads(b, 2);
	gbench_use_real_time(b);
}

void suite_mapping_register(const char *traces)
{
	gbench_over(gbench_register(bare_buffers, NULL, "mapping/register/floor"), "touched", 0, 1);
	for (int i = 0; i < KINDS; i++) {
		void *kind = (void *)(uintptr_t)&kinds[i];

		if (i < IN_MAPPED)
			gbench_over(gbench_register(register_buffers, kind, "%s", kinds[i].name), "touched",
			            0, 1);
		else
			gbench_register(register_mapped, kind, "%s", kinds[i].name);
	}
	gbench_over(gbench_register(bare_scattered, NULL, "mapping/scattered/floor"), "pages", 16);
	gbench_over(gbench_register(segments, NULL, "mapping/scattered/isthmus, segments"), "pages", 16, 256);
	gbench_over(gbench_register(side_by_side, NULL, "mapping/scattered/isthmus, side by side"), "pages",
	            16);
	add_by_two("isthmus, two guests", guest);
	add_by_two("isthmus, two owners in one memory", neighbour);
	suite_mapping_growth_register();
	suite_mapping_many_register();
	if (traces)
		suite_mapping_trace_register(traces);
}
