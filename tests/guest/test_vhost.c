/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a well-behaved front end gets from examples/vhost-user-blk. usage: test-vhost BACK-END */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/back.h"
#include "guest/front.h"
#include "support/support.h"

static const char *program;
static struct back back;

static int set_up(void **state)
{
	(void)state;
	back = back_start(program, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	back_stop(&back);
	return 0;
}

static void check_pattern(const char *at, size_t sector, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal((uint8_t)at[i], disk_byte(sector * 512 + i));
}

static void finish(struct front *front)
{
	front_close(front);
	back_peer_gone(&back);
}

static void reads_and_writes(void **state)
{
	struct front front;
	char byte[512];

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	for (unsigned queue = 0; queue < FRONT_QUEUES; queue++) {
		for (uint32_t size = 512; size <= 64 * KIB; size *= 4) {
			assert_int_equal(front_request(&front, queue, VIRTIO_BLK_T_IN, 7, FRONT_DATA + 3,
			                               size, 64 * KIB),
			                 0);
			check_pattern(front.ram + FRONT_DATA + 3, 7, size);
		}
		memset(front.ram + FRONT_DATA, 0xc0 + (int)queue, 4096);
		assert_int_equal(
		        front_request(&front, queue, VIRTIO_BLK_T_OUT, 1000, FRONT_DATA, 4096, 64 * KIB), 0);
		assert_int_equal(front_request(&front, queue, VIRTIO_BLK_T_FLUSH, 0, 0, 0, 64 * KIB), 0);
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(pread(back.image, byte, 512, (1000 + i) * 512), 512);
			assert_int_equal((uint8_t)byte[i], 0xc0 + queue);
		}
	}
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_GET_ID, 0, FRONT_DATA, 20, 64 * KIB), 0);
	assert_string_equal(front.ram + FRONT_DATA, "isthmus");
	assert_int_equal(front_request(&front, 0, 4711, 0, FRONT_DATA, 20, 64 * KIB), VIRTIO_BLK_S_UNSUPP);
	finish(&front);
}

/* The header in three pieces, data in many, some empty, the status behind the data in one descriptor; direct and indirect. */
static void layouts(void **state)
{
	struct part part[20] = {{64 * KIB, 1, false},
	                        {64 * KIB + 1, 0, false},
	                        {64 * KIB + 1, 7, false},
	                        {64 * KIB + 8, 8, false}};
	struct virtio_blk_outhdr *head;
	struct vring_used_elem element;
	struct front front;
	unsigned parts = 4;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	head = (struct virtio_blk_outhdr *)(void *)(front.ram + 64 * KIB);
	*head = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 99};
	for (unsigned i = 0; i < 15; i++) /* one after the other, of odd sizes: 1024 bytes and the status */
		part[parts + i] = (struct part){FRONT_DATA + i * 63, 63, true};
	part[parts + 15] = (struct part){FRONT_DATA + 15 * 63, 1024 - 15 * 63 + 1, true};
	parts += 16;
	for (unsigned turn = 0; turn < 6; turn++) {
		uint16_t chain = turn % 2 ? front_indirect(&front, 1, 128 * KIB + 16, part, parts)
		                          : front_chain(&front, 1, part, parts);

		memset(front.ram + FRONT_DATA, 0xee, 2048);
		front_submit(&front, 1, chain);
		assert_int_equal(front_wait(&front, 1, &element), 1);
		assert_int_equal(element.id, chain);
		assert_int_equal(element.len, 1025);
		assert_int_equal(front.ram[FRONT_DATA + 1024], 0);
		check_pattern(front.ram + FRONT_DATA, 99, 1024);
	}
	finish(&front);
}

