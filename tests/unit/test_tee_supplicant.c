/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The supplicant: what its two ioctls take and write, in which order requests go, and how they end when somebody goes away. */
#include "support/tee_world.h"

#include <pthread.h>
#include <unistd.h>

#define BAD ((void *)8)
#define META IST_TEE_PARAM_META

static struct tee host;
static struct ist_tee_context *supplicant;

/* An application that passes a request on. Func of the call: which of these. */
enum { REQUESTS = 4, CANCEL_ID = 9 };
struct request {
	uint32_t func, session, ret;
	unsigned count;
	struct ist_tee_supplicant_param param[6];
	pthread_t thread;
};
static struct request requests[REQUESTS];

static uint32_t ta_open(void *context, struct ist_tee_call *call, void **session)
{
	(void)context, (void)call;
	*session = NULL;
	return IST_TEE_SUCCESS;
}

static uint32_t ta_invoke(void *context, void *session, struct ist_tee_call *call)
{
	struct request *request = &requests[call->func];

	(void)context, (void)session;
	request->ret = ist_tee_supplicant_ask(call, request->func, request->param, request->count);
	return request->ret;
}

static const struct ist_tee_handler handler = {.open = ta_open, .invoke = ta_invoke};

static int set_up(void **state)
{
	const struct ist_tee_config config = {.handler = &handler};

	(void)state;
	host = tee_make(4 * MIB, &config);
	assert_int_equal(ist_tee_supplicant_open(host.device, &supplicant), 0);
	for (int i = 0; i < REQUESTS; i++)
		requests[i] =
		        (struct request){.func = 50 + (uint32_t)i, .session = tee_session(host.context)};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ist_tee_context_close(supplicant);
	tee_drop(&host);
	return 0;
}

static void *invoke(void *of)
{
	struct request *request = of;
	struct tee_call call;

	tee_fill_invoke(&call, request->session, (uint32_t)(request - requests), 0);
	call.u.invoke.arg.cancel_id = CANCEL_ID;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.arg.ret, request->ret);
	return NULL;
}

static void ask(int i)
{
	uint64_t before = tee_stats(&host).messages;

	assert_int_equal(pthread_create(&requests[i].thread, NULL, invoke, &requests[i]), 0);
	while (tee_stats(&host).messages == before)
		usleep(100);
}

static uint32_t answered(int i)
{
	pthread_join(requests[i].thread, NULL);
	return requests[i].ret;
}

/* What both ioctls take. */
struct box {
	struct ist_tee_ioc_buf buf;
	struct {
		uint32_t word, num_params; /* func or ret */
		struct ist_tee_ioc_param param[8];
	} data;
};

static struct box *box(uint32_t params)
{
	static struct box one;

	memset(&one, 0, sizeof(one));
	one.data.num_params = params;
	one.buf = (struct ist_tee_ioc_buf){(uintptr_t)&one.data, 8 + params * 32};
	return &one;
}

static long receive(struct box *one)
{
	return ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_RECV, &one->buf);
}

static long send(struct box *one, uint32_t ret)
{
	one->data.word = ret;
	one->buf.buf_len = 8 + one->data.num_params * 32;
	return ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_SEND, &one->buf);
}

static void who_may(void **state)
{
	struct ist_tee_context *other;
	struct ist_tee_version version;
	struct ist_tee_ioc_register reg = {.addr = (uintptr_t)&version, .length = 1};
	struct ist_tee_ioc_close closing = {.session = 1};
	struct tee_call call;

	(void)state;
	assert_int_equal(ist_tee_supplicant_open(NULL, &other), -EINVAL);
	assert_int_equal(ist_tee_supplicant_open(host.device, NULL), -EINVAL);
	assert_int_equal(ist_tee_supplicant_open(host.device, &other), -EBUSY);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SUPPL_RECV, &box(1)->buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SUPPL_SEND, &box(1)->buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_VERSION, &version), 0);
	assert_int_equal(version.gen_caps, IST_TEE_CAP_GP | IST_TEE_CAP_MEMREF_NULL | IST_TEE_CAP_PRIVILEGED);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_SHM_REGISTER, &reg), -524);
	tee_fill_open(&call, 0);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_OPEN_SESSION, &call.buf), -EINVAL);
	tee_fill_invoke(&call, 1, 0, 0);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_CLOSE_SESSION, &closing), -EINVAL);
	ist_tee_context_close(supplicant);
	assert_int_equal(ist_tee_supplicant_open(host.device, &supplicant), 0);
}

