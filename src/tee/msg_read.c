/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The trusted half of a message. The other side may write into it at any time: it is copied, each word once, and what is
 * checked and used is the copy.
 */
#include <isthmus/tee_msg.h>

#include <errno.h>

#include <isthmus/memory.h>
#include <isthmus/translate.h>

#include "tee/words.h"

enum kept { KEPT_NOTHING, KEPT_REFERENCE, KEPT_MAP, KEPT_LIST };

static bool attr_is_known(uint64_t attr)
{
	uint64_t type = attr & IST_MSG_TYPE_MASK;

	if (attr & ~(uint64_t)(IST_MSG_TYPE_MASK | IST_MSG_META | IST_MSG_NONCONTIG))
		return false;
	if (type > IST_MSG_TMEM_INOUT || type == 4 || type == 8)
		return false;
	return !(attr & IST_MSG_NONCONTIG) || type >= IST_MSG_TMEM_IN;
}

/* Where a part of one pool lies, or null. */
static void *in_pool(struct ist_manager *manager, uint64_t paddr, uint64_t size)
{
	void *at;

	if (!ist_memory_is(manager, IST_MEMORY_DRIVER, paddr, size) &&
	    !ist_memory_is(manager, IST_MEMORY_CLIENT, paddr, size))
		return NULL;
	return ist_phys_to_virt(manager, paddr, size, &at) == 0 ? at : NULL;
}

static int read_params(struct ist_manager *manager, size_t room, struct ist_msg_read *out)
{
	size_t bytes;

	if (out->header.num_params > IST_MSG_PARAMS_MAX)
		return -EINVAL;
	bytes = ist_msg_bytes(out->header.num_params);
	if (bytes > room || !in_pool(manager, out->paddr, bytes))
		return -EFAULT;
	words_in(out->param, (char *)out->at + sizeof(out->header), bytes - sizeof(out->header));
	for (unsigned i = 0; i < out->header.num_params; i++)
		if (!attr_is_known(out->param[i].attr))
			return -EINVAL;
	return 0;
}

int ist_msg_read(struct ist_manager *manager, uint64_t paddr, size_t room, struct ist_msg_read *out)
{
	if (!manager || !out)
		return -EINVAL;
	out->resolved = 0;
	out->paddr = paddr;
	if (paddr % 8 || room < sizeof(out->header))
		return -EFAULT;
	out->at = in_pool(manager, paddr, sizeof(out->header));
	if (!out->at)
		return -EFAULT;
	words_in(&out->header, out->at, sizeof(out->header));
	return read_params(manager, room, out);
}

/* What the caller of a message is told: he asked for something that is not there, or there was no memory. */
static int as_answer(int error)
{
	return error == -ENOMEM || error == -ENOSPC || error == -EAGAIN ? -ENOMEM : -EINVAL;
}

static int resolve_registered(struct ist_manager *manager, uint32_t owner, const struct ist_msg_param *param,
                              struct ist_msg_reference *out)
{
	if (ist_mapping_find_get(manager, owner, param->c, &out->mapping) != 0)
		return -EINVAL;
	out->kept = KEPT_REFERENCE;
	if (param->a > out->mapping.size || param->b > out->mapping.size - param->a)
		return -EACCES;
	out->vaddr = out->mapping.vaddr;
	if (!out->vaddr) { /* in several places: side by side as long as the call takes */
		int error = ist_mapping_map(manager, &out->mapping, &out->vaddr);

		if (error)
			return as_answer(error);
		ist_mapping_put(manager, &out->mapping);
		out->kept = KEPT_MAP;
	}
	out->vaddr = (char *)out->vaddr + param->a;
	return 0;
}

static int resolve_list(struct ist_manager *manager, uint32_t owner, const struct ist_msg_param *param,
                        struct ist_msg_reference *out)
{
	const struct ist_registration registration = {.size = (size_t)param->b, .owner = owner};
	int error = ist_mapping_register_list(manager, param->a, &registration, &out->mapping);

	if (error)
		return as_answer(error);
	out->kept = KEPT_LIST;
	out->vaddr = out->mapping.vaddr;
	return 0;
}

