/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the library asks of the operating system: a page of functions. Control path only: each may block. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Private, zeroed, page-aligned memory of at least `bytes` bytes with an inaccessible page before and after it, so
 * that a stray access by an overrun faults instead of corrupting. Pages cost memory only once they are touched.
 * Null when the system has none to give. platform_unmap takes the same `bytes`.
 */
void *platform_map(size_t bytes);
void platform_unmap(void *memory, size_t bytes);

/*
 * Let a forked child see memory of platform_map as zeroes instead of the parent's contents: whole pages by the kernel,
 * or, where it does not do that (before 4.14, and emulators that take the advice and do not follow it), by a hook of fork
 * that finds *mark, a word in there that is not 0 in the parent. -ENOMEM. The end comes before the memory is unmapped.
 */
struct platform_wiped {
	struct platform_wiped *next, **link;
	void *memory;
	size_t bytes;
	const _Atomic uint32_t *mark;
};
int platform_wipe_on_fork(struct platform_wiped *wiped, void *memory, size_t bytes,
                          const _Atomic uint32_t *mark);
void platform_wipe_end(struct platform_wiped *wiped);

/* The process's own number, without a system call; in a forked child the child's. */
int platform_pid(void);

/* To be called before a lock is taken that a hook of fork takes, and under which those two are called. -ENOMEM */
int platform_wipe_start(void);

/*
 * A memory file of `bytes` zeroes with a name, to be sealed. Returns a close-on-exec descriptor, or a negative errno value: -EFBIG for
 * what the process's limit on file sizes forbids, without a signal.
 */
int platform_memory_file(const char *name, size_t bytes);

/*
 * The same, which can neither grow nor shrink. Returns a close-on-exec descriptor, or a
 * negative errno value.
 */
int platform_sealed_file(size_t bytes);

/*
 * A memory file for others to look at: mapped at *where for writing, which nobody else can do from then on, nor change its length; a
 * forked child does not have the mapping. Returns a close-on-exec descriptor, -ENOTSUP where the system cannot do that, or another
 * negative errno value. platform_hide_file ends both.
 */
int platform_shown_file(const char *name, size_t bytes, void **where);
void platform_hide_file(int fd, void *where, size_t bytes);

/*
 * Map `bytes` of a file at exactly `where`, shared, readable and writable, in place of what is mapped there. 0 or a negative
 * errno value, and then what was mapped there stays. But for -ESTALE, which no limit leads to, only the system's own want of
 * memory in the midst: what was there is gone, and the addresses may be somebody else's.
 */
int platform_map_file_at(void *where, size_t bytes, int fd, uint64_t offset);
/* The same of a whole file of platform_sealed_file. */
int platform_map_sealed_at(void *where, size_t bytes, int fd);

/*
 * Mappings that the process has in reserve, for what must not fail when it may have no more (vm.max_map_count): as long as somebody
 * holds them. Who was refused spends them (true: there were some), tries again, and restores them. Best effort: others of the
 * process may take what was spent. They stay when the last holder drops them, until trim finds none.
 */
void platform_spare_hold(void);
void platform_spare_drop(void);
void platform_spare_trim(void);
bool platform_spare_spend(void);
void platform_spare_restore(void);

/* A close-on-exec duplicate of a descriptor, or a negative errno value; and the length of its file in *bytes. */
int platform_duplicate(int fd);
int platform_file_length(int fd, uint64_t *bytes);

/* What a descriptor leads to. */
struct platform_file {
	bool regular; /* bytes is its length, and touching it behind that kills */
	uint64_t bytes;
	size_t page; /* mappings of it are multiples of this: larger than the host's page in hugetlbfs */
};
int platform_file_kind(int fd, struct platform_file *out);

/*
 * Address space without memory: reserved and inaccessible, in multiples of the host's page. platform_reserve returns null
 * when there is none. platform_reserve_at puts a reservation in place of whatever is mapped at [where, where + bytes): 0
 * or a negative errno value, and then nothing has changed; -ESTALE as of platform_map_file_at.
 */
void *platform_reserve(size_t bytes);
void platform_release(void *where, size_t bytes);
int platform_reserve_at(void *where, size_t bytes);

/* A file anywhere, shared; null and errno. platform_release unmaps it. */
void *platform_map_file(size_t bytes, int fd, uint64_t offset, int writable);

/*
 * In the place of a reservation at exactly `where`: a file, with or without permission to write; or the pages that are
 * mapped, shared, at `from`. 0 or a negative errno value, and then it is a reservation still; -ESTALE as above.
 */
int platform_map_shared_at(void *where, size_t bytes, int fd, uint64_t offset, int writable);
int platform_map_again_at(void *where, size_t bytes, void *from, int writable);

/*
 * Copy up to a page that may not be there: -EFAULT instead of a signal. Blocks as long as whoever serves the page lets it,
 * so never under a lock. platform_read_file: from a file, which need not be mapped.
 */
int platform_copy(void *to, const void *from, size_t bytes);
int platform_read_file(void *to, size_t bytes, int fd, uint64_t offset);

/* A number that nobody else can guess, as far as the system has one. */
uint64_t platform_random(void);

size_t platform_page_size(void);

#ifdef ISTHMUS_TEST_HOOKS
/* Let the nth platform_map from now fail, once (1 = the next one; 0 = none), or every one from then on. */
void platform_fail_map(unsigned nth, int permanently);
/* As if the system did not wipe on fork, from now on. */
void platform_pretend_no_wipe(void);
#endif

#endif
