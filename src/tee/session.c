/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Sessions, the driver's side: each call goes as a message in driver memory. */
#include "tee/tee.h"

#include <errno.h>
#include <string.h>

#define OPEN_METAS 2u

static bool is_output(uint64_t attr)
{
	return attr == IST_TEE_PARAM_VALUE_OUT || attr == IST_TEE_PARAM_VALUE_INOUT ||
	       attr == IST_TEE_PARAM_MEMREF_OUT || attr == IST_TEE_PARAM_MEMREF_INOUT;
}

static int put_memory(const struct ist_msg *message, unsigned index, const struct call_param *param)
{
	const struct ist_tee_shm *shm = param->shm;
	const uint64_t as_tmem = param->attr + (IST_MSG_TMEM_IN - IST_MSG_RMEM_IN);
	struct ist_view view;

	if (!shm)
		return ist_msg_set_tmem(message, index, as_tmem, NULL, 0);
	if (shm->kind == SHM_USER || shm->kind == SHM_FILE)
		return ist_msg_set_rmem(message, index, param->attr, (uintptr_t)shm, param->a, param->b);
	view = (struct ist_view){(char *)shm->view.vaddr + param->a, shm->view.paddr + param->a,
	                         (size_t)param->b};
	return ist_msg_set_tmem(message, index, as_tmem, &view, (uintptr_t)shm);
}

static int put_params(const struct ist_msg *message, unsigned first, unsigned count,
                      const struct call_param *param)
{
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		if (param[i].attr >= IST_TEE_PARAM_MEMREF_IN)
			error = put_memory(message, first + i, &param[i]);
		else if (param[i].attr != IST_TEE_PARAM_NONE)
			error = ist_msg_set_value(message, first + i, param[i].attr, param[i].a, param[i].b,
			                          param[i].c);
	}
	return error;
}

static void take_params(const struct ist_msg *message, unsigned first, unsigned count,
                        struct call_param *param)
{
	for (unsigned i = 0; i < count; i++) {
		struct ist_msg_param now;

		if (!is_output(param[i].attr))
			continue;
		ist_msg_output(message, first + i, &now);
		param[i].b = now.b;
		if (param[i].attr <= IST_TEE_PARAM_VALUE_INOUT) {
			param[i].a = now.a;
			param[i].c = now.c;
		}
	}
}

static void send_call(struct ist_tee_device *device, const struct ist_msg *message, struct session *session,
                      struct running *running)
{
	atomic_fetch_add_explicit(&device->calls, 1, memory_order_relaxed);
	trusted_call(device, ist_msg_paddr(message), message->memory.view.size, session, running);
	atomic_fetch_sub_explicit(&device->calls, 1, memory_order_relaxed);
}

static void begin_call(struct session *session, struct running *running, uint32_t cancel_id)
{
	running->device = session->context->device;
	running->cancel_id = cancel_id;
	atomic_store_explicit(&running->cancelled, false,
	                      memory_order_relaxed); /* before anybody else sees it */
	pthread_mutex_lock(&session->calls_lock);
	running->next = session->calls;
	running->link = &session->calls;
	if (running->next)
		running->next->link = &running->next;
	session->calls = running;
	pthread_mutex_unlock(&session->calls_lock);
}

static void end_call(struct session *session, struct running *running)
{
	pthread_mutex_lock(&session->calls_lock);
	*running->link = running->next;
	if (running->next)
		running->next->link = running->link;
	pthread_mutex_unlock(&session->calls_lock);
}

static struct session *session_new(struct ist_tee_context *context)
{
	uint32_t id = ids_take(&context->device->sessions);
	struct session *session = slots_at(&context->device->sessions.slots, id);

	if (!session)
		return NULL;
	session->id = id;
	session->context = context;
	session->link = NULL;
	session->calls = NULL;
	session->of_handler = NULL;
	atomic_store_explicit(&session->closed, false, memory_order_relaxed);
	pthread_mutex_init(&session->busy, NULL);
	pthread_mutex_init(&session->calls_lock, NULL);
	context_get(context);
	return session;
}

