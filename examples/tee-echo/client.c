/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A client of a TEE that knows /dev/tee0 and nothing else: it shares a buffer, has a trusted application echo what is in
 * it into another one, and prints what came back. The same program runs on a board with OP-TEE, but for the application.
 */
#include <isthmus/tee_abi.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct buffer {
	int fd, id;
	char *at;
};

static int share(int device, struct buffer *out)
{
	struct ist_tee_ioc_alloc data = {.size = 4096};

	out->fd = ioctl(device, IST_TEE_IOC_SHM_ALLOC, &data);
	if (out->fd < 0)
		return -1;
	out->id = data.id;
	out->at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, out->fd, 0);
	return out->at == MAP_FAILED ? -1 : 0;
}

static int open_session(int device, uint32_t *session)
{
	struct ist_tee_ioc_open arg = {.uuid = {0x15, 0x7}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&arg, sizeof(arg)};

	if (ioctl(device, IST_TEE_IOC_OPEN_SESSION, &buf) != 0 || arg.ret != IST_TEE_SUCCESS)
		return -1;
	*session = arg.session;
	return 0;
}

static int echo(int device, uint32_t session, const struct buffer *from, const struct buffer *to,
                uint64_t *bytes)
{
	struct {
		struct ist_tee_ioc_invoke arg;
		struct ist_tee_ioc_param param[2];
	} call = {.arg = {.func = 0, .session = session, .num_params = 2},
	          .param = {{IST_TEE_PARAM_MEMREF_IN, 0, *bytes, (uint64_t)from->id},
	                    {IST_TEE_PARAM_MEMREF_OUT, 0, 4096, (uint64_t)to->id}}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&call, sizeof(call)};

	if (ioctl(device, IST_TEE_IOC_INVOKE, &buf) != 0 || call.arg.ret != IST_TEE_SUCCESS)
		return -1;
	*bytes = call.param[1].b;
	return 0;
}

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : "hello, other world";
	int device = open("/dev/tee0", O_RDWR);
	uint64_t bytes = strlen(text) + 1;
	struct ist_tee_version version;
	struct buffer from, to;
	uint32_t session;

	if (device < 0 || ioctl(device, IST_TEE_IOC_VERSION, &version) != 0) {
		perror("/dev/tee0");
		return 1;
	}
	printf("a TEE of kind %u, capabilities 0x%x\n", version.impl_id, version.gen_caps);
	if (bytes > 4096 || share(device, &from) || share(device, &to) || open_session(device, &session)) {
		perror("share");
		return 1;
	}
	printf("shared memory %d and %d, session %u\n", from.id, to.id, session);
	strcpy(from.at, text);
	if (echo(device, session, &from, &to, &bytes)) {
		perror("echo");
		return 1;
	}
	printf("%llu bytes came back: %s\n", (unsigned long long)bytes, to.at);
	return 0;
}