/* A buffer that begins in one region and ends in the next. */
static void across_regions(void **state)
{
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 5, FRONT_RAM - 100, 512, 64 * KIB),
	                 VIRTIO_BLK_S_IOERR);
	assert_int_equal(front_add_extra(&front), 0);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 5, FRONT_RAM - 100, 8192, 64 * KIB), 0);
	check_pattern(front.ram + FRONT_RAM - 100, 5, 100);
	for (size_t i = 0; i < 8092; i++)
		assert_int_equal((uint8_t)front.more[i], disk_byte(5 * 512 + 100 + i));
	assert_int_equal(front_remove_extra(&front), 0);
	assert_int_equal(front_remove_extra(&front), 1);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 5, FRONT_RAM - 100, 8192, 64 * KIB),
	                 VIRTIO_BLK_S_IOERR);
	finish(&front);
}

static void batch(struct front *front, uint64_t data, unsigned count, uint32_t size)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t header = 64 * KIB + i * 32;
		struct virtio_blk_outhdr *head = (struct virtio_blk_outhdr *)(void *)(front->ram + header);
		struct part part[3] = {
		        {header, 16, false}, {data + i * size, size, true}, {header + 16, 1, true}};

		*head = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 16 * i};
		front->ram[header + 16] = 77;
		front_submit(front, 0, front_chain(front, 0, part, 3));
	}
}

/* Requests in a region that goes while they run: each is done, or answered with an error, and what comes after is well. */
static void regions_come_and_go(void **state)
{
	long turns = scaled(300);
	unsigned good = 0, bad = 0;
	struct back_gone gone;
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	for (long turn = 0; turn < turns; turn++) {
		struct vring_used_elem element;

		assert_int_equal(front_add_extra(&front), 0);
		memset(front.more, 0xee, 16 * 8192);
		batch(&front, FRONT_RAM, 16, 8192);
		assert_int_equal(front_remove_extra(&front), 0);
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(front_wait(&front, 0, &element), 1);
		for (unsigned i = 0; i < 16; i++) {
			char status = front.ram[64 * KIB + i * 32 + 16];

			assert_true(status == VIRTIO_BLK_S_OK || status == VIRTIO_BLK_S_IOERR);
			if (status == VIRTIO_BLK_S_OK)
				check_pattern(front.more + i * 8192, 16 * i, 8192);
			good += status == VIRTIO_BLK_S_OK;
			bad += status != VIRTIO_BLK_S_OK;
		}
		assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 3, FRONT_DATA, 4096, 60 * KIB), 0);
	}
	front_close(&front);
	gone = back_peer_gone(&back);
	assert_int_equal(gone.went, turns);
	printf("%u requests in regions that went: %u done, %u refused\n", good + bad, good, bad);
}

/* The whole table at once, as front ends do that know no slots: what is the same stays, requests in it go on. */
static void tables(void **state)
{
	struct vu_mem_table table = {.count = 1};
	struct vring_used_elem element;
	struct back_gone gone;
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	table.region[0] = front.at;
	table.region[1] = front.more_at;
	for (unsigned turn = 0; turn < 20; turn++) {
		int fd[2] = {front.memory, front.extra};

		batch(&front, FRONT_DATA, 16, 8192);
		table.count = turn % 2 ? 1 : 2;
		assert_true(front_send(&front, VU_SET_MEM_TABLE, 0, &table,
		                       8 + table.count * sizeof(table.region[0]), fd, table.count));
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(front_wait(&front, 0, &element), 1);
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(front.ram[64 * KIB + i * 32 + 16], 0);
			check_pattern(front.ram + FRONT_DATA + i * 8192, 16 * i, 8192);
		}
	}
	front_close(&front);
	gone = back_peer_gone(&back);
	assert_int_equal(gone.came, 11); /* the first, and the second ten times */
	assert_int_equal(gone.went, 10);
}

