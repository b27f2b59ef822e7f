/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The trusted side: takes a message out of driver memory, does what it says, and answers in it. */
#include "tee/tee.h"

#include <errno.h>
#include <string.h>

#define HOST 0u /* the owner (owner.h) of what is registered */
#define OPEN_METAS 2u

struct request {
	struct ist_tee_device *device;
	struct session *session;
	struct running *running;
	struct ist_msg_read read;
	struct ist_tee_call call;
	unsigned first; /* parameter of the message that is the call's first */
};

static uint32_t result_of(int error)
{
	switch (error) {
	case 0:
		return IST_TEE_SUCCESS;
	case -EACCES:
		return IST_TEE_ERROR_SECURITY;
	case -ENOMEM:
		return IST_TEE_ERROR_OUT_OF_MEMORY;
	default:
		return IST_TEE_ERROR_BAD_PARAMETERS;
	}
}

bool ist_tee_call_is_cancelled(const struct ist_tee_call *call)
{
	const struct running *running = call ? call->cancelled : NULL;

	/* Relaxed: a wish, which comes when it comes. */
	return running && atomic_load_explicit(&running->cancelled, memory_order_relaxed);
}

static void fill_param(const struct ist_msg_param *from, const struct ist_msg_reference *reference,
                       struct ist_tee_param *to)
{
	uint32_t type = from->attr & IST_MSG_TYPE_MASK;

	*to = (struct ist_tee_param){.type = type};
	if (type < IST_MSG_RMEM_IN) {
		to->a = from->a;
		to->b = from->b;
		to->c = from->c;
		return;
	}
	if (type >= IST_MSG_TMEM_IN)
		to->type = type - (IST_MSG_TMEM_IN - IST_MSG_RMEM_IN);
	to->vaddr = reference->vaddr;
	to->size = to->out_size = reference->size;
}

static int fill_call(struct request *request)
{
	struct ist_msg_read *read = &request->read;
	struct ist_tee_call *call = &request->call;
	unsigned count = read->header.num_params - request->first;

	if (count > IST_TEE_PARAMS_MAX)
		return -EINVAL;
	*call = (struct ist_tee_call){.func = read->header.func,
	                              .count = count,
	                              .ret_origin = IST_TEE_ORIGIN_TRUSTED_APP,
	                              .cancelled = request->running};
	memcpy(call->uuid, request->session->uuid, sizeof(call->uuid));
	for (unsigned i = 0; i < count; i++) {
		if (read->param[request->first + i].attr & IST_MSG_META)
			return -EINVAL;
		fill_param(&read->param[request->first + i], &read->reference[request->first + i],
		           &call->param[i]);
	}
	return 0;
}

static void answer_params(const struct request *request)
{
	for (unsigned i = 0; i < request->call.count; i++) {
		const struct ist_tee_param *param = &request->call.param[i];
		unsigned index = request->first + i;
		const struct ist_msg_param *was = &request->read.param[index];

		if (param->type == IST_TEE_PARAM_VALUE_OUT || param->type == IST_TEE_PARAM_VALUE_INOUT)
			ist_msg_answer_param(&request->read, index, param->a, param->b, param->c);
		else if (param->type > IST_TEE_PARAM_MEMREF_IN)
			ist_msg_answer_param(&request->read, index, was->a, param->out_size, was->c);
	}
}

static uint32_t ta_open(struct request *request)
{
	const struct ist_tee_handler *handler = request->device->config.handler;
	const struct ist_msg_param *param = request->read.param;
	struct ist_tee_call *call = &request->call;

	call->func = 0;
	memcpy(call->uuid, &param[0].a, sizeof(call->uuid));
	memcpy(call->client_uuid, &param[1].a, sizeof(call->client_uuid));
	call->login = (uint32_t)param[1].c;
	memcpy(request->session->uuid, call->uuid, sizeof(call->uuid));
	return handler->open(handler->context, call, &request->session->of_handler);
}

static uint32_t ta_run(struct request *request)
{
	const struct ist_tee_handler *handler = request->device->config.handler;

	if (request->read.header.cmd == IST_MSG_OPEN_SESSION)
		return ta_open(request);
	return handler->invoke(handler->context, request->session->of_handler, &request->call);
}

static bool has_metas(const struct ist_msg_read *read)
{
	const uint64_t meta = IST_MSG_VALUE_IN | IST_MSG_META;

	return read->header.num_params >= OPEN_METAS && read->param[0].attr == meta &&
	       read->param[1].attr == meta;
}

/* An open or an invoke. */
static uint32_t ta_call(struct request *request, uint32_t *origin)
{
	uint32_t result;
	int error;

	if (request->read.header.cmd == IST_MSG_OPEN_SESSION) {
		request->first = OPEN_METAS;
		if (!has_metas(&request->read))
			return IST_TEE_ERROR_BAD_PARAMETERS;
	}
	error = ist_msg_resolve(request->device->manager, HOST, &request->read);
	if (error)
		return result_of(error);
	error = fill_call(request);
	result = error ? result_of(error) : ta_run(request);
	if (!error) {
		*origin = request->call.ret_origin;
		answer_params(request);
	}
	ist_msg_release(request->device->manager, &request->read);
	return result;
}

static uint32_t ta_serve(struct request *request, uint32_t *origin)
{
	const struct ist_tee_handler *handler = request->device->config.handler;

	switch (request->read.header.cmd) {
	case IST_MSG_REGISTER_SHM:
	case IST_MSG_UNREGISTER_SHM:
		return result_of(ist_msg_serve(request->device->manager, HOST, &request->read));
	case IST_MSG_OPEN_SESSION:
	case IST_MSG_INVOKE:
		return request->session ? ta_call(request, origin) : IST_TEE_ERROR_BAD_PARAMETERS;
	case IST_MSG_CLOSE_SESSION:
		if (!request->session)
			return IST_TEE_ERROR_BAD_PARAMETERS;
		if (handler->close)
			handler->close(handler->context, request->session->of_handler);
		return IST_TEE_SUCCESS;
	default:
		return IST_TEE_ERROR_BAD_PARAMETERS;
	}
}

void trusted_call(struct ist_tee_device *device, uint64_t paddr, size_t room, struct session *session,
                  struct running *running)
{
	struct request request;
	uint32_t result, origin = IST_TEE_ORIGIN_TEE;
	int error;

	request.device = device;
	request.session = session;
	request.running = running;
	request.first = 0;
	atomic_fetch_add_explicit(&device->messages, 1, memory_order_relaxed);
	error = ist_msg_read(device->manager, paddr, room, &request.read);
	if (error == -EFAULT)
		return; /* nowhere to answer */
	result = error ? result_of(error) : ta_serve(&request, &origin);
	ist_msg_answer(&request.read, result, origin, session ? session->id : 0);
}
