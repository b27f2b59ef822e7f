/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The ioctls. Arguments are the client's: copied in, once, by the system, so that a bad address is an error; checked in the kernel's
 * order (drivers/tee/tee_core.c); and copied out.
 */
#include "tee/tee.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "platform/platform.h"

int ist_tee_copy(void *to, const void *from, size_t bytes)
{
	if (bytes == 0)
		return 0;
	return to && from ? platform_copy(to, from, bytes) : -EFAULT;
}

/* Both to and from the client. A null or wrapping address is as bad as any. */
static int from_user(void *to, uint64_t from, size_t bytes)
{
	return ist_tee_copy(to, (const void *)(uintptr_t)from, bytes);
}

static int to_user(uint64_t to, const void *from, size_t bytes)
{
	return ist_tee_copy((void *)(uintptr_t)to, from, bytes);
}

static long ioc_version(struct ist_tee_context *context, uint64_t arg)
{
	struct ist_tee_version version;

	ist_tee_device_version(context->device, &version);
	if (context->is_supplicant)
		version.gen_caps = (version.gen_caps & ~IST_TEE_CAP_REG_MEM) | IST_TEE_CAP_PRIVILEGED;
	return to_user(arg, &version, sizeof(version));
}

/* Of a shm that is ready: a descriptor that owns it, and the answer in the client's memory; or nothing is left of it. */
static long hand_out(struct ist_tee_shm *shm, uint64_t arg, const void *answer, size_t bytes)
{
	int error, fd = shm_export(shm);

	if (fd < 0) {
		ist_tee_shm_put(shm);
		return fd;
	}
	error = to_user(arg, answer, bytes);
	if (error) {
		uint64_t key = shm->handle.key;

		close(fd); /* nobody else has it yet */
		ist_tee_reap(key);
		return error;
	}
	return fd;
}

static long ioc_alloc(struct ist_tee_context *context, uint64_t arg)
{
	const uint32_t flags = IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF | IST_TEE_SHM_EXPORT;
	struct ist_tee_ioc_alloc data;
	struct ist_tee_shm *shm;
	int error = from_user(&data, arg, sizeof(data));

	if (error)
		return error;
	if (data.flags)
		return -EINVAL;
	error = ist_tee_shm_alloc(context->device, context, data.size, flags, &shm);
	if (error)
		return error;
	data.size = ist_tee_shm_size(shm);
	data.id = ist_tee_shm_id(shm);
	return hand_out(shm, arg, &data, sizeof(data));
}

static long ioc_register(struct ist_tee_context *context, uint64_t arg)
{
	struct ist_tee_ioc_register data;
	struct ist_tee_shm *shm;
	int error = from_user(&data, arg, sizeof(data));

	if (error)
		return error;
	if (data.flags)
		return -EINVAL;
	error = ist_tee_shm_register(context, (void *)(uintptr_t)data.addr, data.length, &shm);
	if (error)
		return error == -EOPNOTSUPP ? -E_NOTSUPP : error;
	data.length = ist_tee_shm_size(shm);
	data.id = ist_tee_shm_id(shm);
	return hand_out(shm, arg, &data, sizeof(data));
}

static long ioc_register_fd(struct ist_tee_context *context, uint64_t arg)
{
	struct ist_tee_ioc_register_fd data;
	struct ist_tee_shm *shm;
	int error = from_user(&data, arg, sizeof(data));

	if (error)
		return error;
	if (data.flags)
		return -EINVAL;
	if (data.fd != (int)data.fd)
		return -EBADF;
	error = ist_tee_shm_register_fd(context, (int)data.fd, &shm);
	if (error)
		return error;
	data.size = ist_tee_shm_size(shm);
	data.id = ist_tee_shm_id(shm);
	return hand_out(shm, arg, &data, sizeof(data));
}

/* An OPEN_SESSION or INVOKE: where its parts lie at the client's, and our copy. */
struct call_data {
	uint64_t at, params_at;
	uint32_t count;
	struct call_param param[IST_TEE_ARG_MAX / sizeof(struct ist_tee_ioc_param)];
};

