/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Front ends that mean no good, as tables: what each does, and what becomes of it. After each the next one is served, and
 * nothing of it is left: descriptors, mappings, owners. usage: test-vhost_hostile BACK-END
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/fate.h"
#include "support/support.h"

static struct back back;

/* Messages, as bytes. */

static const struct {
	const char *name;
	uint32_t request, flags, size, sent; /* size: as its header has it; sent: what follows in truth */
	unsigned fds;
	enum fate fate;
} messages[] = {
        {"no request", 0, 0, 0, 0, 0, CLOSED},
        {"an unknown request", 9999, 0, 0, 0, 0, CLOSED},
        {"the highest request", UINT32_MAX, 0, 0, 0, 0, CLOSED},
        {"a request that is not offered", 6, 0, 16, 16, 0, CLOSED},
        {"another version", VU_GET_FEATURES, 2, 0, 0, 0, CLOSED},
        {"a reply", VU_GET_FEATURES, VU_REPLY, 0, 0, 0, CLOSED},
        {"the largest size", VU_SET_FEATURES, 0, UINT32_MAX, 8, 0, CLOSED},
        {"a size just too large", VU_SET_FEATURES, 0, sizeof(union vu_payload) + 1, 8, 0, CLOSED},
        {"features of 7 bytes", VU_SET_FEATURES, 0, 7, 7, 0, CLOSED},
        {"features without", VU_SET_FEATURES, 0, 0, 0, 0, CLOSED},
        {"a table of 3 bytes", VU_SET_MEM_TABLE, 0, 3, 3, 0, CLOSED},
        {"a region too short", VU_ADD_MEM_REG, 0, 32, 32, 1, CLOSED},
        {"config of 4 bytes", VU_GET_CONFIG, 0, 4, 4, 0, CLOSED},
        {"8 descriptors that nobody asked for", VU_SET_OWNER, 0, 0, 0, 8, SERVED},
        {"9 descriptors", VU_SET_OWNER, 0, 0, 0, 9, CLOSED},
        {"64 descriptors", VU_SET_OWNER, 0, 0, 0, 64, CLOSED},
        {"half a message", VU_SET_FEATURES, 0, 8, 4, 2, CLOSED},
};

static void hostile_messages(void **state)
{
	char bytes[sizeof(union vu_payload)] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct vu_header header = {messages[i].request, messages[i].flags ? messages[i].flags : 0,
		                           messages[i].size};
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int) * 64)];
		} control = {0};
		struct iovec part[2] = {{&header, sizeof(header)}, {bytes, messages[i].sent}};
		struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};
		struct front front;

		printf("a message: %s\n", messages[i].name);
		front_open(&front, back.socket);
		front_start(&front);
		if (messages[i].flags != 2)
			header.flags |= VU_VERSION;
		if (messages[i].fds) {
			message.msg_control = &control;
			message.msg_controllen = CMSG_SPACE(sizeof(int) * messages[i].fds);
			control.align.cmsg_level = SOL_SOCKET;
			control.align.cmsg_type = SCM_RIGHTS;
			control.align.cmsg_len = CMSG_LEN(sizeof(int) * messages[i].fds);
			for (unsigned k = 0; k < messages[i].fds; k++)
				memcpy(CMSG_DATA(&control.align) + k * sizeof(int), &front.extra,
				       sizeof(int));
		}
		assert_true(sendmsg(front.socket, &message, MSG_NOSIGNAL) > 0);
		if (messages[i].fate == CLOSED && messages[i].sent < messages[i].size)
			shutdown(front.socket, SHUT_WR);
		fate_expect(&front, messages[i].fate);
		front_close(&front);
		back_peer_gone(&back);
	}
}

