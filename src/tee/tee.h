/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What the parts of the front know of each other.
 *
 * Who keeps whom: a session and a shm keep their context, a context and a private shm their device (device.users). A record
 * that is found by id (ids.h) is kept by its count; the last to drop it takes it apart, with no lock held.
 *
 * Locks, none held while another is taken but where it says so: device.lock (the sessions of its contexts), session.busy
 * (one call at a time; held while the handler runs), session.calls_lock (what can be cancelled), ids.lock, and the lock of
 * the descriptors (handles.c).
 */
#ifndef TEE_TEE_H
#define TEE_TEE_H

#include <isthmus/tee.h>
#include <isthmus/tee_msg.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tee/handles.h"
#include "tee/ids.h"

#define E_NOTSUPP 524 /* the kernel's own, which no C library names */

#define USER_REGION_SHIFT 40u
#define USER_REGIONS 256u /* 48 bits of addresses */

#define DEVICE_PRIVATE (UINT64_C(1) << 32)

/* supplicant.c. Requests lie on the stacks of who asks, in the order in which they came. */
struct supplicant {
	pthread_mutex_t lock; /* held for a few instructions for each request there is */
	pthread_cond_t changed;
	struct ist_tee_context *context; /* null: there is none */
	struct asked *first;
	uint32_t in_order; /* id of the one that was taken by who takes them one at a time; 0: none */
};

struct ist_tee_device {
	struct ist_manager *manager;
	struct ist_driver_pool *driver;
	struct ist_client_pool *client;
	struct ist_tee_config config;
	struct ids shms, sessions;
	struct supplicant supplicant;
	pthread_mutex_t lock;
	_Atomic uint64_t regions[USER_REGIONS / 64]; /* bits: what of this process's addresses is a backing */
	_Atomic bool detached;
	/* Uses, and DEVICE_PRIVATE for each private shm (so many that it wraps would be a TiB of records): 0 when nobody has anything. */
	_Atomic uint64_t users;
	_Atomic uint64_t contexts, live_shms, registered, live_sessions, calls, descriptors, messages;
};

struct ist_tee_context {
	struct ist_tee_device *device;
	/* By whoever opened it until it is closed, and by each of its shms and sessions. */
	_Atomic uint64_t refs;
	struct session *sessions; /* a list, under device->lock */
	_Atomic bool closing;
	bool is_supplicant;
	/*
	 * Of an exported one: its descriptors together, and each ioctl that runs on one. As in a kernel the context is closed when
	 * the last of these ends.
	 */
	_Atomic uint64_t fd_uses;
	struct handle handle;
};

enum shm_kind { SHM_PRIVATE, SHM_POOL, SHM_USER, SHM_FILE };

struct ist_tee_shm {
	struct count count; /* first: see ids.h */
	uint32_t id; /* 0: private */
	enum shm_kind kind;
	struct ist_tee_device *device;
	/* Of a found record it is compared by who has no right to it, while nobody changes it: that needs a reference. */
	struct ist_tee_context *context;
	struct ist_view view; /* what can be touched, size as the client knows it */
	struct ist_shm memory; /* of a pool */
	struct handle handle;
	int keeper; /* of a file: descriptor that it is known by until it is exported; else -1 */
	uint64_t file_paddr; /* of a registered file: its backing */
	struct grave *grave; /* of memory that has a file of its own; else null */
};

struct session {
	struct count count;
	uint32_t id;
	struct ist_tee_context *context;
	struct session *next, **link; /* device->lock; link null: closed */
	_Atomic bool closed; /* not found any more, though calls of it may run */
	uint8_t uuid[16];
	void *of_handler;
	pthread_mutex_t busy, calls_lock;
	struct running *calls;
};

/* A call that can be cancelled. */
struct running {
	struct ist_tee_device *device;
	struct running *next, **link;
	uint32_t cancel_id;
	_Atomic bool cancelled;
};