/* The header, of `bytes`, with num_params as its last word. */
static int header_from_user(uint64_t arg, void *header, size_t bytes, struct call_data *call)
{
	struct ist_tee_ioc_buf buf;
	int error = from_user(&buf, arg, sizeof(buf));

	if (error)
		return error;
	if (buf.buf_len > IST_TEE_ARG_MAX || buf.buf_len < bytes)
		return -EINVAL;
	error = from_user(header, buf.buf_ptr, bytes);
	if (error)
		return error;
	memcpy(&call->count, (char *)header + bytes - sizeof(call->count), sizeof(call->count));
	if (call->count > IST_TEE_ARG_MAX ||
	    bytes + call->count * sizeof(struct ist_tee_ioc_param) != buf.buf_len)
		return -EINVAL;
	call->at = buf.buf_ptr;
	call->params_at = buf.buf_ptr + bytes;
	return 0;
}

static int find_memory(struct ist_tee_context *context, const struct ist_tee_ioc_param *from,
                       struct call_param *to)
{
	int error;

	if (from->c == IST_TEE_MEMREF_NULL)
		return context->device->config.caps & IST_TEE_CAP_MEMREF_NULL ? 0 : -EINVAL;
	if (from->c > INT32_MAX)
		return -EINVAL;
	error = ist_tee_shm_find(context, (int32_t)from->c, &to->shm);
	if (error)
		return error;
	return from->a > to->shm->view.size || from->b > to->shm->view.size - from->a ? -EINVAL : 0;
}

static int param_from_user(struct ist_tee_context *context, const struct ist_tee_ioc_param *from,
                           struct call_param *to)
{
	if (from->attr & ~(uint64_t)(IST_TEE_PARAM_TYPE_MASK | IST_TEE_PARAM_META))
		return -EINVAL;
	to->attr = from->attr;
	switch (from->attr & IST_TEE_PARAM_TYPE_MASK) {
	case IST_TEE_PARAM_NONE:
	case IST_TEE_PARAM_VALUE_OUT:
		return 0;
	case IST_TEE_PARAM_VALUE_IN:
	case IST_TEE_PARAM_VALUE_INOUT:
		to->c = from->c;
		to->a = from->a;
		to->b = from->b;
		return 0;
	case IST_TEE_PARAM_MEMREF_IN:
	case IST_TEE_PARAM_MEMREF_OUT:
	case IST_TEE_PARAM_MEMREF_INOUT:
		to->a = from->a;
		to->b = from->b;
		return find_memory(context, from, to);
	default:
		return -EINVAL;
	}
}

static int params_from_user(struct ist_tee_context *context, struct call_data *call)
{
	int error = 0;

	memset(call->param, 0, sizeof(call->param));
	for (uint32_t i = 0; i < call->count && !error; i++) {
		struct ist_tee_ioc_param from;

		error = from_user(&from, call->params_at + i * sizeof(from), sizeof(from));
		if (!error)
			error = param_from_user(context, &from, &call->param[i]);
	}
	return error;
}

static void params_put(struct call_data *call)
{
	for (uint32_t i = 0; i < call->count; i++)
		ist_tee_shm_put(call->param[i].shm);
}

/* Of what the trusted side may change, only what it may: sizes of references, and values. */
static int params_to_user(const struct call_data *call)
{
	int error = 0;

	for (uint32_t i = 0; i < call->count && !error; i++) {
		const struct call_param *param = &call->param[i];
		uint64_t at = call->params_at + i * sizeof(struct ist_tee_ioc_param);

		if (param->attr == IST_TEE_PARAM_VALUE_OUT || param->attr == IST_TEE_PARAM_VALUE_INOUT)
			error = to_user(at + offsetof(struct ist_tee_ioc_param, a), &param->a,
			                3 * sizeof(param->a));
		else if (param->attr == IST_TEE_PARAM_MEMREF_OUT || param->attr == IST_TEE_PARAM_MEMREF_INOUT)
			error = to_user(at + offsetof(struct ist_tee_ioc_param, b), &param->b,
			                sizeof(param->b));
	}
	return error;
}

/* No message for OP-TEE has more, and none names a parameter as the driver's own. */
static int check_params(const struct call_data *call, uint32_t most)
{
	if (call->count > most)
		return -EINVAL;
	for (uint32_t i = 0; i < call->count; i++)
		if (call->param[i].attr & IST_TEE_PARAM_META)
			return -EINVAL;
	return 0;
}

static int open_and_tell(struct ist_tee_context *context, struct ist_tee_ioc_open *arg,
                         struct call_data *call)
{
	int error = check_params(call, IST_TEE_PARAMS_MAX - 2);

	if (!error)
		error = session_open(context, arg, call->param);
	if (error)
		return error;
	error = to_user(call->at + offsetof(struct ist_tee_ioc_open, session), &arg->session,
	                3 * sizeof(uint32_t));
	if (!error)
		error = params_to_user(call);
	if (error && arg->ret == IST_TEE_SUCCESS)
		session_close(context, arg->session); /* or nobody would know it */
	return error;
}

