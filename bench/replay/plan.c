/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "plan.h"

#include <stdlib.h>

/*
 * Places of ended objects are used again only after this many others, so that in a replay with several workers
 * nobody waits for a place: the workers are never that far apart.
 */
#define SLOT_REST 256u

#define NONE UINT32_MAX

/* How far to look for the message slot that a lookup meant: no recorded page holds more than ten. */
#define SLOTS_SEARCHED 64u

/* What an object of the trace is while the plan is made. */
struct object {
	uint64_t offset; /* of a message slot in its page */
	uint32_t slot; /* NONE: has none, or has ended */
	uint32_t first_msg; /* of a page: the latest message slot that lives in it */
	uint32_t next_msg; /* of a message slot: the one before it in the same page */
};

struct maker {
	const struct trace *trace;
	struct plan *plan;
	struct object *objects;
	uint32_t *tickets; /* per slot: steps so far */
	uint32_t *resting; /* ring of slots that are free again, oldest first */
	uint32_t rest_head, rest_count;
	uint64_t asked[POOL_COUNT], rounded[POOL_COUNT];
	uint16_t workers[TRACE_CPU_MAX];
};

static const char *const kind_names[STEP_KIND_COUNT] = {
        [STEP_DRIVER_ALLOC] = "driver alloc", [STEP_DRIVER_FREE] = "driver free",
        [STEP_MSG_GET] = "message get",       [STEP_MSG_PUT] = "message put",
        [STEP_CLIENT_ALLOC] = "client alloc", [STEP_CLIENT_FREE] = "client free",
        [STEP_TO_PHYS] = "va to pa",          [STEP_TO_VIRT] = "pa to va",
};

const char *step_kind_name(enum step_kind kind)
{
	return kind_names[kind];
}

static struct step *add_step(struct maker *maker, const struct trace_event *event, enum step_kind kind,
                             uint32_t slot)
{
	struct plan *plan = maker->plan;
	struct step *step = &plan->steps[plan->step_count++];

	*step = (struct step){
	        .slot = slot, .worker = maker->workers[event->cpu], .kind = (uint8_t)kind, .op = event->op};
	if (slot != STEP_NO_SLOT)
		step->ticket = maker->tickets[slot]++;
	plan->kinds[kind]++;
	return step;
}

static uint32_t take_slot(struct maker *maker)
{
	uint32_t slot;

	if (maker->rest_count <= SLOT_REST)
		return maker->plan->slot_count++;
	slot = maker->resting[maker->rest_head];
	maker->rest_head = (maker->rest_head + 1) % maker->trace->object_count;
	maker->rest_count--;
	return slot;
}

static void rest_slot(struct maker *maker, uint32_t slot)
{
	maker->resting[(maker->rest_head + maker->rest_count++) % maker->trace->object_count] = slot;
}

static enum step_kind alloc_kind(enum trace_op op)
{
	switch (op) {
	case TRACE_MSG_GET:
		return STEP_MSG_GET;
	case TRACE_ALLOC_DRIVER:
	case TRACE_FAIL_DRIVER:
		return STEP_DRIVER_ALLOC;
	default:
		return STEP_CLIENT_ALLOC;
	}
}

static void plan_birth(struct maker *maker, const struct trace_event *event)
{
	const struct trace_object *object = &maker->trace->objects[event->object];
	struct object *mine = &maker->objects[event->object];
	enum step_kind kind = alloc_kind(event->op);
	enum pool pool = step_pool(kind);
	struct plan *plan = maker->plan;

	if (event->op == TRACE_REGISTER) {
		plan->mappings++;
		return;
	}
	if (object->holds_slots) {
		plan->slot_pages++;
		return;
	}
	mine->slot = take_slot(maker);
	add_step(maker, event, kind, mine->slot)->size = event->size;
	maker->asked[pool] += event->size;
	maker->rounded[pool] += step_rounded(pool, event->size);
	if (maker->asked[pool] > plan->peak_asked[pool])
		plan->peak_asked[pool] = maker->asked[pool];
	if (maker->rounded[pool] > plan->peak_rounded[pool])
		plan->peak_rounded[pool] = maker->rounded[pool];
	if (event->op == TRACE_MSG_GET && event->page != TRACE_NO_PAGE) {
		mine->offset = event->offset;
		mine->next_msg = maker->objects[event->page].first_msg;
		maker->objects[event->page].first_msg = event->object;
	}
}

static void plan_end(struct maker *maker, const struct trace_event *event)
{
	const struct trace_object *object = &maker->trace->objects[event->object];
	struct object *mine = &maker->objects[event->object];
	enum step_kind kind = alloc_kind(object->born_by) + 1; /* the kind behind an allocation is its free */
	enum pool pool = step_pool(kind);

	if (event->op == TRACE_UNREGISTER) {
		maker->plan->mappings++;
		return;
	}
	if (object->holds_slots) {
		maker->plan->slot_pages++;
		return;
	}
	add_step(maker, event, kind, mine->slot)->size = object->size;
	maker->asked[pool] -= object->size;
	maker->rounded[pool] -= step_rounded(pool, object->size);
	rest_slot(maker, mine->slot);
	mine->slot = NONE;
}

