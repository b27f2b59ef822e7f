/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Exported statistics: what they say, who may write, forks, limits, and that no reader sees half a snapshot. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rcu/rcu.h"
#include "stat/sequence.h"

#define CELLS 100u

/* A reader of its own, as another process would have it. */
struct reader {
	int fd;
	char *page;
	size_t bytes;
	struct ist_stat_head head;
	uint64_t *snapshot;
};

/* The descriptor of the export, found as tools find it; -1: there is none. */
static int find_file(int flags)
{
	char path[64], target[64];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		if (strcmp(target, "/memfd:" IST_STAT_FILE " (deleted)") == 0)
			return open(path, flags | O_CLOEXEC);
	}
	return -1;
}

static struct reader reader_open(void)
{
	struct reader reader = {.fd = find_file(O_RDONLY)};
	struct stat stat;

	assert_true(reader.fd >= 0);
	assert_int_equal(fstat(reader.fd, &stat), 0);
	reader.bytes = (size_t)stat.st_size;
	reader.page = mmap(NULL, reader.bytes, PROT_READ, MAP_SHARED, reader.fd, 0);
	assert_ptr_not_equal(reader.page, MAP_FAILED);
	memcpy(&reader.head, reader.page, sizeof(reader.head));
	reader.snapshot = malloc(reader.head.body_size);
	assert_non_null(reader.snapshot);
	return reader;
}

static const struct ist_stat_body *reader_read(struct reader *reader)
{
	const void *sequence = reader->page + offsetof(struct ist_stat_head, sequence),
	           *body = reader->page + reader->head.body_at;

	while (!stat_copy(sequence, reader->snapshot, body, reader->head.body_size))
		;
	return (const void *)reader->snapshot;
}

static const void *reader_table(const struct reader *reader, uint64_t at)
{
	return (const char *)reader->snapshot + (at - reader->head.body_at);
}

static void reader_close(struct reader *reader)
{
	free(reader->snapshot);
	munmap(reader->page, reader->bytes);
	close(reader->fd);
}

static struct ist_stat *export_manual(struct fixture *fixture)
{
	const struct ist_stat_options options = {
	        .flags = IST_STAT_MANUAL, .owners = 3, .cells = CELLS, .name = "mine"};
	struct ist_stat *stat;

	assert_int_equal(ist_stat_export(fixture->manager, &options, &stat), 0);
	return stat;
}