/* Each request that is known, with a payload of each wrong length, and of all ones. */
static void wrong_lengths(void **state)
{
	uint8_t ones[sizeof(union vu_payload)];
	unsigned front_ends = 0;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint32_t request = 0; request <= VU_REQUESTS; request++) {
		for (size_t size = 0; size <= sizeof(ones); size += size < 48 ? 4 : 68) {
			struct front front;

			front_open(&front, back.socket);
			front_start(&front);
			(void)front_send(&front, request, 0, ones, size, &front.extra, size % 3 == 0);
			shutdown(front.socket, SHUT_WR);
			fate_expect(&front, CLOSED);
			front_close(&front);
			back_peer_gone(&back);
			front_ends++;
		}
	}
	printf("%u front ends\n", front_ends);
}

/* Regions. */

enum file { MEMORY, SHORT_FILE, PIPE, EVENTFD, ZERO, FOLDER, READ_ONLY, SEALED, NO_FILE };

static int open_file(const struct front *front, enum file file)
{
	char path[64];
	int fd = -1, ends[2];

	switch (file) {
	case MEMORY:
		return dup(front->extra);
	case SHORT_FILE:
		fd = memfd_create("guest-short", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fd, 4096), 0);
		return fd;
	case PIPE:
		assert_int_equal(pipe(ends), 0);
		close(ends[1]);
		return ends[0];
	case EVENTFD:
		return eventfd(0, 0);
	case ZERO:
		return open("/dev/zero", O_RDWR);
	case FOLDER:
		return open(back.folder, O_RDONLY);
	case READ_ONLY:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", front->extra);
		return open(path, O_RDONLY);
	case SEALED:
		fd = memfd_create("guest-sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(fd, FRONT_EXTRA), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		return fd;
	default:
		return -1;
	}
}

#define BIG (UINT64_C(1) << 63)
#define USER UINT64_C(0x700000000000)

static const struct {
	const char *name;
	struct vu_region region;
	enum file file;
	int answer;
} regions[] = {
        {"as it should be", {FRONT_RAM, FRONT_EXTRA, USER, 0}, MEMORY, 0},
        {"the last place", {(UINT64_C(1) << 52) - FRONT_EXTRA, FRONT_EXTRA, USER, 0}, MEMORY, 0},
        {"a part of a file", {FRONT_RAM, 4096, USER, 8192}, MEMORY, 0},
        {"empty", {FRONT_RAM, 0, USER, 0}, MEMORY, 1},
        {"one byte", {FRONT_RAM, 1, USER, 0}, MEMORY, 1},
        {"half a page", {FRONT_RAM, 2048, USER, 0}, MEMORY, 1},
        {"between pages", {FRONT_RAM + 1, 4096, USER, 0}, MEMORY, 1},
        {"between the front end's pages", {FRONT_RAM, 4096, USER + 8, 0}, MEMORY, 1},
        {"between the file's pages", {FRONT_RAM, 4096, USER, 16}, MEMORY, 1},
        {"around the top", {UINT64_MAX - 4095, 8192, USER, 0}, MEMORY, 1},
        {"up to the top", {UINT64_MAX - 4095, 4096, USER, 0}, MEMORY, 1},
        {"around the top of the front end", {FRONT_RAM, 8192, UINT64_MAX - 4095, 0}, MEMORY, 1},
        {"behind the highest address", {(UINT64_C(1) << 52) - 4096, 8192, USER, 0}, MEMORY, 1},
        {"in the carve-out", {CARVE_OUT, 4096, USER, 0}, MEMORY, 1},
        {"everything", {0, UINT64_MAX - 4095, USER, 0}, MEMORY, 1},
        {"longer than its file", {FRONT_RAM, FRONT_EXTRA + 4096, USER, 0}, MEMORY, 1},
        {"behind the end of its file", {FRONT_RAM, 4096, USER, FRONT_EXTRA}, MEMORY, 1},
        {"at the highest offset", {FRONT_RAM, 4096, USER, UINT64_MAX - 4095}, MEMORY, 1},
        {"at half of the highest offset", {FRONT_RAM, 4096, USER, BIG}, MEMORY, 1},
        {"over another", {FRONT_RAM - 4096, 8192, USER, 0}, MEMORY, 1},
        {"of a short file", {FRONT_RAM, 8192, USER, 0}, SHORT_FILE, 1},
        {"of a pipe", {FRONT_RAM, 4096, USER, 0}, PIPE, 1},
        {"of an eventfd", {FRONT_RAM, 4096, USER, 0}, EVENTFD, 1},
        {"of /dev/zero", {FRONT_RAM, 4096, USER, 0}, ZERO, 1},
        {"of a folder", {FRONT_RAM, 4096, USER, 0}, FOLDER, 1},
        {"of a file that cannot be written", {FRONT_RAM, 4096, USER, 0}, READ_ONLY, 1},
        {"of a file that is sealed", {FRONT_RAM, 4096, USER, 0}, SEALED, 1},
        {"of no file", {FRONT_RAM, 4096, USER, 0}, NO_FILE, 1},
};

