/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Trusted applications to try clients with. What they touch is copied in pieces by the system, for it may not be there. */
#include <isthmus/tee.h>

#include <string.h>
#include <time.h>

enum { FUNC_ECHO, FUNC_SUM, FUNC_COPY, FUNC_WAIT, FUNC_WATCH, FUNC_ASK };
enum { PIECE = 4096 };

static bool param_goes_in(const struct ist_tee_param *param)
{
	return param->type == IST_TEE_PARAM_MEMREF_IN || param->type == IST_TEE_PARAM_MEMREF_INOUT;
}

static bool param_goes_out(const struct ist_tee_param *param)
{
	return param->type == IST_TEE_PARAM_MEMREF_OUT || param->type == IST_TEE_PARAM_MEMREF_INOUT;
}

/* In pieces through a buffer of ours: either side may be missing. */
static uint32_t builtin_copy(const struct ist_tee_param *from, struct ist_tee_param *to)
{
	char piece[PIECE];

	to->out_size = from->size;
	if (from->size > to->size)
		return IST_TEE_ERROR_SHORT_BUFFER;
	for (size_t done = 0; done < from->size;) {
		size_t here = from->size - done < PIECE ? from->size - done : PIECE;

		if (ist_tee_copy(piece, (char *)from->vaddr + done, here) != 0 ||
		    ist_tee_copy((char *)to->vaddr + done, piece, here) != 0)
			return IST_TEE_ERROR_GENERIC;
		done += here;
	}
	return IST_TEE_SUCCESS;
}

static uint32_t echo(struct ist_tee_call *call)
{
	if (call->count < 2 || !param_goes_in(&call->param[0]) || !param_goes_out(&call->param[1]))
		return IST_TEE_ERROR_BAD_PARAMETERS;
	return builtin_copy(&call->param[0], &call->param[1]);
}

static uint32_t add_bytes(const struct ist_tee_param *param, uint64_t *sum)
{
	uint8_t piece[PIECE];

	for (size_t done = 0; done < param->size;) {
		size_t here = param->size - done < PIECE ? param->size - done : PIECE;

		if (ist_tee_copy(piece, (char *)param->vaddr + done, here) != 0)
			return IST_TEE_ERROR_GENERIC;
		for (size_t i = 0; i < here; i++)
			*sum += piece[i];
		done += here;
	}
	return IST_TEE_SUCCESS;
}

/* Values are 32 bits for clients: the low half in a, the high one in b. */
static uint32_t sum(struct ist_tee_call *call)
{
	struct ist_tee_param *out = NULL;
	uint64_t total = 0;

	for (unsigned i = 0; i < call->count; i++) {
		struct ist_tee_param *param = &call->param[i];
		uint32_t result = param_goes_in(param) ? add_bytes(param, &total) : IST_TEE_SUCCESS;

		if (result)
			return result;
		if (!out &&
		    (param->type == IST_TEE_PARAM_VALUE_OUT || param->type == IST_TEE_PARAM_VALUE_INOUT))
			out = param;
	}
	if (!out)
		return IST_TEE_ERROR_BAD_PARAMETERS;
	out->a = (uint32_t)total;
	out->b = total >> 32;
	return IST_TEE_SUCCESS;
}

static uint32_t copy_all(struct ist_tee_call *call)
{
	unsigned to = 0;

	for (unsigned from = 0; from < call->count; from++) {
		uint32_t result;

		if (call->param[from].type != IST_TEE_PARAM_MEMREF_IN)
			continue;
		while (to < call->count && call->param[to].type != IST_TEE_PARAM_MEMREF_OUT)
			to++;
		if (to == call->count)
			return IST_TEE_ERROR_BAD_PARAMETERS;
		result = builtin_copy(&call->param[from], &call->param[to++]);
		if (result)
			return result;
	}
	return IST_TEE_SUCCESS;
}