static int resolve_direct(struct ist_manager *manager, const struct ist_msg_param *param,
                          struct ist_msg_reference *out)
{
	out->vaddr = in_pool(manager, param->a, param->b ? param->b : 1);
	return out->vaddr ? 0 : -EINVAL;
}

static int resolve_one(struct ist_manager *manager, uint32_t owner, const struct ist_msg_param *param,
                       struct ist_msg_reference *out)
{
	uint64_t type = param->attr & IST_MSG_TYPE_MASK;

	*out = (struct ist_msg_reference){.kept = KEPT_NOTHING};
	if (type < IST_MSG_RMEM_IN)
		return 0;
	out->size = (size_t)param->b;
	if (type < IST_MSG_TMEM_IN)
		return resolve_registered(manager, owner, param, out);
	if (param->a == 0) { /* also with NONCONTIG, and whatever the size says */
		out->is_null = true;
		out->size = 0;
		return 0;
	}
	if (param->attr & IST_MSG_NONCONTIG)
		return resolve_list(manager, owner, param, out);
	return resolve_direct(manager, param, out);
}

static void release_one(struct ist_manager *manager, struct ist_msg_reference *reference)
{
	if (reference->kept == KEPT_REFERENCE)
		ist_mapping_put(manager, &reference->mapping);
	else if (reference->kept == KEPT_MAP)
		ist_mapping_unmap(manager, &reference->mapping);
	else if (reference->kept == KEPT_LIST)
		ist_mapping_unregister_one(manager, &reference->mapping, 0);
	reference->kept = KEPT_NOTHING;
}

void ist_msg_release(struct ist_manager *manager, struct ist_msg_read *message)
{
	if (!manager || !message)
		return;
	while (message->resolved > 0)
		release_one(manager, &message->reference[--message->resolved]);
}

int ist_msg_resolve(struct ist_manager *manager, uint32_t owner, struct ist_msg_read *message)
{
	int error = 0;

	if (!manager || !message || message->resolved)
		return -EINVAL;
	while (!error && message->resolved < message->header.num_params) {
		unsigned i = message->resolved++;

		error = resolve_one(manager, owner, &message->param[i], &message->reference[i]);
	}
	if (error)
		ist_msg_release(manager, message);
	return error;
}

static int serve_register(struct ist_manager *manager, uint32_t owner, const struct ist_msg_param *param)
{
	const struct ist_registration registration = {
	        .size = (size_t)param->b, .owner = owner, .cookie = param->c};
	struct ist_mapping mapping;
	int error;

	if (param->attr != (IST_MSG_TMEM_OUT | IST_MSG_NONCONTIG) || param->c == 0)
		return -EINVAL;
	error = ist_mapping_register_list(manager, param->a, &registration, &mapping);
	return error ? as_answer(error) : 0;
}

int ist_msg_serve(struct ist_manager *manager, uint32_t owner, const struct ist_msg_read *message)
{
	if (!manager || !message || message->header.num_params != 1)
		return -EINVAL;
	if (message->header.cmd == IST_MSG_REGISTER_SHM)
		return serve_register(manager, owner, &message->param[0]);
	if (message->header.cmd == IST_MSG_UNREGISTER_SHM)
		return ist_mapping_unregister(manager, owner, message->param[0].c, 0) ? -EINVAL : 0;
	return -EINVAL;
}

int ist_msg_answer(const struct ist_msg_read *message, uint32_t ret, uint32_t ret_origin, uint32_t session)
{
	const uint32_t both[2] = {ret, ret_origin};
	struct ist_msg_header *at;

	if (!message)
		return -EINVAL;
	at = message->at;
	words_out(&at->session, &session, sizeof(session));
	words_out(&at->ret, both, sizeof(both));
	return 0;
}

int ist_msg_answer_param(const struct ist_msg_read *message, unsigned index, uint64_t a, uint64_t b,
                         uint64_t c)
{
	const uint64_t value[3] = {a, b, c};
	struct ist_msg_param *at;

	if (!message || index >= message->header.num_params)
		return -EINVAL;
	at = (struct ist_msg_param *)(void *)((char *)message->at + sizeof(message->header)) + index;
	words_out(&at->a, value, sizeof(value));
	return 0;
}