static void hostile_regions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		struct vu_one_region one = {.region = regions[i].region};
		struct front front;
		int fd;

		printf("a region: %s\n", regions[i].name);
		front_open(&front, back.socket);
		front_start(&front);
		fd = open_file(&front, regions[i].file);
		assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), fd), regions[i].answer);
		assert_int_equal(front_ask(&front, VU_REM_MEM_REG, &one, sizeof(one), -1), regions[i].answer);
		fate_expect(&front, SERVED);
		/* Who does not ask for an answer would not know. */
		if (regions[i].answer) {
			assert_true(front_send(&front, VU_ADD_MEM_REG, 0, &one, sizeof(one), &fd, fd >= 0));
			fate_expect(&front, CLOSED);
		}
		if (fd >= 0)
			close(fd);
		front_close(&front);
		back_peer_gone(&back);
	}
}

/* Where the front end has it must be clear too, or rings would be in either of two places. And a disk's file is no memory. */
static void regions_of_no_use(void **state)
{
	struct vu_one_region one = {.region = {FRONT_RAM, FRONT_EXTRA, 0, 0}};
	struct statfs system;
	struct front front;

	(void)state;
	front_open(&front, back.socket);
	front_start(&front);
	one.region.user = front.at.user;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), front.extra), 1);
	one.region.user = front.at.user + FRONT_RAM - 4096;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), front.extra), 1);
	one.region.user = front.at.user - FRONT_EXTRA + 4096;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), front.extra), 1);
	one.region.user = front.at.user + FRONT_RAM;
	assert_int_equal(fstatfs(back.image, &system), 0);
	if (system.f_type != TMPFS_MAGIC)
		assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), back.image), 1);
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), front.extra), 0);
	fate_expect(&front, SERVED);
	front_close(&front);
	back_peer_gone(&back);
}

/* A file that is mostly holes may be of any length: the region is had, or refused, and costs no memory to speak of. */
static void enormous_regions(void **state)
{
	struct vu_one_region one = {.region = {.paddr = FRONT_RAM, .user = USER}};
	unsigned had = 0;
	struct front front;
	int fd;

	(void)state;
	fd = memfd_create("guest-holes", MFD_CLOEXEC);
	front_open(&front, back.socket);
	front_start(&front);
	for (unsigned order = 30; order <= 51; order++) {
		double begin = seconds_now();
		int answer;

		one.region.size = UINT64_C(1) << order;
		if (ftruncate(fd, (off_t)one.region.size))
			break;
		answer = front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), fd);
		assert_true(answer == 0 || answer == 1);
		had = answer == 0 ? order : had;
		assert_int_equal(front_ask(&front, VU_REM_MEM_REG, &one, sizeof(one), -1), answer);
		printf("2^%u bytes: %s, %.1f s\n", order, answer ? "refused" : "had", seconds_now() - begin);
		fate_expect(&front, SERVED);
	}
	assert_true(had >= 36);
	front_close(&front);
	close(fd);
	back.maps = SIZE_MAX; /* of the library's own bookkeeping, which is kept: higher trees */
	back_peer_gone(&back);
	back_remember(&back);
}

/*
 * What the library keeps for so many is had once, and then in steps, by how much waits for readers at a time. A mapping for each region that was
 * left behind would be 508 a turn.
 */
