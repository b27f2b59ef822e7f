/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The ioctls: every line of the error tables, what is written back, sessions, cancelling, and the end of things in use. */
#include "support/tee_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ECHO, SUM, COPY, WAIT };
#define BAD ((void *)8)

static struct tee host;

static int set_up(void **state)
{
	(void)state;
	host = tee_make(4 * MIB, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tee_drop(&host);
	return 0;
}

static long alloc(struct ist_tee_ioc_alloc data)
{
	return ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_ALLOC, &data);
}

static void nothing_is_left(int fds)
{
	assert_int_equal(tee_stats(&host).shms, 0);
	assert_int_equal(tee_open_fds(), fds);
}

static void alloc_errors(void **state)
{
	struct ist_tee_ioc_alloc *fixed =
	        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fds = tee_open_fds();

	(void)state;
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = 1, .flags = 1}), -EINVAL);
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = 0}), -ENOMEM);
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = UINT64_MAX}), -ENOMEM);
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = 5 * MIB}), -ENOMEM);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_ALLOC, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_ALLOC, NULL), -EFAULT);
	fixed->size = 1; /* can be read, and not written: all is undone */
	mprotect(fixed, 4096, PROT_READ);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_ALLOC, fixed), -EFAULT);
	munmap(fixed, 4096);
	nothing_is_left(fds);
}

static void alloc_tells_size_and_id(void **state)
{
	struct ist_tee_ioc_alloc data = {.size = 4097};
	int fd = (int)ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_ALLOC, &data);
	char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(data.size, 8192);
	assert_int_equal(data.id, 1);
	assert_int_equal(fcntl(fd, F_GETFD), 0); /* not close-on-exec */
	for (int i = 0; i < 8192; i++)
		assert_int_equal(mapped[i], 0);
	munmap(mapped, 8192);
	tee_close(fd);
}

static void no_descriptors_left(void **state)
{
	struct rlimit before, none;
	int fds = tee_open_fds();

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = 1}), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &before);
	nothing_is_left(fds);
}

static long reg(const void *addr, uint64_t length, uint32_t flags)
{
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)addr, .length = length, .flags = flags};

	return ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER, &data);
}

static void register_errors(void **state)
{
	char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fds = tee_open_fds();

	(void)state;
	assert_int_equal(reg(pages, 4096, 1), -EINVAL);
	assert_int_equal(reg(pages, 0, 0), -ENOMEM);
	assert_int_equal(reg(pages, UINT64_MAX, 0), -EFAULT);
	assert_int_equal(reg(pages, UINT64_MAX - (uintptr_t)pages + 2, 0), -EFAULT);
	assert_int_equal(reg((void *)UINTPTR_MAX, 1, 0), -EFAULT);
	assert_int_equal(reg((void *)(uintptr_t)0xffff800000000000, 4096, 0), -EFAULT);
	assert_int_equal(reg(NULL, 100, 0), -EFAULT);
	mprotect(pages + 4096, 4096, PROT_READ);
	assert_int_equal(reg(pages, 3 * 4096, 0), -EFAULT);
	mprotect(pages + 4096, 4096, PROT_NONE);
	assert_int_equal(reg(pages + 100, 3 * 4096 - 100, 0), -EFAULT);
	munmap(pages + 4096, 4096);
	assert_int_equal(reg(pages + 4095, 2, 0), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER, BAD), -EFAULT);
	munmap(pages, 3 * 4096);
	nothing_is_left(fds);
}

static void registering_wants_the_capability(void **state)
{
	const struct ist_tee_config config = {.caps = IST_TEE_CAP_GP};
	struct tee old = tee_make(MIB, &config);
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)&old, .length = 1};

	(void)state;
	assert_int_equal(ist_tee_ioctl(old.context, IST_TEE_IOC_SHM_REGISTER, &data), -524);
	tee_drop(&old);
}

static void a_registered_length_is_exact(void **state)
{
	struct ist_tee_fd what;
	char memory[101] = {3, [100] = 4};
	struct ist_tee_ioc_register data = {.addr = (uintptr_t)memory, .length = 101};
	int fd = (int)ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER, &data);
	struct tee_call call;

	(void)state;
	assert_int_equal(data.length, 101);
	assert_int_equal(ist_tee_fd_find(fd, &what), 0);
	assert_true(!what.can_map && what.size == 101);
	tee_fill_invoke(&call, tee_session(host.context), SUM, 2);
	call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, data.id, 0, 102);
	call.u.invoke.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	call.u.invoke.param[0].b = 101;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.arg.ret, 0);
	assert_int_equal(call.u.invoke.param[1].a, 7);
	tee_close(fd);
}

