/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_CONTENTS_H
#define MAPPING_CONTENTS_H

#include "space/space.h"

/* As ist_mapping_segments and ist_mapping_paddr. */
int space_list_segments(struct space *space, const struct ist_mapping *handle, uint64_t offset, size_t len,
                        struct iovec *out, size_t room, size_t *count);
int space_paddr(struct space *space, const struct ist_mapping *handle, uint64_t offset, uint64_t granule,
                uint64_t *out);

#endif