static void as_many_regions_as_there_are(void **state)
{
	struct vu_one_region one = {.region = {.size = 4096}};
	struct front front;

	(void)state;
	for (unsigned turn = 0; turn < 12; turn++) {
		front_open(&front, back.socket);
		front_start(&front);
		for (unsigned i = 1; i <= 509; i++) {
			one.region.paddr = FRONT_RAM + i * UINT64_C(8192);
			one.region.user = USER + i * UINT64_C(8192);
			assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &one, sizeof(one), front.extra),
			                 i == 509);
		}
		fate_expect(&front, SERVED);
		front_close(&front);
		if (turn < 4)
			back.maps = SIZE_MAX;
		back_peer_gone(&back);
		if (turn < 4)
			back_remember(&back);
		if (turn == 3)
			back.maps += 256;
	}
}

/* Settings of rings. */

static const struct {
	const char *name;
	uint32_t request;
	struct vu_ring_state state;
	int answer;
} settings[] = {
        {"a ring of 0", VU_SET_VRING_NUM, {3, 0}, 1},
        {"a ring of 3", VU_SET_VRING_NUM, {3, 3}, 1},
        {"a ring of 2048", VU_SET_VRING_NUM, {3, 2048}, 1},
        {"a ring of 65536", VU_SET_VRING_NUM, {3, 65536}, 1},
        {"a ring of 2^31", VU_SET_VRING_NUM, {3, 1u << 31}, 1},
        {"the size of ring 4", VU_SET_VRING_NUM, {4, 64}, 1},
        {"the size of the last ring", VU_SET_VRING_NUM, {UINT32_MAX, 64}, 1},
        {"the size of a running ring", VU_SET_VRING_NUM, {0, 64}, 1},
        {"the base of a running ring", VU_SET_VRING_BASE, {0, 0}, 1},
        {"a base of 65536", VU_SET_VRING_BASE, {3, 65536}, 1},
        {"the base of ring 4", VU_SET_VRING_BASE, {4, 0}, 1},
        {"ring 4 on", VU_SET_VRING_ENABLE, {4, 1}, 1},
        {"a ring on twice", VU_SET_VRING_ENABLE, {0, 2}, 1},
        {"a ring on that is not set up", VU_SET_VRING_ENABLE, {3, 1}, 0},
        {"a ring of 1", VU_SET_VRING_NUM, {3, 1}, 0},
        {"a ring of 1024", VU_SET_VRING_NUM, {3, 1024}, 0},
        {"the highest base", VU_SET_VRING_BASE, {3, 65535}, 0},
};

static const struct {
	const char *name;
	uint64_t desc, avail, used; /* from the start of RAM, as the front end has it */
	int answer;
} places[] = {
        {"good", 32 * KIB, 40 * KIB, 48 * KIB, 0},
        {"descriptors between", 32 * KIB + 8, 40 * KIB, 48 * KIB, 1},
        {"avail between", 32 * KIB, 40 * KIB + 1, 48 * KIB, 1},
        {"used between", 32 * KIB, 40 * KIB, 48 * KIB + 2, 1},
        {"descriptors outside", NOWHERE, 40 * KIB, 48 * KIB, 1},
        {"descriptors over the end", FRONT_RAM - 64 * 16 + 16, 40 * KIB, 48 * KIB, 1},
        {"descriptors up to the end", FRONT_RAM - 64 * 16, 40 * KIB, 48 * KIB, 0},
        {"avail over the end", 32 * KIB, FRONT_RAM - 100, 48 * KIB, 1},
        {"used over the end", 32 * KIB, 40 * KIB, FRONT_RAM - 512, 1},
        {"used before the start", 32 * KIB, 40 * KIB, UINT64_MAX - 4095, 1},
};

