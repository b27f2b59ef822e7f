/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The TEE front: what the TEE subsystem of a kernel does with shared memory, as a service in user space over a manager. A
 * device has contexts (one a client), a context has shared memory with ids and sessions with trusted applications, which are
 * callbacks here.
 *
 * Life times: shared memory keeps its context, a context keeps its device. What is used by a call stays until the call ends,
 * whoever lets go of it meanwhile. All of it is counted (ist_tee_device_stats).
 *
 * Creating and letting go of things may block (each takes a lock for a moment); finding by id and references never wait.
 */
#ifndef ISTHMUS_TEE_H
#define ISTHMUS_TEE_H

#include <isthmus/manager.h>
#include <isthmus/tee_abi.h>
#include <isthmus/view.h>

IST_BEGIN_DECLS

struct ist_tee_device;
struct ist_tee_context;
struct ist_tee_shm;

/* A parameter of a call, as a trusted application sees it. */
struct ist_tee_param {
	uint32_t type; /* IST_TEE_PARAM_... */
	uint64_t a, b, c; /* a value: in, out or both */
	/*
	 * A memory reference: where it is, null for a null reference. The client may write there at any time, so read once,
	 * copy, then check. Of memory that the client registered, it may even unmap pages: ist_tee_copy tells, an access
	 * faults.
	 */
	void *vaddr;
	size_t size; /* bytes that may be touched */
	size_t out_size; /* of OUT and INOUT: bytes that there are now, or that would be needed. Starts as `size`. */
};

struct ist_tee_call {
	uint8_t uuid[16]; /* of the application */
	uint32_t login;
	uint8_t client_uuid[16];
	uint32_t func; /* 0 when a session is opened */
	unsigned count;
	struct ist_tee_param param[IST_TEE_PARAMS_MAX];
	uint32_t ret_origin; /* starts as IST_TEE_ORIGIN_TRUSTED_APP */
	const void *cancelled; /* private: see ist_tee_call_is_cancelled */
};

/* Whether the client has asked for this call to be cancelled. Wait-free. */
IST_API bool ist_tee_call_is_cancelled(const struct ist_tee_call *call);

/* Copy bytes of which either side may not be there: 0, or -EFAULT and an unknown part is copied. Any thread; may block. */
IST_API int ist_tee_copy(void *to, const void *from, size_t bytes);

/*
 * Trusted applications. Each function answers with an IST_TEE_... result; 0 is success. One call of a session runs at a time,
 * of different sessions as many as there are threads. They hold no lock of the library, and may call it.
 */
struct ist_tee_handler {
	uint32_t (*open)(void *context, struct ist_tee_call *call, void **session);
	uint32_t (*invoke)(void *context, void *session, struct ist_tee_call *call);
	void (*close)(void *context, void *session); /* once for each successful open; may be null */
	void *context;
};

/*
 * The supplicant: a client that answers what trusted applications ask of the world outside, such as files. It has a context of its
 * own kind, one at a time for each device, takes requests with SUPPL_RECV and answers with SUPPL_SEND; it can allocate shared memory, and
 * do nothing else. In it memory is the supplicant's, which a request refers to.
 *
 * Returns 0; -EINVAL null, or detached; -EBUSY there is one; -ENOMEM. When it is closed (ist_tee_context_close) all
 * requests that are not answered end with IST_TEE_ERROR_COMMUNICATION. May block. Source: OP-TEE's driver, drivers/tee/optee/supp.c.
 */
IST_API int ist_tee_supplicant_open(struct ist_tee_device *device, struct ist_tee_context **out);

/* A parameter of a request: a value; or a reference to `b` bytes at offset `a` of shm, memory of the supplicant or null. */
struct ist_tee_supplicant_param {
	uint32_t type; /* IST_TEE_PARAM_... */
	uint64_t a, b, c;
	struct ist_tee_shm *shm; /* stays there until the request has ended */
};

