/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The driver's half of a message: made in driver memory, and the answer taken out of it. */
#include <isthmus/tee_msg.h>

#include <errno.h>

#include <isthmus/pool.h>

#include "tee/words.h"

#define LIST_ENTRIES 511u

static struct ist_msg_header *header_of(const struct ist_msg *message)
{
	return message->memory.view.vaddr;
}

/* Null if there is no such parameter. */
static struct ist_msg_param *param_of(const struct ist_msg *message, unsigned index)
{
	if (!message || index >= message->count)
		return NULL;
	return (struct ist_msg_param *)(void *)(header_of(message) + 1) + index;
}

int ist_msg_create(struct ist_driver_pool *pool, uint32_t cmd, unsigned count, struct ist_msg *out)
{
	const struct ist_msg_header header = {.cmd = cmd, .num_params = count};
	const struct ist_msg_param none = {.attr = IST_MSG_NONE};
	struct ist_msg message = {.count = count};
	int error;

	if (!out || count > IST_MSG_PARAMS_MAX)
		return -EINVAL;
	error = ist_driver_pool_alloc(pool, ist_msg_bytes(count), &message.memory);
	if (error)
		return error;
	words_out(header_of(&message), &header, sizeof(header));
	for (unsigned i = 0; i < count; i++)
		words_out(param_of(&message, i), &none, sizeof(none));
	*out = message;
	return 0;
}

int ist_msg_free(struct ist_msg *message)
{
	return message ? ist_shm_free(&message->memory) : -EINVAL;
}

uint64_t ist_msg_paddr(const struct ist_msg *message)
{
	return message ? message->memory.view.paddr : 0;
}

int ist_msg_set_header(const struct ist_msg *message, const struct ist_msg_header *header)
{
	struct ist_msg_header *to;

	if (!message || !header)
		return -EINVAL;
	to = header_of(message);
	words_out(&to->func, &header->func, 3 * sizeof(uint32_t)); /* func, session, cancel_id */
	words_out(&to->ret, &header->ret, 2 * sizeof(uint32_t));
	return 0;
}

static int set(const struct ist_msg *message, unsigned index, uint64_t lowest,
               const struct ist_msg_param *value)
{
	struct ist_msg_param *to = param_of(message, index);
	uint64_t type = value->attr & ~(uint64_t)(IST_MSG_META | IST_MSG_NONCONTIG);

	/* The three directions of a kind follow one on the other. */
	if (!to || type < lowest || type > lowest + 2)
		return -EINVAL;
	words_out(to, value, sizeof(*value));
	return 0;
}

int ist_msg_set_value(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t a, uint64_t b,
                      uint64_t c)
{
	const struct ist_msg_param value = {attr, a, b, c};

	return attr & IST_MSG_NONCONTIG ? -EINVAL : set(message, index, IST_MSG_VALUE_IN, &value);
}

int ist_msg_set_tmem(const struct ist_msg *message, unsigned index, uint64_t attr,
                     const struct ist_view *view, uint64_t cookie)
{
	const struct ist_msg_param value = {attr, view ? view->paddr : 0, view ? view->size : 0, cookie};

	if (attr & IST_MSG_NONCONTIG)
		return -EINVAL;
	if (view && view->paddr == 0)
		return -ERANGE;
	return set(message, index, IST_MSG_TMEM_IN, &value);
}

int ist_msg_set_rmem(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t cookie,
                     uint64_t offset, uint64_t size)
{
	const struct ist_msg_param value = {attr, offset, size, cookie};

	return attr & IST_MSG_NONCONTIG ? -EINVAL : set(message, index, IST_MSG_RMEM_IN, &value);
}

int ist_msg_set_list(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t list,
                     uint64_t size, uint64_t cookie)
{
	const struct ist_msg_param value = {attr | IST_MSG_NONCONTIG, list, size, cookie};

	return set(message, index, IST_MSG_TMEM_IN, &value);
}

int ist_msg_result(const struct ist_msg *message, uint32_t *ret, uint32_t *ret_origin)
{
	uint32_t both[2];

	if (!message || !ret || !ret_origin)
		return -EINVAL;
	words_in(both, &header_of(message)->ret, sizeof(both));
	*ret = both[0];
	*ret_origin = both[1];
	return 0;
}

int ist_msg_output(const struct ist_msg *message, unsigned index, struct ist_msg_param *out)
{
	struct ist_msg_param *from = param_of(message, index);

	if (!from || !out)
		return -EINVAL;
	words_in(out, from, sizeof(*out));
	return 0;
}

/* Pages of a buffer, or 0 if it is empty or wraps. */
static uint64_t pages_of(uint64_t offset, uint64_t size)
{
	offset %= IST_PAGE_SIZE;
	if (size == 0 || size - 1 > UINT64_MAX - offset)
		return 0;
	return (offset + (size - 1)) / IST_PAGE_SIZE + 1;
}

size_t ist_msg_list_bytes(uint64_t offset, uint64_t size)
{
	uint64_t pages = pages_of(offset, size);

	return (size_t)((pages + LIST_ENTRIES - 1) / LIST_ENTRIES * IST_PAGE_SIZE);
}

int ist_msg_list_fill(void *memory, uint64_t at, const uint64_t *pages, uint64_t paddr, uint64_t size,
                      uint64_t *list)
{
	uint64_t count = pages_of(paddr, size), first = paddr - paddr % IST_PAGE_SIZE, *word = memory;

	if (!memory || !list || count == 0 || at % IST_PAGE_SIZE || (uintptr_t)memory % IST_PAGE_SIZE)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t page = pages ? pages[i] : first + i * IST_PAGE_SIZE;

		if (page % IST_PAGE_SIZE)
			return -EINVAL;
		if (i > 0 && i % LIST_ENTRIES == 0) { /* a link to the list page behind */
			*word++ = at + i / LIST_ENTRIES * IST_PAGE_SIZE;
		}
		*word++ = page;
	}
	*list = at | paddr % IST_PAGE_SIZE;
	return 0;
}
