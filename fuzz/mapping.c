/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Any sequence of calls on dynamic mappings, beside a model as simple as can be: the list of what is registered, oldest first,
 * each with its pages. Every word of the RAM holds its physical address, so contents are checked through each mapping found.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <isthmus/isthmus.h>

#include "input.h"
#include "support/model.h"

#define REQUIRE MODEL_REQUIRE
#define PAGE IST_PAGE_SIZE
#define RAM_PADDR UINT64_C(0x80000000)

enum { RAM_PAGES = 64, LIST = 8, LIVE_MAX = 24, OWNERS = 4, ROUNDS_MAX = 150 };
enum {
	REGISTER,
	REGISTER_STRETCH,
	UNREGISTER,
	UNREGISTER_ONE,
	FIND,
	FIND_PADDR,
	HOLD,
	LET_GO,
	OWNER_COMES,
	OWNER_GOES,
	FLUSH,
	SIDE_BY_SIDE,
	CHECK,
	OPS
};

struct live {
	struct ist_mapping mapping;
	uint64_t page[LIST];
	size_t pages;
	unsigned held, maps;
	bool dead; /* unregistered, but held */
};

struct model_space {
	struct ist_manager *manager;
	struct live live[LIVE_MAX];
	size_t count;
	bool owner[OWNERS];
	bool strict;
};

static int ram_fd = -1;

static void make_ram(void)
{
	uint64_t *words;

	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	REQUIRE(ram_fd >= 0 && ftruncate(ram_fd, RAM_PAGES * PAGE) == 0);
	words = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	REQUIRE(words != MAP_FAILED);
	for (uint64_t at = 0; at < RAM_PAGES * PAGE; at += 8)
		words[at / 8] = RAM_PADDR + at;
	munmap(words, RAM_PAGES * PAGE);
}

static void set_up(struct model_space *m, uint64_t kind)
{
	static char carve_out[64 * PAGE] __attribute__((aligned(4096)));
	struct ist_manager_config config = {
	        .vaddr = carve_out, .paddr = 0x1000000, .size = sizeof(carve_out)};
	struct ist_mapping_config mapping = {.window_size = 128 * PAGE,
	                                     .cache_size = kind % 3 * 8 * PAGE,
	                                     .flags = kind % 8 == 7 ? IST_MAPPING_STRICT : 0};
	struct ist_backing backing = {.paddr = RAM_PADDR, .size = RAM_PAGES * PAGE};

	memset(m, 0, sizeof(*m));
	if (ram_fd < 0)
		make_ram();
	backing.fd = ram_fd;
	REQUIRE(ist_manager_create(&config, &m->manager) == 0);
	REQUIRE(ist_backing_add(m->manager, &backing) == 0);
	REQUIRE(ist_mapping_configure(m->manager, &mapping) == 0);
	m->owner[0] = true;
	m->strict = mapping.flags != 0;
}

static struct live *by_cookie(struct model_space *m, uint32_t owner, uint64_t cookie)
{
	for (size_t i = 0; i < m->count; i++)
		if (!m->live[i].dead && m->live[i].mapping.owner == owner &&
		    m->live[i].mapping.cookie == cookie)
			return &m->live[i];
	return NULL;
}

/* Also by what is no longer found: a reference keeps it accessible. */
static bool is_mapped(const struct model_space *m, uint64_t page)
{
	for (size_t i = 0; i < m->count; i++)
		for (size_t k = 0; k < m->live[i].pages; k++)
			if (m->live[i].page[k] == page)
				return true;
	return false;
}

/*
 * The oldest that has the pages from `page` on one behind the other; or, if there is one, the one that `wanted` names. Of several
 * pages any will do.
 */
static struct live *by_page(struct model_space *m, int owner, uint64_t page, uint64_t count,
                            const struct ist_mapping *wanted)
{
	for (size_t i = 0; i < m->count; i++) {
		struct live *live = &m->live[i];

		if (wanted && wanted->slot != live->mapping.slot)
			continue;
		if (live->dead || (owner >= 0 && live->mapping.owner != (uint32_t)owner))
			continue;
		for (size_t k = 0; k + count <= live->pages; k++) {
			uint64_t run = 0;

			while (run < count && live->page[k + run] == page + run)
				run++;
			if (run == count)
				return live;
		}
	}
	return NULL;
}

