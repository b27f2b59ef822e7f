/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Sessions and operations of the TEE Client API: what an operation refers to becomes ids, sizes and offsets, and back. */
#include "teec/teec.h"

#include <errno.h>
#include <string.h>

#define COUNT TEEC_CONFIG_PAYLOAD_REF_COUNT
#define CLIENT (IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF)

/* What a parameter takes for the time of a call. */
struct payload {
	struct ist_tee_shm *shm; /* made for this call; or null */
	/* To be copied into the trusted side's copy before, and out of it behind; or null. */
	char *from, *to, *copy;
	size_t size; /* as the caller has given it */
};

struct work {
	struct ist_tee_context *context;
	TEEC_Operation *operation;
	struct ist_tee_ioc_param param[COUNT];
	struct payload payload[COUNT];
};

static TEEC_Result from_errno(int error)
{
	return error == -ENOMEM   ? TEEC_ERROR_OUT_OF_MEMORY
	       : error == -EINVAL ? TEEC_ERROR_BAD_PARAMETERS
	                          : TEEC_ERROR_GENERIC;
}

static bool is_output(uint64_t attr)
{
	return attr == IST_TEE_PARAM_MEMREF_OUT || attr == IST_TEE_PARAM_MEMREF_INOUT;
}

static bool is_input(uint64_t attr)
{
	return attr == IST_TEE_PARAM_MEMREF_IN || attr == IST_TEE_PARAM_MEMREF_INOUT;
}

/* A reference to nothing: a null one; or, for devices that know none, some bytes of which none is meant. */
static TEEC_Result refer_to_nothing(struct work *work, unsigned i)
{
	work->param[i].c = IST_TEE_MEMREF_NULL;
	if (context_has(work->context, IST_TEE_CAP_MEMREF_NULL))
		return TEEC_SUCCESS;
	if (ist_tee_shm_alloc(ist_tee_context_device(work->context), work->context, 8, CLIENT,
	                      &work->payload[i].shm))
		return TEEC_ERROR_OUT_OF_MEMORY;
	work->param[i].c = (uint64_t)ist_tee_shm_id(work->payload[i].shm);
	return TEEC_SUCCESS;
}

/* There is a copy of [buffer, buffer + size) at `offset` of a shm. */
static void copied(struct work *work, unsigned i, struct ist_tee_shm *shm, size_t offset, char *buffer,
                   size_t size)
{
	void *copy;

	if (size == 0 || ist_tee_shm_get_va(shm, offset, &copy) != 0)
		return;
	work->payload[i].copy = copy;
	work->payload[i].from = is_input(work->param[i].attr) ? buffer : NULL;
	work->payload[i].to = is_output(work->param[i].attr) ? buffer : NULL;
}

static TEEC_Result prepare_temp(struct work *work, unsigned i, uint64_t attr)
{
	const TEEC_TempMemoryReference *ref = &work->operation->params[i].tmpref;
	struct payload *payload = &work->payload[i];
	TEEC_Result result;
	bool shadow;

	if (!ref->buffer && ref->size)
		return TEEC_ERROR_BAD_PARAMETERS;
	work->param[i].attr = attr;
	payload->size = ref->size;
	if (!ref->size)
		return refer_to_nothing(work, i);
	result = shared_make(work->context, ref->buffer, ref->size, &payload->shm, &shadow);
	if (result)
		return result;
	if (shadow)
		copied(work, i, payload->shm, 0, ref->buffer, ref->size);
	work->param[i].b = ref->size;
	work->param[i].c = (uint64_t)ist_tee_shm_id(payload->shm);
	return TEEC_SUCCESS;
}

