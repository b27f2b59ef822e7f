/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* isthmus-trace: runs a program with libisthmus-trace.so loaded, and makes traces of what that has left. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/merge.h"

#define NOTHING 125 /* the exit status, if nothing was recorded */

struct options {
	const char *output, *library;
	char **command;
};

/* All records of one process. */
struct process {
	int64_t pid;
	uint64_t token;
	struct spool_record *records;
	size_t count, room;
};

struct processes {
	struct process *at;
	size_t count;
};

static const char usage[] =
        "usage: isthmus-trace [--output FILE] [--library FILE] COMMAND [ARGUMENT...]\n"
        "\n"
        "Runs a program that is linked with libisthmus.so and records its allocations and registrations,\n"
        "to be replayed by bench/run FILE. Each process that it starts gets a trace of its own.\n"
        "\n"
        "  --output FILE   where the trace goes (default isthmus.trace); of other processes than the\n"
        "                  program's first: FILE.PID\n"
        "  --library FILE  libisthmus-trace.so, if it is not installed\n"
        "\n"
        "The exit status is the program's, 128 and the number of the signal that ended it, or 125 if\n"
        "nothing was recorded.\n";

static bool parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {{"output", required_argument, NULL, 'o'},
	                                      {"library", required_argument, NULL, 'l'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	int option;

	*out = (struct options){.output = "isthmus.trace", .library = TRACE_LIBRARY};
	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'o':
			out->output = optarg;
			break;
		case 'l':
			out->library = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return false;
		}
	}
	out->command = argv + optind;
	return optind < argc;
}

static void become(const struct options *options, const char *folder)
{
	const char *others = getenv("LD_PRELOAD");
	char preload[2 * PATH_MAX], library[PATH_MAX];
	int result;

	if (!realpath(options->library, library)) {
		perror(options->library);
		_exit(NOTHING);
	}
	snprintf(preload, sizeof(preload), "%s%s%s", library, others ? ":" : "", others ? others : "");
	setenv("LD_PRELOAD", preload, 1);
	setenv(SPOOL_FOLDER, folder, 1);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	execvp(options->command[0], options->command);
	result = errno == ENOENT ? 127 : 126; /* as shells have it */
	perror(options->command[0]);
	_exit(result);
}

/* Waits for the program and all that it has started. Returns the exit status. */
static int run(const struct options *options, const char *folder, pid_t *first)
{
	int status, result = NOTHING;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGINT, SIG_IGN); /* they end the program, and this goes on with what it left */
	signal(SIGQUIT, SIG_IGN);
	*first = fork();
	if (*first == 0)
		become(options, folder);
	if (*first < 0) {
		perror("fork");
		return NOTHING;
	}
	while ((pid = wait(&status)) > 0 || errno == EINTR) {
		if (pid == *first)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return result;
}

static struct process *process_of(struct processes *all, int64_t pid, uint64_t token)
{
	struct process *moved;

	for (size_t i = 0; i < all->count; i++) {
		if (all->at[i].pid == pid && all->at[i].token == token)
			return &all->at[i];
	}
	moved = realloc(all->at, (all->count + 1) * sizeof(*moved));
	if (!moved)
		return NULL;
	all->at = moved;
	all->at[all->count] = (struct process){.pid = pid, .token = token};
	return &all->at[all->count++];
}

static int add_records(struct processes *all, const struct spool_chunk *chunk)
{
	struct process *process = process_of(all, chunk->pid, chunk->process);

	if (!process)
		return -1;
	if (process->room - process->count < SPOOL_RECORDS) {
		size_t room = 2 * process->room + SPOOL_RECORDS;
		struct spool_record *moved = realloc(process->records, room * sizeof(*moved));

		if (!moved)
			return -1;
		process->records = moved;
		process->room = room;
	}
	for (unsigned i = 0; i < SPOOL_RECORDS; i++) {
		const struct spool_record *record = &chunk->records[i];

		/* Acquire: [trace.T1]; who wrote it has ended, or goes on without us. */
		if (atomic_load_explicit(&record->number, memory_order_acquire))
			memcpy(&process->records[process->count++], record, sizeof(*record));
	}
	return 0;
}

