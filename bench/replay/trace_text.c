/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The text reader. One event a line:
 *
 *   seq time_us cpu pid op id size [npages|-] [extra ...]
 *
 * Lines that start with '#' and empty lines are skipped. Lines may end in LF or CRLF; the last one may lack its end.
 * Of the extra words, align=, in=, off= and nparams= are read; others are ignored.
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024u
#define WORD_COUNT_MAX 32u

struct word {
	const char *start;
	size_t length;
};

/* Recorded id -> object number. Open addressing; entries are never removed, so that a reused id is noticed. */
struct id_map {
	uint64_t *ids;
	uint32_t *objects; /* object number + 1, 0 for an empty place */
	uint32_t count;
	uint32_t room; /* a power of two, at least twice count */
};

struct text_reader {
	const char *name;
	struct trace *trace;
	struct trace_error *error;
	struct id_map map;
	uint64_t line;
	uint64_t last_seq;
	bool any;
};

static uint32_t id_place(const struct id_map *map, uint64_t id)
{
	uint32_t place = (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->room - 1);

	while (map->objects[place] && map->ids[place] != id)
		place = (place + 1) & (map->room - 1);
	return place;
}

static bool id_grow(struct id_map *map)
{
	struct id_map larger = {.room = map->room ? map->room * 2 : 4096};
	uint32_t i;

	larger.ids = calloc(larger.room, sizeof(*larger.ids));
	larger.objects = calloc(larger.room, sizeof(*larger.objects));
	if (!larger.ids || !larger.objects) {
		free(larger.ids);
		free(larger.objects);
		return false;
	}
	for (i = 0; i < map->room; i++) {
		uint32_t place;

		if (!map->objects[i])
			continue;
		place = id_place(&larger, map->ids[i]);
		larger.ids[place] = map->ids[i];
		larger.objects[place] = map->objects[i];
	}
	larger.count = map->count;
	free(map->ids);
	free(map->objects);
	*map = larger;
	return true;
}

/* Returns the object number, or TRACE_NO_PAGE for an id that was never born. */
static uint32_t id_find(const struct id_map *map, uint64_t id)
{
	uint32_t place;

	if (!map->room)
		return TRACE_NO_PAGE;
	place = id_place(map, id);
	return map->objects[place] ? map->objects[place] - 1 : TRACE_NO_PAGE;
}

static bool id_add(struct id_map *map, uint64_t id, uint32_t object)
{
	uint32_t place;

	if (map->count >= map->room / 2 && !id_grow(map))
		return false;
	place = id_place(map, id);
	map->ids[place] = id;
	map->objects[place] = object + 1;
	map->count++;
	return true;
}

static int refuse(struct text_reader *reader, const char *reason, const struct word *word)
{
	int shown = word ? (int)(word->length < 40 ? word->length : 40) : 0;

	if (word)
		trace_error_set(reader->error, "%s:%llu: %s: \"%.*s\"", reader->name,
		                (unsigned long long)reader->line, reason, shown, word->start);
	else
		trace_error_set(reader->error, "%s:%llu: %s", reader->name, (unsigned long long)reader->line,
		                reason);
	return -1;
}

