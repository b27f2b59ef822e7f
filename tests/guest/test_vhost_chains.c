/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Guests that mean no good, as tables: the rings and requests that each makes, and what becomes of it. After each the next one is
 * served, and nothing of it is left: descriptors, mappings, owners. usage: test-vhost_chains BACK-END
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/fate.h"
#include "support/support.h"

#define STATUS (HEADER + 16)
#define TABLE (128 * KIB) /* of indirect descriptors */

static struct back back;

#define ANY_ERROR (-1) /* a status other than that of success */

static void three(struct part *part, uint64_t data, uint32_t size, bool is_read)
{
	part[0] = (struct part){HEADER, 16, false};
	part[1] = (struct part){data, size, is_read};
	part[2] = (struct part){STATUS, 1, true};
}

static void set_header(struct front *front, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *head = (struct virtio_blk_outhdr *)(void *)(front->ram + HEADER);

	*head = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	front->ram[STATUS] = 77;
}

/* Requests: well-formed chains that ask for what cannot be done. */
static const struct {
	const char *name;
	uint32_t type;
	uint64_t sector;
	uint64_t data;
	uint32_t size;
	uint8_t status;
} requests[] = {
        {"data in no region", VIRTIO_BLK_T_IN, 0, NOWHERE, 512, VIRTIO_BLK_S_IOERR},
        {"data from no region", VIRTIO_BLK_T_OUT, 0, NOWHERE, 512, VIRTIO_BLK_S_IOERR},
        {"data over the end of its region", VIRTIO_BLK_T_IN, 0, FRONT_RAM - 256, 512, VIRTIO_BLK_S_IOERR},
        {"the back end's messages to the disk", VIRTIO_BLK_T_OUT, 0, CARVE_OUT, 512, VIRTIO_BLK_S_IOERR},
        {"the disk over the back end's messages", VIRTIO_BLK_T_IN, 0, CARVE_OUT, 4096, VIRTIO_BLK_S_IOERR},
        {"data around the top", VIRTIO_BLK_T_IN, 0, UINT64_MAX - 255, 512, VIRTIO_BLK_S_IOERR},
        {"data of 4 GiB", VIRTIO_BLK_T_IN, 0, FRONT_DATA, UINT32_MAX - 511, VIRTIO_BLK_S_IOERR},
        {"data of the highest size", VIRTIO_BLK_T_IN, 0, FRONT_DATA, UINT32_MAX, VIRTIO_BLK_S_IOERR},
        {"half a sector", VIRTIO_BLK_T_IN, 0, FRONT_DATA, 256, VIRTIO_BLK_S_IOERR},
        {"a sector and a byte", VIRTIO_BLK_T_OUT, 0, FRONT_DATA, 513, VIRTIO_BLK_S_IOERR},
        {"behind the end", VIRTIO_BLK_T_IN, DISK_BYTES / 512, FRONT_DATA, 512, VIRTIO_BLK_S_IOERR},
        {"over the end", VIRTIO_BLK_T_OUT, DISK_BYTES / 512 - 1, FRONT_DATA, 1024, VIRTIO_BLK_S_IOERR},
        {"up to the end", VIRTIO_BLK_T_IN, DISK_BYTES / 512 - 2, FRONT_DATA, 1024, VIRTIO_BLK_S_OK},
        {"at the highest sector", VIRTIO_BLK_T_IN, UINT64_MAX, FRONT_DATA, 512, VIRTIO_BLK_S_IOERR},
        {"where sectors wrap in bytes", VIRTIO_BLK_T_OUT, UINT64_C(1) << 55, FRONT_DATA, 512,
         VIRTIO_BLK_S_IOERR},
        {"where bytes are negative", VIRTIO_BLK_T_IN, UINT64_C(1) << 54, FRONT_DATA, 512, VIRTIO_BLK_S_IOERR},
        {"an unknown type", 12345, 0, FRONT_DATA, 512, VIRTIO_BLK_S_UNSUPP},
        {"the highest type", UINT32_MAX, 0, FRONT_DATA, 512, VIRTIO_BLK_S_UNSUPP},
        {"discard, which is not offered", VIRTIO_BLK_T_DISCARD, 0, FRONT_DATA, 16, VIRTIO_BLK_S_UNSUPP},
        {"a serial in no region", VIRTIO_BLK_T_GET_ID, 0, NOWHERE, 20, VIRTIO_BLK_S_IOERR},
        {"a serial of one byte", VIRTIO_BLK_T_GET_ID, 0, FRONT_DATA, 1, VIRTIO_BLK_S_OK},
        {"a serial of a page", VIRTIO_BLK_T_GET_ID, 0, FRONT_DATA, 4096, VIRTIO_BLK_S_OK},
        {"the disk over its own header", VIRTIO_BLK_T_IN, 0, HEADER - 512, 528, VIRTIO_BLK_S_IOERR},
};

