/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Memory of this process that is registered with a server: where it is, and the file that is its shadow there. Before a call the
 * one is copied into the other, and back behind it; the kernel copies, so memory that is not there any more is an error.
 */
#ifndef PRELOAD_REGISTERED_H
#define PRELOAD_REGISTERED_H

#include <isthmus/tee_abi.h>

#include <stdbool.h>

struct registered_use;

/* Of a context (the inode of its socket), by its descriptor. 0; -ENOMEM, -EMFILE. */
int registered_add(uint64_t context, const struct ist_tee_ioc_register *data, int fd);

/* A descriptor of that file (0: of any) was closed: forget what has none any more. */
void registered_closed(uint64_t key);

/*
 * [addr, addr + bytes) is about to be unmapped, and then is gone. What of it is registered is kept in its shadow, and from then on not
 * copied any more: so the trusted side has what a kernel would have kept for it.
 */
void registered_unmapping(uint64_t addr, uint64_t bytes, bool gone);

/* For each parameter that names registered memory: copy what it refers to, and keep it in uses[i] until registered_end. -EFAULT. */
int registered_copy_in(uint64_t context, const struct ist_tee_ioc_param *param, unsigned count,
                       struct registered_use **uses);
/* `answered`: the parameters as they came back. -EFAULT. */
int registered_copy_out(const struct ist_tee_ioc_param *param, unsigned count, struct registered_use **uses,
                        const void *answered);
void registered_end(unsigned count, struct registered_use **uses);

#endif