/* Where the mapping's pages are, whole, in order. */
static size_t pieces_of(const struct model_space *m, const struct live *live, struct iovec *out)
{
	struct iovec piece[LIST];
	size_t count, offset = 0;

	REQUIRE(ist_mapping_segments(m->manager, &live->mapping, 0, live->mapping.size, piece, LIST,
	                             &count) == 0);
	REQUIRE(count >= 1 && count <= live->pages);
	for (size_t i = 0; i < count; i++) {
		size_t lead = (uintptr_t)piece[i].iov_base % PAGE;

		REQUIRE(i == 0 || lead == 0);
		out[i].iov_base = (char *)piece[i].iov_base - lead;
		out[i].iov_len = (piece[i].iov_len + lead + PAGE - 1) / PAGE * PAGE;
		REQUIRE(i + 1 == count || out[i].iov_len == piece[i].iov_len + lead);
		offset += piece[i].iov_len;
	}
	REQUIRE(offset == live->mapping.size);
	REQUIRE(live->mapping.vaddr ? count == 1 && piece[0].iov_base == live->mapping.vaddr : count > 1);
	return count;
}

static bool has_address(const struct model_space *m, const struct live *live, const char *vaddr)
{
	struct iovec piece[LIST];
	size_t count = pieces_of(m, live, piece);

	for (size_t i = 0; i < count; i++)
		if ((uintptr_t)vaddr - (uintptr_t)piece[i].iov_base < piece[i].iov_len)
			return true;
	return false;
}

static void check_contents(const struct model_space *m, const struct live *live)
{
	struct iovec piece[LIST];
	size_t count = pieces_of(m, live, piece), k = 0;
	uint64_t paddr;

	for (size_t i = 0; i < count; i++)
		for (size_t at = 0; at < piece[i].iov_len; at += PAGE, k++)
			REQUIRE(*(uint64_t *)(void *)((char *)piece[i].iov_base + at + 8) ==
			        live->page[k] * PAGE + 8);
	REQUIRE(k == live->pages);
	REQUIRE(ist_mapping_paddr(m->manager, &live->mapping, live->mapping.size - 1, PAGE, &paddr) == 0);
	REQUIRE(paddr == live->page[k - 1] * PAGE);
}

static bool twice(const uint64_t *page, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (page[i] == page[k])
				return true;
	return false;
}

static void do_register(struct model_space *m, struct input *in, bool stretch)
{
	static const uint32_t flags[] = {0, IST_MAPPING_SEGMENTS, IST_MAPPING_READ_ONLY, IST_MAPPING_GUARD};
	uint64_t pages[LIST], offset = input_number(in, 2) % PAGE, kind = input_number(in, 1);
	size_t count = 1 + kind % LIST, slack = kind / 8 % 2 ? 5 : 0;
	struct ist_registration r = {.offset = offset,
	                             .owner = (uint32_t)(kind / 16 % OWNERS),
	                             .flags = flags[kind / 64 % 4],
	                             .cookie = input_number(in, 1) % 16};
	struct live live = {.pages = count};
	bool outside = false, used = false;
	int error;

	for (size_t k = 0; k < count; k++) {
		uint64_t page = stretch && k > 0 ? live.page[k - 1] - RAM_PADDR / PAGE + 1
		                                 : input_number(in, 1) % (RAM_PAGES + 1);

		live.page[k] = RAM_PADDR / PAGE + page;
		pages[k] = live.page[k] * PAGE;
		outside |= page >= RAM_PAGES;
		used |= is_mapped(m, live.page[k]);
	}
	r.size = count * PAGE - offset > slack ? count * PAGE - offset - slack : 1;
	if (pages[0] && (offset + r.size + PAGE - 1) / PAGE != count)
		return;
	if (stretch)
		r.paddr = pages[0] + offset;
	else
		r.pages = pages;
	r.page_count = count;
	error = ist_mapping_register(m->manager, &r, &live.mapping);
	if (!m->owner[r.owner]) {
		REQUIRE(error == -ENOENT || error == -ESHUTDOWN);
	} else if (r.cookie && by_cookie(m, r.owner, r.cookie)) {
		REQUIRE(error == -EEXIST);
	} else if (outside) {
		REQUIRE(error == -ENXIO);
	} else if (m->strict && (used || twice(live.page, count))) {
		REQUIRE(error == -EEXIST || error == -ENOSPC);
	} else {
		REQUIRE(error == 0 || error == -ENOSPC);
	}
	if (error)
		return;
	REQUIRE(live.mapping.size == r.size && live.mapping.owner == r.owner &&
	        live.mapping.cookie == r.cookie);
	REQUIRE(!live.mapping.vaddr || (uintptr_t)live.mapping.vaddr % PAGE == offset);
	if (m->count == LIVE_MAX) {
		REQUIRE(ist_mapping_unregister_one(m->manager, &live.mapping, 0) == 0);
		return;
	}
	m->live[m->count++] = live;
	check_contents(m, &live);
}