static void hostile_settings(void **state)
{
	struct vu_ring_state size = {2, 64};
	uint64_t number = 0, bits = UINT64_MAX;
	struct vu_ring_addr addr = {.ring = 3};
	struct front front;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	front_open(&front, back.socket);
	front_start(&front);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		printf("a setting: %s\n", settings[i].name);
		assert_int_equal(front_ask(&front, settings[i].request, &settings[i].state, sizeof(size), -1),
		                 settings[i].answer);
	}
	addr.ring = 1;
	assert_int_equal(front_ask(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1), 1); /* it runs */
	addr.ring = 2;
	assert_int_equal(front_ask(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1),
	                 1); /* it has no size */
	assert_int_equal(front_ask(&front, VU_SET_VRING_NUM, &size, sizeof(size), -1), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t base = (uintptr_t)front.ram;

		printf("a ring: %s\n", places[i].name);
		addr = (struct vu_ring_addr){
		        2, 0, base + places[i].desc, base + places[i].used, base + places[i].avail, 0};
		assert_int_equal(front_ask(&front, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1),
		                 places[i].answer);
	}
	for (uint32_t request = VU_SET_VRING_KICK; request <= VU_SET_VRING_ERR; request++) {
		number = 0;
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), ends[1]), 1);
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), front.memory), 1);
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), front.socket), 1);
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), -1), 1);
		number = 4;
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), front.queue[0].kick), 1);
		number = VU_NO_FD;
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), front.queue[0].kick), 1);
		number = 0x200;
		assert_int_equal(front_ask(&front, request, &number, sizeof(number), front.queue[0].kick), 1);
	}
	number = VU_NO_FD;
	assert_int_equal(front_ask(&front, VU_SET_VRING_KICK, &number, sizeof(number), -1), 1);
	assert_int_equal(front_ask(&front, VU_SET_FEATURES, &bits, sizeof(bits), -1), 1);
	assert_int_equal(front_ask(&front, VU_SET_PROTOCOL_FEATURES, &bits, sizeof(bits), -1), 1);
	fate_expect(&front, SERVED);
	front_close(&front);
	back_peer_gone(&back);
	close(ends[0]);
	close(ends[1]);
}

/* Anything: random messages to a running device, and random rings. */
static void random_front_ends(void **state)
{
	long turns = scaled(400);
	uint64_t seed = 17;

	(void)state;
	for (long turn = 0; turn < turns; turn++) {
		uint64_t payload[sizeof(union vu_payload) / 8];
		struct front front;

		front_open(&front, back.socket);
		front_start(&front);
		for (unsigned i = 0; i < 40; i++) {
			uint32_t request = random_next(&seed) % (VU_REQUESTS + 1);
			size_t size = random_below(&seed, 6) * 8;
			unsigned what = random_next(&seed) % 4;

			for (size_t k = 0; k < sizeof(payload) / 8; k++)
				payload[k] = what == 0   ? random_next(&seed)
				             : what == 1 ? k == 0
				                         : random_next(&seed) % 5 * 4096;
			if (random_next(&seed) % 2) {
				struct vring_desc *desc =
				        &front.queue[i % 2].desc[random_next(&seed) % FRONT_RING];

				desc->addr = random_next(&seed) % FRONT_RAM;
				desc->len = random_next(&seed) % 4096;
				desc->flags = (uint16_t)(random_next(&seed) % 8);
				desc->next = (uint16_t)(random_next(&seed) % (FRONT_RING + 1));
				front_submit(&front, i % 2,
				             (uint16_t)(random_next(&seed) % (FRONT_RING + 1)));
			} else if (random_next(&seed) % 4 == 0 &&
			           !front_send(&front, request, random_next(&seed) % 2 * VU_NEED_REPLY,
			                       payload, size, &front.extra, random_next(&seed) % 2)) {
				break;
			}
		}
		front_close(&front);
		back_peer_gone(&back);
	}
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
	        cmocka_unit_test(hostile_messages), cmocka_unit_test(wrong_lengths),
	        cmocka_unit_test(hostile_regions),  cmocka_unit_test(regions_of_no_use),
	        cmocka_unit_test(enormous_regions), cmocka_unit_test(as_many_regions_as_there_are),
	        cmocka_unit_test(hostile_settings), cmocka_unit_test(random_front_ends),
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
