/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Front ends that are killed in the middle of their requests, hundreds of times. Each writes blocks, of which a block says itself which it is
 * and which writing of it; what was acknowledged must be on the disk, and what was not is either of the two. After each, the back end's
 * descriptors, mappings, owners and messages are as before. usage: test-vhost_kills BACK-END
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/back.h"
#include "guest/front.h"
#include "support/support.h"

#define BLOCK 4096u
#define BLOCKS 64u
#define SLOTS 12u /* requests at once: FRONT_RING / 3 descriptors, and some less */

/* Shared with those who are killed. A version is written as `asked` before the request is made, as `done` after its answer. */
struct log {
	uint64_t asked[BLOCKS], done[BLOCKS];
	uint64_t requests, regions, connected;
};
static struct log *record;
static struct back back;

/* Block `number` in its writing `version`; version 0 is what the disk was made with. */
static uint64_t word_of(uint64_t number, uint64_t version, size_t word)
{
	return (number << 48 | version << 16 | word) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool holds_version(const uint64_t *block, uint64_t number, uint64_t version)
{
	for (size_t i = 0; i < BLOCK / 8; i++) {
		if (block[i] != word_of(number, version, i))
			return false;
	}
	return true;
}

/* One slot: header, status and a block of data. */
struct slot {
	bool is_busy;
	uint16_t head;
	uint64_t number, version;
};

static uint64_t header_at(unsigned slot)
{
	return 64 * KIB + slot * 32;
}

/* Data in RAM, or in the region that comes and goes. */
static void write_block(struct front *front, struct slot *slots, unsigned index, bool in_extra)
{
	struct slot *slot = &slots[index];
	uint64_t data = in_extra ? FRONT_RAM + index * BLOCK : FRONT_DATA + index * BLOCK;
	uint64_t *block = (uint64_t *)(void *)(in_extra ? front->more + index * BLOCK : front->ram + data);
	struct part part[3] = {
	        {header_at(index), 16, false}, {data, BLOCK, false}, {header_at(index) + 16, 1, true}};

	slot->version = record->asked[slot->number] + 1;
	for (size_t i = 0; i < BLOCK / 8; i++)
		block[i] = word_of(slot->number, slot->version, i);
	*(struct virtio_blk_outhdr *)(void *)(front->ram + header_at(index)) =
	        (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_OUT, .sector = slot->number * (BLOCK / 512)};
	front->ram[header_at(index) + 16] = 77;
	__atomic_store_n(&record->asked[slot->number], slot->version, __ATOMIC_SEQ_CST);
	slot->is_busy = true;
	/* Slots have descriptors of their own: they are answered in any order. */
	front->queue[0].free = (uint16_t)(index * 3);
	slot->head = index % 4 == 3 ? front_indirect(front, 0, 32 * KIB + index * 64, part, 3)
	                            : front_chain(front, 0, part, 3);
	front_submit(front, 0, slot->head);
}

/* With what is in the extra region refused when it went: then it may be either of the two, and is written again first. */
static bool take_answer(struct front *front, struct slot *slots)
{
	struct vring_used_elem element;
	struct slot *slot;
	char status;

	if (front_wait(front, 0, &element) != 1)
		return false;
	slot = &slots[element.id / 3];
	status = front->ram[header_at(element.id / 3) + 16];
	if (!slot->is_busy || (status != VIRTIO_BLK_S_OK && status != VIRTIO_BLK_S_IOERR))
		return false;
	slot->is_busy = false;
	if (status == VIRTIO_BLK_S_OK)
		__atomic_store_n(&record->done[slot->number], slot->version, __ATOMIC_SEQ_CST);
	record->requests++;
	return true;
}

/* Until it is killed. Blocks are spread over slots, so none is written by two requests at once. */
static void work(uint64_t seed)
{
	struct slot slots[SLOTS] = {{0}};
	bool has_extra = false;
	struct front front;

	front_open(&front, back.socket);
	__atomic_store_n(&record->connected, 1, __ATOMIC_SEQ_CST);
	front_start(&front);
	for (;;) {
		unsigned busy = 0;

		for (unsigned i = 0; i < SLOTS; i++) {
			if (!slots[i].is_busy && random_next(&seed) % 4) {
				slots[i].number = random_below(&seed, BLOCKS / SLOTS) * SLOTS + i;
				write_block(&front, slots, i, has_extra && random_next(&seed) % 2);
			}
			busy += slots[i].is_busy;
		}
		if (random_next(&seed) % 8 == 0) {
			if ((has_extra ? front_remove_extra(&front) : front_add_extra(&front)) != 0)
				_exit(3);
			has_extra = !has_extra;
			record->regions++;
		}
		for (; busy > 0; busy--) {
			if (!take_answer(&front, slots))
				_exit(4);
			if (random_next(&seed) % 3 == 0)
				break;
		}
	}
}

/* Which version a block on the disk is of, among those that it may be of. A refused write may have been done in part: torn is what was
 * refused, never what was acknowledged, unless something was asked for since. */
static void check_disk(void)
{
	for (uint64_t number = 0; number < BLOCKS; number++) {
		uint64_t block[BLOCK / 8], version = record->done[number];

		assert_int_equal(pread(back.image, block, BLOCK, (off_t)(number * BLOCK)), BLOCK);
		if (record->asked[number] == 0)
			continue;
		while (version <= record->asked[number] &&
		       !(version > 0 ? holds_version(block, number, version)
		                     : ((uint8_t *)block)[9] == disk_byte(number * BLOCK + 9)))
			version++;
		if (version > record->asked[number])
			fail_msg("block %u is of no writing between %llu and %llu", (unsigned)number,
			         (unsigned long long)record->done[number],
			         (unsigned long long)record->asked[number]);
		/* Nobody is at it any more: what is there is the truth for those who come. */
		record->done[number] = record->asked[number] = version > 0 ? version : record->asked[number];
		if (version == 0)
			record->done[number] = 0;
	}
}

static void kills(void **state)
{
	long turns = scaled(300);
	unsigned long long served = 0;
	uint64_t seed = 4;

	(void)state;
	/* One request each, as a rule; where all is slow they may be killed before they have an answer, and more are needed. */
	for (long turn = 0; turn < turns || (record->requests <= (uint64_t)turns && turn < 20 * turns);
	     turn++) {
		struct back_gone gone;
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			work((uint64_t)turn + 1);
		/* Some before they have said anything. */
		while (!__atomic_exchange_n(&record->connected, 0, __ATOMIC_SEQ_CST))
			usleep(100);
		usleep((useconds_t)(random_below(&seed, 10) ? random_below(&seed, 20000) : 0));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("the front end was answered wrongly: %d", WEXITSTATUS(status));
		gone = back_peer_gone(&back);
		served += gone.requests;
		check_disk();
		if (turn == 20)
			back_remember(&back);
	}
	printf("%ld front ends killed, %llu requests, %llu of them answered, %llu regions came and went\n",
	       turns, served, (unsigned long long)record->requests, (unsigned long long)record->regions);
	assert_true(record->requests > (uint64_t)turns);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kills)};
	int failed;

	if (count != 2)
		return 2;
	record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (record == MAP_FAILED)
		return 1;
	back = back_start(arguments[1], NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (!failed)
		back_stop(&back);
	return failed;
}