static void register_fd(void **state)
{
	struct ist_tee_ioc_register_fd data = {.fd = -1};
	int open_file = memfd_create("a", MFD_ALLOW_SEALING), sealed = memfd_create("b", MFD_ALLOW_SEALING),
	    fd;
	struct tee_call call;

	(void)state;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER_FD, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER_FD, &data), -EBADF);
	data.flags = 1;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER_FD, &data), -EINVAL);
	assert_int_equal(ftruncate(open_file, 8192), 0);
	data = (struct ist_tee_ioc_register_fd){.fd = open_file};
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER_FD, &data), -EINVAL);
	data.fd = sealed;
	assert_int_equal(ftruncate(sealed, 8192), 0);
	assert_int_equal(pwrite(sealed, "ab", 2, 8190), 2);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	fd = (int)ist_tee_ioctl(host.context, IST_TEE_IOC_SHM_REGISTER_FD, &data);
	assert_true(fd >= 0);
	assert_int_equal(data.size, 8192);
	tee_fill_invoke(&call, tee_session(host.context), SUM, 2);
	call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, data.id, 1, 8191);
	call.u.invoke.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.param[1].a, 'a' + 'b');
	close(open_file);
	close(sealed);
	tee_close(fd);
}

static long do_open(struct tee_call *call)
{
	return ist_tee_ioctl(host.context, IST_TEE_IOC_OPEN_SESSION, &call->buf);
}

static void open_errors(void **state)
{
	static const uint32_t refused[] = {0x80000000u, 0xbfffffffu};
	struct tee_call call;

	(void)state;
	tee_fill_open(&call, 0);
	for (unsigned i = 0; i < 2; i++) {
		call.u.open.arg.login = refused[i];
		assert_int_equal(do_open(&call), -EPERM);
	}
	call.u.open.arg.login = 0xc0000000u;
	assert_int_equal(do_open(&call), 0);
	tee_fill_open(&call, 4);
	assert_int_equal(do_open(&call), 0);
	tee_fill_open(&call, 5);
	assert_int_equal(do_open(&call), -EINVAL);
	tee_fill_open(&call, 0);
	memset(call.u.open.arg.uuid, 0, 16); /* nobody there: the ioctl itself is well */
	assert_int_equal(do_open(&call), 0);
	assert_int_equal(call.u.open.arg.ret, IST_TEE_ERROR_ITEM_NOT_FOUND);
	assert_int_equal(call.u.open.arg.ret_origin, IST_TEE_ORIGIN_TEE);
	assert_int_equal(tee_stats(&host).sessions, 2);
}

static void buffers_are_measured(void **state)
{
	struct tee_call call;
	uint32_t session = tee_session(host.context);

	(void)state;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, BAD), -EFAULT);
	tee_fill_invoke(&call, session, SUM, 1);
	for (uint64_t length = 0; length < 1100; length++) {
		call.buf.buf_len = length;
		if (length != 24 + 32)
			assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	}
	call.buf.buf_len = UINT64_MAX;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	tee_fill_invoke(&call, session, SUM, 1);
	call.u.invoke.arg.num_params = UINT32_MAX; /* times 32 wraps to what is there */
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	call.u.invoke.arg.num_params = 0x08000001;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	call.buf.buf_ptr = 8;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EFAULT);
	tee_fill_invoke(&call, session, SUM, 6);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	tee_fill_invoke(&call, session, SUM, 7);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	tee_fill_invoke(&call, session + 1, SUM, 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
}

static long invoke_one(uint32_t session, struct ist_tee_ioc_param param)
{
	struct tee_call call;

	tee_fill_invoke(&call, session, COPY, 1);
	call.u.invoke.param[0] = param;
	return ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf);
}