/*
 * For trusted applications, while a call of theirs runs: ask the supplicant, and wait for its answer, or first for there to be one. Of OUT and
 * INOUT values, and the sizes of such references, are what it answered, as untrusted as all that a client says.
 *
 * Returns what the supplicant answers; IST_TEE_ERROR_BAD_PARAMETERS null, too many or unknown parameters, a reference outside its memory;
 * IST_TEE_ERROR_CANCEL the call is to be cancelled; IST_TEE_ERROR_COMMUNICATION the supplicant or the device went
 * away. Blocks.
 */
IST_API uint32_t ist_tee_supplicant_ask(const struct ist_tee_call *call, uint32_t func,
                                        struct ist_tee_supplicant_param *param, unsigned count);

/*
 * The same, for memory of the supplicant: a reference in *out; and give it back, reference and all. IST_TEE_ERROR_OUT_OF_MEMORY: it gave
 * none, or too little.
 */
IST_API uint32_t ist_tee_supplicant_alloc(const struct ist_tee_call *call, size_t size,
                                          struct ist_tee_shm **out);
IST_API uint32_t ist_tee_supplicant_free(const struct ist_tee_call *call, struct ist_tee_shm *shm);

/*
 * Built in, for trying clients. func: 0 echo (parameter 0 in, parameter 1 out), 1 sum (of all bytes that go in, to the first value that
 * goes out), 2 copy (each input to the next output), 3 wait until the call is cancelled, 4 the same, or until the first byte of parameter 0 (a reference) is not 0, 5 ask the supplicant to do IST_TEE_BUILTIN_REQUEST with a copy of parameter 0 (in
 * and out), whose answer comes back in parameter 1. It is opened with any UUID but the one
 * of all zeroes, which is not found.
 */
#define IST_TEE_BUILTIN_REQUEST 100u
IST_API const struct ist_tee_handler *ist_tee_builtin(void);

/* Zero-initialise, then fill in; every 0 means the default. Members may be added at the end. */
struct ist_tee_config {
	/*
	 * IST_TEE_CAP_...; default all but PRIVILEGED. With REG_MEM clients register memory of this process: backings of it,
	 * of a TiB each, are added to the manager when they are wanted, so that address a lies at user_paddr + a.
	 */
	uint32_t caps;
	uint64_t user_paddr; /* physical address that stands for address 0 of this process; default 2^56 */
	const struct ist_tee_handler
	        *handler; /* default: ist_tee_builtin. Stays there as long as the device. */
};

/* For config.caps: none of all these. */
#define IST_TEE_CAP_NONE 0x80000000u

/*
 * A device over a manager, which outlives it. Several devices may share one.
 *
 * Returns 0; -EINVAL a null manager or out, an unknown capability; -ENOMEM. May block.
 */
IST_API int ist_tee_device_create(struct ist_manager *manager, const struct ist_tee_config *config,
                                  struct ist_tee_device **out);

/*
 * Detach: as if the hardware were pulled out. Nothing new can be opened, allocated, registered or invoked (-EINVAL);
 * what is there can be let go of. Calls that run end as they would. Idempotent. Wait-free.
 */
IST_API void ist_tee_device_detach(struct ist_tee_device *device);

/*
 * Detach and destroy. Returns 0; -EBUSY while a context, shared memory or a call is alive, or exported memory has ended that the system
 * refuses to give back to the pool (tried again by this call and ist_tee_reap), and then it is detached. With `wait` it
 * waits for the last of them instead (descriptors that others closed are noticed within a tenth of a second). -EINVAL null. May block.
 */
IST_API int ist_tee_device_destroy(struct ist_tee_device *device, bool wait);

/* What is alive, and what has been. Counters at about one instant. */
struct ist_tee_stats {
	uint64_t contexts, shms, registered, sessions, calls,
	        descriptors; /* alive; registered ones are among the shms */
	uint64_t messages; /* sent to the trusted side since creation */
};
IST_API void ist_tee_device_stats(struct ist_tee_device *device, struct ist_tee_stats *out);

