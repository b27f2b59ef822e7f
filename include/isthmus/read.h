/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Read sections: while a thread is inside one, what it found by a lookup stays mapped. */
#ifndef ISTHMUS_READ_H
#define ISTHMUS_READ_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/*
 * Enter and leave a read section of this thread. Sections nest. A vaddr that any lookup of this library returned inside a
 * section (ist_phys_to_virt, ist_mapping_find...) stays mapped to the same pages until the section ends, whatever others
 * unregister meanwhile. Without a section, or a reference (ist_mapping_get), it may be gone before it is used.
 *
 * Wait-free, except that a thread's first section registers it, which takes a lock. Not in signal handlers. Inside a section
 * every call that may have to wait for readers (register, unregister, destroy...) answers -EDEADLK; do not fork there
 * either. A thread that stays inside for long delays nobody's calls, but memory that was unregistered stays mapped.
 */
IST_API void ist_read_enter(void);
IST_API void ist_read_leave(void);

/* Whether the calling thread is inside a section. Wait-free. */
IST_API bool ist_read_inside(void);

IST_END_DECLS

#endif