static long ioc_open(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_open arg;
	struct call_data call;
	int error = header_from_user(at, &arg, sizeof(arg), &call);

	if (error)
		return error;
	error = params_from_user(context, &call);
	if (!error && arg.login >= IST_TEE_LOGIN_KERNEL_MIN && arg.login <= IST_TEE_LOGIN_KERNEL_MAX)
		error = -EPERM;
	if (!error)
		error = open_and_tell(context, &arg, &call);
	params_put(&call);
	return error;
}

static long ioc_invoke(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_invoke arg;
	struct call_data call;
	int error = header_from_user(at, &arg, sizeof(arg), &call);

	if (error)
		return error;
	error = params_from_user(context, &call);
	if (!error)
		error = check_params(&call, IST_TEE_PARAMS_MAX);
	if (!error)
		error = session_invoke(context, &arg, call.param);
	if (!error)
		error = to_user(call.at + offsetof(struct ist_tee_ioc_invoke, ret), &arg.ret,
		                2 * sizeof(uint32_t));
	if (!error)
		error = params_to_user(&call);
	params_put(&call);
	return error;
}

/* The same with arguments that are there. */
static int params_from_caller(struct ist_tee_context *context, struct call_data *call,
                              const struct ist_tee_ioc_param *param, uint32_t count, uint32_t most)
{
	int error = 0;

	call->count = 0;
	if (count > most || (count && !param))
		return -EINVAL;
	while (call->count < count && !error) {
		struct call_param *to = &call->param[call->count];

		*to = (struct call_param){.shm = NULL};
		error = param_from_user(context, &param[call->count++], to);
	}
	return error ? error : check_params(call, most);
}

static void params_to_caller(const struct call_data *call, struct ist_tee_ioc_param *param)
{
	for (uint32_t i = 0; i < call->count; i++) {
		const struct call_param *now = &call->param[i];

		if (now->attr == IST_TEE_PARAM_VALUE_OUT || now->attr == IST_TEE_PARAM_VALUE_INOUT) {
			param[i].a = now->a;
			param[i].c = now->c;
		}
		param[i].b = now->attr == IST_TEE_PARAM_NONE ? param[i].b : now->b;
	}
}

int ist_tee_open_session(struct ist_tee_context *context, struct ist_tee_ioc_open *arg,
                         struct ist_tee_ioc_param *param)
{
	struct call_data call;
	int error;

	if (!context || !arg || !device_use(context->device))
		return -EINVAL;
	context_get(context); /* whoever closes it meanwhile */
	error = params_from_caller(context, &call, param, arg->num_params, IST_TEE_PARAMS_MAX - 2);
	if (!error && arg->login >= IST_TEE_LOGIN_KERNEL_MIN && arg->login <= IST_TEE_LOGIN_KERNEL_MAX)
		error = -EPERM;
	if (!error)
		error = session_open(context, arg, call.param);
	if (!error)
		params_to_caller(&call, param);
	params_put(&call);
	device_unuse(context->device);
	context_put(context);
	return error;
}

int ist_tee_invoke(struct ist_tee_context *context, struct ist_tee_ioc_invoke *arg,
                   struct ist_tee_ioc_param *param)
{
	struct call_data call;
	int error;

	if (!context || !arg || !device_use(context->device))
		return -EINVAL;
	context_get(context); /* whoever closes it meanwhile */
	error = params_from_caller(context, &call, param, arg->num_params, IST_TEE_PARAMS_MAX);
	if (!error)
		error = session_invoke(context, arg, call.param);
	if (!error)
		params_to_caller(&call, param);
	params_put(&call);
	device_unuse(context->device);
	context_put(context);
	return error;
}

static long ioc_cancel(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_cancel arg;
	int error = from_user(&arg, at, sizeof(arg));

	return error ? error : session_cancel(context, &arg);
}

static long ioc_close(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_close arg;
	int error = from_user(&arg, at, sizeof(arg));

	return error ? error : session_close(context, arg.session);
}

/* What is written of a parameter that the supplicant is asked with. */
static int request_to_user(uint64_t at, const struct call_param *param)
{
	struct ist_tee_ioc_param to = {.attr = param->attr};

	if ((param->attr & IST_TEE_PARAM_TYPE_MASK) != IST_TEE_PARAM_VALUE_OUT &&
	    (param->attr & IST_TEE_PARAM_TYPE_MASK) != IST_TEE_PARAM_NONE) {
		to.a = param->a;
		to.b = param->b;
		to.c = param->c;
	}
	return to_user(at, &to, sizeof(to));
}

