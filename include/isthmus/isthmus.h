/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* isthmus: an allocator for memory that two worlds share. This header includes all the others. */
#ifndef ISTHMUS_ISTHMUS_H
#define ISTHMUS_ISTHMUS_H

#include <isthmus/types.h>
#include <isthmus/version.h>
#include <isthmus/view.h>
#include <isthmus/shm.h>
#include <isthmus/pool.h>
#include <isthmus/client.h>
#include <isthmus/manager.h>
#include <isthmus/share.h>
#include <isthmus/translate.h>
#include <isthmus/read.h>
#include <isthmus/backing.h>
#include <isthmus/owner.h>
#include <isthmus/mapping.h>
#include <isthmus/mmio.h>
#include <isthmus/range.h>
#include <isthmus/provider.h>
#include <isthmus/memory.h>
#include <isthmus/stat.h>
#include <isthmus/tee_abi.h>
#include <isthmus/tee.h>
#include <isthmus/tee_msg.h>

#endif
