/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Readers. A lookup goes from a root, or from where a hint leads (hints.h [pamap.P3]), to a leaf or block, at most one load of
 * a pointer a level, then to one word: wait-free, since the height is bounded by the fill of nodes and nothing is ever
 * tried again. It may pass nodes that have been replaced meanwhile; these still hold what they held when they were
 * [pamap.P2], so the answer is the one of an instant between the replacement and the load that led here, which lies within
 * the lookup. Its linearization point is the load of the word; or, when that is in a leaf that had been replaced, the
 * replacement.
 */
#include "pamap/map.h"

#define BATCH 16u
#define NO_OWNER (-1)

/* What is looked up: pages [page, page + more], in the region's numbers also x. */
struct query {
	uint64_t page, more;
	int owner; /* or NO_OWNER */
};

/* Where a descent has come to; `from` is where the range of the node begins. */
struct place {
	node_ref ref;
	int32_t from;
};

static inline bool step_to(struct place *place, unsigned rank)
{
	const struct inner *inner = node_inner(place->ref);

	if (rank == 0)
		return false;
	place->from = inner->key[rank - 1];
	place->ref = atomic_load_explicit(&inner->child[rank - 1], memory_order_acquire); /* [pamap.P1] */
	return true;
}

/* What of a node will be needed depends on its keys; so that it need not wait for them, all of it is loaded at once. */
static inline void touch_children(const struct inner *inner)
{
	for (unsigned i = 0; i < INNER_MAX; i += CACHE_LINE / sizeof(node_ref))
		touch(&inner->child[i]);
}

static inline void touch_words(const struct leaf *leaf)
{
	for (unsigned i = 0; i < LEAF_MAX; i += CACHE_LINE / sizeof(uint64_t))
		touch(&leaf->word[i]);
}

static inline bool wanted(struct pamap *map, const struct query *query, uint16_t owner)
{
	return (query->owner == NO_OWNER || query->owner == owner) && !owner_is_hidden(map, owner);
}

static const struct pamap_entry *find_in_cover(struct pamap *map, const struct cover *cover,
                                               const struct query *query)
{
	for (uint32_t i = 0; i < cover->count; i++) {
		const struct pamap_entry *e = &cover->entry[i];
		uint64_t offset = query->page - e->page;

		if (query->page < e->page || offset >= e->pages || query->more >= e->pages - offset)
			continue;
		if (wanted(map, query, e->owner))
			return e;
	}
	return NULL;
}

static inline bool answer_from_cover(struct pamap *map, const struct cover *cover, const struct query *query,
                                     struct pamap_value *out)
{
	const struct pamap_entry *e = find_in_cover(map, cover, query);

	if (!e)
		return false;
	out->to = e->to + (query->page - e->page);
	out->handle = e->handle;
	out->owner = e->owner;
	out->attributes = e->attributes;
	return true;
}

/* The entry, a word and its extra, has all pages of the query; offset: where the first one is in it. */
static inline bool answer_from_word(struct pamap *map, uint64_t word, uint32_t extra, uint64_t offset,
                                    const struct query *query, struct pamap_value *out)
{
	if (!wanted(map, query, word_owner(word)))
		return false;
	out->to = word_to(word) + offset;
	out->owner = word_owner(word);
	out->handle = extra & WORD_HANDLE_MAX;
	out->attributes = (uint8_t)(extra >> 24);
	return true;
}

static inline bool find_in_leaf(struct pamap *map, const struct leaf *leaf, unsigned rank, int32_t x,
                                const struct query *query, struct pamap_value *out)
{
	uint64_t word, offset;

	if (rank == 0)
		return false;
	word = atomic_load_explicit(&leaf->word[rank - 1], memory_order_acquire); /* [pamap.P1] */
	if (word_pages(word) == 0)
		return word != 0 && answer_from_cover(map, word_cover(word), query, out);
	offset = (uint64_t)(x - leaf->key[rank - 1]);
	return offset + query->more < word_pages(word) &&
	       answer_from_word(map, word, leaf->extra[rank - 1], offset, query, out);
}