static bool is_kept(const struct live *live)
{
	return live->held || live->maps;
}

static void forget(struct model_space *m, struct live *live)
{
	size_t index = (size_t)(live - m->live);

	if (is_kept(live)) {
		live->dead = true;
		return;
	}
	memmove(live, live + 1, (m->count - index - 1) * sizeof(*live));
	m->count--;
}

static void do_unregister(struct model_space *m, uint32_t owner, uint64_t cookie)
{
	struct live *live = by_cookie(m, owner, cookie);
	int error = ist_mapping_unregister(m->manager, owner, cookie, IST_UNREGISTER_TRY);

	if (cookie == 0)
		REQUIRE(error == -EINVAL);
	else if (!live)
		REQUIRE(error == -ENOENT);
	else
		REQUIRE(error == (is_kept(live) ? -EBUSY : 0));
	if (!error)
		forget(m, live);
}

static void do_unregister_one(struct model_space *m, struct live *live)
{
	int error = ist_mapping_unregister_one(m->manager, &live->mapping, IST_UNREGISTER_TRY);

	REQUIRE(error == (live->dead ? -ENOENT : is_kept(live) ? -EBUSY : 0));
	if (!error)
		forget(m, live);
}

static void do_find(struct model_space *m, uint32_t owner, uint64_t cookie)
{
	struct live *live = by_cookie(m, owner, cookie);
	struct ist_mapping found;
	int error = ist_mapping_find(m->manager, owner, cookie, &found);

	REQUIRE(error == (cookie == 0 ? -EINVAL : live ? 0 : -ENOENT));
	if (!error) {
		REQUIRE(memcmp(&found, &live->mapping, sizeof(found)) == 0);
		check_contents(m, live);
	}
}

static void do_find_paddr(struct model_space *m, uint64_t paddr, uint64_t len, int owner)
{
	uint64_t page = paddr / PAGE, count = (paddr + len - 1) / PAGE - page + 1;
	struct live *live = by_page(m, owner, page, count, NULL);
	struct ist_mapping found;
	void *vaddr, *again;
	int error = owner < 0 ? ist_mapping_find_paddr(m->manager, paddr, len, &found, &vaddr)
	                      : ist_mapping_find_paddr_of(m->manager, (uint32_t)owner, paddr, len, &found,
	                                                  &vaddr);
	uint64_t back;

	REQUIRE(error == (live ? 0 : -ENOENT));
	if (error)
		return;
	if (count > 1)
		live = by_page(m, owner, page, count, &found);
	REQUIRE(live && found.slot == live->mapping.slot && found.generation == live->mapping.generation);
	/* A list may have the same pages at several places: any of the same mapping's will do. */
	REQUIRE(has_address(m, live, vaddr));
	REQUIRE(*(uint64_t *)((uintptr_t)vaddr & ~(uintptr_t)7) == (paddr & ~UINT64_C(7)));
	REQUIRE(ist_virt_to_phys(m->manager, vaddr, len, &back) == 0 && back == paddr);
	if (owner >= 0)
		return;
	REQUIRE(ist_phys_to_virt(m->manager, paddr, len, &again) == 0);
	REQUIRE(*(uint64_t *)((uintptr_t)again & ~(uintptr_t)7) == (paddr & ~UINT64_C(7)));
}

static void hold(struct model_space *m, struct live *live)
{
	REQUIRE(ist_mapping_get(m->manager, &live->mapping) == (live->dead ? -ENOENT : 0));
	live->held += !live->dead;
}

static void let_go(struct model_space *m, struct live *live)
{
	check_contents(m, live);
	REQUIRE(ist_mapping_put(m->manager, &live->mapping) == (live->held ? 0 : -EINVAL));
	live->held -= live->held > 0;
	if (live->dead && !is_kept(live))
		forget(m, live);
}

/* Map it, or (odd) unmap it. */
static void side_by_side(struct model_space *m, struct live *live, uint64_t which)
{
	void *vaddr;
	int error;

	if (which & 1) {
		REQUIRE(ist_mapping_unmap(m->manager, &live->mapping) == (live->maps ? 0 : -EINVAL));
		live->maps -= live->maps > 0;
		if (live->dead && !is_kept(live))
			forget(m, live);
		return;
	}
	error = ist_mapping_map(m->manager, &live->mapping, &vaddr);
	REQUIRE(error == (live->dead ? -ENOENT : 0) || (error == -ENOSPC && !live->mapping.vaddr));
	if (error)
		return;
	live->maps++;
	for (size_t k = 0; k < live->pages; k++) {
		char *at = (char *)((uintptr_t)vaddr & ~(uintptr_t)(PAGE - 1)) + k * PAGE;
		uint64_t paddr;

		REQUIRE(*(uint64_t *)(void *)(at + 8) == live->page[k] * PAGE + 8);
		REQUIRE(ist_virt_to_phys(m->manager, at, 8, &paddr) == 0 && paddr == live->page[k] * PAGE);
	}
}