/* The living message slot of a page that holds the byte at `offset`, or NONE. Drops ended ones from the list. */
static uint32_t find_message(struct maker *maker, uint32_t page, uint64_t offset)
{
	uint32_t *link = &maker->objects[page].first_msg;
	unsigned int looked;

	for (looked = 0; *link != NONE && looked < SLOTS_SEARCHED; looked++) {
		const struct object *message = &maker->objects[*link];

		if (message->slot == NONE) {
			*link = message->next_msg;
			continue;
		}
		if (offset >= message->offset && offset - message->offset < maker->trace->objects[*link].size)
			return *link;
		link = &maker->objects[*link].next_msg;
	}
	return NONE;
}

static void plan_use(struct maker *maker, const struct trace_event *event)
{
	bool to_phys = event->op == TRACE_LOOKUP_PA || event->op == TRACE_PASS;
	uint64_t offset = event->offset, size = event->size ? event->size : 1, whole;
	uint32_t target = event->object;
	struct step *step;

	if (event->op == TRACE_CALL || event->op == TRACE_RPC_SUPP_FREE) {
		maker->plan->calls++;
		return;
	}
	if (maker->trace->objects[target].born_by == TRACE_REGISTER) {
		maker->plan->mapping_lookups++;
		return;
	}
	if (maker->trace->objects[target].holds_slots) {
		target = find_message(maker, target, offset);
		offset -= target == NONE ? 0 : maker->objects[target].offset;
	}
	step = add_step(maker, event, to_phys ? STEP_TO_PHYS : STEP_TO_VIRT,
	                target == NONE ? STEP_NO_SLOT : maker->objects[target].slot);
	/* A few recorded references reach past the end: the secure world says what it would have needed. */
	whole = target == NONE ? IST_PAGE_SIZE : maker->trace->objects[target].size;
	step->offset = offset < whole ? offset : whole - 1;
	step->size = size < whole - step->offset ? size : whole - step->offset;
}

static void plan_event(struct maker *maker, const struct trace_event *event)
{
	switch (trace_op_class(event->op)) {
	case TRACE_BIRTH:
		plan_birth(maker, event);
		break;
	case TRACE_END:
		plan_end(maker, event);
		break;
	case TRACE_USE:
		plan_use(maker, event);
		break;
	case TRACE_NO_OBJECT:
		if (event->op == TRACE_RPC_SUPP_ALLOC) {
			maker->plan->calls++;
		} else if (event->op == TRACE_FAIL_REGISTER) {
			maker->plan->mappings++;
		} else if (event->size) {
			add_step(maker, event, alloc_kind(event->op), STEP_NO_SLOT)->size = event->size;
			maker->plan->attempts++;
		}
		break;
	}
}

/* Workers are numbered in the order of the CPUs that occur. */
static void number_workers(struct maker *maker)
{
	const struct trace *trace = maker->trace;
	bool seen[TRACE_CPU_MAX] = {false};
	uint32_t i, count = 0;

	for (i = 0; i < trace->event_count; i++)
		seen[trace->events[i].cpu] = true;
	for (i = 0; i < TRACE_CPU_MAX; i++)
		if (seen[i])
			maker->workers[i] = (uint16_t)(count++ % PLAN_WORKERS_MAX);
	maker->plan->worker_count = count < PLAN_WORKERS_MAX ? count : PLAN_WORKERS_MAX;
}

static void sort_by_worker(struct plan *plan)
{
	uint32_t next[PLAN_WORKERS_MAX], i;

	for (i = 0; i < plan->step_count; i++)
		plan->first[plan->steps[i].worker + 1]++;
	for (i = 0; i < PLAN_WORKERS_MAX; i++) {
		plan->first[i + 1] += plan->first[i];
		next[i] = plan->first[i];
	}
	for (i = 0; i < plan->step_count; i++)
		plan->order[next[plan->steps[i].worker]++] = i;
}

bool plan_make(const struct trace *trace, struct plan *plan)
{
	struct maker maker = {.trace = trace, .plan = plan};
	size_t objects = trace->object_count ? trace->object_count : 1;
	uint32_t i;

	*plan = (struct plan){0};
	plan->steps = calloc(trace->event_count, sizeof(*plan->steps));
	plan->order = calloc(trace->event_count, sizeof(*plan->order));
	maker.objects = calloc(objects, sizeof(*maker.objects));
	maker.tickets = calloc(objects, sizeof(*maker.tickets));
	maker.resting = calloc(objects, sizeof(*maker.resting));
	if (plan->steps && plan->order && maker.objects && maker.tickets && maker.resting) {
		for (i = 0; i < trace->object_count; i++)
			maker.objects[i] = (struct object){.slot = NONE, .first_msg = NONE, .next_msg = NONE};
		number_workers(&maker);
		for (i = 0; i < trace->event_count; i++)
			plan_event(&maker, &trace->events[i]);
		sort_by_worker(plan);
	} else {
		plan_release(plan);
	}
	free(maker.objects);
	free(maker.tickets);
	free(maker.resting);
	return plan->steps != NULL;
}

void plan_release(struct plan *plan)
{
	free(plan->steps);
	free(plan->order);
	*plan = (struct plan){0};
}