static inline bool find_in_block(struct pamap *map, const struct place *place, int32_t x,
                                 const struct query *query, struct pamap_value *out)
{
	const struct block *block = node_block(place->ref);
	uint32_t offset = (uint32_t)x - (uint32_t)block_first(place->from);
	uint64_t word;
	uint32_t palette;

	if (offset >= BLOCK_PAGES) /* the range that leads here may go on behind the block */
		return false;
	word = atomic_load_explicit(&block->word[offset], memory_order_acquire); /* [pamap.P1] */
	if (block_word_palette(word) == PALETTE_COVER)
		return answer_from_cover(map, block_word_cover(word), query, out);
	if (block_word_palette(word) == 0 || query->more != 0)
		return false;
	palette = block->palette[block_word_palette(word)];
	if (!wanted(map, query, (uint16_t)palette))
		return false;
	out->to = block_word_to(word);
	out->handle = block_word_handle(word);
	out->owner = (uint16_t)palette;
	out->attributes = (uint8_t)(palette >> 16);
	return true;
}

/* Where to start: at what a hint names, most often one of the first region's, or at the root. */
static inline struct place start(struct pamap *map, uint64_t at)
{
	uint64_t page = at >> PAMAP_PAGE_SHIFT;
	struct place place = {0, in_region(page)}; /* a hint names a block only for pages that are in it */
	struct root *root;

	place.ref = root_hint(&map->first.root, at);
	if (place.ref)
		return place;
	root = map_root(map, page >> REGION_BITS);
	if (root)
		place.ref = root_hint(root, at);
	if (root && !place.ref)
		place.ref = atomic_load_explicit(&root->top, memory_order_acquire); /* [pamap.P1] */
	return place;
}

static inline bool map_is_new(struct pamap *map)
{
	return atomic_load_explicit(&map->owners, memory_order_relaxed) == NULL;
}

/* If the hint guesses an entry, and it is the one: few maps are so small that hints do, but theirs is the shortest way. */
static inline bool guess_finds(struct pamap *map, node_ref hint, int32_t x, const struct query *query,
                               struct pamap_value *out)
{
	const struct leaf *leaf = node_leaf(hint);
	unsigned guess = hint_guess(hint);
	uint64_t word, offset;

	if (guess == LEAF_MAX || !hint)
		return false;
	word = atomic_load_explicit(&leaf->word[guess], memory_order_acquire); /* [pamap.P1] */
	offset = (uint32_t)(x - leaf->key[guess]);
	return offset + query->more < word_pages(word) &&
	       answer_from_word(map, word, leaf->extra[guess], offset, query, out);
}

static inline __attribute__((always_inline)) bool look_up(struct pamap *map, uint64_t at,
                                                          const struct query *query, struct pamap_value *out)
{
	int32_t x = in_region(query->page);
	struct place place = start(map, at);

	if (node_kind(place.ref) == NODE_LEAF && guess_finds(map, place.ref, x, query, out))
		return true;
	while (node_kind(place.ref) == NODE_INNER) {
		touch_children(node_inner(place.ref));
		if (!step_to(&place, inner_rank(node_inner(place.ref), x)))
			return false;
	}
	if (node_kind(place.ref) == NODE_BLOCK)
		return find_in_block(map, &place, x, query, out);
	if (!place.ref)
		return false;
	touch_words(node_leaf(place.ref));
	return find_in_leaf(map, node_leaf(place.ref), leaf_rank(node_leaf(place.ref), x), x, query, out);
}

static inline __attribute__((always_inline)) bool look_up_bytes(struct pamap *map, int owner, uint64_t at,
                                                                uint64_t len, struct pamap_value *out)
{
	uint64_t page = at >> PAMAP_PAGE_SHIFT;
	struct query query = {page, ((at + (len - 1)) >> PAMAP_PAGE_SHIFT) - page, owner};
	bool found;

	if (map_is_new(map))
		return false;
	rcu_enter();
	found = look_up(map, at, &query, out);
	rcu_leave();
	out->found = found;
	if (found)
		out->to = out->to << PAMAP_PAGE_SHIFT | (at & (PAMAP_PAGE_SIZE - 1));
	return found;
}

bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out)
{
	return look_up_bytes(map, NO_OWNER, at, len, out);
}

bool pamap_lookup_owner(struct pamap *map, uint16_t owner, uint64_t at, uint64_t len, struct pamap_value *out)
{
	return look_up_bytes(map, owner, at, len, out);
}

