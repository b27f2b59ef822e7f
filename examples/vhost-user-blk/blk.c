/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault.h"

#define PIECES 64 /* in one system call */

/* Parsing: by bytes, as virtio 1 leaves it to the driver how they are spread over descriptors. */

static uint64_t bytes_of(const struct segment *segment, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += segment[i].size;
	return bytes;
}

/* The first `size` bytes of the readable segments. */
static bool read_header(const struct guest *guest, const struct chain *chain, void *to, size_t size)
{
	char *at = to;

	for (unsigned i = 0; i < chain->readable && size > 0; i++) {
		uint64_t paddr = chain->segment[i].paddr;
		size_t left = chain->segment[i].size < size ? chain->segment[i].size : size;

		while (left > 0) {
			size_t piece = left;
			const void *from = guest_piece(guest, paddr, &piece);

			if (!from || !fault_read(at, from, piece))
				return false;
			at += piece;
			paddr += piece;
			left -= piece;
			size -= piece;
		}
	}
	return size == 0;
}

/* Copy segments without their first `skip` and behind their first `skip + take` bytes. Returns how many there are. */
static unsigned cut(const struct segment *from, unsigned count, uint64_t skip, uint64_t take,
                    struct segment *to)
{
	unsigned made = 0;

	for (unsigned i = 0; i < count && take > 0; i++) {
		uint32_t size = from[i].size, into = skip < size ? (uint32_t)skip : size;
		uint32_t rest = size - into;

		skip -= into;
		rest = rest < take ? rest : (uint32_t)take;
		take -= rest;
		if (rest > 0)
			to[made++] = (struct segment){from[i].paddr + into, rest};
	}
	return made;
}

/* The last byte of what the device may write. */
static bool find_status(const struct chain *chain, uint64_t *paddr)
{
	for (unsigned i = chain->count; i > chain->readable; i--) {
		const struct segment *segment = &chain->segment[i - 1];

		if (segment->size > 0) {
			*paddr = segment->paddr + (segment->size - 1);
			return true;
		}
	}
	return false;
}

/* [request] */
static int make_request(struct blk *blk, const struct chain *chain, struct request **out)
{
	struct ist_shm memory;
	int error = ist_driver_pool_alloc(
	        blk->pool, sizeof(struct request) + chain->count * sizeof(struct segment), &memory);

	if (error)
		return error;
	*out = memory.view.vaddr;
	memset(*out, 0, sizeof(**out));
	(*out)->memory = memory;
	return 0;
}
/* [end] */

int blk_parse(struct blk *blk, const struct guest *guest, const struct chain *chain, struct request **out)
{
	struct virtio_blk_outhdr header;
	const struct segment *in = chain->segment + chain->readable;
	unsigned ins = chain->count - chain->readable;
	struct request *request;
	uint64_t status;
	int error;

	if (!find_status(chain, &status))
		return -EPROTO;
	error = make_request(blk, chain, &request);
	if (error)
		return error;
	request->guest = guest;
	request->head = chain->head;
	request->status_paddr = status;
	request->status = VIRTIO_BLK_S_OK;
	if (read_header(guest, chain, &header, sizeof(header))) {
		uint64_t out_bytes = bytes_of(chain->segment, chain->readable) - sizeof(header);
		uint64_t in_bytes = bytes_of(in, ins) - 1;

		request->type = header.type;
		request->sector = header.sector;
		request->bytes = header.type == VIRTIO_BLK_T_OUT ? out_bytes : in_bytes;
		request->count = header.type == VIRTIO_BLK_T_OUT
		                         ? cut(chain->segment, chain->readable, sizeof(header), out_bytes,
		                               request->data)
		                         : cut(in, ins, 0, in_bytes, request->data);
	} else {
		request->status = VIRTIO_BLK_S_IOERR;
	}
	*out = request;
	return 0;
}

