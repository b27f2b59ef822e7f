/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tools/merge.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#define SIZE_MOST (UINT64_C(1) << 40) /* of the format */
#define CPUS_MOST 1024u

/* What is alive, in a hash table of chains. */
struct object {
	uint64_t place, manager, id;
	uint32_t owner, op;
	struct object *next;
};

struct merger {
	FILE *out;
	struct merged *result;
	struct object **buckets;
	size_t bucket_count; /* a power of two */
	uint64_t line;
};

static uint64_t number_of(const struct spool_record *record)
{
	return atomic_load_explicit(&record->number, memory_order_relaxed); /* the process has ended */
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = number_of(a), right = number_of(b);

	return (left > right) - (left < right);
}

static struct object **bucket(const struct merger *merger, uint64_t place, bool is_mapping)
{
	return &merger->buckets[((place ^ is_mapping) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
	                        (merger->bucket_count - 1)];
}

static struct object **find(const struct merger *merger, uint64_t place, bool is_mapping, uint64_t manager)
{
	struct object **link = bucket(merger, place, is_mapping);

	while (*link && ((*link)->place != place || ((*link)->op == SPOOL_REGISTER) != is_mapping ||
	                 (is_mapping && (*link)->manager != manager)))
		link = &(*link)->next;
	return link;
}

static void print(struct merger *merger, const struct spool_record *record, const char *op, uint64_t id,
                  uint64_t size)
{
	fprintf(merger->out, "%" PRIu64 " 0 %u %" PRIu32 " %s %" PRIu64 " %" PRIu64, merger->line++,
	        (unsigned)record->cpu % CPUS_MOST, record->thread, op, id, size);
	merger->result->events++;
}

static void end_object(struct merger *merger, const struct spool_record *record, struct object **link)
{
	struct object *object = *link;

	print(merger, record,
	      object->op == SPOOL_MESSAGE  ? "msg_put"
	      : object->op == SPOOL_BUFFER ? "free"
	                                   : "unregister",
	      object->id, 0);
	putc('\n', merger->out);
	*link = object->next;
	free(object);
	merger->result->alive--;
}

static int add_birth(struct merger *merger, const struct spool_record *record)
{
	static const char *const names[] = {"msg_get", "alloc_client", "register"};
	bool is_mapping = record->op == SPOOL_REGISTER;
	struct object **link = find(merger, record->place, is_mapping, record->manager), *object;

	if (*link) {
		merger->result->implied++;
		end_object(merger, record, link);
		link = find(merger, record->place, is_mapping, record->manager);
	}
	object = malloc(sizeof(*object));
	if (!object)
		return -1;
	*object = (struct object){.place = record->place,
	                          .manager = record->manager,
	                          .id = ++merger->result->objects,
	                          .owner = record->owner,
	                          .op = record->op};
	*link = object;
	merger->result->alive++;
	print(merger, record, names[record->op], object->id,
	      record->size < SIZE_MOST ? record->size : SIZE_MOST);
	if (is_mapping)
		fprintf(merger->out, " - off=%" PRIu64, record->offset);
	else if (record->align)
		fprintf(merger->out, " - align=%" PRIu64,
		        UINT64_C(1) << (record->align < 30 ? record->align : 30));
	putc('\n', merger->out);
	return 0;
}

static void end_owner(struct merger *merger, const struct spool_record *record)
{
	for (size_t i = 0; i < merger->bucket_count; i++) {
		for (struct object **link = &merger->buckets[i]; *link;) {
			struct object *object = *link;
			bool is_his = object->owner == record->owner && object->op != SPOOL_MESSAGE &&
			              (object->op != SPOOL_REGISTER || object->manager == record->manager);

			if (is_his) {
				merger->result->implied++;
				end_object(merger, record, link);
			} else {
				link = &object->next;
			}
		}
	}
}

static void add_end(struct merger *merger, const struct spool_record *record)
{
	struct object **link = find(merger, record->place, record->op == SPOOL_UNREGISTER, record->manager);

	if (*link)
		end_object(merger, record, link);
	else
		merger->result->unknown++;
}

static void add_refusal(struct merger *merger, const struct spool_record *record)
{
	print(merger, record,
	      record->op == SPOOL_NO_MESSAGE  ? "fail_driver"
	      : record->op == SPOOL_NO_BUFFER ? "fail_client"
	                                      : "fail_register",
	      0, record->size);
	putc('\n', merger->out);
}

static int add(struct merger *merger, const struct spool_record *record)
{
	switch (record->op) {
	case SPOOL_MESSAGE:
	case SPOOL_BUFFER:
	case SPOOL_REGISTER:
		return record->size ? add_birth(merger, record) : 0;
	case SPOOL_FREE:
	case SPOOL_UNREGISTER:
		add_end(merger, record);
		return 0;
	case SPOOL_OWNER_END:
		end_owner(merger, record);
		return 0;
	case SPOOL_NO_MESSAGE:
	case SPOOL_NO_BUFFER:
	case SPOOL_NO_REGISTER:
		add_refusal(merger, record);
		return 0;
	default:
		return 0;
	}
}

int merge(struct spool_record *records, size_t count, FILE *out, struct merged *result)
{
	struct merger merger = {.out = out, .result = result, .bucket_count = 1024};
	int error = 0;

	*result = (struct merged){0};
	while (merger.bucket_count < count)
		merger.bucket_count *= 2;
	merger.buckets = calloc(merger.bucket_count, sizeof(struct object *));
	if (!merger.buckets)
		return -1;
	qsort(records, count, sizeof(*records), by_number);
	for (size_t i = 0; !error && i < count; i++)
		error = add(&merger, &records[i]);
	for (size_t i = 0; i < merger.bucket_count; i++) {
		while (merger.buckets[i]) {
			struct object *object = merger.buckets[i];

			merger.buckets[i] = object->next;
			free(object);
		}
	}
	free(merger.buckets);
	return error || fflush(out) || ferror(out) ? -1 : 0;
}
