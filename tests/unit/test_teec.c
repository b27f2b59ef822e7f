/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The TEE Client API: what each function answers, copies where memory cannot be shared, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <isthmus/tee_client.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ECHO, SUM, COPY, WAIT };
#define BOTH (TEEC_MEM_INPUT | TEEC_MEM_OUTPUT)

static const TEEC_UUID somebody = {7, 7, 7, {7}}, nobody;
static TEEC_Context context;
static TEEC_Session session;

static struct ist_tee_stats stats(void)
{
	struct ist_tee_stats now;

	ist_tee_device_stats(ist_tee_context_device(context.imp), &now);
	return now;
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(TEEC_InitializeContext(NULL, &context), TEEC_SUCCESS);
	return TEEC_OpenSession(&context, &session, &somebody, TEEC_LOGIN_PUBLIC, NULL, NULL, NULL) !=
	       TEEC_SUCCESS;
}

static int tear_down(void **state)
{
	struct ist_tee_device *device = ist_tee_context_device(context.imp);
	struct ist_tee_stats now;

	(void)state;
	assert_int_equal(stats().shms, 0);
	TEEC_CloseSession(&session);
	TEEC_FinalizeContext(&context);
	ist_tee_device_stats(device, &now);
	assert_int_equal(now.contexts + now.shms + now.sessions, 0);
	return 0;
}

static void sizes_are_op_tees(void **state)
{
	(void)state;
	assert_int_equal(sizeof(TEEC_Context), 8);
	assert_int_equal(sizeof(TEEC_Session), 16);
	assert_int_equal(sizeof(TEEC_SharedMemory), 56);
	assert_int_equal(sizeof(TEEC_Operation), 112);
	assert_int_equal(sizeof(TEEC_UUID), 16);
	assert_int_equal(offsetof(TEEC_SharedMemory, flags), 16);
}

static void contexts(void **state)
{
	TEEC_Context one = {0}, other;

	(void)state;
	assert_int_equal(TEEC_InitializeContext(NULL, NULL), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(TEEC_InitializeContext("nothing", &one), TEEC_ERROR_ITEM_NOT_FOUND);
	assert_int_equal(TEEC_InitializeContext("optee-tz", &one), TEEC_SUCCESS);
	assert_int_equal(TEEC_InitializeContext(NULL, &other), TEEC_SUCCESS);
	TEEC_FinalizeContext(&one);
	TEEC_FinalizeContext(&one);
	TEEC_FinalizeContext(&other);
	TEEC_FinalizeContext(NULL);
}

static void sessions(void **state)
{
	TEEC_Session more[50], none = {0};
	uint32_t origin = 0;

	(void)state;
	assert_int_equal(TEEC_OpenSession(NULL, &none, &somebody, 0, NULL, NULL, &origin),
	                 TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_API);
	assert_int_equal(TEEC_OpenSession(&context, NULL, &somebody, 0, NULL, NULL, &origin),
	                 TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(TEEC_OpenSession(&context, &none, NULL, 0, NULL, NULL, NULL),
	                 TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(TEEC_OpenSession(&context, &none, &nobody, 0, NULL, NULL, &origin),
	                 TEEC_ERROR_ITEM_NOT_FOUND);
	assert_int_equal(origin, TEEC_ORIGIN_TEE);
	assert_int_equal(TEEC_OpenSession(&context, &none, &somebody, 0x80000000, NULL, NULL, &origin),
	                 TEEC_ERROR_GENERIC);
	assert_int_equal(origin, TEEC_ORIGIN_COMMS);
	assert_int_equal(TEEC_OpenSession(&context, &none, &somebody, TEEC_LOGIN_GROUP, NULL, NULL, &origin),
	                 TEEC_ERROR_BAD_PARAMETERS);
	for (int i = 0; i < 50; i++)
		assert_int_equal(TEEC_OpenSession(&context, &more[i], &somebody, 0, NULL, NULL, NULL),
		                 TEEC_SUCCESS);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(TEEC_InvokeCommand(&more[i], 99, NULL, &origin), TEEC_ERROR_NOT_SUPPORTED);
		assert_int_equal(origin, TEEC_ORIGIN_TRUSTED_APP);
		TEEC_CloseSession(&more[i]);
	}
	assert_int_equal(TEEC_InvokeCommand(&more[0], 0, NULL, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(TEEC_InvokeCommand(NULL, 0, NULL, &origin), TEEC_ERROR_BAD_PARAMETERS);
	TEEC_CloseSession(NULL);
	TEEC_CloseSession(&none);
}

static void registering(void **state)
{
	static const char constant[5000] = "constant";
	char memory[100];
	TEEC_SharedMemory shm, first;
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	memset(&shm, 0xa5, sizeof(shm)); /* what is not set is not looked at */
	shm.buffer = memory;
	shm.size = 100;
	shm.flags = 0;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm.flags = 4;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm.flags = BOTH;
	assert_int_equal(TEEC_RegisterSharedMemory(NULL, &shm), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(TEEC_RegisterSharedMemory(&context, NULL), TEEC_ERROR_BAD_PARAMETERS);
	TEEC_ReleaseSharedMemory(&shm);
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_SUCCESS);
	assert_int_equal(stats().registered, 1);
	first = shm; /* what it was stays alive beside */
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_SUCCESS);
	assert_int_equal(stats().registered, 2);
	TEEC_ReleaseSharedMemory(&shm);
	assert_ptr_equal(shm.buffer, memory);
	assert_int_equal(stats().registered, 1);
	TEEC_ReleaseSharedMemory(&first);
	shm.buffer = NULL;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm.buffer = memory;
	shm.size = SIZE_MAX;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_OUT_OF_MEMORY);
	assert_ptr_equal(shm.buffer, memory);
	shm.size = 0;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_SUCCESS);
	TEEC_ReleaseSharedMemory(&shm);
	shm.buffer = hole;
	shm.size = 10;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	munmap(hole, 4096);
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm = (TEEC_SharedMemory){
	        .buffer = (void *)(uintptr_t)constant, .size = 5000, .flags = TEEC_MEM_INPUT};
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &shm), TEEC_SUCCESS);
	TEEC_ReleaseSharedMemory(&shm);
	TEEC_ReleaseSharedMemory(&shm);
}