static TEEC_Result prepare_shared(struct work *work, unsigned i, uint64_t attr, TEEC_SharedMemory *parent,
                                  size_t offset, size_t size)
{
	work->param[i].attr = attr;
	work->payload[i].size = size;
	if (parent->imp_kind == SHARED_EMPTY)
		return refer_to_nothing(work, i);
	work->param[i].a = offset;
	work->param[i].b = size;
	work->param[i].c = (uint64_t)ist_tee_shm_id(parent->imp.shm);
	if (parent->imp_kind == SHARED_SHADOW)
		copied(work, i, parent->imp.shm, offset, (char *)parent->buffer + offset, size);
	return TEEC_SUCCESS;
}

/* In the caller's struct, and in what it was when it was made. */
static bool is_inside(const TEEC_SharedMemory *parent, size_t offset, size_t size)
{
	size_t whole = parent->size < parent->imp.size ? parent->size : parent->imp.size;

	return parent->size <= parent->imp.size && offset <= whole && size <= whole - offset;
}

static TEEC_Result prepare_whole(struct work *work, unsigned i)
{
	TEEC_SharedMemory *parent = work->operation->params[i].memref.parent;
	uint64_t attr;

	if (!parent || !shared_is_good(parent) || !is_inside(parent, 0, parent->size))
		return TEEC_ERROR_BAD_PARAMETERS;
	attr = IST_TEE_PARAM_MEMREF_IN - 1 + (parent->flags & (TEEC_MEM_INPUT | TEEC_MEM_OUTPUT));
	if (attr < IST_TEE_PARAM_MEMREF_IN)
		return TEEC_ERROR_BAD_PARAMETERS;
	return prepare_shared(work, i, attr, parent, 0, parent->size);
}

static TEEC_Result prepare_partial(struct work *work, unsigned i, uint32_t type)
{
	const TEEC_RegisteredMemoryReference *ref = &work->operation->params[i].memref;
	uint32_t wanted = type - TEEC_MEMREF_PARTIAL_INPUT + 1; /* 1 in, 2 out, 3 both, as TEEC_MEM_... */

	if (!ref->parent || !shared_is_good(ref->parent) || (ref->parent->flags & wanted) != wanted ||
	    !is_inside(ref->parent, ref->offset, ref->size))
		return TEEC_ERROR_BAD_PARAMETERS;
	return prepare_shared(work, i, IST_TEE_PARAM_MEMREF_IN - 1 + wanted, ref->parent, ref->offset,
	                      ref->size);
}

static TEEC_Result prepare_one(struct work *work, unsigned i)
{
	uint32_t type = TEEC_PARAM_TYPE_GET(work->operation->paramTypes, i);

	switch (type) {
	case TEEC_NONE:
		return TEEC_SUCCESS;
	case TEEC_VALUE_INPUT:
	case TEEC_VALUE_OUTPUT:
	case TEEC_VALUE_INOUT:
		work->param[i].attr = type;
		work->param[i].a = work->operation->params[i].value.a;
		work->param[i].b = work->operation->params[i].value.b;
		return TEEC_SUCCESS;
	case TEEC_MEMREF_TEMP_INPUT:
	case TEEC_MEMREF_TEMP_OUTPUT:
	case TEEC_MEMREF_TEMP_INOUT:
		return prepare_temp(work, i, type);
	case TEEC_MEMREF_WHOLE:
		return prepare_whole(work, i);
	case TEEC_MEMREF_PARTIAL_INPUT:
	case TEEC_MEMREF_PARTIAL_OUTPUT:
	case TEEC_MEMREF_PARTIAL_INOUT:
		return prepare_partial(work, i, type);
	default:
		return TEEC_ERROR_BAD_PARAMETERS;
	}
}

