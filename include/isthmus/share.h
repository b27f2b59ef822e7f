/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Client memory in other processes, by file descriptor.
 *
 * Two ways, and what the receiver of the descriptor can reach differs:
 *
 *  - ist_client_export hands out the *pool's* file. The receiver is told an offset and a length, but whoever holds a
 *    file can map all of it: every buffer and every message of the carve-out, for reading and writing, for as long
 *    as it keeps the descriptor or a mapping, also after the buffer was freed. For receivers that are trusted with
 *    the whole pool, such as the other half of one service.
 *
 *  - ist_client_pool_alloc_isolated gives a buffer a memory file of its own, mapped over the buffer's place in the
 *    pool. The receiver can map those pages and none other, cannot grow or shrink the file (it is sealed), and after
 *    the buffer was freed keeps memory that is no longer in the pool. In this process the buffer behaves like any
 *    other. But its bytes are not at its physical address any more: a device or peer that reaches the carve-out by
 *    physical address or through the pool's file sees what lies beneath. For receivers that are processes.
 */
#ifndef ISTHMUS_SHARE_H
#define ISTHMUS_SHARE_H

#include <isthmus/client.h>
#include <isthmus/manager.h>

IST_BEGIN_DECLS

/*
 * Say which file backs the carve-out: the byte at config.vaddr is the byte at `offset` of `fd`, all of it mapped
 * MAP_SHARED, readable and writable. Typically a memfd. The descriptor is duplicated; the caller keeps his own.
 *
 * Returns 0;
 *   -EINVAL  manager is null, or offset and vaddr differ in their offset inside a page, or the file is too short;
 *   -EBADF   fd is no open descriptor;
 *   -EEXIST  the manager has a file already;
 *   another negative errno value of fstat or of duplicating.
 * May block.
 */
IST_API int ist_manager_set_file(struct ist_manager *manager, int fd, uint64_t offset);

/* Where an exported buffer lies. The descriptor belongs to the caller, who closes it; it is close-on-exec. */
struct ist_export {
	int fd;
	uint64_t offset; /* of the buffer's first byte in the file */
	size_t length; /* bytes, as asked for; the receiver maps whole pages */
};

/*
 * Where a live client allocation lies in the pool's file. See above for what a receiver can do with it.
 *
 * Returns 0; -EINVAL shm or out is null, or shm is not a live client allocation; -EALREADY shm is a stale copy;
 * -ENOTSUP the manager has no file, or the buffer is isolated (its own descriptor was handed out when it was made);
 * -EMFILE or another negative errno value of duplicating. May block.
 */
IST_API int ist_client_export(const struct ist_shm *shm, struct ist_export *out);

/*
 * Allocate an isolated buffer: as ist_client_pool_alloc_request, with a file of its own, whose descriptor goes to
 * *fd: the caller's to send and to close, close-on-exec. The file is as long as the buffer's pages, starts zeroed
 * and is sealed against growing and shrinking. ist_shm_free puts the pool's own pages back under the buffer; that
 * call then makes system calls too, and returns -ENOMEM with nothing changed when the system refuses.
 *
 * In the rarest case the system refuses after it has taken the buffer's place away, and another mapping of the process
 * comes there first. Then these pages of the pool are lost: they are never handed out again, nobody must touch them at
 * their addresses in this process, and ist_client_pool_space counts them as free. The call that met this answers
 * -ENOMEM when it was to allocate, and 0 when it was to free; the manager can be destroyed as ever.
 *
 * Errors as of ist_client_pool_alloc_request, and
 *   -ENOTSUP  the manager has no file, or the host's pages are larger than IST_PAGE_SIZE;
 *   -EFBIG    the process may not have files of that size (RLIMIT_FSIZE); it gets no SIGXFSZ;
 *   -ENOMEM, -EMFILE or another negative errno value of making and mapping the file.
 * May block.
 */
IST_API int ist_client_pool_alloc_isolated(struct ist_client_pool *pool,
                                           const struct ist_client_request *request, struct ist_shm *out,
                                           int *fd);

IST_END_DECLS

#endif
