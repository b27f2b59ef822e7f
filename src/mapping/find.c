/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Lookups by address: no lock, no waiting, no retrying. See [backing.C1] and [backing.C2] in page_tree.h. */
#include "mapping/find.h"

#include "backing/sharing.h"
#include "base/mutant.h"
#include "space/range_words.h"

struct query {
	struct space *space;
	struct backing *backing;
	uint64_t first, last; /* pages */
	uint32_t owner; /* number; 0: any */
	bool in_view; /* only what lies at the backing's own addresses */
	bool any; /* whichever comes first, not the oldest */
	uint64_t hiding; /* space.hiding when it began */
	uint32_t link, slot; /* the answer; slot 0: none yet */
};

/* A number that counts up and wraps. */
static bool is_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

bool owner_is_shown(struct space *space, uint32_t number, uint64_t hiding)
{
	struct owner *owner = owner_at(&space->owners, number);

	if (!owner)
		return false;
	/* Acquire: `hidden` is behind it. */
	return atomic_load_explicit(&owner->state, memory_order_acquire) == OWNER_LIVE ||
	       (!IS_MUTANT(216) && /* hides from lookups that had begun before */
	        is_later(atomic_load_explicit(&owner->hidden, memory_order_relaxed),
	                 (uint32_t)(hiding >> 32)));
}

static bool is_wanted(const struct query *query, uint32_t owner, enum link_kind kind)
{
	return (!query->owner || query->owner == owner) && (!query->in_view || kind == LINK_IN_VIEW) &&
	       owner_is_shown(query->space, owner, query->hiding);
}

/* A link whose segment has the first page. */
static bool holds(const struct query *query, const struct link *link, const struct mapping *mapping)
{
	if (mapping->kind == MAPPING_RANGE)
		return range_holds(mapping, link->segment, query->first, query->last);
	return query->first == query->last ||
	       segment_reach(query->space, mapping, link->segment) > query->last;
}

/* True: the search is over. id 0: there is no link. */
static bool consider(struct query *query, uint32_t id)
{
	const struct mapping *mapping;
	const struct link *link;

	if (!id)
		return false;
	link = link_at(query->space, id);
	mapping = mapping_at(query->space, link->slot);
	if (!holds(query, link, mapping))
		return false;
	if (!query->slot || mapping->serial < mapping_at(query->space, query->slot)->serial) {
		query->slot = link->slot;
		query->link = id;
	}
	return query->any;
}

static bool consider_range_links(struct query *query, uint32_t id)
{
	for (; id; id = atomic_load_explicit(&link_more(query->space, id)->next, memory_order_acquire))
		if (consider(query, id))
			return true;
	return false;
}

/* Acquires: with what the links lead to, and with what was announced before they changed [backing.C2]. */
static bool consider_group(struct query *query, const struct group *group)
{
	uint32_t first = atomic_load_explicit(&group->first, memory_order_acquire);

	if (!is_wanted(query, group->owner, group->kind))
		return false;
	if (group->kind == LINK_IN_RANGE)
		return consider_range_links(query, first);
	return consider(query, first) ||
	       (query->first != query->last &&
	        consider(query, atomic_load_explicit(&group->furthest, memory_order_acquire)));
}

static bool consider_groups(struct query *query, struct node node, uint32_t number)
{
	if (query->owner) {
		for (enum link_kind kind = LINK_IN_VIEW; kind <= LINK_IN_RANGE; kind++) {
			const struct group *group =
			        group_at(query->space, group_find(query->space, &query->backing->tree, node,
			                                          query->owner, kind));

			if (group && consider_group(query, group))
				return true;
		}
		return false;
	}
	while (number) {
		const struct group *group = group_at(query->space, number);

		if (consider_group(query, group))
			return true;
		number = atomic_load_explicit(&group->next, memory_order_acquire);
	}
	return false;
}

static bool consider_alone(struct query *query, uint32_t word)
{
	uint32_t id = word & NODE_NUMBER;
	const struct mapping *mapping;

	if (word & NODE_HELD)
		return false;
	mapping = mapping_at(query->space, link_at(query->space, id)->slot);
	return is_wanted(query, mapping->owner, mapping_link_kind(mapping)) && consider(query, id);
}

static uint32_t read_node(const struct query *query, struct node node)
{
	const _Atomic uint32_t *word = page_tree_word(&query->backing->tree, node);

	return word ? atomic_load_explicit(word, memory_order_acquire) : 0; /* [backing.C1], [backing.C2] */
}

