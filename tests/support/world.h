/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A model of dynamic memory as simple as can be: an array of what there is, oldest first; and what it foretells of a call: 0 if
 * there is no reason against it, else one of the reasons. Every word of the memory holds its physical address.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "support/guest.h"

#define PAGE IST_PAGE_SIZE
#define BASE UINT64_C(0x200000000)

enum { HALF = 24, RAM_PAGES = 2 * HALF, DEVICE_PAGES = 12, PAGES = RAM_PAGES + DEVICE_PAGES };
enum { LIST = 7, MOST = 40, OWNERS = 4, COOKIES = 6, PROTECTIONS = 3, NONE = -1 };
enum kind { LISTED, RANGE, REGISTERS };
enum life { ABSENT, LIVE, DYING };

struct entry {
	enum kind kind;
	bool live; /* or kept, by references or by what lies in it */
	uint32_t owner;
	uint64_t cookie;
	size_t pages;
	int page[LIST];
	size_t refs, maps, count; /* count: of registers, how often they are mapped */
	bool guarded;
	int parent; /* serial of the registers whose addresses these are, or NONE */
	int serial;
	struct ist_mapping mapping;
	char *vaddr; /* of registers */
	char *side_by_side;
};

struct protection {
	int first, count;
};

struct world {
	struct fixture fixture;
	struct ist_manager *manager;
	int memory_fd;
	struct entry entry[MOST + 1];
	size_t entries;
	int serial;
	enum life owner[OWNERS];
	bool backing[3];
	struct protection protection[PROTECTIONS];
	size_t protections;
	uint64_t seed;
	bool is_strict;
	int reason[16]; /* against the next call */
	size_t reasons;
};

extern struct world world;

uint64_t world_paddr(int page);
size_t world_below(size_t limit);
int world_backing_of(int page);
void world_against(bool condition, int error);
/* True: it was done, and nothing was against it. */
bool world_foretold(int answer);
bool world_has(const struct entry *e, int page);
bool world_is_used(int page);
bool world_is_protected(int page);
bool world_is_kept(const struct entry *e);
/* Take out what nothing keeps any more; then owners of whom nothing is left are gone. */
void world_sweep(void);
struct entry *world_some(void);
struct entry *world_by_cookie(uint32_t id, uint64_t cookie);
void world_against_owner(uint32_t id, uint64_t cookie);
void world_against_pages(const int *page, size_t count, bool strict);
struct entry *world_append(enum kind kind, uint32_t id, uint64_t cookie, size_t pages);

#endif