static void session_free(struct session *session)
{
	struct ist_tee_context *context = session->context;

	pthread_mutex_destroy(&session->busy);
	pthread_mutex_destroy(&session->calls_lock);
	ids_give(&context->device->sessions, session->id);
	context_put(context);
}

/* Tell the trusted side that it is over. The message is small; without memory for it there is another way. */
static void end_session(struct session *session)
{
	struct ist_tee_device *device = session->context->device;
	struct ist_msg message;

	if (ist_msg_create(device->driver, IST_MSG_CLOSE_SESSION, 0, &message) == 0) {
		send_call(device, &message, session, NULL);
		ist_msg_free(&message);
	} else if (device->config.handler->close) {
		device->config.handler->close(device->config.handler->context, session->of_handler);
	}
	atomic_fetch_sub_explicit(&device->live_sessions, 1, memory_order_relaxed);
	session_free(session);
}

static void session_put(struct session *session)
{
	if (count_drop(&session->count))
		end_session(session);
}

static struct session *session_find(struct ist_tee_context *context, uint32_t id)
{
	struct session *session = ids_find(&context->device->sessions, id);

	/* Relaxed: closing it at the same time is before or after. */
	if (session &&
	    (session->context != context || atomic_load_explicit(&session->closed, memory_order_relaxed))) {
		session_put(session);
		return NULL;
	}
	return session;
}

/* Into the list of its context: false if that is being closed. */
static bool link_session(struct session *session)
{
	struct ist_tee_context *context = session->context;
	bool open;

	pthread_mutex_lock(&context->device->lock);
	open = !atomic_load_explicit(&context->closing, memory_order_relaxed);
	if (open) {
		session->next = context->sessions;
		session->link = &context->sessions;
		if (session->next)
			session->next->link = &session->next;
		context->sessions = session;
	}
	pthread_mutex_unlock(&context->device->lock);
	return open;
}

/* Out of it: false if somebody else was first. Under device->lock. */
static bool unlink_session(struct session *session)
{
	if (!session->link)
		return false;
	*session->link = session->next;
	if (session->next)
		session->next->link = session->link;
	session->link = NULL;
	atomic_store_explicit(&session->closed, true, memory_order_relaxed);
	return true;
}

static int build_open(struct ist_tee_context *context, const struct ist_tee_ioc_open *arg,
                      const struct call_param *param, struct ist_msg *message)
{
	const uint64_t attr = IST_MSG_VALUE_IN | IST_MSG_META;
	const struct ist_msg_header header = {.cancel_id = arg->cancel_id,
	                                      .ret = IST_TEE_ERROR_COMMUNICATION,
	                                      .ret_origin = IST_TEE_ORIGIN_COMMS};
	uint64_t uuid[2], client[2];
	int error = ist_msg_create(context->device->driver, IST_MSG_OPEN_SESSION,
	                           arg->num_params + OPEN_METAS, message);

	if (error)
		return -ENOMEM;
	memcpy(uuid, arg->uuid, sizeof(uuid));
	memcpy(client, arg->client_uuid, sizeof(client));
	ist_msg_set_header(message, &header);
	ist_msg_set_value(message, 0, attr, uuid[0], uuid[1], 0);
	ist_msg_set_value(message, 1, attr, client[0], client[1], arg->login);
	error = put_params(message, OPEN_METAS, arg->num_params, param);
	if (error)
		ist_msg_free(message);
	return error ? -EINVAL : 0;
}

/* A session that was opened over there becomes known here. */
static int admit(struct session *session, struct ist_tee_ioc_open *arg)
{
	atomic_fetch_add_explicit(&session->context->device->live_sessions, 1, memory_order_relaxed);
	arg->session = session->id;
	count_begin(
	        &session->count); /* before anybody can take it out of the list, and its reference with it */
	if (link_session(session))
		return 0;
	session_put(session);
	return -EINVAL;
}