static bool read_nodes(struct query *query)
{
	uint64_t page = query->first - query->backing->page;
	uint32_t used = atomic_load_explicit(&query->backing->tree.used, memory_order_relaxed);

	query->hiding = atomic_load_explicit(&query->space->hiding, memory_order_acquire);
	for (; used; used &= used - 1) {
		unsigned level = bits_lowest(used);
		struct node node = {level, page >> 2 * level};
		uint32_t word = read_node(query, node);

		if (word & NODE_GROUP ? consider_groups(query, node, word & NODE_NUMBER)
		                      : word != 0 && consider_alone(query, word))
			break;
	}
	return query->slot != 0;
}

/* Whether what the link belongs to, or for a range its page, holds the pages. */
static bool held(const struct query *query, const struct link *link)
{
	const struct mapping *mapping = mapping_at(query->space, link->slot);
	const struct segment *segment;

	if (!is_wanted(query, mapping->owner, mapping_link_kind(mapping)))
		return false;
	if (mapping->kind == MAPPING_RANGE)
		return range_held(mapping, link->segment, query->first, query->last);
	segment = mapping_segments(mapping);
	for (uint32_t i = 0; i < mapping->segments; i++)
		if (query->first - segment[i].page < segment_pages(mapping, i) &&
		    segment_reach(query->space, mapping, i) > query->last)
			return true;
	return false;
}

/* [backing.C2]: among what was announced since `began`. */
static bool read_announced(struct query *query, uint64_t began)
{
	uint64_t last = atomic_load_explicit(&query->backing->tree.ended, memory_order_acquire);
	uint32_t id = (uint32_t)last, number = (uint32_t)(last >> 32);

	while (is_later(number, (uint32_t)(began >> 32))) {
		const struct link_more *more = link_more(query->space, id);
		uint32_t before;

		if (held(query, link_at(query->space, id))) {
			query->link = id;
			query->slot = link_at(query->space, id)->slot;
			return true;
		}
		id = atomic_load_explicit(&more->before, memory_order_relaxed);
		if (!id)
			break;
		before = atomic_load_explicit(&link_more(query->space, id)->number, memory_order_relaxed);
		if (!is_later(number, before))
			break;
		number = before;
	}
	return false;
}

/* In a read section. */
static bool search(struct query *query)
{
	uint64_t began;

	if (read_nodes(query))
		return true;
	/* Acquire: what was registered before an announcement that we know of is seen from here on. */
	began = atomic_load_explicit(&query->backing->tree.ended, memory_order_acquire);
	if (IS_MUTANT(215)) /* goes by the first reading of the nodes, and by announcements since then */
		return read_announced(query, began);
	return read_nodes(query) || read_announced(query, began);
}

static struct query query_for(struct space *space, struct backing *backing, uint64_t paddr, uint64_t len)
{
	return (struct query){.space = space,
	                      .backing = backing,
	                      .first = paddr / IST_PAGE_SIZE,
	                      .last = (paddr + (len - 1)) / IST_PAGE_SIZE};
}

/* The link's own segment has the page, unless it was announced for all of its mapping. */
static uint32_t segment_with(const struct mapping *mapping, const struct link *link, uint64_t page)
{
	const struct segment *all = mapping_segments(mapping);
	uint32_t segment = link->segment;

	for (uint32_t i = 0; page - all[segment].page >= segment_pages(mapping, segment); i++)
		segment = i;
	return segment;
}

/* Where the first page lies in what was found. */
static uint64_t address_in(const struct query *query)
{
	const struct mapping *mapping = mapping_at(query->space, query->slot);
	const struct link *link = link_at(query->space, query->link);
	uint32_t segment =
	        mapping->kind == MAPPING_RANGE ? link->segment : segment_with(mapping, link, query->first);

	return (uint64_t)(uintptr_t)segment_address(query->space, mapping, segment, query->first);
}

bool find_by_paddr(struct space *space, uint64_t paddr, uint64_t len, const struct owner *of,
                   struct found *out)
{
	struct backing *backing = space_find_backing(space, paddr / IST_PAGE_SIZE);
	struct query query = query_for(space, backing, paddr, len);

	query.owner = of ? of->number : 0;
	if (!backing || !search(&query))
		return false;
	*out = (struct found){query.slot, address_in(&query) + paddr % IST_PAGE_SIZE};
	return true;
}

