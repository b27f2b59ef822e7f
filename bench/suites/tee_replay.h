/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Recorded traffic through the TEE front, beside the same on the bare pools. */
#ifndef BENCH_TEE_REPLAY_H
#define BENCH_TEE_REPLAY_H

/* Replay each recording through both, in turns; a line for each. Ends the program on a fault. */
void tee_replay(char *const *paths, int count);

#endif