static void allocating(void **state)
{
	TEEC_SharedMemory shm, zero;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	TEEC_ReleaseSharedMemory(&zero);
	TEEC_ReleaseSharedMemory(NULL);
	memset(&shm, 0x5a, sizeof(shm));
	shm.flags = BOTH;
	shm.size = SIZE_MAX;
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &shm), TEEC_ERROR_OUT_OF_MEMORY);
	assert_null(shm.buffer);
	shm.flags = 0;
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm.flags = BOTH;
	assert_int_equal(TEEC_AllocateSharedMemory(NULL, &shm), TEEC_ERROR_BAD_PARAMETERS);
	shm.size = 0;
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &shm), TEEC_SUCCESS);
	assert_non_null(shm.buffer);
	TEEC_ReleaseSharedMemory(&shm);
	shm.size = 600 * 1024;
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &shm), TEEC_SUCCESS);
	assert_int_equal((uintptr_t)shm.buffer % 4096, 0);
	memset(shm.buffer, 1, shm.size);
	TEEC_ReleaseSharedMemory(&shm);
	assert_null(shm.buffer);
	assert_int_equal(shm.size, 0);
	TEEC_ReleaseSharedMemory(&shm);
}

static TEEC_Operation operation(uint32_t a, uint32_t b)
{
	return (TEEC_Operation){.paramTypes = TEEC_PARAM_TYPES(a, b, TEEC_NONE, TEEC_NONE)};
}

static void temporary_references(void **state)
{
	static const char constant[3000] = {1, 2, 3, [2999] = 9};
	char out[3000] = {0};
	TEEC_Operation op = operation(TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT);
	uint32_t origin;

	(void)state;
	for (int round = 0; round < 3; round++) {
		op.params[0].tmpref = (TEEC_TempMemoryReference){(void *)(uintptr_t)constant, 3000};
		op.params[1].tmpref = (TEEC_TempMemoryReference){out, 3000};
		assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_SUCCESS);
		assert_memory_equal(out, constant, 3000);
		memset(out, 0, sizeof(out));
	}
	op.params[1].tmpref.size = 10;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_SHORT_BUFFER);
	assert_int_equal(op.params[1].tmpref.size, 3000);
	op.params[0].tmpref.buffer = NULL;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_API);
	op.params[0].tmpref.size = 0;
	op.params[1].tmpref = (TEEC_TempMemoryReference){out, 0};
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_SUCCESS);
	op.params[0].tmpref = (TEEC_TempMemoryReference){(void *)(uintptr_t)4096, 10};
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	op.paramTypes = TEEC_PARAM_TYPES(4, TEEC_NONE, TEEC_NONE, TEEC_NONE);
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	op.paramTypes = 1u << 16;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_API);
}