/* The handle is in the message that it is of: copied, before the memory is given back. */
void blk_free(struct request *request)
{
	struct ist_shm memory = request->memory;

	ist_shm_free(&memory);
}

/* Carrying out. Guest memory is found and used in one read section. */

/* Some pieces from byte `done` of the data on; 0: what comes there is not guest memory. */
static int find_pieces(const struct request *request, uint64_t done, struct iovec *piece)
{
	int count = 0;

	for (unsigned i = 0; i < request->count; i++) {
		uint64_t paddr = request->data[i].paddr, left = request->data[i].size;
		uint64_t skip = done < left ? done : left;

		done -= skip;
		paddr += skip;
		left -= skip;
		while (left > 0) {
			size_t size = left;

			if (count == PIECES)
				return count;
			piece[count].iov_base = guest_piece(request->guest, paddr, &size);
			piece[count].iov_len = size;
			if (!piece[count++].iov_base)
				return count - 1;
			paddr += size;
			left -= size;
		}
	}
	return count;
}

/* The system copies between file and guest memory; a page that is not there it answers with EFAULT. */
static uint8_t transfer(struct blk *blk, struct request *request)
{
	off_t start = (off_t)(request->sector * BLK_SECTOR);
	uint64_t done = 0;

	while (done < request->bytes) {
		struct iovec piece[PIECES];
		int count = find_pieces(request, done, piece);
		off_t at = start + (off_t)done;
		ssize_t some;

		if (count == 0)
			return VIRTIO_BLK_S_IOERR;
		some = request->type == VIRTIO_BLK_T_IN
		               ? preadv(blk->file, piece, count, at)
		               : pwritev2(blk->file, piece, count, at, request->is_durable ? RWF_DSYNC : 0);
		if (some < 0 && errno == EINTR)
			continue;
		if (some <= 0)
			return VIRTIO_BLK_S_IOERR;
		done += (uint64_t)some;
		if (request->type == VIRTIO_BLK_T_IN)
			request->written += (uint32_t)some;
	}
	return VIRTIO_BLK_S_OK;
}

static bool is_on_disk(const struct blk *blk, const struct request *request)
{
	uint64_t sectors = request->bytes / BLK_SECTOR;

	return request->bytes % BLK_SECTOR == 0 && request->bytes <= UINT32_MAX &&
	       request->sector <= blk->sectors && sectors <= blk->sectors - request->sector;
}

static uint8_t give_serial(struct blk *blk, struct request *request)
{
	const char *from = blk->serial;
	size_t left = request->bytes < sizeof(blk->serial) ? (size_t)request->bytes : sizeof(blk->serial);
	uint64_t done = 0;

	while (left > 0) {
		struct iovec piece[PIECES];
		int count = find_pieces(request, done, piece);
		size_t size;

		if (count == 0)
			return VIRTIO_BLK_S_IOERR;
		size = piece[0].iov_len < left ? piece[0].iov_len : left;
		if (!fault_write(piece[0].iov_base, from, size))
			return VIRTIO_BLK_S_IOERR;
		from += size;
		left -= size;
		done += size;
	}
	request->written += (uint32_t)done;
	return VIRTIO_BLK_S_OK;
}

/* [section] */
static uint8_t in_section(uint8_t (*work)(struct blk *, struct request *), struct blk *blk,
                          struct request *request)
{
	uint8_t status;

	ist_read_enter();
	status = work(blk, request);
	ist_read_leave();
	return status;
}
/* [end] */