/* Inlined, all that is not asked for goes, and the line that it lies in is not loaded. */
bool pamap_translate(struct pamap *map, uint64_t at, uint64_t len, uint64_t *to)
{
	struct pamap_value value;

	if (!look_up_bytes(map, NO_OWNER, at, len, &value))
		return false;
	*to = value.to;
	return true;
}

/*
 * A batch goes down level by level, each level in two rounds: one that searches all nodes and asks for the line that
 * it will need of each, and one that reads these lines and asks for the keys of the nodes below.
 */
struct batch {
	size_t count;
	struct place place[BATCH];
	int32_t x[BATCH];
	unsigned rank[BATCH];
};

static inline void touch_keys(node_ref ref, int32_t x)
{
	const char *keys = (const char *)(ref & ~(node_ref)(NODE_ALIGN - 1));
	size_t size = node_kind(ref) == NODE_INNER ? sizeof(node_inner(0)->key) : sizeof(node_leaf(0)->key);

	if (node_kind(ref) == NODE_BLOCK) {
		touch(&node_block(ref)->word[(uint32_t)x & (BLOCK_PAGES - 1)]);
		return;
	}
	for (size_t i = 0; i < size; i += CACHE_LINE)
		touch(keys + i);
}

/* Where a rank points; rank 0 points nowhere. The page has been touched, so from here a prefetch is good enough. */
static inline unsigned place_of(unsigned rank)
{
	return rank ? rank - 1 : 0;
}

static bool search_nodes(struct batch *batch)
{
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		node_ref ref = batch->place[i].ref;

		if (node_kind(ref) == NODE_INNER) {
			batch->rank[i] = inner_rank(node_inner(ref), batch->x[i]);
			__builtin_prefetch(&node_inner(ref)->child[place_of(batch->rank[i])]);
			any = true;
		} else if (node_kind(ref) == NODE_LEAF && ref) {
			batch->rank[i] = leaf_rank(node_leaf(ref), batch->x[i]);
			__builtin_prefetch(&node_leaf(ref)->word[place_of(batch->rank[i])]);
			__builtin_prefetch(&node_leaf(ref)->extra[place_of(batch->rank[i])]);
		}
	}
	return any;
}

static void go_down(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (node_kind(batch->place[i].ref) != NODE_INNER)
			continue;
		if (!step_to(&batch->place[i], batch->rank[i]))
			batch->place[i].ref = 0;
		if (batch->place[i].ref)
			touch_keys(batch->place[i].ref, batch->x[i]);
	}
}

static bool finish_one(struct pamap *map, const struct batch *batch, size_t i, uint64_t at,
                       struct pamap_value *out)
{
	struct query query = {at >> PAMAP_PAGE_SHIFT, 0, NO_OWNER};
	const struct place *place = &batch->place[i];

	if (!place->ref)
		return false;
	if (node_kind(place->ref) == NODE_BLOCK)
		return find_in_block(map, place, batch->x[i], &query, out);
	return find_in_leaf(map, node_leaf(place->ref), batch->rank[i], batch->x[i], &query, out);
}

static size_t look_up_batch(struct pamap *map, const uint64_t *at, size_t count, struct pamap_value *out)
{
	struct batch batch;
	size_t found = 0;

	batch.count = count;
	for (size_t i = 0; i < count; i++) {
		batch.place[i] = start(map, at[i]);
		batch.x[i] = in_region(at[i] >> PAMAP_PAGE_SHIFT);
	}
	for (size_t i = 0; i < count; i++)
		if (batch.place[i].ref)
			touch_keys(batch.place[i].ref, batch.x[i]);
	while (search_nodes(&batch))
		go_down(&batch);
	for (size_t i = 0; i < count; i++) {
		out[i].found = finish_one(map, &batch, i, at[i], &out[i]);
		if (out[i].found)
			out[i].to = out[i].to << PAMAP_PAGE_SHIFT | (at[i] & (PAMAP_PAGE_SIZE - 1));
		found += out[i].found;
	}
	return found;
}

size_t pamap_lookup_many(struct pamap *map, const uint64_t *at, size_t count, struct pamap_value *out)
{
	size_t found = 0;

	if (map_is_new(map)) {
		for (size_t i = 0; i < count; i++)
			out[i].found = false;
		return 0;
	}
	rcu_enter();
	for (size_t i = 0; i < count; i += BATCH)
		found += look_up_batch(map, at + i, bits_min(count - i, BATCH), out + i);
	rcu_leave();
	return found;
}
