/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_WIRE_H
#define MAPPING_WIRE_H

#include "mapping/request.h"
#include "space/space.h"

/* A list page of the wire format into a private copy (wire.c). */
int wire_read(struct space *space, uint64_t list, struct request *request);

#endif
