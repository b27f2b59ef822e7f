/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Guest memory that may not be there: who has the file may truncate it, and the page that is gone answers with SIGBUS. Here a
 * thread looks at such memory and gets an answer instead of a signal.
 *
 * What is in guest memory may change at any time: read it once into memory of one's own, then judge that.
 */
#ifndef VHOST_USER_FAULT_H
#define VHOST_USER_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before the first of the others: takes over SIGBUS. 0, or a negative errno value. */
int fault_install(void);

/* Copy from or to guest memory. False: it is not there, and some of the bytes may have been copied. */
bool fault_read(void *to, const void *guest, size_t size);
bool fault_write(void *guest, const void *from, size_t size);

/*
 * An index of a ring. load is an acquire: what the guest wrote before it stored the index is seen by what we read afterwards.
 * store is a release: the guest that sees the index sees what we wrote before.
 */
bool fault_load16(const void *guest, uint16_t *out);
bool fault_store16(void *guest, uint16_t value);

#endif
