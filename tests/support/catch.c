/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/catch.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 10, HANGS = 20 };

int catch_mutant(int number, int (*torture_a_second)(void))
{
	for (int second = 1; second <= SECONDS; second++) {
		int status;
		pid_t child;

		fflush(stdout);
		child = fork();
		if (child == 0) {
			alarm(HANGS);
			status = torture_a_second();
			fflush(stdout);
			_exit(status);
		}
		waitpid(child, &status, 0);
		if (status != 0) {
			printf("mutant %d: caught in second %d (%s)\n", number, second,
			       WIFSIGNALED(status) ? "crashed" : "wrong answers");
			return 0;
		}
	}
	printf("mutant %d: NOT caught\n", number);
	return 1;
}