/* Stopped and started again where it was; requests that are with the back end are given back before the answer. */
static void stops_and_goes_on(void **state)
{
	struct vu_ring_state ring = {0, 0};
	struct front front;
	uint64_t number = 0;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	for (unsigned turn = 0; turn < 50; turn++) {
		uint16_t before = front.queue[0].used->idx;

		batch(&front, FRONT_DATA, 16, 8192);
		ring = (struct vu_ring_state){0, 0};
		assert_true(front_send(&front, VU_GET_VRING_BASE, 0, &ring, sizeof(ring), NULL, 0));
		assert_int_equal(front_receive(&front, &ring, sizeof(ring)), sizeof(ring));
		assert_true((uint16_t)(ring.value - before) <= 16);
		assert_int_equal(front.queue[0].used->idx, ring.value);
		ring.ring = 0;
		assert_true(front_send(&front, VU_SET_VRING_BASE, 0, &ring, sizeof(ring), NULL, 0));
		assert_true(front_send(&front, VU_SET_VRING_KICK, 0, &number, sizeof(number),
		                       &front.queue[0].kick, 1));
		for (unsigned i = 0; i < 16; i++) {
			struct vring_used_elem element;

			assert_int_equal(front_wait(&front, 0, &element), 1);
		}
	}
	finish(&front);
}

/* Who wants no notifications gets none. */
static void no_interrupts(void **state)
{
	struct front front;
	eventfd_t count;
	double end;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	fcntl(front.queue[0].call, F_SETFL, O_NONBLOCK);
	batch(&front, FRONT_DATA, 1, 512);
	front_await(front.queue[0].call);
	assert_int_equal(eventfd_read(front.queue[0].call, &count), 0);
	front.queue[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	batch(&front, FRONT_DATA, 1, 512);
	for (end = seconds_now() + 20; front.queue[0].used->idx != 2 && seconds_now() < end;)
		usleep(1000);
	assert_int_equal(front.queue[0].used->idx, 2);
	front_sync(&front);
	assert_int_equal(eventfd_read(front.queue[0].call, &count), -1);
	finish(&front);
}

static void config_space(void **state)
{
	struct vu_config config = {.size = 128};
	struct virtio_blk_config disk;
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	assert_true(front_send(&front, VU_GET_CONFIG, 0, &config, 12 + 128, NULL, 0));
	assert_int_equal(front_receive(&front, &config, sizeof(config)), 12 + 128);
	memcpy(&disk, config.data, sizeof(disk));
	assert_int_equal(disk.capacity, DISK_BYTES / 512);
	assert_int_equal(disk.blk_size, 512);
	config = (struct vu_config){.size = 4, .offset = 0};
	assert_true(front_send(&front, VU_GET_CONFIG, 0, &config, 12 + 4, NULL, 0));
	assert_int_equal(front_receive(&front, &config, sizeof(config)), 12 + 4);
	finish(&front);
}

/* Without protocol features, and without FLUSH: rings run at once, and writes are on the disk when they are answered. */
static void plain_front_end(void **state)
{
	struct vu_mem_table table = {.count = 1};
	struct vu_ring_state size = {0, FRONT_RING}, base = {0, 0};
	struct vu_ring_addr addr = {.ring = 0};
	uint64_t number = 0;
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_negotiate(&front, UINT64_C(1) << VIRTIO_F_VERSION_1, 0);
	table.region[0] = front.at;
	assert_true(front_send(&front, VU_SET_MEM_TABLE, 0, &table, 8 + sizeof(front.at), &front.memory, 1));
	addr.desc = (uintptr_t)front.queue[0].desc;
	addr.avail = (uintptr_t)front.queue[0].avail;
	addr.used = (uintptr_t)front.queue[0].used;
	assert_true(front_send(&front, VU_SET_VRING_NUM, 0, &size, sizeof(size), NULL, 0));
	assert_true(front_send(&front, VU_SET_VRING_BASE, 0, &base, sizeof(base), NULL, 0));
	assert_true(front_send(&front, VU_SET_VRING_ADDR, 0, &addr, sizeof(addr), NULL, 0));
	assert_true(
	        front_send(&front, VU_SET_VRING_CALL, 0, &number, sizeof(number), &front.queue[0].call, 1));
	assert_true(
	        front_send(&front, VU_SET_VRING_KICK, 0, &number, sizeof(number), &front.queue[0].kick, 1));
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_OUT, 2000, FRONT_DATA, 512, 64 * KIB), 0);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 2, FRONT_DATA, 512, 64 * KIB), 0);
	check_pattern(front.ram + FRONT_DATA, 2, 512);
	finish(&front);
}