/* The manager that it is over; null for null. Wait-free. */
IST_API struct ist_manager *ist_tee_device_manager(const struct ist_tee_device *device);

IST_API void ist_tee_device_version(struct ist_tee_device *device, struct ist_tee_version *out);

/*
 * A context. open: 0; -EINVAL null, or detached; -ENOMEM. close ends its sessions and asks its running calls to end; null is ignored.
 * What runs meanwhile (ioctls that had begun) ends as it would, and then the context goes. May block.
 */
IST_API int ist_tee_context_open(struct ist_tee_device *device, struct ist_tee_context **out);
IST_API void ist_tee_context_close(struct ist_tee_context *context);

/* The device of a context; null for null. Wait-free. */
IST_API struct ist_tee_device *ist_tee_context_device(const struct ist_tee_context *context);

#define IST_TEE_SHM_MAPPED 1u /* must be there */
#define IST_TEE_SHM_DMA_BUF                                                                                  \
	2u /* a client's: whole pages, zeroed, with an id; else private message memory without one */
#define IST_TEE_SHM_EXPORT                                                                                   \
	4u /* with DMA_BUF: in a file of its own, so that ist_tee_shm_export can hand it out */

/*
 * Allocate shared memory. What is private has the size asked for, rounded up to 8 bytes, and may have no context (null).
 *
 * Returns 0 and a reference in *out; checked in this order:
 *   -EINVAL  device or out is null; context is another device's; flags lack IST_TEE_SHM_MAPPED; an unknown flag, or EXPORT without DMA_BUF;
 *            the device is detached; a client's memory without context;
 *   -ENOMEM  size 0, the pool is exhausted, or no memory for bookkeeping or no id;
 *   or with EXPORT an error of ist_client_pool_alloc_isolated (share.h). Each undoes exactly what was done before.
 * May block. Source: doc/requirements.md, K1.
 */
IST_API int ist_tee_shm_alloc(struct ist_tee_device *device, struct ist_tee_context *context, size_t size,
                              uint32_t flags, struct ist_tee_shm **out);

/*
 * Register memory of this process for the trusted side. It must be there and writable now; it is not held fast: if the
 * caller unmaps it while it is registered, trusted applications find it missing (ist_tee_copy), and what comes to lie there instead
 * is found.
 *
 * Returns 0; -EINVAL a null argument, detached, memory of a device; -EOPNOTSUPP no IST_TEE_CAP_REG_MEM; -EFAULT the range
 * wraps, leaves user space, or some of it is not there or read-only; -ENOMEM length 0, or no memory for the page list or
 * bookkeeping. May block. Source: doc/requirements.md, K7.
 */
IST_API int ist_tee_shm_register(struct ist_tee_context *context, void *addr, size_t length,
                                 struct ist_tee_shm **out);

/*
 * Register a file (memfd) that is sealed against shrinking, all of it. 0; -EINVAL null, detached, or it is no such file; -EBADF;
 * -ENOMEM; or an error of ist_backing_add. May block.
 */
IST_API int ist_tee_shm_register_fd(struct ist_tee_context *context, int fd, struct ist_tee_shm **out);

/*
 * The shared memory of an id, with a reference. 0; -EINVAL a null argument, or there is no such id of this context: never was, is gone,
 * or its last reference is just going. Wait-free. Source: requirements K2, K3.
 */
IST_API int ist_tee_shm_find(struct ist_tee_context *context, int32_t id, struct ist_tee_shm **out);

/* References. put of null is ignored; the last one gives all of it back (which may block). get: with a reference only. */
IST_API void ist_tee_shm_get(struct ist_tee_shm *shm);
IST_API void ist_tee_shm_put(struct ist_tee_shm *shm);

/* -1 for private memory. Wait-free, as all below. */
IST_API int32_t ist_tee_shm_id(const struct ist_tee_shm *shm);
IST_API size_t ist_tee_shm_size(const struct ist_tee_shm *shm);

