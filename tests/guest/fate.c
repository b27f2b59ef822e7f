/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "guest/fate.h"

#include <sys/socket.h>

#include "support/support.h"

void fate_expect(struct front *front, enum fate fate)
{
	struct vring_used_elem element;

	if (fate == CLOSED) {
		char byte;

		do
			front_await(front->socket);
		while (recv(front->socket, &byte, 1, 0) > 0);
		return;
	}
	if (fate == BROKEN)
		assert_int_equal(front_wait(front, 0, &element), 0);
	assert_int_equal(front_request(front, fate == BROKEN, VIRTIO_BLK_T_IN, 2, FRONT_DATA, 512, HEADER),
	                 0);
	assert_int_equal((uint8_t)front->ram[FRONT_DATA], disk_byte(1024));
}

void fate_warm_up(struct back *back)
{
	for (unsigned i = 0; i < 3; i++) {
		struct front front;

		front_open(&front, back->socket);
		front_start(&front);
		fate_expect(&front, SERVED);
		front_close(&front);
		back_peer_gone(back);
	}
	back_remember(back);
}
