/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * OP-TEE's messages: both halves. The driver's builds them in driver memory, the trusted one reads them there, once, and resolves
 * what they name. Source: core/include/optee_msg.h of optee_os, and core/kernel/msg_param.c, core/tee/entry_std.c for what is refused.
 */
#ifndef ISTHMUS_TEE_MSG_H
#define ISTHMUS_TEE_MSG_H

#include <isthmus/mapping.h>
#include <isthmus/shm.h>

IST_BEGIN_DECLS

#define IST_MSG_OPEN_SESSION 0u
#define IST_MSG_INVOKE 1u
#define IST_MSG_CLOSE_SESSION 2u
#define IST_MSG_CANCEL 3u
#define IST_MSG_REGISTER_SHM 4u
#define IST_MSG_UNREGISTER_SHM 5u

/* attr of a parameter: a type, and flags. */
#define IST_MSG_NONE 0u
#define IST_MSG_VALUE_IN 1u
#define IST_MSG_VALUE_OUT 2u
#define IST_MSG_VALUE_INOUT 3u
#define IST_MSG_RMEM_IN 5u /* registered memory, by cookie */
#define IST_MSG_RMEM_OUT 6u
#define IST_MSG_RMEM_INOUT 7u
#define IST_MSG_TMEM_IN 9u /* memory by physical address */
#define IST_MSG_TMEM_OUT 10u
#define IST_MSG_TMEM_INOUT 11u
#define IST_MSG_TYPE_MASK 0xffu
#define IST_MSG_META 0x100u
#define IST_MSG_NONCONTIG 0x200u /* with TMEM: the address is that of a list of pages */

#define IST_MSG_PARAMS_MAX 127u

/* As they lie in shared memory. */
struct ist_msg_param {
	uint64_t attr;
	/* VALUE: a, b, c. RMEM: offset, size, cookie. TMEM: physical address, size, cookie; address 0 is a null reference. */
	uint64_t a, b, c;
};

struct ist_msg_header {
	uint32_t cmd, func, session, cancel_id;
	uint32_t pad, ret, ret_origin, num_params;
};

/* Bytes of a message with `count` parameters. */
static inline size_t ist_msg_bytes(unsigned count)
{
	return sizeof(struct ist_msg_header) + count * sizeof(struct ist_msg_param);
}

/* A message of the driver's. Private members. */
struct ist_msg {
	struct ist_shm memory;
	unsigned count;
};

/*
 * Make a message in a driver pool, all zeroes but for cmd and the count of parameters; and free it. One message is built by one thread.
 *
 * create: 0; -EINVAL a null argument, more than IST_MSG_PARAMS_MAX; or an error of ist_driver_pool_alloc. free: as ist_shm_free.
 * Neither blocks.
 */
IST_API int ist_msg_create(struct ist_driver_pool *pool, uint32_t cmd, unsigned count, struct ist_msg *out);
IST_API int ist_msg_free(struct ist_msg *message);

/* Where it is, for the call to the trusted side. 0 for null. */
IST_API uint64_t ist_msg_paddr(const struct ist_msg *message);

/* Write header fields; cmd, num_params, pad are left as they are. -EINVAL null. */
IST_API int ist_msg_set_header(const struct ist_msg *message, const struct ist_msg_header *header);

/*
 * Write a parameter. tmem: the view's address and size, or, for a null view, a null reference; -ERANGE a view at physical address
 * 0, which no TMEM can express: register it, and name it by its cookie. list: a buffer whose pages are listed at `list` (an address
 * of ist_msg_list_fill). All: 0; -EINVAL a null message, no such parameter, a type of another kind (flags IST_MSG_META are kept).
 */
IST_API int ist_msg_set_value(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t a,
                              uint64_t b, uint64_t c);
IST_API int ist_msg_set_tmem(const struct ist_msg *message, unsigned index, uint64_t attr,
                             const struct ist_view *view, uint64_t cookie);
IST_API int ist_msg_set_rmem(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t cookie,
                             uint64_t offset, uint64_t size);
IST_API int ist_msg_set_list(const struct ist_msg *message, unsigned index, uint64_t attr, uint64_t list,
                             uint64_t size, uint64_t cookie);