static void bad_buffers(void **state)
{
	struct box *one = box(1);

	(void)state;
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_RECV, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_SEND, BAD), -EFAULT);
	for (uint64_t bytes = 0; bytes <= 1100; bytes++) {
		one->buf.buf_len = bytes;
		if (bytes == 40)
			continue;
		assert_int_equal(receive(one), -EINVAL);
		assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_SEND, &one->buf), -EINVAL);
	}
	one->buf = (struct ist_tee_ioc_buf){8, 40};
	assert_int_equal(receive(one), -EFAULT);
	assert_int_equal(ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_SEND, &one->buf), -EFAULT);
	assert_int_equal(receive(box(0)), -EINVAL);
	for (uint64_t attr = 1; attr < 0x400; attr++) {
		if (attr == META)
			continue;
		one = box(2);
		one->data.param[1].attr = attr;
		assert_int_equal(receive(one), -EINVAL);
	}
	assert_int_equal(send(box(0), 0), -EINVAL);
	assert_int_equal(send(box(1), 0), -EINVAL); /* no id */
	one = box(1);
	one->data.param[0] = (struct ist_tee_ioc_param){.attr = META | IST_TEE_PARAM_VALUE_INOUT, .a = 1};
	assert_int_equal(send(one, 0), -ENOENT);
	one->data.param[0].attr = 0x200;
	assert_int_equal(send(one, 0), -EINVAL);
	one->data.param[0].attr = 8;
	assert_int_equal(send(one, 0), -EINVAL);
}

/* Every kind of parameter, one way and the other. */
static void a_request(void **state)
{
	struct ist_tee_supplicant_param *param = requests[0].param;
	struct ist_tee_ioc_param *place;
	struct ist_tee_shm *shm;
	struct box *one = box(7);
	int32_t id;
	int fd = tee_alloc(supplicant, 8192, &id);

	(void)state;
	assert_int_equal(ist_tee_shm_find(supplicant, id, &shm), 0);
	param[0] = (struct ist_tee_supplicant_param){.type = IST_TEE_PARAM_VALUE_IN, .a = 1, .b = 2, .c = 3};
	param[1] = (struct ist_tee_supplicant_param){.type = IST_TEE_PARAM_VALUE_OUT, .a = 4, .b = 5, .c = 6};
	param[2] =
	        (struct ist_tee_supplicant_param){.type = IST_TEE_PARAM_VALUE_INOUT, .a = 7, .b = 8, .c = 9};
	param[3] = (struct ist_tee_supplicant_param){
	        .type = IST_TEE_PARAM_MEMREF_IN, .a = 10, .b = 11, .shm = shm};
	param[4] = (struct ist_tee_supplicant_param){
	        .type = IST_TEE_PARAM_MEMREF_OUT, .a = 100, .b = 200, .shm = shm};
	param[5] = (struct ist_tee_supplicant_param){.type = IST_TEE_PARAM_MEMREF_INOUT, .a = 5, .b = 6};
	requests[0].count = 6;
	ask(0);
	one->data.param[0].attr = META;
	assert_int_equal(receive(one), 0);
	assert_int_equal(one->data.word, 50);
	assert_int_equal(one->data.num_params, 7);
	place = one->data.param;
#define IS(i, the_attr, the_a, the_b, the_c)                                                                 \
	assert_memory_equal(&place[i], (&(struct ist_tee_ioc_param){the_attr, the_a, the_b, the_c}), 32)
	IS(0, META | IST_TEE_PARAM_VALUE_INOUT, 1, 0, 0);
	IS(1, IST_TEE_PARAM_VALUE_IN, 1, 2, 3);
	IS(2, IST_TEE_PARAM_VALUE_OUT, 0, 0, 0);
	IS(3, IST_TEE_PARAM_VALUE_INOUT, 7, 8, 9);
	IS(4, IST_TEE_PARAM_MEMREF_IN, 10, 11, (uint64_t)id);
	IS(5, IST_TEE_PARAM_MEMREF_OUT, 100, 200, (uint64_t)id);
	IS(6, IST_TEE_PARAM_MEMREF_INOUT, 0, 6, UINT64_MAX);
	for (int i = 1; i < 7; i++)
		place[i] = (struct ist_tee_ioc_param){place[i].attr, 21, 22, 23};
	one->data.num_params = 6;
	assert_int_equal(send(one, 77), -EINVAL);
	one->data.num_params = 7;
	place[0].a = 2;
	assert_int_equal(send(one, 77), -ENOENT);
	place[0].a = 1;
	assert_int_equal(send(one, 77), 0);
	assert_int_equal(answered(0), 77);
	assert_int_equal(send(one, 77), -ENOENT); /* once */
	assert_true(param[0].a == 1 && param[0].b == 2 && param[0].c == 3);
	assert_true(param[1].a == 21 && param[1].b == 22 && param[1].c == 23);
	assert_true(param[2].a == 21 && param[2].b == 22 && param[2].c == 23);
	assert_true(param[3].a == 10 && param[3].b == 11 && param[3].shm == shm);
	assert_true(param[4].a == 100 && param[4].b == 22 && param[4].shm == shm);
	assert_true(param[5].b == 22 && param[5].shm == NULL);
	ist_tee_shm_put(shm);
	tee_close(fd);
}

