/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The other side in a program of one's own: a trusted application that turns text into capitals, as callbacks over a manager, and a client
 * of it by the TEE Client API in the same process.
 */
#include <isthmus/isthmus.h>
#include <isthmus/tee_client.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CARVE_OUT (1u << 20)

static uint32_t open_one(void *context, struct ist_tee_call *call, void **session)
{
	(void)context;
	*session = NULL;
	printf("application: a session for %02x...\n", call->uuid[0]);
	return IST_TEE_SUCCESS;
}

/* What a client shares may change or go away at any time: it is copied first, by something that can fail. */
static uint32_t capitals(void *context, void *session, struct ist_tee_call *call)
{
	struct ist_tee_param *param = &call->param[0];
	char text[256];

	(void)context, (void)session;
	if (call->count < 1 || param->type != IST_TEE_PARAM_MEMREF_INOUT || param->size > sizeof(text))
		return IST_TEE_ERROR_BAD_PARAMETERS;
	if (ist_tee_copy(text, param->vaddr, param->size) != 0)
		return IST_TEE_ERROR_GENERIC;
	for (size_t i = 0; i < param->size; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	return ist_tee_copy(param->vaddr, text, param->size) ? IST_TEE_ERROR_GENERIC : IST_TEE_SUCCESS;
}

static void use_it(void)
{
	static const TEEC_UUID uuid = {0x15000000, 0, 0, {0}};
	char text[] = "hello, other world";
	TEEC_Operation operation = {.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INOUT, 0, 0, 0)};
	TEEC_Context context;
	TEEC_Session session;

	if (TEEC_InitializeContext(NULL, &context) != TEEC_SUCCESS)
		return;
	if (TEEC_OpenSession(&context, &session, &uuid, TEEC_LOGIN_PUBLIC, NULL, NULL, NULL) ==
	    TEEC_SUCCESS) {
		operation.params[0].tmpref = (TEEC_TempMemoryReference){text, sizeof(text)};
		if (TEEC_InvokeCommand(&session, 0, &operation, NULL) == TEEC_SUCCESS)
			printf("client: %s\n", text);
		TEEC_CloseSession(&session);
	}
	TEEC_FinalizeContext(&context);
}

int main(void)
{
	static const struct ist_tee_handler handler = {.open = open_one, .invoke = capitals};
	const struct ist_tee_config config = {.handler = &handler};
	struct ist_manager_config carve_out = {.paddr = 0x42000000, .size = CARVE_OUT};
	struct ist_manager *manager;
	struct ist_tee_device *device;

	carve_out.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (carve_out.vaddr == MAP_FAILED || ist_manager_create(&carve_out, &manager) != 0 ||
	    ist_tee_device_create(manager, &config, &device) != 0)
		return 1;
	TEEC_IsthmusUseDevice(device);
	use_it();
	return ist_tee_device_destroy(device, true) || ist_manager_destroy(manager);
}