static void read_only_disk(void **state)
{
	struct back other = back_start(program, "--read-only");
	struct front front;

	(void)state;
	front_open(&front, other.socket);
	front_start(&front);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 2, FRONT_DATA, 512, 64 * KIB), 0);
	check_pattern(front.ram + FRONT_DATA, 2, 512);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_OUT, 2, FRONT_DATA, 512, 64 * KIB),
	                 VIRTIO_BLK_S_IOERR);
	front_close(&front);
	back_peer_gone(&other);
	back_stop(&other);
}

/* Memory for a few requests only: the others wait for these, in both rings, and all are answered. */
static void little_memory(void **state)
{
	struct back other = back_start(program, "--messages=8");
	struct vring_used_elem element;
	struct front front;

	(void)state;
	front_open(&front, other.socket);
	front_start(&front);
	for (unsigned turn = 0; turn < 200; turn++) {
		struct part part[100];

		for (unsigned i = 0; i < 2 * FRONT_RING; i++) {
			uint64_t header = 64 * KIB + i * 32, table = 256 * KIB + i * 2048;
			struct virtio_blk_outhdr *head =
			        (struct virtio_blk_outhdr *)(void *)(front.ram + header);

			*head = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = i};
			front.ram[header + 16] = 77;
			part[0] = (struct part){header, 16, false};
			for (unsigned k = 0; k < 64; k++) /* 1.1 KiB a request */
				part[1 + k] = (struct part){FRONT_DATA + i * 512 + k * 8, 8, true};
			part[65] = (struct part){header + 16, 1, true};
			front_submit(&front, i % 2, front_indirect(&front, i % 2, table, part, 66));
		}
		for (unsigned i = 0; i < 2 * FRONT_RING; i++)
			assert_int_equal(front_wait(&front, i % 2, &element), 1);
		for (unsigned i = 0; i < 2 * FRONT_RING; i++) {
			assert_int_equal(front.ram[64 * KIB + i * 32 + 16], 0);
			check_pattern(front.ram + FRONT_DATA + i * 512, i, 512);
		}
	}
	front_close(&front);
	back_peer_gone(&other);
	back_stop(&other);
}

/* One front end at a time; the one that comes too early is not served, and the one that is there does not notice. */
static void one_at_a_time(void **state)
{
	struct front front, other;
	uint64_t value;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	front_open(&other, back.socket);
	(void)front_send(&other, VU_GET_FEATURES, 0, NULL, 0, NULL, 0);
	assert_int_equal(front_receive(&other, &value, sizeof(value)), -1);
	front_close(&other);
	assert_int_equal(front_request(&front, 0, VIRTIO_BLK_T_IN, 2, FRONT_DATA, 512, 64 * KIB), 0);
	finish(&front);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_and_writes), cmocka_unit_test(layouts),
	        cmocka_unit_test(across_regions),   cmocka_unit_test(regions_come_and_go),
	        cmocka_unit_test(tables),           cmocka_unit_test(stops_and_goes_on),
	        cmocka_unit_test(no_interrupts),    cmocka_unit_test(config_space),
	        cmocka_unit_test(plain_front_end),  cmocka_unit_test(read_only_disk),
	        cmocka_unit_test(one_at_a_time),    cmocka_unit_test(little_memory),
	};

	if (count != 2)
		return 2;
	program = arguments[1];
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
