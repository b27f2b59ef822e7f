/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A supplicant that knows nothing of this library: it opens /dev/teepriv0, gives memory, and does what the built-in application asks for.
 * With a server it is a process, and is killed while it has a request; else a thread of the client's.
 * usage: supplicant (local|server) (full|pool)
 */
#include <isthmus/tee_abi.h>

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ASK = 5,
	REQUEST = 100,
	PLACES = 5,
	BUFFERS = 64,
	BYTES = 5000,
	MASK = 0x55,
	SILENCE = 0xff,
	END = 0xee
};

/* --- the supplicant -------------------------------------------------------------------------------------------- */

struct request {
	uint32_t word, num_params; /* func, or ret */
	struct ist_tee_ioc_param param[PLACES];
};

static struct {
	int fd;
	int id;
	size_t size;
} buffer[BUFFERS];

static uint32_t give(int device, struct ist_tee_ioc_param *param)
{
	struct ist_tee_ioc_alloc data = {.size = param->b};

	for (int i = 0; i < BUFFERS; i++) {
		if (buffer[i].id)
			continue;
		buffer[i].fd = ioctl(device, IST_TEE_IOC_SHM_ALLOC, &data);
		if (buffer[i].fd < 0)
			break;
		buffer[i].id = data.id;
		buffer[i].size = data.size;
		param->c = (uint64_t)data.id;
		return IST_TEE_SUCCESS;
	}
	return IST_TEE_ERROR_OUT_OF_MEMORY;
}

static int find(uint64_t id)
{
	for (int i = 0; i < BUFFERS; i++)
		if ((uint64_t)buffer[i].id == id && id)
			return i;
	return -1;
}

static uint32_t take_back(const struct ist_tee_ioc_param *param)
{
	int i = find(param->b);

	if (i < 0)
		return IST_TEE_ERROR_ITEM_NOT_FOUND;
	close(buffer[i].fd);
	buffer[i].id = 0;
	return IST_TEE_SUCCESS;
}

/* Each byte is changed; two of them as the first mean something. */
static uint32_t work(struct ist_tee_ioc_param *param, bool *goes_on)
{
	int i = find(param->c);
	unsigned char *at;

	if (i < 0 || param->a + param->b > buffer[i].size)
		return IST_TEE_ERROR_BAD_PARAMETERS;
	at = mmap(NULL, buffer[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer[i].fd, 0);
	if (at == MAP_FAILED)
		return IST_TEE_ERROR_GENERIC;
	if (at[param->a] == SILENCE)
		pause();
	*goes_on = at[param->a] != END;
	for (uint64_t k = 0; k < param->b; k++)
		at[param->a + k] ^= MASK;
	munmap(at, buffer[i].size);
	return IST_TEE_SUCCESS;
}

static void answer(int device, struct request *request, bool *goes_on)
{
	struct ist_tee_ioc_buf buf = {(uintptr_t)request,
	                              8 + request->num_params * sizeof(request->param[0])};
	struct ist_tee_ioc_param *param = &request->param[1];

	switch (request->word) {
	case IST_TEE_SUPPLICANT_ALLOC:
		request->word = give(device, param);
		break;
	case IST_TEE_SUPPLICANT_FREE:
		request->word = take_back(param);
		break;
	case REQUEST:
		request->word = work(param, goes_on);
		break;
	default:
		request->word = IST_TEE_ERROR_NOT_SUPPORTED;
	}
	CHECK(ioctl(device, IST_TEE_IOC_SUPPL_SEND, &buf) == 0);
}

/* Until it is asked to end, and has given up its memory then. */
static void *serve(void *of)
{
	int device = *(int *)of;
	bool goes_on = true, had_end = false;

	while (!had_end) {
		struct request request = {.num_params = PLACES};
		struct ist_tee_ioc_buf buf = {(uintptr_t)&request, sizeof(request)};

		request.param[0].attr = IST_TEE_PARAM_META;
		CHECK(ioctl(device, IST_TEE_IOC_SUPPL_RECV, &buf) == 0);
		had_end = !goes_on && request.word == IST_TEE_SUPPLICANT_FREE;
		answer(device, &request, &goes_on);
	}
	return NULL;
}

/* --- the client ------------------------------------------------------------------------------------------------ */

static int client;
static uint32_t in_session;

static void open_client(void)
{
	struct ist_tee_ioc_open arg = {.uuid = {1}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&arg, sizeof(arg)};

	client = open("/dev/tee0", O_RDWR);
	CHECK(ioctl(client, IST_TEE_IOC_OPEN_SESSION, &buf) == 0 && arg.ret == 0);
	in_session = arg.session;
}

/* What the application answers, whose request goes to the supplicant. */
static uint32_t ask(unsigned char first)
{
	struct {
		struct ist_tee_ioc_invoke arg;
		struct ist_tee_ioc_param param[2];
	} call = {.arg = {.session = in_session, .func = ASK, .num_params = 2}};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&call, sizeof(call)};
	struct ist_tee_ioc_alloc data = {.size = BYTES};
	int fd[2];
	unsigned char *at[2];

	for (int i = 0; i < 2; i++) {
		data.size = BYTES;
		fd[i] = ioctl(client, IST_TEE_IOC_SHM_ALLOC, &data);
		at[i] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);
		CHECK(at[i] != MAP_FAILED);
		call.param[i] = (struct ist_tee_ioc_param){
		        i ? IST_TEE_PARAM_MEMREF_OUT : IST_TEE_PARAM_MEMREF_IN, 0, BYTES, (uint64_t)data.id};
	}
	memset(at[0], 0x21, BYTES);
	at[0][0] = first;
	CHECK(ioctl(client, IST_TEE_IOC_INVOKE, &buf) == 0);
	if (call.arg.ret == IST_TEE_SUCCESS) {
		CHECK(call.param[1].b == BYTES && at[1][0] == (first ^ MASK));
		for (int i = 1; i < BYTES; i++)
			if (at[1][i] != (0x21 ^ MASK)) {
				CHECK(at[1][i] == (0x21 ^ MASK));
				break;
			}
	}
	for (int i = 0; i < 2; i++) {
		munmap(at[i], BYTES);
		close(fd[i]);
	}
	return call.arg.ret;
}