/*
 * Addresses. -EINVAL: offset >= size; an address that does not lie inside; get_pa: memory that has no one physical address.
 * Of registered memory the physical address is the one that stands for it (config.user_paddr). Source: doc/requirements.md, K8.
 */
IST_API int ist_tee_shm_get_va(const struct ist_tee_shm *shm, size_t offset, void **out);
IST_API int ist_tee_shm_get_pa(const struct ist_tee_shm *shm, size_t offset, uint64_t *out);
IST_API int ist_tee_shm_va2pa(const struct ist_tee_shm *shm, const void *vaddr, uint64_t *out);
IST_API int ist_tee_shm_pa2va(const struct ist_tee_shm *shm, uint64_t paddr, void **out);

/*
 * Every ioctl of this ABI, on a context. `arg` is the client's and may point anywhere: what is not there is -EFAULT.
 *
 * Returns what the kernel returns: a descriptor (SHM_ALLOC, SHM_REGISTER, SHM_REGISTER_FD), 0, or a negative errno value; -524 for
 * SHM_REGISTER without the capability. A descriptor holds the only reference to its shared memory: when it, its
 * duplicates and its mappings are gone, in all processes, the memory is (see ist_tee_reap). May block.
 */
IST_API long ist_tee_ioctl(struct ist_tee_context *context, unsigned long command, void *arg);

/*
 * OPEN_SESSION and INVOKE for whoever is in the same process and hands over arguments of his own, which are there: the same checks,
 * errors and results, without a system call to copy them. arg->num_params parameters. 0, or a negative errno value. May block.
 */
IST_API int ist_tee_open_session(struct ist_tee_context *context, struct ist_tee_ioc_open *arg,
                                 struct ist_tee_ioc_param *param);
IST_API int ist_tee_invoke(struct ist_tee_context *context, struct ist_tee_ioc_invoke *arg,
                           struct ist_tee_ioc_param *param);

/*
 * Descriptors, as a kernel would have them. ist_tee_context_export makes one that owns the context, ist_tee_shm_export one that
 * owns the caller's reference of a shm. They are files, so dup, fork, sending and mmap are the kernel's own, and that the last of
 * the duplicates and mappings is gone is asked of the kernel, by a lock of the open file. Needs /proc.
 *
 * Return the descriptor, not close-on-exec; -EINVAL null, or a shm without IST_TEE_SHM_EXPORT; -EMFILE, -ENOMEM... and then
 * nothing has changed. May block.
 */
IST_API int ist_tee_context_export(struct ist_tee_context *context);
IST_API int ist_tee_shm_export(struct ist_tee_shm *shm);

/* What one of these descriptors, or a duplicate, leads to. */
struct ist_tee_fd {
	uint64_t key; /* the same for all duplicates; unique */
	bool is_context;
	bool can_map; /* a shm that is not registered memory */
	size_t size; /* of a shm */
};

/* 0; -ENOTTY it is none of ours (of this process). May block. */
IST_API int ist_tee_fd_find(int fd, struct ist_tee_fd *out);

/* ist_tee_ioctl on the context of a descriptor; -ENOTTY it is none of ours; -EINVAL it is a shm's. May block. */
IST_API long ist_tee_fd_ioctl(int fd, unsigned long command, void *arg);

/*
 * To be called when a descriptor may have been closed for the last time: with its key, or 0 for all there are; and when a mapping
 * may have been removed: with IST_TEE_REAP_UNMAPPED, for those that were asked for before and still mapped then. What has no
 * descriptor and no mapping any more is let go of. Returns how many were. With 0, ids of what other threads were letting go of are
 * free as well when it returns. The library does the same itself before it refuses something for want of memory. May block.
 */
#define IST_TEE_REAP_UNMAPPED UINT64_MAX
IST_API unsigned ist_tee_reap(uint64_t key);

IST_END_DECLS

#endif