static void parameters_are_checked(void **state)
{
	static const uint64_t bad_attr[] = {4,   8,     9,          10,         11,    13,
	                                    255, 0x200, 1ull << 32, 1ull << 63, 0x101, 0x105};
	uint32_t session = tee_session(host.context);
	struct ist_tee_context *stranger;
	int32_t id, foreign;
	int fd = tee_alloc(host.context, 4096, &id), other;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad_attr) / sizeof(bad_attr[0]); i++)
		assert_int_equal(invoke_one(session, tee_memref(bad_attr[i], id, 0, 1)), -EINVAL);
	for (uint64_t attr = IST_TEE_PARAM_MEMREF_IN; attr <= IST_TEE_PARAM_MEMREF_INOUT; attr++) {
		assert_int_equal(invoke_one(session, tee_memref(attr, id, 0, 4096)), 0);
		assert_int_equal(invoke_one(session, tee_memref(attr, id, 1, 4096)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, id, 4097, 0)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, id, UINT64_MAX, 2)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, id, 2, UINT64_MAX)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, id + 1, 0, 0)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, 0, 0, 0)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, -2, 0, 0)), -EINVAL);
		assert_int_equal(invoke_one(session, tee_memref(attr, -1, 5, 7)), 0); /* a null reference */
	}
	assert_int_equal(invoke_one(session, (struct ist_tee_ioc_param){IST_TEE_PARAM_MEMREF_IN, 0, 0,
	                                                                (1ull << 32) + (uint32_t)id}),
	                 -EINVAL);
	assert_int_equal(ist_tee_context_open(host.device, &stranger), 0);
	other = tee_alloc(stranger, 1, &foreign);
	assert_int_equal(invoke_one(session, tee_memref(IST_TEE_PARAM_MEMREF_IN, foreign, 0, 0)), -EINVAL);
	tee_close(other);
	ist_tee_context_close(stranger);
	tee_close(fd);
}

static void null_references_want_the_capability(void **state)
{
	const struct ist_tee_config config = {.caps = IST_TEE_CAP_GP};
	struct tee old = tee_make(MIB, &config);
	struct tee_call call;

	(void)state;
	tee_fill_invoke(&call, tee_session(old.context), COPY, 1);
	call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, -1, 0, 0);
	assert_int_equal(ist_tee_ioctl(old.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	tee_drop(&old);
}

/* Only sizes of outputs and values that go out come back; a size that is too small comes back as the one needed. */
static void what_is_written_back(void **state)
{
	int32_t in, out;
	int in_fd = tee_alloc(host.context, 4096, &in), out_fd = tee_alloc(host.context, 4096, &out);
	char *from = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, in_fd, 0);
	char *to = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, out_fd, 0);
	uint32_t session = tee_session(host.context);
	struct tee_call call;

	(void)state;
	strcpy(from + 100, "through driver memory and back");
	tee_fill_invoke(&call, session, ECHO, 4);
	call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, in, 100, 31);
	call.u.invoke.param[1] = tee_memref(IST_TEE_PARAM_MEMREF_OUT, out, 4000, 96);
	call.u.invoke.param[2] = (struct ist_tee_ioc_param){IST_TEE_PARAM_VALUE_IN, 1, 2, 3};
	call.u.invoke.param[3] = (struct ist_tee_ioc_param){IST_TEE_PARAM_VALUE_INOUT, 4, 5, 6};
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.arg.ret, 0);
	assert_string_equal(to + 4000, "through driver memory and back");
	assert_int_equal(call.u.invoke.param[0].b, 31);
	assert_int_equal(call.u.invoke.param[1].a, 4000);
	assert_int_equal(call.u.invoke.param[1].b, 31);
	assert_int_equal(call.u.invoke.param[1].c, out);
	assert_int_equal(call.u.invoke.param[3].c, 6);
	call.u.invoke.param[1].b = 30;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.arg.ret, IST_TEE_ERROR_SHORT_BUFFER);
	assert_int_equal(call.u.invoke.arg.ret_origin, IST_TEE_ORIGIN_TRUSTED_APP);
	assert_int_equal(call.u.invoke.param[1].b, 31);
	munmap(from, 4096);
	munmap(to, 4096);
	tee_close(in_fd);
	tee_close(out_fd);
}

/* The answer cannot be told: the session is closed again. */
static void a_session_that_nobody_knows_is_none(void **state)
{
	struct tee_call call;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	tee_fill_open(&call, 0);
	memcpy(page, &call.u, sizeof(call.u));
	mprotect(page, 4096, PROT_READ);
	call.buf.buf_ptr = (uintptr_t)page;
	assert_int_equal(do_open(&call), -EFAULT);
	assert_int_equal(tee_stats(&host).sessions, 0);
	munmap(page, 4096);
}

