/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_WIRE_H
#define MAPPING_WIRE_H

#include "mapping/request.h"
#include "space/space.h"

/* The whole list into request->list, page by page, each by way of a private copy; and the request's offset. Errors as of the registration. */
int wire_read(struct space *space, uint64_t list, struct request *request);

#endif