static void whole_and_partial_references(void **state)
{
	static const char constant[100] = {5, [99] = 6};
	TEEC_SharedMemory in = {.buffer = (void *)(uintptr_t)constant, .size = 100, .flags = TEEC_MEM_INPUT};
	TEEC_SharedMemory out = {.size = 1000, .flags = TEEC_MEM_OUTPUT};
	TEEC_Operation op = operation(TEEC_MEMREF_WHOLE, TEEC_MEMREF_WHOLE);
	uint32_t origin;

	(void)state;
	assert_int_equal(TEEC_RegisterSharedMemory(&context, &in), TEEC_SUCCESS); /* a copy goes over */
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &out), TEEC_SUCCESS);
	op.params[0].memref.parent = &in;
	op.params[1].memref.parent = &out;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_SUCCESS);
	assert_memory_equal(out.buffer, constant, 100);
	assert_int_equal(op.params[1].memref.size, 100);
	in.size = 101; /* not what was registered */
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_API);
	in.size = 100;
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_PARTIAL_INPUT, TEEC_MEMREF_PARTIAL_OUTPUT, 0, 0);
	op.params[0].memref = (TEEC_RegisteredMemoryReference){&in, 1, 99};
	op.params[1].memref = (TEEC_RegisteredMemoryReference){&out, 500, 500};
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_SUCCESS);
	assert_int_equal(((char *)out.buffer)[500], 6);
	op.params[0].memref.size = 2;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	op.params[0].memref.size = SIZE_MAX;
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	op.params[0].memref.size = 1;
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_PARTIAL_OUTPUT, TEEC_NONE, 0, 0);
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_API);
	TEEC_ReleaseSharedMemory(&in);
	op.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_WHOLE, TEEC_MEMREF_WHOLE, 0, 0);
	assert_int_equal(TEEC_InvokeCommand(&session, ECHO, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	TEEC_ReleaseSharedMemory(&out);
}

static void memory_of_another_context(void **state)
{
	TEEC_Context other;
	TEEC_SharedMemory shm = {.size = 10, .flags = BOTH};
	TEEC_Operation op = operation(TEEC_MEMREF_WHOLE, TEEC_NONE);
	uint32_t origin;

	(void)state;
	assert_int_equal(TEEC_InitializeContext(NULL, &other), TEEC_SUCCESS);
	assert_int_equal(TEEC_AllocateSharedMemory(&other, &shm), TEEC_SUCCESS);
	op.params[0].memref.parent = &shm;
	assert_int_equal(TEEC_InvokeCommand(&session, COPY, &op, &origin), TEEC_ERROR_BAD_PARAMETERS);
	assert_int_equal(origin, TEEC_ORIGIN_COMMS);
	TEEC_FinalizeContext(&other); /* with memory: no harm, it goes when it is released */
	memset(shm.buffer, 1, 10);
	TEEC_ReleaseSharedMemory(&shm);
}

static void *invoke_waiting(void *of)
{
	return (void *)(uintptr_t)TEEC_InvokeCommand(&session, WAIT, of, NULL);
}

static void cancelling(void **state)
{
	TEEC_Operation op = operation(TEEC_NONE, TEEC_NONE);
	pthread_t thread;
	void *result;

	(void)state;
	TEEC_RequestCancellation(NULL);
	TEEC_RequestCancellation(&op);
	assert_int_equal(pthread_create(&thread, NULL, invoke_waiting, &op), 0);
	while (stats().calls == 0)
		usleep(100);
	TEEC_RequestCancellation(&op);
	pthread_join(thread, &result);
	assert_int_equal((uintptr_t)result, TEEC_ERROR_CANCEL);
}

static TEEC_SharedMemory common;

static void *sum_common(void *unused)
{
	TEEC_Session own;
	TEEC_Operation op = operation(TEEC_MEMREF_PARTIAL_INPUT, TEEC_VALUE_OUTPUT);

	(void)unused;
	assert_int_equal(TEEC_OpenSession(&context, &own, &somebody, 0, NULL, NULL, NULL), TEEC_SUCCESS);
	for (int i = 0; i < 2000; i++) {
		op.params[0].memref = (TEEC_RegisteredMemoryReference){&common, 1000, 500};
		assert_int_equal(TEEC_InvokeCommand(&own, SUM, &op, NULL), TEEC_SUCCESS);
		assert_int_equal(op.params[1].value.a, 2000);
	}
	TEEC_CloseSession(&own);
	return NULL;
}

static void one_memory_for_several_threads(void **state)
{
	pthread_t thread[4];

	(void)state;
	common = (TEEC_SharedMemory){.size = 4096, .flags = BOTH};
	assert_int_equal(TEEC_AllocateSharedMemory(&context, &common), TEEC_SUCCESS);
	memset(common.buffer, 2, 4096);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, sum_common, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	TEEC_ReleaseSharedMemory(&common);
}

/* A device of the caller's, that knows neither registration nor null references: everything is copied. */
static void an_old_device(void **state)
{
	const struct ist_tee_config config = {.caps = IST_TEE_CAP_GP};
	void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config manager_config = {.vaddr = memory, .paddr = 1 << 20, .size = 1 << 20};
	struct ist_manager *manager;
	struct ist_tee_device *device;

	assert_int_equal(ist_manager_create(&manager_config, &manager), 0);
	assert_int_equal(ist_tee_device_create(manager, &config, &device), 0);
	TEEC_IsthmusUseDevice(device);
	assert_int_equal(set_up(state), 0);
	temporary_references(state);
	whole_and_partial_references(state);
	tear_down(state);
	TEEC_IsthmusUseDevice(NULL);
	assert_int_equal(ist_tee_device_destroy(device, false), 0);
	assert_int_equal(ist_manager_destroy(manager), 0);
	munmap(memory, 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_SESSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	        cmocka_unit_test(sizes_are_op_tees),
	        cmocka_unit_test(contexts),
	        WITH_SESSION(sessions),
	        WITH_SESSION(registering),
	        WITH_SESSION(allocating),
	        WITH_SESSION(temporary_references),
	        WITH_SESSION(whole_and_partial_references),
	        WITH_SESSION(memory_of_another_context),
	        WITH_SESSION(cancelling),
	        WITH_SESSION(one_memory_for_several_threads),
	        cmocka_unit_test(an_old_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