static void hostile_requests(void **state)
{
	struct vring_used_elem element;
	struct front front;
	struct part part[3];

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		printf("a request: %s\n", requests[i].name);
		for (unsigned turn = 0; turn < 2; turn++) {
			three(part, requests[i].data, requests[i].size, requests[i].type != VIRTIO_BLK_T_OUT);
			set_header(&front, requests[i].type, requests[i].sector);
			front_submit(&front, 0,
			             turn ? front_indirect(&front, 0, TABLE, part, 3)
			                  : front_chain(&front, 0, part, 3));
			assert_int_equal(front_wait(&front, 0, &element), 1);
			assert_int_equal(front.ram[STATUS], requests[i].status);
		}
	}
	/* Nothing of it reached the disk. */
	for (unsigned sector = 0; sector < 2; sector++) {
		uint8_t bytes[512];

		assert_int_equal(pread(back.image, bytes, 512, sector * 512), 512);
		for (unsigned i = 0; i < 512; i++)
			assert_int_equal(bytes[i], disk_byte(sector * 512 + i));
	}
	fate_expect(&front, SERVED);
	front_close(&front);
	back_peer_gone(&back);
}

static uint16_t plain(struct front *front)
{
	struct part part[3];

	three(part, FRONT_DATA, 512, true);
	set_header(front, VIRTIO_BLK_T_IN, 2);
	return front_chain(front, 0, part, 3);
}

static uint16_t plain_indirect(struct front *front, uint64_t table)
{
	struct part part[3];

	three(part, FRONT_DATA, 512, true);
	set_header(front, VIRTIO_BLK_T_IN, 2);
	return front_indirect(front, 0, table, part, 3);
}

static struct vring_desc *desc_of(struct front *front, uint16_t index)
{
	return &front->queue[0].desc[index];
}

static struct vring_desc *table_of(struct front *front, unsigned index)
{
	return (struct vring_desc *)(void *)(front->ram + TABLE) + index;
}

static void head_outside(struct front *front)
{
	front_submit(front, 0, FRONT_RING);
}

static void index_leaps(struct front *front)
{
	front->queue[0].avail->idx = (uint16_t)(front->queue[0].avail->idx + FRONT_RING);
	front_submit(front, 0, plain(front));
}

static void index_falls_back(struct front *front)
{
	front->queue[0].avail->idx = UINT16_MAX - 1;
	front_submit(front, 0, plain(front));
}

static void next_outside(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->next = FRONT_RING;
	front_submit(front, 0, head);
}

static void bites_its_tail(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->next = head;
	front_submit(front, 0, head);
}

static void two_in_a_circle(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, (uint16_t)(head + 1))->next = head;
	desc_of(front, (uint16_t)(head + 1))->flags = VRING_DESC_F_NEXT;
	front_submit(front, 0, head);
}

static void circle_of_nothing(struct front *front)
{
	uint16_t head = plain(front);

	*desc_of(front, head) = (struct vring_desc){HEADER, 0, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, head};
	front_submit(front, 0, head);
}

static void read_behind_written(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->flags |= VRING_DESC_F_WRITE;
	desc_of(front, (uint16_t)(head + 1))->flags &= (uint16_t)~VRING_DESC_F_WRITE;
	front_submit(front, 0, head);
}

static void no_status(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->flags = 0;
	front_submit(front, 0, head);
}

static void empty_status(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, (uint16_t)(head + 1))->len = 0;
	desc_of(front, (uint16_t)(head + 2))->len = 0;
	front_submit(front, 0, head);
}

static void table_of_nothing(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->len = 0;
	front_submit(front, 0, head);
}

static void table_of_halves(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->len = 40;
	front_submit(front, 0, head);
}

static void table_and_next(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->flags |= VRING_DESC_F_NEXT;
	front_submit(front, 0, head);
}

static void table_in_table(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	*table_of(front, 1) = *desc_of(front, head);
	front_submit(front, 0, head);
}

static void table_nowhere(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->addr = NOWHERE;
	front_submit(front, 0, head);
}

static void table_in_carve_out(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->addr = CARVE_OUT;
	front_submit(front, 0, head);
}

static void table_at_the_top(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->addr = UINT64_MAX - 15;
	front_submit(front, 0, head);
}

static void table_over_the_end(struct front *front)
{
	uint16_t head = plain_indirect(front, FRONT_RAM - 48);

	desc_of(front, head)->addr = FRONT_RAM - 24;
	front_submit(front, 0, head);
}