/* Decimal digits only; no sign, no space, no wrap. */
static bool parse_number(struct word word, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	if (word.length == 0)
		return false;
	for (i = 0; i < word.length; i++) {
		unsigned int digit = (unsigned int)((unsigned char)word.start[i] - (unsigned int)'0');

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

static int parse_field(struct text_reader *reader, const char *what, struct word word, uint64_t max,
                       uint64_t *out)
{
	char reason[96];

	if (parse_number(word, out) && *out <= max)
		return 0;
	strcpy(reason, "not a number that fits: ");
	strncat(reason, what, sizeof(reason) - strlen(reason) - 1);
	return refuse(reader, reason, &word);
}

static bool key_value(struct word word, const char *key, struct word *value)
{
	size_t length = strlen(key);

	if (word.length <= length || memcmp(word.start, key, length) || word.start[length] != '=')
		return false;
	*value = (struct word){word.start + length + 1, word.length - length - 1};
	return true;
}

static int parse_align(struct text_reader *reader, struct word value, struct trace_event *event)
{
	uint64_t align;

	if (parse_field(reader, "align", value, (uint64_t)1 << 30, &align))
		return -1;
	if (align == 0 || (align & (align - 1)))
		return refuse(reader, "alignment is not a power of two", &value);
	event->align_log2 = (uint8_t)__builtin_ctzll(align);
	return 0;
}

static int parse_extra(struct text_reader *reader, struct word word, struct trace_event *event)
{
	uint64_t number;
	struct word value;

	if (key_value(word, "align", &value))
		return parse_align(reader, value, event);
	if (key_value(word, "off", &value))
		return parse_field(reader, "off", value, UINT64_MAX, &event->offset);
	if (event->op != TRACE_MSG_GET)
		return 0;
	if (key_value(word, "nparams", &value)) {
		if (parse_field(reader, "nparams", value, 254, &number))
			return -1;
		event->params = (uint8_t)(number + 1);
	} else if (key_value(word, "in", &value)) {
		if (parse_field(reader, "in", value, UINT64_MAX, &number))
			return -1;
		event->page = id_find(&reader->map, number);
		if (event->page == TRACE_NO_PAGE)
			return refuse(reader, "a message slot in an object that was never born", &value);
	}
	return 0;
}

/* An end may repeat the size of its birth; then it must be the same. */
static int check_end_size(struct text_reader *reader, struct word size, const struct trace_event *event)
{
	if (trace_op_class(event->op) != TRACE_END || event->size == 0 ||
	    event->object >= reader->trace->object_count)
		return 0;
	if (event->size != reader->trace->objects[event->object].size)
		return refuse(reader, "the object was born with another size", &size);
	return 0;
}

static int parse_object(struct text_reader *reader, struct word word, uint64_t id, struct trace_event *event)
{
	uint32_t known = id_find(&reader->map, id);

	switch (trace_op_class(event->op)) {
	case TRACE_BIRTH:
		if (known != TRACE_NO_PAGE)
			return refuse(reader, "an id that is already used is born again", &word);
		event->object = reader->trace->object_count;
		return 0;
	case TRACE_NO_OBJECT:
		return 0;
	case TRACE_END:
	case TRACE_USE:
		break;
	}
	if (known == TRACE_NO_PAGE)
		return refuse(reader, "id used before its birth", &word);
	event->object = known;
	return 0;
}

/* The seven fields that every line has. */
static int parse_fixed(struct text_reader *reader, const struct word *words, struct trace_event *event,
                       uint64_t *id)
{
	uint64_t seq, time, cpu, pid;

	if (parse_field(reader, "seq", words[0], UINT64_MAX, &seq) ||
	    parse_field(reader, "time_us", words[1], UINT64_MAX, &time) ||
	    parse_field(reader, "cpu", words[2], TRACE_CPU_MAX - 1, &cpu) ||
	    parse_field(reader, "pid", words[3], UINT32_MAX, &pid))
		return -1;
	if (reader->any && seq <= reader->last_seq)
		return refuse(reader, "out of order: seq must grow", &words[0]);
	event->cpu = (uint16_t)cpu;
	event->thread = (uint32_t)pid;
	event->op = (uint8_t)trace_op_by_name(words[4].start, words[4].length);
	if (event->op == TRACE_OP_COUNT)
		return refuse(reader, "unknown operation", &words[4]);
	if (parse_field(reader, "id", words[5], UINT64_MAX, id) ||
	    parse_object(reader, words[5], *id, event) ||
	    parse_field(reader, "size", words[6], UINT64_MAX, &event->size))
		return -1;
	reader->last_seq = seq;
	reader->any = true;
	return 0;
}

static int parse_event(struct text_reader *reader, const struct word *words, size_t count)
{
	struct trace_event event = {.page = TRACE_NO_PAGE};
	struct word ignored;
	const char *reason;
	uint64_t pages, id;
	size_t i;

	if (count < 7)
		return refuse(reader, "truncated: an event has at least seq time_us cpu pid op id size",
		              NULL);
	if (parse_fixed(reader, words, &event, &id) || check_end_size(reader, words[6], &event))
		return -1;
	/* The size of a pure lookup is the offset that was looked up. */
	if (event.op == TRACE_LOOKUP_PA || event.op == TRACE_LOOKUP_VA) {
		event.offset = event.size;
		event.size = 0;
	}
	if (count > 7 && !(words[7].length == 1 && words[7].start[0] == '-') &&
	    !key_value(words[7], "off", &ignored) &&
	    parse_field(reader, "npages", words[7], UINT32_MAX, &pages))
		return -1;
	for (i = 7; i < count; i++)
		if (parse_extra(reader, words[i], &event))
			return -1;
	reason = trace_append(reader->trace, &event);
	if (reason)
		return refuse(reader, reason, &words[5]);
	if (trace_op_class(event.op) == TRACE_BIRTH && !id_add(&reader->map, id, event.object))
		return refuse(reader, "out of memory", NULL);
	return 0;
}

static int parse_line(struct text_reader *reader, const char *line, size_t length)
{
	struct word words[WORD_COUNT_MAX];
	size_t at = 0, count = 0;

	if (length && line[length - 1] == '\r')
		length--;
	if (length == 0 || line[0] == '#')
		return 0;
	if (length > LINE_MAX_BYTES)
		return refuse(reader, "line longer than 1024 bytes", NULL);
	while (at < length) {
		size_t start = at;

		while (at < length && line[at] != ' ' && line[at] != '\t') {
			if ((unsigned char)line[at] < 0x20 || (unsigned char)line[at] > 0x7e)
				return refuse(reader,
				              "not a text trace: control or non-ASCII byte in an event",
				              NULL);
			at++;
		}
		if (at > start) {
			if (count == WORD_COUNT_MAX)
				return refuse(reader, "more than 32 words", NULL);
			words[count++] = (struct word){line + start, at - start};
		}
		at++;
	}
	return count ? parse_event(reader, words, count) : 0;
}

int trace_text_read(const char *name, const unsigned char *data, size_t size, struct trace *trace,
                    struct trace_error *error)
{
	struct text_reader reader = {.name = name, .trace = trace, .error = error};
	size_t at = 0;
	int result = 0;

	*trace = (struct trace){0};
	while (at < size && !result) {
		const unsigned char *end = memchr(data + at, '\n', size - at);
		size_t length = end ? (size_t)(end - (data + at)) : size - at;

		reader.line++;
		result = parse_line(&reader, (const char *)data + at, length);
		at += length + 1;
	}
	if (!result && trace->event_count == 0) {
		trace_error_set(error, "%s: no event in it", name);
		result = -1;
	}
	if (result)
		trace_release(trace);
	free(reader.map.ids);
	free(reader.map.objects);
	return result;
}