int session_open(struct ist_tee_context *context, struct ist_tee_ioc_open *arg, struct call_param *param)
{
	struct running running = {.device = context->device, .cancel_id = arg->cancel_id};
	struct session *session = session_new(context);
	struct ist_msg message;
	int error;

	if (!session)
		return -ENOMEM;
	error = build_open(context, arg, param, &message);
	if (error) {
		session_free(session);
		return error;
	}
	send_call(context->device, &message, session, &running);
	ist_msg_result(&message, &arg->ret, &arg->ret_origin);
	take_params(&message, OPEN_METAS, arg->num_params, param);
	ist_msg_free(&message);
	if (arg->ret == IST_TEE_SUCCESS)
		return admit(session, arg);
	arg->session = 0;
	session_free(session);
	return 0;
}

static int build_invoke(struct ist_tee_context *context, const struct ist_tee_ioc_invoke *arg,
                        const struct call_param *param, struct ist_msg *message)
{
	const struct ist_msg_header header = {.func = arg->func,
	                                      .session = arg->session,
	                                      .cancel_id = arg->cancel_id,
	                                      .ret = IST_TEE_ERROR_COMMUNICATION,
	                                      .ret_origin = IST_TEE_ORIGIN_COMMS};
	int error = ist_msg_create(context->device->driver, IST_MSG_INVOKE, arg->num_params, message);

	if (error)
		return -ENOMEM;
	ist_msg_set_header(message, &header);
	error = put_params(message, 0, arg->num_params, param);
	if (error)
		ist_msg_free(message);
	return error ? -EINVAL : 0;
}

static int invoke_kept(struct session *session, struct ist_tee_ioc_invoke *arg, struct call_param *param)
{
	struct running running;
	struct ist_msg message;
	int error = build_invoke(session->context, arg, param, &message);

	if (error)
		return error;
	begin_call(session, &running, arg->cancel_id);
	pthread_mutex_lock(&session->busy);
	send_call(session->context->device, &message, session, &running);
	pthread_mutex_unlock(&session->busy);
	end_call(session, &running);
	ist_msg_result(&message, &arg->ret, &arg->ret_origin);
	take_params(&message, 0, arg->num_params, param);
	ist_msg_free(&message);
	return 0;
}

int session_invoke(struct ist_tee_context *context, struct ist_tee_ioc_invoke *arg, struct call_param *param)
{
	struct session *session = session_find(context, arg->session);
	int error;

	if (!session)
		return -EINVAL;
	error = invoke_kept(session, arg, param);
	session_put(session);
	return error;
}

/* The calls with that id, or all. */
static void cancel_calls(struct session *session, bool all, uint32_t cancel_id)
{
	pthread_mutex_lock(&session->calls_lock);
	for (struct running *each = session->calls; each; each = each->next)
		if (all || each->cancel_id == cancel_id)
			atomic_store_explicit(&each->cancelled, true, memory_order_relaxed);
	pthread_mutex_unlock(&session->calls_lock);
}

int session_cancel(struct ist_tee_context *context, const struct ist_tee_ioc_cancel *arg)
{
	struct session *session = session_find(context, arg->session);

	if (!session)
		return -EINVAL;
	cancel_calls(session, false, arg->cancel_id);
	session_put(session);
	return 0;
}

int session_close(struct ist_tee_context *context, uint32_t id)
{
	struct session *session = session_find(context, id);
	bool first;

	if (!session)
		return -EINVAL;
	pthread_mutex_lock(&context->device->lock);
	first = unlink_session(session);
	pthread_mutex_unlock(&context->device->lock);
	if (first) {
		cancel_calls(session, true, 0); /* nobody could, from now on */
		session_put(session); /* the reference that it had since it was opened */
	}
	session_put(session);
	return first ? 0 : -EINVAL;
}

void session_close_all(struct ist_tee_context *context)
{
	struct session *session;

	do {
		pthread_mutex_lock(&context->device->lock);
		atomic_store_explicit(&context->closing, true, memory_order_relaxed);
		session = context->sessions;
		if (session)
			unlink_session(session);
		pthread_mutex_unlock(&context->device->lock);
		if (session) {
			cancel_calls(session, true, 0); /* nobody waits for them any more */
			session_put(session);
		}
	} while (session);
}