static TEEC_Result prepare(struct work *work, struct ist_tee_context *context, TEEC_Operation *operation)
{
	TEEC_Result result = TEEC_SUCCESS;

	memset(work, 0, sizeof(*work));
	work->context = context;
	work->operation = operation;
	if (!operation)
		return TEEC_SUCCESS;
	if (operation->paramTypes >> 4 * COUNT)
		return TEEC_ERROR_BAD_PARAMETERS;
	for (unsigned i = 0; i < COUNT && result == TEEC_SUCCESS; i++)
		result = prepare_one(work, i);
	for (unsigned i = 0; i < COUNT && result == TEEC_SUCCESS; i++)
		if (work->payload[i].from &&
		    ist_tee_copy(work->payload[i].copy, work->payload[i].from, work->payload[i].size))
			result = TEEC_ERROR_BAD_PARAMETERS;
	return result;
}

/* What came back, of one parameter. Bytes that the caller has no room for are not copied. */
static TEEC_Result take_one(struct work *work, unsigned i)
{
	const struct ist_tee_ioc_param *param = &work->param[i];
	TEEC_Parameter *to = &work->operation->params[i];
	const struct payload *payload = &work->payload[i];
	uint32_t type = TEEC_PARAM_TYPE_GET(work->operation->paramTypes, i);

	if (param->attr == IST_TEE_PARAM_VALUE_OUT || param->attr == IST_TEE_PARAM_VALUE_INOUT)
		to->value = (TEEC_Value){(uint32_t)param->a, (uint32_t)param->b};
	if (!is_output(param->attr))
		return TEEC_SUCCESS;
	if (type <= TEEC_MEMREF_TEMP_INOUT)
		to->tmpref.size = (size_t)param->b;
	else
		to->memref.size = (size_t)param->b;
	if (!payload->to || param->b > payload->size)
		return TEEC_SUCCESS;
	return ist_tee_copy(payload->to, payload->copy, (size_t)param->b) ? TEEC_ERROR_GENERIC : TEEC_SUCCESS;
}

static TEEC_Result take(struct work *work)
{
	TEEC_Result result = TEEC_SUCCESS;

	for (unsigned i = 0; i < COUNT && work->operation; i++) {
		TEEC_Result one = take_one(work, i);

		result = result ? result : one;
	}
	return result;
}

static void release(struct work *work)
{
	for (unsigned i = 0; i < COUNT; i++)
		ist_tee_shm_put(work->payload[i].shm);
}

static TEEC_Result answer(TEEC_Result result, uint32_t origin, uint32_t *out)
{
	if (out)
		*out = origin;
	return result;
}

/* A call of this operation can be told by its address as long as it runs. */
static uint32_t cancel_id(const TEEC_Operation *operation)
{
	return (uint32_t)(uintptr_t)operation ^ (uint32_t)((uint64_t)(uintptr_t)operation >> 32);
}

static TEEC_Result set_client(struct ist_tee_ioc_open *arg, uint32_t method, const void *data)
{
	arg->login = method;
	if (method != TEEC_LOGIN_GROUP && method != TEEC_LOGIN_GROUP_APPLICATION)
		return TEEC_SUCCESS;
	if (!data)
		return TEEC_ERROR_BAD_PARAMETERS;
	memcpy(arg->client_uuid, data, sizeof(uint32_t)); /* the group */
	return TEEC_SUCCESS;
}

static TEEC_Result open_prepared(struct work *work, TEEC_Context *context, TEEC_Session *session,
                                 struct ist_tee_ioc_open *arg, uint32_t *origin)
{
	int error = ist_tee_open_session(work->context, arg, work->param);
	TEEC_Result taken;

	if (error)
		return answer(from_errno(error), TEEC_ORIGIN_COMMS, origin);
	taken = take(work);
	if (arg->ret == TEEC_SUCCESS) {
		session->context = context;
		session->imp = arg->session;
	}
	return arg->ret || !taken ? answer(arg->ret, arg->ret_origin, origin)
	                          : answer(taken, TEEC_ORIGIN_COMMS, origin);
}

