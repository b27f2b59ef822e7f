/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Requests to the supplicant, from trusted applications, and how it takes and answers them: as drivers/tee/optee/supp.c of Linux. A
 * supplicant that leaves room for a parameter of its own (META) is told the request's id in it, and may have several at a time;
 * another has one, and answers it before it takes the next.
 */
#include "tee/tee.h"

#include <errno.h>
#include <time.h>

#include "base/threads.h"

#define LOOK_NS 20000000 /* how often who waits looks whether he still should */
#define META (IST_TEE_PARAM_VALUE_INOUT | IST_TEE_PARAM_META)

enum state { WAITING, TAKEN, ENDED };

struct asked {
	struct asked *next;
	enum state state;
	uint32_t id; /* once it is taken */
	uint32_t func, ret;
	unsigned count;
	struct ist_tee_supplicant_param *param;
};

void supplicant_init(struct supplicant *supplicant)
{
	cond_init_monotonic(&supplicant->changed);
	pthread_mutex_init(&supplicant->lock, NULL);
	supplicant->context = NULL;
	supplicant->first = NULL;
	supplicant->in_order = 0;
}

void supplicant_drop(struct supplicant *supplicant)
{
	pthread_cond_destroy(&supplicant->changed);
	pthread_mutex_destroy(&supplicant->lock);
}

/* Until something changes, or for a moment. Under the lock, as all that is static here. */
static void wait_a_while(struct supplicant *supplicant)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&supplicant->changed, &supplicant->lock, &until);
}

int ist_tee_supplicant_open(struct ist_tee_device *device, struct ist_tee_context **out)
{
	struct ist_tee_context *context;
	int error = out ? ist_tee_context_open(device, &context) : -EINVAL;

	if (error)
		return error;
	pthread_mutex_lock(&device->supplicant.lock);
	if (device->supplicant.context) {
		error = -EBUSY;
	} else {
		device->supplicant.context = context;
		context->is_supplicant = true;
	}
	pthread_mutex_unlock(&device->supplicant.lock);
	if (error)
		ist_tee_context_close(context);
	else
		*out = context;
	return error;
}

/* Out of the list, whatever its state. */
static void forget(struct supplicant *supplicant, struct asked *asked)
{
	struct asked **link = &supplicant->first;

	while (*link != asked)
		link = &(*link)->next;
	*link = asked->next;
	if (asked->state == TAKEN && supplicant->in_order == asked->id)
		supplicant->in_order = 0;
}

static void end(struct supplicant *supplicant, struct asked *asked, uint32_t ret)
{
	forget(supplicant, asked);
	asked->state = ENDED;
	asked->ret = ret;
	pthread_cond_broadcast(&supplicant->changed);
}

void supplicant_close(struct ist_tee_context *context)
{
	struct supplicant *supplicant = &context->device->supplicant;

	pthread_mutex_lock(&supplicant->lock);
	while (supplicant->first)
		end(supplicant, supplicant->first, IST_TEE_ERROR_COMMUNICATION);
	supplicant->context = NULL;
	pthread_cond_broadcast(&supplicant->changed); /* also who waits for a request */
	pthread_mutex_unlock(&supplicant->lock);
}

static bool is_detached(const struct ist_tee_device *device)
{
	return atomic_load_explicit(&device->detached, memory_order_relaxed);
}

static bool param_is_good(const struct ist_tee_supplicant_param *param)
{
	size_t size = ist_tee_shm_size(param->shm);

	if (param->type <= IST_TEE_PARAM_VALUE_INOUT)
		return true;
	if (param->type < IST_TEE_PARAM_MEMREF_IN || param->type > IST_TEE_PARAM_MEMREF_INOUT)
		return false;
	return !param->shm || (param->a <= size && param->b <= size - param->a);
}

static void append(struct supplicant *supplicant, struct asked *asked)
{
	struct asked **link = &supplicant->first;

	while (*link)
		link = &(*link)->next;
	*link = asked;
	pthread_cond_broadcast(&supplicant->changed);
}

uint32_t ist_tee_supplicant_ask(const struct ist_tee_call *call, uint32_t func,
                                struct ist_tee_supplicant_param *param, unsigned count)
{
	const struct running *running = call ? call->cancelled : NULL;
	struct asked asked = {.state = WAITING, .func = func, .count = count, .param = param};
	struct supplicant *supplicant;