static uint8_t carry_out(struct blk *blk, struct request *request)
{
	bool is_possible = is_on_disk(blk, request);

	switch (request->type) {
	case VIRTIO_BLK_T_IN:
		return is_possible ? in_section(transfer, blk, request) : VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_OUT:
		return is_possible && !blk->read_only ? in_section(transfer, blk, request)
		                                      : VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_FLUSH:
		return fdatasync(blk->file) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		return in_section(give_serial, blk, request);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Lists and threads. */

static void list_clear(struct request_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct request_list *list, struct request *request)
{
	request->next = NULL;
	*list->end = request;
	list->end = &request->next;
}

static struct request *list_take(struct request_list *list)
{
	struct request *request = list->first;

	list->first = request->next;
	if (!list->first)
		list->end = &list->first;
	return request;
}

/* Under the lock. */
static void add_done(struct blk *blk, struct request *request)
{
	list_add(&blk->done, request);
	eventfd_write(blk->done_event, 1);
	pthread_cond_signal(&blk->idle);
}

static void *work(void *argument)
{
	struct blk *blk = argument;

	pthread_mutex_lock(&blk->lock);
	for (;;) {
		struct request *request;

		while (!blk->todo.first && !blk->stopping)
			pthread_cond_wait(&blk->work, &blk->lock);
		if (blk->stopping)
			break;
		request = list_take(&blk->todo);
		pthread_mutex_unlock(&blk->lock);
		if (request->status == VIRTIO_BLK_S_OK)
			request->status = carry_out(blk, request);
		pthread_mutex_lock(&blk->lock);
		add_done(blk, request);
	}
	pthread_mutex_unlock(&blk->lock);
	return NULL;
}

/* Signals are for the thread that talks to the front end. */
static int start_workers(struct blk *blk)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (blk->workers < BLK_WORKERS && !error) {
		error = -pthread_create(&blk->worker[blk->workers], NULL, work, blk);
		blk->workers += !error;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int blk_open(struct blk *blk, const char *path, bool read_only, struct ist_driver_pool *pool)
{
	struct stat file;
	int error = 0;

	memset(blk, 0, sizeof(*blk));
	blk->pool = pool;
	blk->read_only = read_only;
	memcpy(blk->serial, "isthmus", 7);
	list_clear(&blk->todo);
	list_clear(&blk->done);
	pthread_mutex_init(&blk->lock, NULL);
	pthread_cond_init(&blk->work, NULL);
	pthread_cond_init(&blk->idle, NULL);
	blk->done_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	blk->file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (blk->file < 0 || blk->done_event < 0 || fstat(blk->file, &file))
		error = -errno;
	if (!error && (!S_ISREG(file.st_mode) || file.st_size < (off_t)BLK_SECTOR))
		error = -EINVAL;
	if (!error) {
		blk->sectors = (uint64_t)file.st_size / BLK_SECTOR;
		error = start_workers(blk);
	}
	if (error)
		blk_close(blk);
	return error;
}

void blk_close(struct blk *blk)
{
	pthread_mutex_lock(&blk->lock);
	blk->stopping = true;
	pthread_cond_broadcast(&blk->work);
	pthread_mutex_unlock(&blk->lock);
	while (blk->workers > 0)
		pthread_join(blk->worker[--blk->workers], NULL);
	if (blk->file >= 0)
		close(blk->file);
	if (blk->done_event >= 0)
		close(blk->done_event);
}

void blk_submit(struct blk *blk, struct request *request)
{
	pthread_mutex_lock(&blk->lock);
	list_add(&blk->todo, request);
	pthread_cond_signal(&blk->work);
	pthread_mutex_unlock(&blk->lock);
}

struct request *blk_done(struct blk *blk, bool wait)
{
	struct request *done;
	eventfd_t count;

	pthread_mutex_lock(&blk->lock);
	while (wait && !blk->done.first)
		pthread_cond_wait(&blk->idle, &blk->lock);
	eventfd_read(blk->done_event, &count);
	done = blk->done.first;
	list_clear(&blk->done);
	pthread_mutex_unlock(&blk->lock);
	return done;
}

void blk_cancel(struct blk *blk)
{
	pthread_mutex_lock(&blk->lock);
	while (blk->todo.first) {
		struct request *request = list_take(&blk->todo);

		request->status = VIRTIO_BLK_S_IOERR;
		add_done(blk, request);
	}
	pthread_mutex_unlock(&blk->lock);
}