static void other_commands(void **state)
{
	struct ist_tee_ioc_close close_arg = {.session = 77};
	struct ist_tee_ioc_cancel cancel_arg = {.session = 77};
	struct ist_tee_ioc_buf buf = {0};

	(void)state;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, &close_arg), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, &cancel_arg), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_VERSION, BAD), -EFAULT);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SUPPL_RECV, &buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_SUPPL_SEND, &buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, 0x5401, &buf), -EINVAL);
	assert_int_equal(ist_tee_ioctl(NULL, IST_TEE_IOC_VERSION, &buf), -EINVAL);
	/* As an int it comes with its sign. */
	{
		struct ist_tee_version version;

		assert_int_equal(
		        ist_tee_ioctl(host.context, (unsigned long)(long)(int)IST_TEE_IOC_VERSION, &version),
		        0);
	}
}

struct waiting {
	uint32_t session;
	struct ist_tee_ioc_param param;
	struct tee_call call;
	long answer;
};

static void *wait_in_call(void *of)
{
	struct waiting *waiting = of;

	tee_fill_invoke(&waiting->call, waiting->session, WAIT, 1);
	waiting->call.u.invoke.arg.cancel_id = 5;
	waiting->call.u.invoke.param[0] = waiting->param;
	waiting->answer = ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &waiting->call.buf);
	return NULL;
}

static void things_in_use_stay_until_the_call_ends(void **state)
{
	struct waiting waiting = {.session = tee_session(host.context)};
	struct ist_tee_ioc_cancel cancel = {.cancel_id = 4, .session = waiting.session};
	struct ist_tee_ioc_close closing = {.session = waiting.session};
	int32_t id;
	int fd = tee_alloc(host.context, 1, &id);
	pthread_t thread;

	(void)state;
	waiting.param = tee_memref(IST_TEE_PARAM_MEMREF_IN, id, 0, 1);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_call, &waiting), 0);
	while (tee_stats(&host).calls == 0)
		usleep(100);
	tee_close(fd);
	assert_int_equal(tee_stats(&host).shms, 1);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, &cancel), 0); /* another call's */
	usleep(5000);
	assert_int_equal(tee_stats(&host).calls, 1);
	cancel.cancel_id = 5;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, &cancel), 0);
	pthread_join(thread, NULL);
	assert_int_equal(waiting.answer, 0);
	assert_int_equal(waiting.call.u.invoke.arg.ret, IST_TEE_ERROR_CANCEL);
	assert_int_equal(tee_stats(&host).shms, 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, &closing), 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, &closing), -EINVAL);
}

/* It is not known any more, and ends with the call; which the end of its context asks to end. */
static void a_session_is_closed_while_it_is_called(void **state)
{
	struct waiting waiting[2] = {{.session = tee_session(host.context)},
	                             {.session = tee_session(host.context)}};
	struct ist_tee_ioc_cancel cancel = {.cancel_id = 5, .session = waiting[0].session};
	struct ist_tee_ioc_close closing = {.session = waiting[0].session};
	pthread_t thread[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wait_in_call, &waiting[i]), 0);
	while (tee_stats(&host).calls < 2)
		usleep(100);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, &closing), 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CANCEL, &cancel), -EINVAL);
	assert_int_equal(tee_stats(&host).sessions, 2);
	assert_int_equal(ist_tee_device_destroy(host.device, false), -EBUSY);
	ist_tee_context_close(host.context);
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(waiting[i].call.u.invoke.arg.ret, IST_TEE_ERROR_CANCEL);
	}
	assert_int_equal(tee_stats(&host).contexts, 0);
	host.context = NULL;
}

static void detached(void **state)
{
	struct tee_call call;
	struct ist_tee_ioc_close closing = {.session = tee_session(host.context)};
	struct ist_tee_version version;
	int fd = tee_alloc(host.context, 1, NULL);
	struct ist_tee_context *none;

	(void)state;
	ist_tee_device_detach(host.device);
	assert_int_equal(alloc((struct ist_tee_ioc_alloc){.size = 1}), -EINVAL);
	assert_int_equal(reg(&call, 1, 0), -EINVAL);
	tee_fill_invoke(&call, closing.session, SUM, 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), -EINVAL);
	assert_int_equal(ist_tee_context_open(host.device, &none), -EINVAL);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_VERSION, &version), 0);
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_CLOSE_SESSION, &closing), 0);
	tee_close(fd);
}