static uint32_t wait_for_cancel(const struct ist_tee_call *call)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	while (!ist_tee_call_is_cancelled(call))
		nanosleep(&moment, NULL);
	return IST_TEE_ERROR_CANCEL;
}

static uint32_t watch(const struct ist_tee_call *call)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	const uint8_t begun = 1;
	uint8_t byte = 0;

	if (call->count < 1 || !param_goes_in(&call->param[0]) || !call->param[0].size)
		return IST_TEE_ERROR_BAD_PARAMETERS;
	if (param_goes_out(&call->param[0]) && call->param[0].size > 1 &&
	    ist_tee_copy((uint8_t *)call->param[0].vaddr + 1, &begun, 1) != 0)
		return IST_TEE_ERROR_GENERIC;
	for (;;) {
		if (ist_tee_copy(&byte, call->param[0].vaddr, 1) != 0)
			return IST_TEE_ERROR_GENERIC;
		if (byte)
			return IST_TEE_SUCCESS;
		if (ist_tee_call_is_cancelled(call))
			return IST_TEE_ERROR_CANCEL;
		nanosleep(&moment, NULL);
	}
}

/* From `from` to memory of the supplicant, which does something with it, and from there to `to`. */
static uint32_t ask_with(const struct ist_tee_call *call, struct ist_tee_shm *shm,
                         const struct ist_tee_param *from, struct ist_tee_param *to)
{
	struct ist_tee_supplicant_param request = {
	        .type = IST_TEE_PARAM_MEMREF_INOUT, .b = from->size, .shm = shm};
	struct ist_tee_param there = {.type = IST_TEE_PARAM_MEMREF_INOUT, .size = from->size};
	uint32_t result;

	if (ist_tee_shm_get_va(shm, 0, &there.vaddr) != 0)
		return IST_TEE_ERROR_GENERIC;
	result = builtin_copy(from, &there);
	if (!result)
		result = ist_tee_supplicant_ask(call, IST_TEE_BUILTIN_REQUEST, &request, 1);
	there.size = request.b < from->size ? request.b : from->size; /* nobody believes it */
	return result ? result : builtin_copy(&there, to);
}

static uint32_t ask(struct ist_tee_call *call)
{
	struct ist_tee_shm *shm;
	uint32_t result;

	if (call->count < 2 || !param_goes_in(&call->param[0]) || !param_goes_out(&call->param[1]))
		return IST_TEE_ERROR_BAD_PARAMETERS;
	result = ist_tee_supplicant_alloc(call, call->param[0].size, &shm);
	if (result)
		return result;
	result = ask_with(call, shm, &call->param[0], &call->param[1]);
	ist_tee_supplicant_free(call, shm);
	return result;
}

static uint32_t open_any(void *context, struct ist_tee_call *call, void **session)
{
	static const uint8_t nobody[16];

	(void)context;
	*session = NULL;
	if (memcmp(call->uuid, nobody, sizeof(nobody)) != 0)
		return IST_TEE_SUCCESS;
	call->ret_origin = IST_TEE_ORIGIN_TEE;
	return IST_TEE_ERROR_ITEM_NOT_FOUND;
}

static uint32_t builtin_invoke(void *context, void *session, struct ist_tee_call *call)
{
	(void)context, (void)session;
	switch (call->func) {
	case FUNC_ECHO:
		return echo(call);
	case FUNC_SUM:
		return sum(call);
	case FUNC_COPY:
		return copy_all(call);
	case FUNC_WAIT:
		return wait_for_cancel(call);
	case FUNC_ASK:
		return ask(call);
	case FUNC_WATCH:
		return watch(call);
	default:
		return IST_TEE_ERROR_NOT_SUPPORTED;
	}
}

const struct ist_tee_handler *ist_tee_builtin(void)
{
	static const struct ist_tee_handler handler = {.open = open_any, .invoke = builtin_invoke};

	return &handler;
}