static void names(void)
{
	struct ist_tee_version version;
	struct request request = {.num_params = PLACES};
	struct ist_tee_ioc_buf buf = {(uintptr_t)&request, sizeof(request)};
	struct stat file;
	int device = open("/dev/teepriv0", O_RDWR), other = open("/dev//teepriv9", O_RDWR);

	CHECK(device >= 0 && other >= 0 && close(other) == 0);
	CHECK(ioctl(device, IST_TEE_IOC_VERSION, &version) == 0 &&
	      (version.gen_caps & IST_TEE_CAP_PRIVILEGED));
	CHECK(open("/dev/teepriv0", O_RDWR) == -1 && errno == EBUSY);
	CHECK(open("/dev/teepriv0/", O_RDWR) == -1 && errno == ENOTDIR);
	CHECK(open("/dev/teepriv", O_RDWR) == -1 && errno == ENOENT);
	CHECK(open("/dev/teepriv10", O_RDWR) == -1 && errno == ENOENT);
	CHECK(stat("/dev/teepriv0", &file) == 0 && S_ISCHR(file.st_mode));
	CHECK(ioctl(device, IST_TEE_IOC_OPEN_SESSION, &buf) == -1 && errno == EINVAL);
	buf.buf_len--;
	CHECK(ioctl(device, IST_TEE_IOC_SUPPL_RECV, &buf) == -1 && errno == EINVAL);
	CHECK(ioctl(device, IST_TEE_IOC_SUPPL_RECV, (void *)8) == -1 && errno == EFAULT);
	CHECK(close(device) == 0);
	device = -1;
	for (int i = 0; i < 100 && device < 0; i++) { /* a server notices a moment later */
		device = open("/dev/teepriv0", O_RDWR);
		if (device < 0)
			usleep(10000);
	}
	CHECK(device >= 0 && close(device) == 0);
	CHECK(ioctl(client, IST_TEE_IOC_SUPPL_RECV, &buf) == -1 && errno == EINVAL);
}

static int open_supplicant(void)
{
	int device = -1;

	for (int i = 0; i < 200 && device < 0; i++) {
		device = open("/dev/teepriv0", O_RDWR);
		if (device < 0)
			usleep(10000);
	}
	return device;
}

static pid_t begin_process(void)
{
	pid_t child = fork();

	if (child == 0) {
		int device = open_supplicant();

		serve(&device);
		_exit(faults != 0);
	}
	return child;
}

/* A server may notice a moment later that the supplicant before has closed: what is asked until then is lost with him. */
static uint32_t ask_the_next(unsigned char first)
{
	uint32_t ret = ask(first);

	for (int i = 0; i < 100 && ret == IST_TEE_ERROR_COMMUNICATION; i++) {
		usleep(10000);
		ret = ask(first);
	}
	return ret;
}

static void *ask_and_wait(void *unused)
{
	(void)unused;
	return (void *)(uintptr_t)ask(SILENCE);
}

static void with_a_process(void)
{
	pid_t child = begin_process();
	pthread_t thread;
	void *ret;
	int status;

	CHECK(ask_the_next(0) == IST_TEE_SUCCESS);
	for (int i = 1; i < 100; i++)
		CHECK(ask((unsigned char)i) == IST_TEE_SUCCESS);
	CHECK(pthread_create(&thread, NULL, ask_and_wait, NULL) == 0);
	usleep(200000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	pthread_join(thread, &ret);
	CHECK((uintptr_t)ret == IST_TEE_ERROR_COMMUNICATION);
	child = begin_process();
	CHECK(ask_the_next(1) == IST_TEE_SUCCESS);
	CHECK(ask(END) == IST_TEE_SUCCESS);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void with_a_thread(void)
{
	int device = open_supplicant();
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, serve, &device) == 0);
	for (int i = 0; i < 100; i++)
		CHECK(ask((unsigned char)i) == IST_TEE_SUCCESS);
	CHECK(ask(END) == IST_TEE_SUCCESS);
	pthread_join(thread, NULL);
	close(device);
}

int main(int argc, char **argv)
{
	bool is_server = argc > 1 && strcmp(argv[1], "server") == 0;

	open_client();
	names();
	if (is_server)
		with_a_process();
	else
		with_a_thread();
	close(client);
	return faults != 0;
}