/* What the trusted side has written, each word read once. -EINVAL null, or no such parameter. */
IST_API int ist_msg_result(const struct ist_msg *message, uint32_t *ret, uint32_t *ret_origin);
IST_API int ist_msg_output(const struct ist_msg *message, unsigned index, struct ist_msg_param *out);

/*
 * Lists of pages. ist_msg_list_bytes: memory for the list of a buffer of `size` bytes at any address with that offset in its page,
 * whole pages; 0 if size is 0 or wraps. fill: writes the list of a buffer whose page i is pages[i], or, with pages null, of one
 * stretch from `paddr`, into memory of that many bytes at `memory`, which is page aligned and lies at physical address
 * `at`. Returns 0 and in *list what a message names; -EINVAL a null argument, size 0, something not page aligned.
 */
IST_API size_t ist_msg_list_bytes(uint64_t offset, uint64_t size);
IST_API int ist_msg_list_fill(void *memory, uint64_t at, const uint64_t *pages, uint64_t paddr, uint64_t size,
                              uint64_t *list);

/* The trusted half. A message as it was read, and what became of its parameters. */
struct ist_msg_reference {
	bool is_null; /* a null reference: no memory; not to be told by any address */
	void *vaddr;
	size_t size;
	/* Private: what keeps it. */
	uint32_t kept;
	struct ist_mapping mapping;
};

struct ist_msg_read {
	struct ist_msg_header header;
	struct ist_msg_param param[IST_MSG_PARAMS_MAX];
	struct ist_msg_reference reference[IST_MSG_PARAMS_MAX]; /* of RMEM and TMEM, once resolved */
	/* Private. */
	uint64_t paddr;
	void *at;
	unsigned resolved;
};

/*
 * Read the message at `paddr`: all of it into *out, each word once. What is checked is the copy.
 *
 * Returns 0; -EINVAL a null argument, more than IST_MSG_PARAMS_MAX parameters, an attr with an unknown bit or type, or a
 * flag where it has no meaning; -EFAULT paddr is not a multiple of 8, or the whole of the message does not lie in one pool of the
 * carve-out, in `room` bytes. Does not block. Source: doc/requirements.md, R7.
 */
IST_API int ist_msg_read(struct ist_manager *manager, uint64_t paddr, size_t room, struct ist_msg_read *out);

/*
 * Find what the parameters name, for an owner, and keep it until ist_msg_release, which is needed if this returned 0 only.
 *
 * RMEM: a mapping by cookie. TMEM: memory of the carve-out; with IST_MSG_NONCONTIG a list of pages, which is mapped meanwhile.
 *
 * Returns 0; -EINVAL a cookie that nobody has, an address that is not wholly in the carve-out (size 0 counts as 1), or a list
 * that cannot be registered; -EACCES an offset and size that are not inside the mapping (TEE_ERROR_SECURITY); -ENOMEM. On an error nothing
 * is kept. May block for lists. Source: requirements D19, D20.
 */
IST_API int ist_msg_resolve(struct ist_manager *manager, uint32_t owner, struct ist_msg_read *message);
IST_API void ist_msg_release(struct ist_manager *manager, struct ist_msg_read *message);

/*
 * Do a REGISTER_SHM or UNREGISTER_SHM that was read, not resolved, for an owner. What it registers is found by its cookie.
 *
 * Returns 0; -EINVAL another command; not exactly one parameter; REGISTER: attr is not exactly TMEM_OUT with NONCONTIG, size 0, cookie
 * 0 or known, a list that cannot be registered; UNREGISTER: no such cookie; -ENOMEM. May block: UNREGISTER waits until nobody
 * uses the memory. Source: requirements D7, D16.
 */
IST_API int ist_msg_serve(struct ist_manager *manager, uint32_t owner, const struct ist_msg_read *message);

/* Answer: write the results into the message; and the outputs of a parameter (of a reference: its size). -EINVAL. */
IST_API int ist_msg_answer(const struct ist_msg_read *message, uint32_t ret, uint32_t ret_origin,
                           uint32_t session);
IST_API int ist_msg_answer_param(const struct ist_msg_read *message, unsigned index, uint64_t a, uint64_t b,
                                 uint64_t c);

IST_END_DECLS

#endif
