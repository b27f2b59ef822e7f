/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Target: the statistics of a hostile process. A real file with any words of it changed is refused, or printed and drawn, by what
 * isthmus-stat and isthmus-map do with it; nothing outside of the copy is touched.
 */
#include "input.h"

#include <isthmus/stat.h>

#include "support/model.h"

#define pages_drop stat_pages_drop /* the library has another one */
#define main map_main /* of isthmus-map, for what is static in it */
int map_main(int argc, char **argv);
#include "tools/map.c"
#undef main
#include "tools/page.c"
#include "tools/stat.h"

enum { CARVE_OUT = 1 << 20 };

static char *original;
static size_t bytes;

static void read_own(void)
{
	struct pages pages;

	MODEL_REQUIRE(pages_find(getpid(), &pages) == 0 && pages.count == 1);
	bytes = pages.at[0].mapped;
	original = malloc(bytes);
	MODEL_REQUIRE(original);
	memcpy(original, pages.at[0].mapping, bytes);
	pages_drop(&pages);
}

static void set_up(void)
{
	const struct ist_stat_options options = {.flags = IST_STAT_MANUAL, .owners = 8, .cells = 32};
	struct ist_manager_config config = {.paddr = 0x42000000, .size = CARVE_OUT};
	struct ist_manager *manager;
	struct ist_stat *stat;
	struct ist_shm shm;

	config.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MODEL_REQUIRE(ist_manager_create(&config, &manager) == 0);
	MODEL_REQUIRE(ist_driver_pool_alloc(ist_manager_driver_pool(manager), 300, &shm) == 0);
	MODEL_REQUIRE(ist_stat_export(manager, &options, &stat) == 0);
	read_own();
	MODEL_REQUIRE(ist_stat_unexport(stat) == 0 && ist_shm_free(&shm) == 0);
	MODEL_REQUIRE(ist_manager_destroy(manager) == 0);
	MODEL_REQUIRE(freopen("/dev/null", "w", stdout) != NULL);
}

static void show_all(struct page *page)
{
	FILE *out = fopen("/dev/null", "w");

	print_json(page);
	print_tables(page, NULL);
	print_tables(page, page_body(page));
	for (unsigned which = 0; which < IST_STAT_POOLS; which++)
		print_pool(page, which);
	MODEL_REQUIRE(out);
	draw(out, page);
	fclose(out);
}

static void look(const char *file)
{
	struct page page = {.mapping = file, .mapped = bytes};

	memcpy(&page.head, file, sizeof(page.head));
	if (check_head(&page.head, bytes))
		return;
	copy_name(&page);
	page.snapshot = malloc(page.head.body_size);
	if (page.snapshot && page_read(&page) == 0)
		show_all(&page);
	free(page.snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char *file, *at_sequence;

	if (!original)
		set_up();
	file = malloc(bytes);
	MODEL_REQUIRE(file);
	memcpy(file, original, bytes);
	while (input_more(&in)) {
		size_t at = input_number(&in, 2) % (bytes / 8) * 8;
		uint64_t value = input_size(&in, bytes);

		memcpy(file + at, &value, sizeof(value));
	}
	/* One that is never whole is waited for, a second long. */
	at_sequence = &file[offsetof(struct ist_stat_head, sequence)];
	*at_sequence = (char)(*at_sequence & ~1);
	look(file);
	free(file);
	return 0;
}