/* A link alone, in the view, and nobody is hidden: then the word says it all. */
static bool is_plain(struct space *space, const struct backing *backing, uint64_t paddr, uint64_t len)
{
	uint64_t page = paddr / IST_PAGE_SIZE - backing->page;
	uint32_t used = atomic_load_explicit(&backing->tree.used, memory_order_relaxed);

	if (len > IST_PAGE_SIZE - paddr % IST_PAGE_SIZE ||
	    (uint32_t)atomic_load_explicit(&space->hiding, memory_order_acquire) != 0)
		return false;
	for (; used; used &= used - 1) {
		unsigned level = bits_lowest(used);
		const _Atomic uint32_t *word =
		        page_tree_word(&backing->tree, (struct node){level, page >> 2 * level});
		uint32_t found = word ? atomic_load_explicit(word, memory_order_acquire) : 0;

		if (found && !(found & NODE_ODD))
			return true;
	}
	return false;
}

bool translate_paddr(struct space *space, uint64_t paddr, uint64_t len, uint64_t *to)
{
	struct backing *backing;
	bool found = false;

	rcu_enter();
	backing = space_find_backing(space, paddr / IST_PAGE_SIZE);
	if (backing && is_plain(space, backing, paddr, len)) {
		*to = (uint64_t)(uintptr_t)backing->view + (paddr - backing->page * IST_PAGE_SIZE);
		found = true;
	} else if (backing) {
		struct query query = query_for(space, backing, paddr, len);

		query.any = true;
		found = search(&query);
		if (found)
			*to = address_in(&query) + paddr % IST_PAGE_SIZE;
	}
	rcu_leave();
	return found;
}

/* Of a mapping in the window: the physical address of what lies at `at`. */
static bool run_to_paddr(struct space *space, const struct mapping *mapping, uint64_t at, uint64_t len,
                         uint64_t *to)
{
	uint64_t begin = (uint64_t)(uintptr_t)mapping->vaddr - mapping->offset,
	         page = (at - begin) / IST_PAGE_SIZE, more = (at % IST_PAGE_SIZE + (len - 1)) / IST_PAGE_SIZE,
	         first;
	uint32_t segment;

	if (at < begin || page >= mapping->pages)
		return false;
	if (mapping->kind == MAPPING_RANGE) {
		if (!range_page(mapping, page, &first) || !range_holds(mapping, page, first, first + more))
			return false;
	} else {
		segment = segment_at(mapping, page);
		first = mapping_segments(mapping)[segment].page +
		        (page - mapping_segments(mapping)[segment].at);
		if (segment_reach(space, mapping, segment) - first <= more)
			return false;
	}
	*to = first * IST_PAGE_SIZE + at % IST_PAGE_SIZE;
	return true;
}

/*
 * The mapping that has a run. It may be unregistered and stay for the sake of others in its pages (mapping/mmio.c): as long as one of these is
 * there, all of the run is found. What is there for the sake of another one (mapping/contiguous.c) is found as long as that is, which it
 * keeps. The record is readable as long as it is LIVE or somebody has it: acquire, [space.S1].
 */
static bool window_to_paddr(struct space *space, uint64_t at, uint64_t len, uint64_t *to)
{
	uint64_t hiding = atomic_load_explicit(&space->hiding, memory_order_acquire);
	const struct mapping *mapping =
	        mapping_at(space, window_owner(&space->window, (void *)(uintptr_t)at));
	const struct mapping *first = mapping;
	uint64_t refs = mapping ? atomic_load_explicit(&mapping->refs, memory_order_acquire) : 0;

	if (!(refs & (REFS_LIVE | REFS_ANY)) || (refs & REFS_ENDED))
		return false;
	if (mapping->kind == MAPPING_AGAIN) {
		first = mapping_at(space, mapping->older);
		refs = atomic_load_explicit(&first->refs, memory_order_acquire);
	}
	if (refs & REFS_LIVE)
		return owner_is_shown(space, first->owner, hiding) &&
		       run_to_paddr(space, mapping, at, len, to);
	return mapping->kind == MAPPING_MMIO && (refs & REFS_HOLDS) &&
	       run_to_paddr(space, mapping, at, len, to);
}

/* What is registered of a backing, at the place where all of it is mapped. */
static bool view_to_paddr(struct space *space, uint64_t at, uint64_t len, uint64_t *to)
{
	struct pamap_value value;
	struct query query;

	if (!pamap_lookup(space->by_vaddr, at, len, &value))
		return false;
	query = query_for(space, space_backing(space, value.handle), value.to, len);
	query.any = query.in_view = true;
	*to = value.to;
	return search(&query);
}

bool translate_vaddr(struct space *space, uint64_t at, uint64_t len, uint64_t *to)
{
	uint64_t paddr;
	bool found;

	rcu_enter();
	found = space_is_open(space) && window_contains(&space->window, (void *)(uintptr_t)at)
	                ? window_to_paddr(space, at, len, &paddr)
	                : view_to_paddr(space, at, len, &paddr);
	rcu_leave();
	if (found)
		*to = paddr;
	return found;
}