/* device.c: false if it is detached. Each use ends. */
bool device_use(struct ist_tee_device *device);
void device_unuse(struct ist_tee_device *device);
/* One use more, by who knows that there is one. */
void device_use_more(struct ist_tee_device *device);
/* The same for a private shm. */
bool device_use_private(struct ist_tee_device *device);
void device_unuse_private(struct ist_tee_device *device);

/* context.c */
void context_get(struct ist_tee_context *context);
void context_put(struct ist_tee_context *context);

/* user.c: [at, at + bytes) of this process has physical addresses from now on. 0, or an error of ist_backing_add. */
int user_memory(struct ist_tee_device *device, uintptr_t at, size_t bytes);

/* register.c: the driver's side of registered memory. check: 0, -EFAULT, -EINVAL: whether it can be registered. */
int register_check(uintptr_t start, size_t length);
int register_pages(struct ist_tee_shm *shm, uint64_t paddr);
void unregister_pages(struct ist_tee_shm *shm);
void shm_forget_file(struct ist_tee_shm *shm);

/* shm.c: a record with an id and nothing in it, its count not begun; and what undoes it. */
struct ist_tee_shm *shm_new(struct ist_tee_context *context, enum shm_kind kind);
void shm_abandon(struct ist_tee_shm *shm);
void shm_begin(struct ist_tee_shm *shm);
/*
 * Of shared memory that ends while this thread defers, the id is free at once, and its bytes when the thread stops deferring, or is
 * about to be refused some: so that who waits for an answer need not wait for that. They nest not; at most SHM_DEFERRED are kept.
 */
#define SHM_DEFERRED 16
void shm_defer_begin(void);
void shm_defer_end(void);
/*
 * What an exported shm of a pool is made of, made beforehand for a manager: memory of whole pages, its file, and a descriptor. ready_make:
 * 0, or an error of ist_client_pool_alloc_isolated. shm_adopt gives it an id in a context of a device of that manager, and a
 * descriptor that owns it, or a negative errno value, and then it is still the caller's.
 */
struct ready {
	struct ist_manager *manager;
	struct ist_shm memory;
	struct handle handle;
	struct grave *grave;
	int keeper, fd;
};
int ready_make(struct ist_manager *manager, size_t size, struct ready *out);
void ready_drop(struct ready *ready);
int shm_adopt(struct ist_tee_context *context, const struct ready *ready, struct ist_tee_shm **out);
/* A descriptor that owns the caller's reference. For registered memory an empty file is made. */
int shm_export(struct ist_tee_shm *shm);
/*
 * What a server has in the place of memory that a client in another process registers: a file of that length, to be exported.
 * Errors as of ist_tee_shm_register, but nothing is known of the client's pages.
 */
int shm_alloc_shadow(struct ist_tee_context *context, uint64_t length, struct ist_tee_shm **out);

/* session.c: what the ioctls do, with parameters that were found. */
struct call_param {
	uint64_t attr;
	uint64_t a, b, c;
	struct ist_tee_shm *shm; /* kept for the call; null: a null reference, or no reference */
};
int session_open(struct ist_tee_context *context, struct ist_tee_ioc_open *arg, struct call_param *param);
int session_invoke(struct ist_tee_context *context, struct ist_tee_ioc_invoke *arg, struct call_param *param);
int session_cancel(struct ist_tee_context *context, const struct ist_tee_ioc_cancel *arg);
int session_close(struct ist_tee_context *context, uint32_t id);
void session_close_all(struct ist_tee_context *context);

/* supplicant.c: the two ioctls, with parameters that were taken from the client. recv: *count in and out. */
void supplicant_init(struct supplicant *supplicant);
void supplicant_drop(struct supplicant *supplicant);
int supplicant_recv(struct ist_tee_context *context, uint32_t *func, uint32_t *count,
                    struct call_param *param);
int supplicant_send(struct ist_tee_context *context, uint32_t ret, uint32_t count,
                    const struct call_param *param);
/* Its context is being closed. */
void supplicant_close(struct ist_tee_context *context);

/* trusted.c: the other world. Answers are in the message. */
void trusted_call(struct ist_tee_device *device, uint64_t paddr, size_t room, struct session *session,
                  struct running *running);

#endif