static void table_in_a_circle(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	table_of(front, 1)->next = 1;
	front_submit(front, 0, head);
}

static void table_leads_out(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	table_of(front, 0)->next = 3;
	front_submit(front, 0, head);
}

static void table_too_long(struct front *front)
{
	struct part part[300];
	uint16_t head;

	for (unsigned i = 0; i < 300; i++)
		part[i] = (struct part){FRONT_DATA + i, 1, true};
	part[0] = (struct part){HEADER, 16, false};
	set_header(front, VIRTIO_BLK_T_IN, 2);
	head = front_indirect(front, 0, TABLE, part, 300);
	front_submit(front, 0, head);
}

static void table_of_4_gib(struct front *front)
{
	uint16_t head = plain_indirect(front, TABLE);

	desc_of(front, head)->len = UINT32_MAX - 15;
	front_submit(front, 0, head);
}

/* It ends where its chain does, whatever its descriptor says of its length: no harm. */
static void header_nowhere(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->addr = NOWHERE;
	front_submit(front, 0, head);
}

static void header_too_short(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, head)->len = 15;
	front_submit(front, 0, head);
}

static void status_nowhere(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, (uint16_t)(head + 2))->addr = NOWHERE;
	front_submit(front, 0, head);
}

static void status_in_carve_out(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, (uint16_t)(head + 2))->addr = CARVE_OUT;
	front_submit(front, 0, head);
}

/* Its own ring gets a disk's contents: what that means is the guest's trouble. Only that it is over. */
static void disk_into_ring(struct front *front)
{
	uint16_t head = plain(front);

	desc_of(front, (uint16_t)(head + 1))->addr = 0;
	desc_of(front, (uint16_t)(head + 1))->len = 12 * KIB;
	front_submit(front, 0, head);
}

static void rings_taken_away(struct front *front)
{
	struct vu_one_region one = {.region = front->at};

	assert_int_equal(front_ask(front, VU_REM_MEM_REG, &one, sizeof(one), -1), 0);
	assert_int_equal(front_ask(front, VU_ADD_MEM_REG, &one, sizeof(one), front->memory), 0);
}

/* The file ends: below the rings, so ring 0 is broken when it is looked at; ring 1, which is too, is put right. */
static void rings_cut_off(struct front *front)
{
	uint16_t head = plain(front);
	char copy[64 * KIB];

	memcpy(copy, front->ram, sizeof(copy));
	front->queue[0].avail->ring[front->queue[0].avail->idx % FRONT_RING] = head;
	assert_int_equal(ftruncate(front->memory, 0), 0);
	assert_int_equal(eventfd_write(front->queue[0].kick, 1), 0);
	front_await(front->queue[0].err);
	assert_int_equal(ftruncate(front->memory, FRONT_RAM), 0);
	memcpy(front->ram, copy, sizeof(copy));
}

static void data_cut_off(struct front *front)
{
	struct vring_used_elem element;
	uint16_t head;

	head = plain(front);
	assert_int_equal(ftruncate(front->memory, FRONT_DATA), 0);
	front_submit(front, 0, head);
	assert_int_equal(front_wait(front, 0, &element), 1);
	assert_int_equal(front->ram[STATUS], VIRTIO_BLK_S_IOERR);
	assert_int_equal(ftruncate(front->memory, FRONT_RAM), 0);
}

static void header_and_status_cut_off(struct front *front)
{
	struct part part[3] = {
	        {FRONT_RAM - 4096, 16, false}, {FRONT_DATA, 512, true}, {FRONT_RAM - 4000, 1, true}};
	struct vring_used_elem element;

	assert_int_equal(ftruncate(front->memory, FRONT_RAM - 4096), 0);
	front_submit(front, 0, front_chain(front, 0, part, 3));
	assert_int_equal(front_wait(front, 0, &element), 1);
	assert_int_equal(element.len, 0);
	assert_int_equal(ftruncate(front->memory, FRONT_RAM), 0);
}

static void table_cut_off(struct front *front)
{
	struct part part[3];

	three(part, FRONT_DATA, 512, true);
	front_indirect(front, 0, FRONT_RAM - 4096, part, 3);
	assert_int_equal(ftruncate(front->memory, FRONT_RAM - 4096), 0);
	front_submit(front, 0, (uint16_t)(front->queue[0].free - 1));
	front_await(front->queue[0].err);
	assert_int_equal(ftruncate(front->memory, FRONT_RAM), 0);
}