	if (!running || count > IST_TEE_PARAMS_MAX || (count && !param))
		return IST_TEE_ERROR_BAD_PARAMETERS;
	for (unsigned i = 0; i < count; i++)
		if (!param_is_good(&param[i]))
			return IST_TEE_ERROR_BAD_PARAMETERS;
	supplicant = &running->device->supplicant;
	pthread_mutex_lock(&supplicant->lock);
	append(supplicant, &asked);
	while (asked.state != ENDED) {
		if (ist_tee_call_is_cancelled(call))
			end(supplicant, &asked, IST_TEE_ERROR_CANCEL);
		else if (is_detached(running->device))
			end(supplicant, &asked, IST_TEE_ERROR_COMMUNICATION);
		else
			wait_a_while(supplicant);
	}
	pthread_mutex_unlock(&supplicant->lock);
	return asked.ret;
}

/* The supplicant's memory of an id, with a reference; or null. */
static struct ist_tee_shm *memory_of(struct supplicant *supplicant, uint64_t id)
{
	struct ist_tee_shm *shm = NULL;

	pthread_mutex_lock(&supplicant->lock);
	if (supplicant->context && id <= INT32_MAX &&
	    ist_tee_shm_find(supplicant->context, (int32_t)id, &shm) != 0)
		shm = NULL;
	pthread_mutex_unlock(&supplicant->lock);
	return shm;
}

uint32_t ist_tee_supplicant_alloc(const struct ist_tee_call *call, size_t size, struct ist_tee_shm **out)
{
	struct ist_tee_supplicant_param param = {.type = IST_TEE_PARAM_VALUE_INOUT, .b = size};
	const struct running *running = call ? call->cancelled : NULL;
	struct ist_tee_shm *shm;
	uint32_t ret;

	if (!out)
		return IST_TEE_ERROR_BAD_PARAMETERS;
	ret = ist_tee_supplicant_ask(call, IST_TEE_SUPPLICANT_ALLOC, &param, 1);
	if (ret == IST_TEE_ERROR_CANCEL || ret == IST_TEE_ERROR_COMMUNICATION || !running)
		return ret;
	shm = ret == IST_TEE_SUCCESS ? memory_of(&running->device->supplicant, param.c) : NULL;
	if (shm && ist_tee_shm_size(shm) < size) {
		ist_tee_supplicant_free(call, shm);
		shm = NULL;
	}
	if (!shm)
		return IST_TEE_ERROR_OUT_OF_MEMORY;
	*out = shm;
	return IST_TEE_SUCCESS;
}

uint32_t ist_tee_supplicant_free(const struct ist_tee_call *call, struct ist_tee_shm *shm)
{
	struct ist_tee_supplicant_param param = {.type = IST_TEE_PARAM_VALUE_INOUT};
	struct supplicant *supplicant;
	bool is_its;

	if (!call || !call->cancelled || !shm)
		return IST_TEE_ERROR_BAD_PARAMETERS;
	supplicant = &((const struct running *)call->cancelled)->device->supplicant;
	param.b = (uint64_t)ist_tee_shm_id(shm);
	pthread_mutex_lock(&supplicant->lock);
	is_its = shm->context == supplicant->context;
	pthread_mutex_unlock(&supplicant->lock);
	ist_tee_shm_put(shm);
	/* Another supplicant than the one it is of has nothing to do with it. */
	return is_its ? ist_tee_supplicant_ask(call, IST_TEE_SUPPLICANT_FREE, &param, 1)
	              : IST_TEE_ERROR_COMMUNICATION;
}

/* --- the supplicant's side ------------------------------------------------------------------------------------ */

/* Only empty places, of which the first may be one for an id: how many such; or -EINVAL. */
static int check_places(uint32_t count, const struct call_param *param)
{
	if (!count)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (param[i].attr && param[i].attr != IST_TEE_PARAM_META)
			return -EINVAL;
	return param[0].attr == IST_TEE_PARAM_META;
}