/* A client that unmaps what it registered: an error of the call, and no crash. */
static void registered_memory_that_went_away(void **state)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t session = tee_session(host.context);
	struct tee_call call;
	int32_t id;
	int fd = tee_register(host.context, pages, 8192, &id);

	(void)state;
	munmap(pages, 8192);
	tee_fill_invoke(&call, session, SUM, 2);
	call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, id, 0, 8192);
	call.u.invoke.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
	assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
	assert_int_equal(call.u.invoke.arg.ret, IST_TEE_ERROR_GENERIC);
	tee_close(fd);
}

static void large_registrations(void **state)
{
	static const size_t pages[] = {1, 2, 510, 511, 512, 1022, 1023, 25000};
	char *memory = mmap(NULL, 25001 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t session = tee_session(host.context);

	(void)state;
	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		size_t skew = i * 511 % 4096, size = pages[i] * 4096 - skew;
		struct tee_call call;
		int32_t id;
		int fd = tee_register(host.context, memory + skew, size, &id);

		memory[skew] = 1;
		memory[skew + size - 1] = 2;
		tee_fill_invoke(&call, session, SUM, 2);
		call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, id, 0, size);
		call.u.invoke.param[1].attr = IST_TEE_PARAM_VALUE_OUT;
		assert_int_equal(ist_tee_ioctl(host.context, IST_TEE_IOC_INVOKE, &call.buf), 0);
		assert_int_equal(call.u.invoke.arg.ret, 0);
		assert_int_equal(call.u.invoke.param[1].a, 3);
		memory[skew] = memory[skew + size - 1] = 0;
		tee_close(fd);
	}
	munmap(memory, 25001 * 4096);
}

static void cycles_leave_nothing(void **state)
{
	struct ist_pool_stats driver, client;
	long cycles = scaled(100000);
	char memory[100] = {0};
	int fds;

	(void)state;
	tee_close(tee_register(host.context, memory, 100, NULL));
	fds = tee_open_fds();
	for (long i = 0; i < cycles; i++) {
		struct ist_tee_context *context;
		int fd, shm;

		assert_int_equal(ist_tee_context_open(host.device, &context), 0);
		fd = ist_tee_context_export(context);
		assert_true(fd >= 0);
		shm = i % 2 ? tee_alloc(context, 4096, NULL) : tee_register(context, memory, 100, NULL);
		if (i % 16 == 0)
			tee_session(context);
		tee_close(i % 4 > 1 ? fd : shm);
		tee_close(i % 4 > 1 ? shm : fd);
	}
	assert_int_equal(tee_open_fds(), fds);
	assert_int_equal(tee_stats(&host).contexts, 1);
	ist_driver_pool_stats(ist_manager_driver_pool(host.manager), &driver);
	ist_client_pool_stats(ist_manager_client_pool(host.manager), &client);
	assert_int_equal(driver.used, 0);
	assert_int_equal(client.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_TEE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	        WITH_TEE(alloc_errors),
	        WITH_TEE(alloc_tells_size_and_id),
	        WITH_TEE(no_descriptors_left),
	        WITH_TEE(register_errors),
	        cmocka_unit_test(registering_wants_the_capability),
	        WITH_TEE(a_registered_length_is_exact),
	        WITH_TEE(register_fd),
	        WITH_TEE(open_errors),
	        WITH_TEE(buffers_are_measured),
	        WITH_TEE(parameters_are_checked),
	        cmocka_unit_test(null_references_want_the_capability),
	        WITH_TEE(what_is_written_back),
	        WITH_TEE(a_session_that_nobody_knows_is_none),
	        WITH_TEE(other_commands),
	        WITH_TEE(things_in_use_stay_until_the_call_ends),
	        WITH_TEE(a_session_is_closed_while_it_is_called),
	        WITH_TEE(detached),
	        WITH_TEE(registered_memory_that_went_away),
	        WITH_TEE(large_registrations),
	        WITH_TEE(cycles_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