static void test_bad_input(void **state)
{
	struct fixture fixture = fixture_make(4 * MIB, MIB);
	struct ist_stat *stat = (void *)&fixture;
	struct ist_stat_options bad[] = {{.name = "a name of thirty-two bytes, 1 more"},
	                                 {.flags = 2},
	                                 {.owners = IST_STAT_OWNERS_MAX + 1},
	                                 {.cells = IST_STAT_CELLS_MAX + 1}};

	(void)state;
	assert_int_equal(ist_stat_export(NULL, NULL, &stat), -EINVAL);
	assert_int_equal(ist_stat_export(fixture.manager, NULL, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ist_stat_export(fixture.manager, &bad[i], &stat), -EINVAL);
	ist_read_enter();
	assert_int_equal(ist_stat_export(fixture.manager, NULL, &stat), -EDEADLK);
	ist_read_leave();
	assert_ptr_equal(stat, &fixture);
	assert_int_equal(find_file(O_RDONLY), -1);

	assert_int_equal(ist_stat_refresh(NULL), -EINVAL);
	assert_int_equal(ist_stat_unexport(NULL), 0);
	stat = export_manual(&fixture);
	ist_read_enter();
	assert_int_equal(ist_stat_refresh(stat), -EDEADLK);
	assert_int_equal(ist_stat_unexport(stat), -EDEADLK);
	ist_read_leave();
	assert_int_equal(ist_manager_destroy(fixture.manager), -EBUSY);
	assert_int_equal(ist_stat_unexport(stat), 0);
	fixture_drop(&fixture);
}

static uint64_t live_of(const struct reader *reader, unsigned which, uint64_t granules)
{
	const struct ist_stat_class *classes = reader_table(reader, reader->head.classes_at);

	classes += which * (reader->head.class_room / IST_STAT_POOLS);
	for (uint64_t i = 0; i < ((const struct ist_stat_body *)reader->snapshot)->pool[which].classes; i++) {
		if (classes[i].granules >= granules || classes[i].granules == 0) /* what serves so many */
			return classes[i].live;
	}
	return UINT64_MAX;
}

/* Granules that are alive and that are free, by the map. */
static void sum_cells(const struct reader *reader, unsigned which, double *live, double *free)
{
	const struct ist_stat_pool *pool = &((const struct ist_stat_body *)reader->snapshot)->pool[which];
	const struct ist_stat_cell *cells = reader_table(reader, reader->head.cells_at);
	uint64_t all = pool->size / pool->granule;

	cells += which * (reader->head.cell_room / IST_STAT_POOLS);
	*live = *free = 0;
	assert_in_range(pool->cells, 1, CELLS);
	for (uint64_t i = 0; i < pool->cells; i++) {
		uint64_t left = all - i * pool->cell_granules,
		         here = left < pool->cell_granules ? left : pool->cell_granules;

		*live += (double)cells[i].live * (double)here / 65535;
		*free += (double)(65535 - cells[i].live - cells[i].cached) * (double)here / 65535;
	}
}

static void test_contents(void **state)
{
	struct fixture fixture = fixture_make(16 * MIB, MIB);
	struct ist_stat *stat = export_manual(&fixture);
	struct reader reader = reader_open();
	const struct ist_stat_body *body = reader_read(&reader);
	struct ist_shm messages[10], buffer;
	struct ist_pool_stats stats;
	double live, free;

	(void)state;
	assert_int_equal(reader.head.magic, IST_STAT_MAGIC);
	assert_memory_equal(&reader.head.magic, "iststat1", 8);
	assert_int_equal(reader.head.pid, getpid());
	assert_string_equal(reader.head.name, "mine");
	assert_int_equal(body->refreshes, 1);
	assert_int_equal(body->pool[0].size, MIB);
	assert_int_equal(body->pool[0].live, 0);
	assert_int_equal(body->pool[1].live, 0);

	for (int i = 0; i < 10; i++)
		assert_int_equal(ist_driver_pool_alloc(fixture.driver, 200, &messages[i]), 0);
	assert_int_equal(ist_client_pool_alloc(fixture.client, 3 * IST_PAGE_SIZE, &buffer), 0);
	assert_int_equal(ist_shm_free(&messages[9]), 0);
	assert_int_equal(ist_stat_refresh(stat), 0);
	body = reader_read(&reader);
	assert_int_equal(body->refreshes, 2);
	assert_int_equal(body->pool[0].live, 9);
	assert_int_equal(live_of(&reader, 0, 25), 9);
	assert_int_equal(body->pool[1].live, 1);
	assert_int_equal(live_of(&reader, 1, 3), 1);
	ist_driver_pool_stats(fixture.driver, &stats);
	assert_int_equal(body->pool[0].used, 9 * 200);
	assert_int_equal(body->pool[0].cached, stats.cached);
	assert_int_equal(body->pool[0].allocs, 10);
	assert_int_equal(body->pool[0].frees, 1);
	assert_int_equal(body->pool[0].largest_free, stats.largest_free);
	sum_cells(&reader, 0, &live, &free);
	assert_in_range((uint64_t)(live + 0.5), 9 * 25, 9 * 26 + 1);
	assert_in_range((uint64_t)free, (MIB - stats.cached) / 8 - 9 * 26 - 4,
	                (MIB - stats.cached) / 8 - 9 * 25 + 4);
	sum_cells(&reader, 1, &live, &free);
	assert_in_range((uint64_t)(live * 100 + 50), 299, 350);

	for (int i = 0; i < 9; i++)
		assert_int_equal(ist_shm_free(&messages[i]), 0);
	assert_int_equal(ist_shm_free(&buffer), 0);
	assert_int_equal(ist_stat_unexport(stat), 0);
	body = reader_read(&reader); /* the file stays as long as somebody has it mapped */
	assert_int_equal(body->ended, 1);
	assert_int_equal(body->pool[0].live, 0);
	reader_close(&reader);
	fixture_drop(&fixture);
}

/* Those that have most are shown, the others counted; tags that no owner has are shown as such. */
static void test_owners(void **state)
{
	struct fixture fixture = fixture_make(16 * MIB, MIB);
	struct ist_shm buffers[6];
	struct ist_stat *stat;
	struct reader reader;
	const struct ist_stat_body *body;
	const struct ist_stat_owner *owners;

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		struct ist_owner_config config = {.id = 100 + i};
		struct ist_client_request request = {.size = (i + 1) * IST_PAGE_SIZE, .owner = 100 + i};

		if (i != 4)
			assert_int_equal(ist_owner_create(fixture.manager, &config), 0);
		assert_int_equal(ist_client_pool_alloc_request(fixture.client, &request, &buffers[i]), 0);
	}
	stat = export_manual(&fixture);
	reader = reader_open();
	body = reader_read(&reader);
	owners = reader_table(&reader, reader.head.owners_at);
	assert_int_equal(body->owners, 3);
	assert_int_equal(body->owners_left_out, 4); /* with the host */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(owners[i].id, 105 - i);
		assert_int_equal(owners[i].state, i == 1 ? IST_STAT_OWNER_TAG : IST_STAT_OWNER_LIVE);
		assert_int_equal(owners[i].client_bytes, (6 - i) * IST_PAGE_SIZE);
		assert_int_equal(owners[i].client_allocations, 1);
	}
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(ist_shm_free(&buffers[i]), 0);
	assert_int_equal(ist_stat_unexport(stat), 0);
	reader_close(&reader);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(ist_owner_destroy(fixture.manager, 100 + i), 0);
	fixture_drop(&fixture);
}

