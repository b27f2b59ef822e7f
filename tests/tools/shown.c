/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * usage: shown [hostile NUMBER]: a program that has something to show, says "ready" and waits for the end of its input. As hostile
 * it shows a file that no library made, of which the NUMBERth word of the head is nonsense.
 */
#include <isthmus/isthmus.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)8 << 20)

static int wait_for_end(void)
{
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

static int hostile(unsigned number)
{
	size_t bytes = 1 << 16, words = sizeof(struct ist_stat_head) / 8;
	int fd = memfd_create(IST_STAT_FILE, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ist_stat_head *head;
	uint64_t *word;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return 1;
	word = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if ((void *)word == MAP_FAILED)
		return 1;
	memset(word, 0xff, bytes);
	head = (void *)word;
	*head = (struct ist_stat_head){.magic = IST_STAT_MAGIC,
	                               .version = IST_STAT_VERSION,
	                               .head_size = sizeof(*head),
	                               .file_size = bytes,
	                               .pid = getpid(),
	                               .body_at = sizeof(*head),
	                               .body_size = bytes - sizeof(*head),
	                               .name = "\033[31m\"\\"};
	head->classes_at = head->cpus_at = head->owners_at = head->cells_at = head->body_at;
	if (number < words && number != 3)
		word[number] = number % 2 ? UINT64_MAX - 7 : UINT64_C(1) << 63;
	/* The last one could be made shorter by its owner. */
	if (number != 99 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		return 1;
	return wait_for_end();
}

int main(int argc, char **argv)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {
	        .vaddr = memory, .paddr = 0x42000000, .size = SIZE, .driver_pool_size = SIZE / 8};
	struct ist_stat_options options = {.name = "shown \"one\"", .period_ms = 10, .cells = 5000};
	struct ist_client_request request = {.size = 5 * IST_PAGE_SIZE, .owner = 7};
	struct ist_owner_config owner = {.id = 7};
	struct ist_shm messages[20], buffer;
	struct ist_manager *manager;
	struct ist_stat *stat;
	int result;

	if (argc > 2)
		return hostile((unsigned)atoi(argv[2]));
	if (memory == MAP_FAILED || ist_manager_create(&config, &manager) ||
	    ist_owner_create(manager, &owner))
		return 1;
	for (int i = 0; i < 20; i++) {
		if (ist_driver_pool_alloc(ist_manager_driver_pool(manager), 384, &messages[i]))
			return 1;
	}
	if (ist_client_pool_alloc_request(ist_manager_client_pool(manager), &request, &buffer) ||
	    ist_stat_export(manager, &options, &stat))
		return 1;
	result = wait_for_end();
	for (int i = 0; i < 20; i++)
		ist_shm_free(&messages[i]);
	ist_shm_free(&buffer);
	ist_owner_destroy(manager, 7);
	if (ist_stat_unexport(stat) || ist_manager_destroy(manager))
		return 1;
	return result;
}