/* The call is full and of the blocking kind: whoever writes to it waits. */
static void call_is_full(struct front *front)
{
	eventfd_t count;

	front_sync(front);
	fcntl(front->queue[0].call, F_SETFL, O_NONBLOCK);
	(void)eventfd_read(front->queue[0].call, &count); /* of the request before, if nobody has taken it */
	fcntl(front->queue[0].call, F_SETFL, 0);
	assert_int_equal(eventfd_write(front->queue[0].call, UINT64_MAX - 1), 0);
	front_submit(front, 0, plain(front));
}

static void does_not_listen(struct front *front)
{
	for (unsigned i = 0; i < 200000; i++) {
		if (!front_send(front, VU_GET_FEATURES, 0, NULL, 0, NULL, 0))
			return;
	}
	fail_msg("the back end keeps answers without end");
}

#define CHAIN(name, fate)                                                                                    \
	{                                                                                                    \
#name, name, fate                                                                            \
	}
static const struct {
	const char *name;
	void (*act)(struct front *front);
	enum fate fate;
} acts[] = {
        CHAIN(head_outside, BROKEN),
        CHAIN(index_leaps, BROKEN),
        CHAIN(index_falls_back, BROKEN),
        CHAIN(next_outside, BROKEN),
        CHAIN(bites_its_tail, BROKEN),
        CHAIN(two_in_a_circle, BROKEN),
        CHAIN(circle_of_nothing, BROKEN),
        CHAIN(read_behind_written, BROKEN),
        CHAIN(no_status, BROKEN),
        CHAIN(empty_status, BROKEN),
        CHAIN(table_of_nothing, BROKEN),
        CHAIN(table_of_halves, BROKEN),
        CHAIN(table_and_next, BROKEN),
        CHAIN(table_in_table, BROKEN),
        CHAIN(table_nowhere, BROKEN),
        CHAIN(table_in_carve_out, BROKEN),
        CHAIN(table_at_the_top, BROKEN),
        CHAIN(table_over_the_end, BROKEN),
        CHAIN(table_in_a_circle, BROKEN),
        CHAIN(table_leads_out, BROKEN),
        CHAIN(table_too_long, BROKEN),
        CHAIN(rings_cut_off, BROKEN),
        CHAIN(table_cut_off, BROKEN),
        CHAIN(data_cut_off, SERVED),
        CHAIN(header_and_status_cut_off, SERVED),
        CHAIN(call_is_full, CLOSED),
        CHAIN(does_not_listen, CLOSED),
};

static const struct {
	const char *name;
	void (*act)(struct front *front);
	int status;
} answered[] = {
        {"table_of_4_gib", table_of_4_gib, VIRTIO_BLK_S_OK},
        {"header_nowhere", header_nowhere, VIRTIO_BLK_S_IOERR},
        {"header_too_short", header_too_short, ANY_ERROR},
        {"status_nowhere", status_nowhere, 77},
        {"status_in_carve_out", status_in_carve_out, 77},
};

static void hostile_chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct front front;

		printf("a chain: %s\n", acts[i].name);
		front_open(&front, back.socket);
		front_start(&front);
		/* Not the first request of its ring. */
		fate_expect(&front, SERVED);
		acts[i].act(&front);
		fate_expect(&front, acts[i].fate);
		front_close(&front);
		back_peer_gone(&back);
	}
}

static void chains_that_are_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
		struct vring_used_elem element;
		struct front front;

		printf("a chain: %s\n", answered[i].name);
		front_open(&front, back.socket);
		front_start(&front);
		answered[i].act(&front);
		assert_int_equal(front_wait(&front, 0, &element), 1);
		if (answered[i].status == ANY_ERROR)
			assert_int_not_equal(front.ram[STATUS], 0);
		else
			assert_int_equal(front.ram[STATUS], answered[i].status);
		fate_expect(&front, SERVED);
		front_close(&front);
		back_peer_gone(&back);
	}
}

static void own_rings(void **state)
{
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	disk_into_ring(&front);
	usleep(100000);
	front_close(&front);
	back_peer_gone(&back);
	front_open(&front, back.socket);
	front_start(&front);
	rings_taken_away(&front);
	fate_expect(&front, SERVED);
	front_close(&front);
	back_peer_gone(&back);
}

static int set_up(void **state)
{
	(void)state;
	fate_warm_up(&back);
	return 0;
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hostile_requests),
	        cmocka_unit_test(hostile_chains),
	        cmocka_unit_test(chains_that_are_answered),
	        cmocka_unit_test(own_rings),
	};
	int failed;

	if (count != 2)
		return 2;
	back = back_start(arguments[1], NULL);
	failed = cmocka_run_group_tests(tests, set_up, NULL);
	if (!failed)
		back_stop(&back);
	return failed;
}