static void bad_requests(void **state)
{
	struct ist_tee_supplicant_param *param = requests[0].param;
	struct ist_tee_call nobody = {.count = 0};
	struct ist_tee_shm *shm;

	(void)state;
	assert_int_equal(ist_tee_supplicant_ask(NULL, 0, param, 0), IST_TEE_ERROR_BAD_PARAMETERS);
	assert_int_equal(ist_tee_supplicant_ask(&nobody, 0, param, 0), IST_TEE_ERROR_BAD_PARAMETERS);
	assert_int_equal(ist_tee_supplicant_alloc(NULL, 1, &shm), IST_TEE_ERROR_BAD_PARAMETERS);
	assert_int_equal(ist_tee_supplicant_free(NULL, NULL), IST_TEE_ERROR_BAD_PARAMETERS);
	assert_int_equal(ist_tee_shm_alloc(host.device, host.context, 100, IST_TEE_SHM_MAPPED, &shm), 0);
	requests[0].count = 7;
	ask(0);
	assert_int_equal(answered(0), IST_TEE_ERROR_BAD_PARAMETERS);
	requests[0].count = 1;
	param[0].type = 4;
	ask(0);
	assert_int_equal(answered(0), IST_TEE_ERROR_BAD_PARAMETERS);
	param[0] = (struct ist_tee_supplicant_param){
	        .type = IST_TEE_PARAM_MEMREF_OUT, .a = 1, .b = 104, .shm = shm};
	ask(0);
	assert_int_equal(answered(0), IST_TEE_ERROR_BAD_PARAMETERS);
	param[0].a = UINT64_MAX;
	ask(0);
	assert_int_equal(answered(0), IST_TEE_ERROR_BAD_PARAMETERS);
	ist_tee_shm_put(shm);
}

/* Who leaves no place for an id has one at a time. */
static void one_by_one(void **state)
{
	struct box *one;

	(void)state;
	ask(0);
	one = box(1);
	assert_int_equal(receive(one), 0);
	assert_int_equal(one->data.num_params, 0);
	ask(1);
	assert_int_equal(receive(box(1)), -EINVAL); /* first the answer */
	one = box(1);
	one->data.param[0].attr = META;
	assert_int_equal(receive(one), -EINVAL);
	one = box(0);
	assert_int_equal(send(one, 1), -EINVAL); /* as the kernel: an answer of nothing is none */
	ist_tee_context_close(supplicant);
	assert_int_equal(answered(0), IST_TEE_ERROR_COMMUNICATION);
	assert_int_equal(answered(1), IST_TEE_ERROR_COMMUNICATION);
	assert_int_equal(ist_tee_supplicant_open(host.device, &supplicant), 0);
	requests[2].count = requests[3].count = 1;
	requests[2].param[0].type = requests[3].param[0].type = IST_TEE_PARAM_VALUE_OUT;
	for (int i = 2; i < 4; i++) {
		ask(i);
		one = box(1);
		assert_int_equal(receive(one), 0);
		one->data.param[0].a = 30 + (uint64_t)i;
		assert_int_equal(send(one, 5), 0);
		assert_int_equal(answered(i), 5);
		assert_int_equal(requests[i].param[0].a, 30 + i);
	}
}