static long ioc_recv(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_recv arg;
	struct call_data call;
	int error = header_from_user(at, &arg, sizeof(arg), &call);

	if (error)
		return error;
	error = params_from_user(context, &call);
	params_put(&call); /* and none is allowed */
	if (!error)
		error = supplicant_recv(context, &arg.func, &arg.num_params, call.param);
	if (!error)
		error = to_user(call.at, &arg, sizeof(arg));
	for (uint32_t i = 0; i < arg.num_params && !error; i++)
		error = request_to_user(call.params_at + i * sizeof(struct ist_tee_ioc_param),
		                        &call.param[i]);
	return error;
}

/* References are not looked up: only their sizes can be answered. */
static int answer_from_user(uint64_t at, struct call_param *to)
{
	struct ist_tee_ioc_param from;
	int error = from_user(&from, at, sizeof(from));
	uint64_t type = from.attr & IST_TEE_PARAM_TYPE_MASK;

	if (error)
		return error;
	if (from.attr & ~(uint64_t)(IST_TEE_PARAM_TYPE_MASK | IST_TEE_PARAM_META) || type == 4 ||
	    type > IST_TEE_PARAM_MEMREF_INOUT)
		return -EINVAL;
	*to = (struct call_param){.attr = from.attr, .a = from.a, .b = from.b, .c = from.c};
	return 0;
}

static long ioc_send(struct ist_tee_context *context, uint64_t at)
{
	struct ist_tee_ioc_send arg;
	struct call_data call;
	int error = header_from_user(at, &arg, sizeof(arg), &call);

	for (uint32_t i = 0; !error && i < call.count; i++)
		error = answer_from_user(call.params_at + i * sizeof(struct ist_tee_ioc_param),
		                         &call.param[i]);
	return error ? error : supplicant_send(context, arg.ret, call.count, call.param);
}

/* What the supplicant's device has. */
static long ioc_supplicant(struct ist_tee_context *context, uint32_t command, uint64_t arg)
{
	switch (command) {
	case IST_TEE_IOC_SHM_ALLOC:
		return ioc_alloc(context, arg);
	case IST_TEE_IOC_SHM_REGISTER:
		return -E_NOTSUPP;
	case IST_TEE_IOC_SUPPL_RECV:
		return ioc_recv(context, arg);
	case IST_TEE_IOC_SUPPL_SEND:
		return ioc_send(context, arg);
	default:
		return -EINVAL;
	}
}

static long ioc_dispatch(struct ist_tee_context *context, uint32_t command, uint64_t arg)
{
	if (context->is_supplicant)
		return ioc_supplicant(context, command, arg);
	switch (command) {
	case IST_TEE_IOC_SHM_ALLOC:
		return ioc_alloc(context, arg);
	case IST_TEE_IOC_SHM_REGISTER:
		return ioc_register(context, arg);
	case IST_TEE_IOC_SHM_REGISTER_FD:
		return ioc_register_fd(context, arg);
	case IST_TEE_IOC_OPEN_SESSION:
		return ioc_open(context, arg);
	case IST_TEE_IOC_INVOKE:
		return ioc_invoke(context, arg);
	case IST_TEE_IOC_CANCEL:
		return ioc_cancel(context, arg);
	case IST_TEE_IOC_CLOSE_SESSION:
		return ioc_close(context, arg);
	default:
		return -EINVAL; /* also the supplicant's, which a client's device does not have */
	}
}

long ist_tee_ioctl(struct ist_tee_context *context, unsigned long command, void *arg)
{
	struct ist_tee_device *device = context ? context->device : NULL;
	uint32_t number = (uint32_t)command;
	long answer;

	if (!context)
		return -EINVAL;
	context_get(context); /* whoever closes it meanwhile */
	if (number == IST_TEE_IOC_VERSION) {
		answer = ioc_version(context, (uintptr_t)arg);
	} else if (number == IST_TEE_IOC_CLOSE_SESSION) { /* also when it is detached */
		answer = ioc_close(context, (uintptr_t)arg);
	} else {
		answer = -EINVAL;
		if (device_use(device)) {
			answer = ioc_dispatch(context, number, (uintptr_t)arg);
			device_unuse(device);
		}
	}
	context_put(context);
	return answer;
}