/* Time-low and so on go in network order, as UUIDs are written. */
static void put_uuid(uint8_t to[16], const TEEC_UUID *uuid)
{
	const uint8_t head[8] = {(uint8_t)(uuid->timeLow >> 24),         (uint8_t)(uuid->timeLow >> 16),
	                         (uint8_t)(uuid->timeLow >> 8),          (uint8_t)uuid->timeLow,
	                         (uint8_t)(uuid->timeMid >> 8),          (uint8_t)uuid->timeMid,
	                         (uint8_t)(uuid->timeHiAndVersion >> 8), (uint8_t)uuid->timeHiAndVersion};

	memcpy(to, head, sizeof(head));
	memcpy(to + sizeof(head), uuid->clockSeqAndNode, sizeof(uuid->clockSeqAndNode));
}

TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session, const TEEC_UUID *destination,
                             uint32_t connectionMethod, const void *connectionData, TEEC_Operation *operation,
                             uint32_t *returnOrigin)
{
	struct ist_tee_ioc_open arg = {.num_params = COUNT, .cancel_id = cancel_id(operation)};
	struct work work;
	TEEC_Result result;

	if (!context || !context->imp || !session || !destination)
		return answer(TEEC_ERROR_BAD_PARAMETERS, TEEC_ORIGIN_API, returnOrigin);
	put_uuid(arg.uuid, destination);
	result = set_client(&arg, connectionMethod, connectionData);
	if (result)
		return answer(result, TEEC_ORIGIN_API, returnOrigin);
	result = prepare(&work, context->imp, operation);
	if (result)
		answer(result, TEEC_ORIGIN_API, returnOrigin);
	else
		result = open_prepared(&work, context, session, &arg, returnOrigin);
	release(&work);
	return result;
}

void TEEC_CloseSession(TEEC_Session *session)
{
	struct ist_tee_ioc_close arg;

	if (!session || !session->context)
		return;
	arg.session = session->imp;
	ist_tee_ioctl(session->context->imp, IST_TEE_IOC_CLOSE_SESSION, &arg);
	session->context = NULL;
}

static TEEC_Result invoke_prepared(struct work *work, struct ist_tee_ioc_invoke *arg, uint32_t *origin)
{
	int error = ist_tee_invoke(work->context, arg, work->param);
	TEEC_Result taken;

	if (error)
		return answer(from_errno(error), TEEC_ORIGIN_COMMS, origin);
	taken = take(work);
	return arg->ret || !taken ? answer(arg->ret, arg->ret_origin, origin)
	                          : answer(taken, TEEC_ORIGIN_COMMS, origin);
}

TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t commandID, TEEC_Operation *operation,
                               uint32_t *returnOrigin)
{
	struct ist_tee_ioc_invoke arg = {
	        .func = commandID, .num_params = COUNT, .cancel_id = cancel_id(operation)};
	struct work work;
	TEEC_Result result;

	if (!session || !session->context || !session->context->imp)
		return answer(TEEC_ERROR_BAD_PARAMETERS, TEEC_ORIGIN_API, returnOrigin);
	arg.session = session->imp;
	if (operation) /* release: who asks to cancel finds the session behind it */
		__atomic_store_n(&operation->imp, session, __ATOMIC_RELEASE);
	result = prepare(&work, session->context->imp, operation);
	if (result)
		answer(result, TEEC_ORIGIN_API, returnOrigin);
	else
		result = invoke_prepared(&work, &arg, returnOrigin);
	release(&work);
	if (operation)
		__atomic_store_n(&operation->imp, NULL, __ATOMIC_RELEASE);
	return result;
}

void TEEC_RequestCancellation(TEEC_Operation *operation)
{
	TEEC_Session *session = operation ? __atomic_load_n(&operation->imp, __ATOMIC_ACQUIRE) : NULL;
	struct ist_tee_ioc_cancel arg = {.cancel_id = cancel_id(operation)};

	if (!session || !session->context)
		return;
	arg.session = session->imp;
	ist_tee_ioctl(session->context->imp, IST_TEE_IOC_CANCEL, &arg);
}