static struct box *receive_any(void)
{
	struct box *one = box(2);

	one->data.param[0].attr = META;
	assert_int_equal(receive(one), 0);
	return one;
}

static void several_at_once(void **state)
{
	uint32_t func[3];
	struct box *one;

	(void)state;
	requests[0].count = requests[1].count = 1;
	for (int i = 0; i < 2; i++) {
		ask(i);
		one = box(1); /* no room for its parameter beside the id: it is left where it is */
		one->data.param[0].attr = META;
		assert_int_equal(receive(one), -EINVAL);
		one = receive_any();
		func[i] = one->data.word;
		assert_int_equal(one->data.param[0].a, i + 1);
	}
	assert_true(func[0] == 50 && func[1] == 51);
	for (int i = 1; i >= 0; i--) {
		one = box(2);
		one->data.param[0] = (struct ist_tee_ioc_param){.attr = META | IST_TEE_PARAM_VALUE_INOUT,
		                                                .a = (uint64_t)i + 1};
		assert_int_equal(send(one, 60 + (uint32_t)i), 0);
		assert_int_equal(answered(i), 60 + i);
	}
	ask(2); /* ids are used again */
	one = receive_any();
	assert_int_equal(one->data.param[0].a, 1);
	assert_int_equal(one->data.num_params, 1);
	assert_int_equal(send(one, 0), 0);
	assert_int_equal(answered(2), 0);
}

static void cancelled(void **state)
{
	struct ist_tee_ioc_cancel cancel = {.cancel_id = CANCEL_ID};
	struct box *one;

	(void)state;
	for (int i = 0; i < 2; i++) {
		ask(i);
		one = i ? receive_any() : NULL; /* once before it is taken, once behind */
		cancel.session = requests[i].session;
		assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, &cancel), 0);
		assert_int_equal(answered(i), IST_TEE_ERROR_CANCEL);
		if (one)
			assert_int_equal(send(one, 0), -ENOENT);
	}
}

static void *receive_later(void *of)
{
	struct box one = {.data = {.num_params = 1}};

	(void)of;
	one.buf = (struct ist_tee_ioc_buf){(uintptr_t)&one.data, 40};
	return (void *)ist_tee_ioctl(supplicant, IST_TEE_IOC_SUPPL_RECV, &one.buf);
}

/* Who waits for a request, and who for an answer, when the device is pulled out, or the supplicant's context is closed. */
static void gone_while_waiting(void **state)
{
	struct ist_tee_context *before = supplicant;
	pthread_t thread;
	void *answer;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, receive_later, NULL), 0);
	usleep(200000);
	ist_tee_context_close(before);
	pthread_join(thread, &answer);
	assert_int_equal((long)answer, -EINVAL);
	ask(0); /* waits for one to come */
	assert_int_equal(ist_tee_supplicant_open(host.device, &supplicant), 0);
	assert_int_equal(send(receive_any(), 3), 0);
	assert_int_equal(answered(0), 3);
	ask(1);
	receive_any();
	ist_tee_device_detach(host.device);
	assert_int_equal(answered(1), IST_TEE_ERROR_COMMUNICATION);
	assert_int_equal(receive(box(1)), -EINVAL);
}

int main(void)
{
#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_BOTH(who_may),      WITH_BOTH(bad_buffers),        WITH_BOTH(a_request),
	        WITH_BOTH(bad_requests), WITH_BOTH(one_by_one),         WITH_BOTH(several_at_once),
	        WITH_BOTH(cancelled),    WITH_BOTH(gone_while_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