static void test_nobody_else_writes(void **state)
{
	struct fixture fixture = fixture_make(4 * MIB, MIB);
	struct ist_stat *stat = export_manual(&fixture);
	int fd = find_file(O_RDWR), reading = find_file(O_RDONLY);
	void *page;

	(void)state;
	assert_true(fd >= 0 && reading >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reading, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), -1);
	munmap(page, 4096);
	close(fd);
	close(reading);
	assert_int_equal(ist_stat_unexport(stat), 0);
	fixture_drop(&fixture);
}

static void test_fork(void **state)
{
	struct fixture fixture = fixture_make(4 * MIB, MIB);
	struct ist_stat *stat = export_manual(&fixture), *other = NULL;
	struct reader reader = reader_open();
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0) {
		bool well = ist_stat_refresh(stat) == -ECHILD && ist_stat_unexport(stat) == -ECHILD &&
		            ist_stat_export(fixture.manager, NULL, &other) == -ECHILD && !other;

		_exit(well ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(reader_read(&reader)->refreshes, 1);
	assert_int_equal(ist_stat_unexport(stat), 0);
	reader_close(&reader);
	fixture_drop(&fixture);
}

static void test_limits(void **state)
{
	struct fixture fixture = fixture_make(4 * MIB, MIB);
	struct ist_stat *stat = NULL;
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(ist_stat_export(fixture.manager, NULL, &stat), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(stat);
	/* Nothing is left of it that would keep the manager. */
	fixture_drop(&fixture);
}

/* A thread takes snapshots by itself, as often as it was told. */
/* An error, and no signal; in a child, for the limit stays. */
static void test_limit_on_file_sizes(void **state)
{
	const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	const struct ist_stat_options manual = {.flags = IST_STAT_MANUAL};
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct fixture fixture = fixture_make(256 * KIB, 0);
		struct ist_stat *stat;

		signal(SIGXFSZ, SIG_DFL);
		if (setrlimit(RLIMIT_FSIZE, &limit))
			_exit(1);
		_exit(ist_stat_export(fixture.manager, &manual, &stat) == -EFBIG && find_file(O_RDONLY) < 0 &&
		                      ist_manager_destroy(fixture.manager) == 0
		              ? 0
		              : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_thread(void **state)
{
	struct fixture fixture = fixture_make(4 * MIB, MIB);
	const struct ist_stat_options options = {.period_ms = 1};
	struct ist_stat *stats[2];
	struct reader reader;

	(void)state;
	assert_int_equal(ist_stat_export(fixture.manager, &options, &stats[0]), 0);
	reader = reader_open();
	assert_int_equal(ist_stat_export(fixture.manager, NULL, &stats[1]), 0);
	while (reader_read(&reader)->refreshes < 5)
		;
	assert_int_equal(ist_stat_unexport(stats[1]), 0);
	assert_int_equal(ist_manager_destroy(fixture.manager), -EBUSY);
	assert_int_equal(ist_stat_unexport(stats[0]), 0);
	reader_close(&reader);
	fixture_drop(&fixture);
}

#define WORDS 512u
#define ROUNDS 20000u

static struct {
	uint64_t sequence, words[WORDS];
	_Atomic bool stop;
} shared;

static void *write_rounds(void *context)
{
	uint64_t words[WORDS];

	(void)context;
	for (uint64_t round = 1; round <= ROUNDS || !atomic_load_explicit(&shared.stop, memory_order_relaxed);
	     round++) {
		for (size_t i = 0; i < WORDS; i++)
			words[i] = round;
		stat_publish(&shared.sequence, shared.words, words, sizeof(words));
	}
	return NULL;
}

/* All words that a reader gets are of one round, and rounds do not go back. */
static void test_no_half_snapshot(void **state)
{
	uint64_t words[WORDS], last = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_rounds, NULL), 0);
	for (unsigned seen = 0; seen < 200;) {
		if (!stat_copy(&shared.sequence, words, shared.words, sizeof(words)))
			continue;
		for (size_t i = 0; i < WORDS; i++)
			assert_int_equal(words[i], words[0]);
		assert_true(words[0] >= last);
		seen += words[0] != last || words[0] >= ROUNDS;
		last = words[0];
	}
	atomic_store_explicit(&shared.stop, true, memory_order_relaxed);
	pthread_join(writer, NULL);
	/* A writer that stopped in between: no reader gets anything. */
	shared.sequence++;
	assert_false(stat_copy(&shared.sequence, words, shared.words, sizeof(words)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bad_input),
	        cmocka_unit_test(test_contents),
	        cmocka_unit_test(test_owners),
	        cmocka_unit_test(test_nobody_else_writes),
	        cmocka_unit_test(test_fork),
	        cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_thread),
	        cmocka_unit_test(test_no_half_snapshot),
	        cmocka_unit_test(test_limit_on_file_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