/* Read the chunks, and remove them. */
static int collect(const char *folder, struct processes *all)
{
	static struct spool_chunk chunk;
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX + sizeof(entry->d_name) + 1];
	int error = 0;

	if (!dir)
		return -1;
	while (!error && (entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "r");
		/* One that its process had no time to begin has nothing in it. */
		if (file && fread(&chunk, sizeof(chunk), 1, file) == 1 && chunk.magic == SPOOL_MAGIC)
			error = add_records(all, &chunk);
		if (file)
			fclose(file);
		unlink(path);
	}
	closedir(dir);
	return error;
}

/* A name that no trace of this run has yet. */
static void name_output(const struct options *options, const struct process *process, pid_t first,
                        unsigned turn, char *path)
{
	if (process->pid == first && turn == 0)
		snprintf(path, PATH_MAX, "%s", options->output);
	else if (turn == 0)
		snprintf(path, PATH_MAX, "%s.%" PRId64, options->output, process->pid);
	else
		snprintf(path, PATH_MAX, "%s.%" PRId64 ".%u", options->output, process->pid, turn + 1);
}

static int write_trace(const struct options *options, struct process *process, pid_t first, unsigned turn)
{
	struct merged merged;
	char path[PATH_MAX];
	FILE *out;
	int error = -1;

	name_output(options, process, first, turn, path);
	out = fopen(path, "w");
	if (out) {
		fprintf(out, "# recorded by isthmus-trace from process %" PRId64 ": %.200s\n", process->pid,
		        strpbrk(options->command[0], "\r\n") ? "?" : options->command[0]);
		error = merge(process->records, process->count, out, &merged);
		error |= fclose(out);
	}
	if (error) {
		perror(path);
		return error;
	}
	fprintf(stderr,
	        "isthmus-trace: %s: %" PRIu64 " events, %" PRIu64 " objects, %" PRIu64
	        " alive at the end, %" PRIu64 " ended otherwise, %" PRIu64 " ends of others or refused\n",
	        path, merged.events, merged.objects, merged.alive, merged.implied, merged.unknown);
	return 0;
}

static int by_token(const void *a, const void *b)
{
	const struct process *left = a, *right = b;

	return (left->token > right->token) - (left->token < right->token);
}

/* Exit status: as `result`, unless something of it failed. */
static int write_traces(const struct options *options, struct processes *all, pid_t first, int result)
{
	int error = 0;

	if (all->count == 0) {
		fputs("isthmus-trace: nothing was recorded: is the program linked with libisthmus.so? With libisthmus.a, set-user-ID, or\n"
		      "with a loader that takes no LD_PRELOAD, it cannot be recorded.\n",
		      stderr);
		return result ? result : NOTHING;
	}
	qsort(all->at, all->count, sizeof(*all->at), by_token);
	for (size_t i = 0; i < all->count; i++) {
		unsigned turn = 0;

		for (size_t before = 0; before < i; before++)
			turn += all->at[before].pid == all->at[i].pid;
		error |= write_trace(options, &all->at[i], first, turn);
	}
	return error && !result ? NOTHING : result;
}

int main(int argc, char **argv)
{
	struct processes all = {0};
	struct options options;
	char folder[PATH_MAX];
	const char *place = getenv("TMPDIR");
	pid_t first;
	int result;

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	snprintf(folder, sizeof(folder), "%s/isthmus-trace-XXXXXX", place && *place ? place : "/tmp");
	if (!mkdtemp(folder)) {
		perror(folder);
		return NOTHING;
	}
	result = run(&options, folder, &first);
	if (collect(folder, &all)) {
		perror(folder);
		result = result ? result : NOTHING;
	}
	result = write_traces(&options, &all, first, result);
	rmdir(folder);
	for (size_t i = 0; i < all.count; i++)
		free(all.at[i].records);
	free(all.at);
	return result;
}