/* The lowest that is free, from 1. */
static uint32_t new_id(const struct supplicant *supplicant)
{
	uint32_t id = 1;

	for (const struct asked *each = supplicant->first; each;) {
		if (each->state == TAKEN && each->id == id) {
			id++;
			each = supplicant->first;
		} else {
			each = each->next;
		}
	}
	return id;
}

static struct asked *next_waiting(const struct supplicant *supplicant)
{
	struct asked *each = supplicant->first;

	while (each && each->state != WAITING)
		each = each->next;
	return each;
}

static void fill_places(const struct asked *asked, int metas, struct call_param *param)
{
	if (metas)
		param[0] = (struct call_param){.attr = META, .a = asked->id};
	for (unsigned i = 0; i < asked->count; i++) {
		const struct ist_tee_supplicant_param *from = &asked->param[i];
		struct call_param *to = &param[(unsigned)metas + i];

		*to = (struct call_param){.attr = from->type, .a = from->a, .b = from->b, .c = from->c};
		if (from->type < IST_TEE_PARAM_MEMREF_IN)
			continue;
		to->a = from->shm ? from->a : 0;
		to->c = from->shm ? (uint64_t)ist_tee_shm_id(from->shm) : IST_TEE_MEMREF_NULL;
	}
}

static int take(struct supplicant *supplicant, int metas, uint32_t *func, uint32_t *count,
                struct call_param *param)
{
	struct asked *asked = next_waiting(supplicant);

	if (supplicant->in_order) /* it has not answered that yet */
		return -EINVAL;
	if (!asked)
		return -EAGAIN;
	if (*count - (uint32_t)metas < asked->count)
		return -EINVAL;
	asked->id = new_id(supplicant);
	asked->state = TAKEN;
	if (!metas)
		supplicant->in_order = asked->id;
	fill_places(asked, metas, param);
	*func = asked->func;
	*count = asked->count + (uint32_t)metas;
	return 0;
}

int supplicant_recv(struct ist_tee_context *context, uint32_t *func, uint32_t *count,
                    struct call_param *param)
{
	struct supplicant *supplicant = &context->device->supplicant;
	int metas = check_places(*count, param), error;

	if (metas < 0)
		return metas;
	pthread_mutex_lock(&supplicant->lock);
	for (;;) {
		error = supplicant->context == context && !is_detached(context->device)
		                ? take(supplicant, metas, func, count, param)
		                : -EINVAL;
		if (error != -EAGAIN)
			break;
		wait_a_while(supplicant);
	}
	pthread_mutex_unlock(&supplicant->lock);
	return error;
}

static struct asked *taken_of(const struct supplicant *supplicant, uint64_t id)
{
	struct asked *each = supplicant->first;

	while (each && (each->state != TAKEN || each->id != id))
		each = each->next;
	return each;
}

/* Of what the supplicant may change, only what it may. */
static void take_answers(struct asked *asked, const struct call_param *param)
{
	for (unsigned i = 0; i < asked->count; i++) {
		struct ist_tee_supplicant_param *to = &asked->param[i];

		if (to->type == IST_TEE_PARAM_VALUE_OUT || to->type == IST_TEE_PARAM_VALUE_INOUT) {
			to->a = param[i].a;
			to->b = param[i].b;
			to->c = param[i].c;
		} else if (to->type > IST_TEE_PARAM_MEMREF_IN) {
			to->b = param[i].b;
		}
	}
}

static int answer(struct supplicant *supplicant, uint32_t ret, uint32_t count, const struct call_param *param)
{
	uint32_t metas = supplicant->in_order ? 0 : 1;
	struct asked *asked;

	if (!count || (metas && param[0].attr != META))
		return -EINVAL;
	asked = taken_of(supplicant, metas ? param[0].a : supplicant->in_order);
	if (!asked)
		return -ENOENT;
	if (count - metas != asked->count)
		return -EINVAL;
	take_answers(asked, param + metas);
	end(supplicant, asked, ret);
	return 0;
}

int supplicant_send(struct ist_tee_context *context, uint32_t ret, uint32_t count,
                    const struct call_param *param)
{
	struct supplicant *supplicant = &context->device->supplicant;
	int error = -EINVAL;

	pthread_mutex_lock(&supplicant->lock);
	if (supplicant->context == context)
		error = answer(supplicant, ret, count, param);
	pthread_mutex_unlock(&supplicant->lock);
	return error;
}
