/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Limits of the system, each reached in a process of its own: every call answers with an error that its header names, what needs
 * nothing works on, an owner's end succeeds, and all is well again when the limit is lifted.
 */
#include "support/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/model.h"
#include "support/sanitizers.h"

#define PAGE IST_PAGE_SIZE
#define RAM (1 * MIB)
#define REQUIRE MODEL_REQUIRE

enum { LIST = 8, SKIPPED = 77 };

struct host {
	struct ist_manager *manager;
	struct ist_client_pool *client;
	int fd;
};

static int in_child(int (*run)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(60); /* whatever hangs */
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void check_in_child(int (*run)(void))
{
	int result = in_child(run);

	if (result == SKIPPED)
		skip();
	assert_int_equal(result, 0);
}

/* A manager whose carve-out is a file, guest RAM in a file, owner 1. */
static struct host open_host(uint64_t window)
{
	struct host host;
	int fd = memfd_create("carve-out", MFD_CLOEXEC);
	struct ist_manager_config config = {.paddr = PADDR, .size = 256 * KIB};
	struct ist_mapping_config mapping = {.window_size = window};
	struct ist_backing backing = {.paddr = GUEST_PADDR, .size = RAM};

	REQUIRE(fd >= 0 && ftruncate(fd, 256 * KIB) == 0);
	config.vaddr = mmap(NULL, 256 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(config.vaddr != MAP_FAILED);
	REQUIRE(ist_manager_create(&config, &host.manager) == 0);
	REQUIRE(ist_manager_set_file(host.manager, fd, 0) == 0);
	host.client = ist_manager_client_pool(host.manager);
	host.fd = memfd_create("ram", MFD_CLOEXEC);
	REQUIRE(host.fd >= 0 && ftruncate(host.fd, RAM) == 0);
	backing.fd = host.fd;
	REQUIRE(ist_backing_add(host.manager, &backing) == 0);
	REQUIRE(ist_owner_create(host.manager, &(struct ist_owner_config){.id = 1}) == 0);
	if (window)
		REQUIRE(ist_mapping_configure(host.manager, &mapping) == 0);
	return host;
}

/* Every other page, so that nothing lies side by side. */
static int add(const struct host *host, uint64_t cookie, uint32_t flags, struct ist_mapping *out)
{
	uint64_t page[LIST];
	struct ist_registration r = {.pages = page,
	                             .page_count = LIST,
	                             .size = LIST * PAGE,
	                             .owner = 1,
	                             .cookie = cookie,
	                             .flags = flags};

	for (size_t i = 0; i < LIST; i++)
		page[i] = GUEST_PADDR + 2 * i * PAGE;
	return ist_mapping_register(host->manager, &r, out);
}

static int close_host(const struct host *host)
{
	REQUIRE(ist_owner_destroy(host->manager, 1) == 0);
	REQUIRE(ist_mapping_drain(host->manager) == 0);
	REQUIRE(ist_backing_remove(host->manager, GUEST_PADDR) == 0);
	REQUIRE(ist_manager_destroy(host->manager) == 0);
	return 0;
}

/* What takes no mapping of the process works while there is none to be had, and so does the end of all that there is. */
static void works_without_mappings(const struct host *host)
{
	struct ist_mapping mapping;
	struct ist_shm shm;
	void *found;

	REQUIRE(add(host, 1000, IST_MAPPING_SEGMENTS, &mapping) == 0);
	REQUIRE(ist_phys_to_virt(host->manager, GUEST_PADDR + 4 * PAGE, 8, &found) == 0);
	REQUIRE(ist_mapping_unregister(host->manager, 1, 1000, 0) == 0);
	REQUIRE(ist_client_pool_alloc(host->client, 5 * PAGE, &shm) == 0);
	REQUIRE(ist_shm_free(&shm) == 0);
	REQUIRE(ist_driver_pool_alloc(ist_manager_driver_pool(host->manager), 224, &shm) == 0);
	REQUIRE(ist_shm_free(&shm) == 0);
}

#define FILL_MAX 200000

static void *filler[FILL_MAX];
static size_t filled;

/* Until the process may have no mapping more: pages that differ from their neighbours. False: there seems to be no limit. */
static bool use_up_mappings(void)
{
	for (filled = 0; filled < FILL_MAX; filled++) {
		filler[filled] = mmap(NULL, PAGE, filled % 2 ? PROT_READ : PROT_NONE,
		                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (filler[filled] == MAP_FAILED)
			return true;
	}
	return false;
}

static void give_back_mappings(void)
{
	while (filled > 0)
		munmap(filler[--filled], PAGE);
}

static int no_further_mapping(void)
{
	struct host host = open_host(0);
	struct ist_mapping first, other;
	struct ist_client_request request = {.size = PAGE, .owner = 1};
	struct ist_shm isolated;
	void *vaddr;
	int fd;

	REQUIRE(add(&host, 1, 0, &first) == 0);
	REQUIRE(ist_client_pool_alloc_isolated(host.client, &request, &isolated, &fd) == 0);
	works_without_mappings(&host); /* its bookkeeping is there from now on */
	if (!use_up_mappings())
		return SKIPPED;
	REQUIRE(add(&host, 3, 0, &other) == -ENOMEM);
	REQUIRE(ist_mapping_find(host.manager, 1, 3, &other) == -ENOENT);
	REQUIRE(*(char *)first.vaddr == 0);
	works_without_mappings(&host);
	REQUIRE(add(&host, 4, IST_MAPPING_SEGMENTS, &other) == 0);
	REQUIRE(ist_mapping_map(host.manager, &other, &vaddr) == -ENOMEM);
	REQUIRE(ist_mapping_unregister(host.manager, 1, 4, 0) == 0);
	REQUIRE(ist_owner_destroy(host.manager, 1) == 0);
	REQUIRE(ist_owner_create(host.manager, &(struct ist_owner_config){.id = 1}) == 0);
	give_back_mappings();
	close(fd);
	REQUIRE(ist_shm_free(&isolated) == -EALREADY);
	REQUIRE(add(&host, 1, 0, &first) == 0);
	REQUIRE(ist_mapping_map(host.manager, &first, &vaddr) == 0);
	REQUIRE(ist_mapping_unmap(host.manager, &first) == 0);
	return close_host(&host);
}

/* Hands out guest RAM from the bottom up, and counts what is out. */
struct till {
	uint64_t next, out;
};

static int hand_out(void *context, uint64_t pages, unsigned flags, struct ist_provided *out)
{
	struct till *till = context;

	(void)flags;
	*out = (struct ist_provided){
	        .cookie = till->next + 1, .page_count = pages, .paddr = GUEST_PADDR + till->next * PAGE};
	till->next += pages;
	till->out++;
	return 0;
}

static int take_back(void *context, uint64_t cookie)
{
	(void)cookie;
	((struct till *)context)->out--;
	return 0;
}

/* Each region that a pool grows by takes a few mappings of the process: where there is none more it does not grow, and all that is there goes on. */
static int no_mapping_for_a_region(void)
{
	struct host host = open_host(0);
	struct till till = {0, 0};
	struct ist_provider provider = {.alloc = hand_out,
	                                .free = take_back,
	                                .context = &till,
	                                .chunk_pages = 1,
	                                .keep_pages = UINT64_MAX};
	struct ist_client_request request = {.size = 65 * PAGE}; /* more than the carve-out */
	struct ist_shm first, other, before;

	REQUIRE(ist_provider_set(host.manager, &provider) == 0);
	REQUIRE(ist_provider_client_alloc(host.manager, &request, &first) == 0 && till.out == 1);
	works_without_mappings(&host);
	if (!use_up_mappings())
		return SKIPPED;
	memset(&other, 0x5a, sizeof(other));
	before = other;
	REQUIRE(ist_provider_client_alloc(host.manager, &request, &other) == -ENOMEM);
	REQUIRE(memcmp(&other, &before, sizeof(other)) == 0 && till.out == 1);
	memset(first.view.vaddr, 1, 65 * PAGE);
	REQUIRE(ist_shm_free(&first) == 0);
	REQUIRE(ist_provider_client_alloc(host.manager, &request, &first) == 0 && till.out == 1);
	works_without_mappings(&host);
	give_back_mappings();
	REQUIRE(ist_provider_client_alloc(host.manager, &request, &other) == 0 && till.out == 2);
	REQUIRE(ist_shm_free(&other) == 0 && ist_shm_free(&first) == 0);
	REQUIRE(ist_provider_drain(host.manager) == 0 && till.out == 0);
	return close_host(&host);
}

static void mappings_of_regions(void **state)
{
	(void)state;
	if (IS_SANITIZED)
		skip();
	check_in_child(no_mapping_for_a_region);
}

static void mappings(void **state)
{
	(void)state;
	if (IS_SANITIZED)
		skip();
	check_in_child(no_further_mapping);
}

static uint64_t address_space_now(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	REQUIRE(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit(__rlimit_resource_t which, uint64_t value)
{
	struct rlimit rlimit;

	REQUIRE(getrlimit(which, &rlimit) == 0);
	rlimit.rlim_cur = value;
	REQUIRE(setrlimit(which, &rlimit) == 0);
}

/* The window does not fit; a smaller one does, for a refusal has fixed nothing; then not a page more. */
static int no_further_address_space(void)
{
	struct host host = open_host(0);
	struct ist_mapping_config small = {.window_size = 4 * MIB};
	struct ist_mapping mapping, other;
	struct ist_backing backing = {.paddr = 2 * GUEST_PADDR, .size = 64 * MIB};
	struct ist_manager *second;
	struct ist_manager_config config = {.paddr = 0, .size = 64 * KIB};
	uint64_t before = address_space_now();

	limit(RLIMIT_AS, before + 64 * MIB);
	REQUIRE(add(&host, 1, 0, &mapping) == -ENOMEM);
	REQUIRE(ist_mapping_configure(host.manager, &small) == 0);
	REQUIRE(add(&host, 1, 0, &mapping) == 0);
	backing.fd = host.fd;
	REQUIRE(ftruncate(host.fd, 64 * MIB) == 0);
	works_without_mappings(&host); /* its bookkeeping is there from now on */
	limit(RLIMIT_AS, address_space_now());
	REQUIRE(add(&host, 3, 0, &other) == 0 || add(&host, 3, 0, &other) == -ENOMEM);
	ist_mapping_unregister(host.manager, 1, 3, 0);
	config.vaddr = mapping.vaddr; /* it is only looked at */
	config.paddr = (uintptr_t)mapping.vaddr % PAGE;
	REQUIRE(ist_manager_create(&config, &second) == -ENOMEM);
	works_without_mappings(&host);
	/* Without a view of its own its pages are mapped one by one. */
	REQUIRE(ist_backing_add(host.manager, &backing) == 0);
	REQUIRE(ist_backing_remove(host.manager, backing.paddr) == 0);
	REQUIRE(ist_owner_destroy(host.manager, 1) == 0);
	limit(RLIMIT_AS, RLIM_INFINITY);
	REQUIRE(ist_owner_create(host.manager, &(struct ist_owner_config){.id = 1}) == 0);
	REQUIRE(add(&host, 1, 0, &mapping) == 0);
	return close_host(&host);
}

static void address_space(void **state)
{
	(void)state;
	if (IS_SANITIZED)
		skip();
	check_in_child(no_further_address_space);
}

static int no_further_descriptor(void)
{
	struct host host = open_host(0);
	struct ist_backing backing = {.paddr = 2 * GUEST_PADDR, .size = PAGE, .fd = host.fd};
	struct ist_client_request request = {.size = PAGE, .owner = 1};
	struct ist_mapping mapping;
	struct ist_shm shm;
	struct rlimit rlimit;
	int fd = -7;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &rlimit) == 0);
	limit(RLIMIT_NOFILE, (uint64_t)host.fd + 1);
	while (dup(host.fd) >= 0)
		;
	REQUIRE(ist_backing_add(host.manager, &backing) == -EMFILE);
	REQUIRE(ist_client_pool_alloc_isolated(host.client, &request, &shm, &fd) == -EMFILE && fd == -7);
	REQUIRE(add(&host, 1, 0, &mapping) == 0);
	REQUIRE(ist_mapping_unregister(host.manager, 1, 1, 0) == 0);
	works_without_mappings(&host);
	limit(RLIMIT_NOFILE, rlimit.rlim_cur);
	REQUIRE(ist_backing_add(host.manager, &backing) == 0);
	REQUIRE(ist_backing_remove(host.manager, backing.paddr) == 0);
	REQUIRE(ist_client_pool_alloc_isolated(host.client, &request, &shm, &fd) == 0);
	close(fd);
	return close_host(&host);
}

static void descriptors(void **state)
{
	(void)state;
	check_in_child(no_further_descriptor);
}

static const char without_fence[] = "--without-fence";

/* membarrier is forbidden from the beginning: as on a kernel without. */
static int no_fence(void)
{
	struct sock_filter program[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return SKIPPED;
	execl("/proc/self/exe", "test", without_fence, NULL); /* liburcu has asked for it in this one */
	return SKIPPED;
}

static int work_without_fence(void)
{
	struct host host = open_host(0);
	struct ist_mapping mapping;

	for (uint64_t i = 1; i < 100; i++) {
		REQUIRE(add(&host, i, i % 2 ? IST_MAPPING_SEGMENTS : 0, &mapping) == 0);
		works_without_mappings(&host);
		if (i % 3)
			REQUIRE(ist_mapping_unregister(host.manager, 1, i, 0) == 0);
	}
	return close_host(&host);
}

static void fences(void **state)
{
	(void)state;
	check_in_child(no_fence);
}

/* A page that never comes: the guest that named it waits for it, and nobody else. */
struct list_call {
	const struct host *host;
	uint64_t list;
	_Atomic int answer;
};

static void *name_a_list(void *argument)
{
	struct list_call *call = argument;
	struct ist_registration r = {.size = PAGE, .cookie = 9, .owner = 2};
	struct ist_mapping mapping;

	atomic_store_explicit(&call->answer,
	                      ist_mapping_register_list(call->host->manager, call->list, &r, &mapping),
	                      memory_order_release);
	return NULL;
}

static bool asks(int uffd)
{
	struct pollfd poll_for = {.fd = uffd, .events = POLLIN};

	return poll(&poll_for, 1, 5000) == 1;
}

static int a_page_that_does_not_come(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register all = {.range = {(uintptr_t)ram, RAM}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_zeropage zero = {.range = {(uintptr_t)ram, PAGE}};
	struct ist_backing backing = {.paddr = 2 * GUEST_PADDR, .size = RAM, .vaddr = ram};
	struct host host = open_host(0);
	struct list_call call = {.host = &host, .list = backing.paddr, .answer = 1};
	struct ist_mapping mapping;
	pthread_t thread;

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &all))
		return SKIPPED;
	REQUIRE(ist_backing_add(host.manager, &backing) == 0);
	REQUIRE(ist_owner_create(host.manager, &(struct ist_owner_config){.id = 2}) == 0);
	REQUIRE(pthread_create(&thread, NULL, name_a_list, &call) == 0);
	REQUIRE(asks(uffd)); /* it waits for its page now */
	for (uint64_t i = 1; i < 20; i++) {
		REQUIRE(add(&host, i, i % 2 ? IST_MAPPING_SEGMENTS : 0, &mapping) == 0);
		REQUIRE(ist_mapping_unregister(host.manager, 1, i, 0) == 0);
	}
	REQUIRE(ist_mapping_drain(host.manager) == 0);
	REQUIRE(ist_protect(host.manager, GUEST_PADDR, PAGE) == 0);
	REQUIRE(ist_unprotect(host.manager, GUEST_PADDR, PAGE) == 0);
	REQUIRE(ist_owner_destroy(host.manager, 1) == 0);
	REQUIRE(ist_owner_destroy(host.manager, 2) == 0);
	REQUIRE(atomic_load_explicit(&call.answer, memory_order_acquire) == 1);
	REQUIRE(ioctl(uffd, UFFDIO_ZEROPAGE, &zero) == 0);
	pthread_join(thread, NULL);
	REQUIRE(call.answer == -ENXIO || call.answer == -ENOENT || call.answer == -ESHUTDOWN);
	REQUIRE(ist_backing_remove(host.manager, backing.paddr) == 0);
	return close_host(&host);
}

static void pages_that_do_not_come(void **state)
{
	(void)state;
	check_in_child(a_page_that_does_not_come);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mappings),      cmocka_unit_test(mappings_of_regions),
	        cmocka_unit_test(address_space), cmocka_unit_test(descriptors),
	        cmocka_unit_test(fences),        cmocka_unit_test(pages_that_do_not_come),
	};

	if (argc > 1 && strcmp(argv[1], without_fence) == 0)
		return work_without_fence();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