static bool has_held(const struct model_space *m, uint32_t id)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->live[i].mapping.owner == id && is_kept(&m->live[i]))
			return true;
	return false;
}

static void owner_comes(struct model_space *m, uint32_t id)
{
	struct ist_owner_config config = {.id = id};
	int error = ist_owner_create(m->manager, &config);

	if (id == 0)
		REQUIRE(error == -EINVAL);
	else if (m->owner[id])
		REQUIRE(error == -EEXIST);
	else
		REQUIRE(error == (has_held(m, id) ? -EBUSY : 0));
	m->owner[id] |= !error;
}

static void owner_goes(struct model_space *m, uint32_t id)
{
	int error = ist_owner_destroy(m->manager, id);

	if (id == 0) {
		REQUIRE(error == -EINVAL);
		return;
	}
	REQUIRE(error == (has_held(m, id) ? -EBUSY : 0));
	m->owner[id] = false;
	for (size_t i = m->count; i-- > 0;)
		if (m->live[i].mapping.owner == id && !m->live[i].dead)
			forget(m, &m->live[i]);
}

static void check(struct model_space *m)
{
	struct ist_mapping_stats stats;
	uint64_t live = 0, dead = 0, pages = 0;

	for (size_t i = 0; i < m->count; i++) {
		check_contents(m, &m->live[i]);
		live += !m->live[i].dead;
		dead += m->live[i].dead;
		pages += m->live[i].dead ? 0 : m->live[i].pages;
	}
	ist_mapping_stats(m->manager, &stats);
	REQUIRE(stats.mappings == live && stats.referenced == dead && stats.pages == pages);
}

static void step(struct model_space *m, struct input *in)
{
	uint64_t op = input_number(in, 1), which = input_number(in, 1);
	struct live *live = m->count ? &m->live[which % m->count] : NULL;
	uint64_t paddr;

	switch (op % OPS) {
	case REGISTER:
	case REGISTER_STRETCH:
		do_register(m, in, op % OPS == REGISTER_STRETCH);
		return;
	case UNREGISTER:
		do_unregister(m, (uint32_t)(which % OWNERS), which / OWNERS % 16);
		return;
	case UNREGISTER_ONE:
		if (live)
			do_unregister_one(m, live);
		return;
	case FIND:
		do_find(m, (uint32_t)(which % OWNERS), which / OWNERS % 16);
		return;
	case FIND_PADDR:
		paddr = RAM_PADDR + (input_number(in, 1) % RAM_PAGES) * PAGE + input_number(in, 2) % PAGE;
		do_find_paddr(m, paddr, 1 + which * 61, (int)(op / OPS % (OWNERS + 1)) - 1);
		return;
	case HOLD:
		if (live)
			hold(m, live);
		return;
	case LET_GO:
		if (live)
			let_go(m, live);
		return;
	case OWNER_COMES:
		owner_comes(m, (uint32_t)(which % OWNERS));
		return;
	case OWNER_GOES:
		owner_goes(m, (uint32_t)(which % OWNERS));
		return;
	case SIDE_BY_SIDE:
		if (live)
			side_by_side(m, live, op / OPS);
		return;
	case FLUSH:
		REQUIRE(ist_mapping_flush(m->manager) == 0);
		return;
	default:
		check(m);
	}
}

static void finish(struct model_space *m)
{
	struct ist_mapping_stats stats;

	while (m->count > 0) {
		struct live *live = &m->live[m->count - 1];

		if (live->maps)
			side_by_side(m, live, 1);
		else if (live->held)
			let_go(m, live);
		else
			do_unregister_one(m, live);
	}
	REQUIRE(ist_mapping_flush(m->manager) == 0 && ist_mapping_drain(m->manager) == 0);
	ist_mapping_stats(m->manager, &stats);
	REQUIRE(stats.mappings == 0 && stats.pages == 0 && stats.referenced == 0 && stats.waiting == 0 &&
	        stats.cached == 0 && stats.window_used == 0);
	REQUIRE(ist_manager_destroy(m->manager) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model_space space;
	struct input in = {data, size};

	set_up(&space, input_number(&in, 1));
	for (int round = 0; round < ROUNDS_MAX && input_more(&in); round++)
		step(&space, &in);
	check(&space);
	finish(&space);
	return 0;
}
