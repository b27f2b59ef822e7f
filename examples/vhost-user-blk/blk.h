/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The disk: a file, and threads that carry requests out. A request is a message of the manager's driver pool, as long as its
 * segments need it. It holds guest physical addresses; the thread that carries it out translates them, in a read section in which it
 * also reads and writes, so that a region that is removed meanwhile is unmapped afterwards.
 */
#ifndef VHOST_USER_BLK_H
#define VHOST_USER_BLK_H

#include <pthread.h>

#include "ring.h"

#define BLK_WORKERS 4
#define BLK_SECTOR 512u

struct request {
	struct ist_shm memory; /* this request itself */
	struct request *next;
	const struct guest *guest;
	struct ring *ring;
	uint16_t head;
	uint8_t status; /* for the guest */
	bool is_durable; /* a write that must be on the disk before it is answered */
	uint32_t type;
	uint64_t sector, status_paddr; /* status_paddr: where the guest wants the status */
	uint64_t bytes; /* of data */
	uint32_t written; /* bytes of guest memory, the status included */
	unsigned count;
	struct segment data[];
};

struct request_list {
	struct request *first, **end;
};

struct blk {
	int file;
	uint64_t sectors;
	bool read_only;
	char serial[20]; /* of GET_ID, filled up with zeroes */
	struct ist_driver_pool *pool;
	int done_event; /* readable when there is something done */
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct request_list todo, done;
	bool stopping;
	unsigned workers;
	pthread_t worker[BLK_WORKERS];
};

/* Open the disk and start the threads. 0, or a negative errno value. */
int blk_open(struct blk *blk, const char *path, bool read_only, struct ist_driver_pool *pool);

/* Nothing may be under way. */
void blk_close(struct blk *blk);

/*
 * Make a request of a chain. 0 and *out; -ENOSPC no message is free now; -EPROTO it is no request: what it answers could not
 * be put anywhere. What can be answered is a request, whatever it asks for. In a read section.
 */
int blk_parse(struct blk *blk, const struct guest *guest, const struct chain *chain, struct request **out);
void blk_free(struct request *request);

/* Have it carried out; then it is among the done, with its status. */
void blk_submit(struct blk *blk, struct request *request);

/* All that is done, as a list. wait: at least one, which must be under way. */
struct request *blk_done(struct blk *blk, bool wait);

/* Take back what no thread has begun with: it is done, with an error as its status. */
void blk_cancel(struct blk *blk);

#endif
