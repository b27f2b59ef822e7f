/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Statistics for other processes: a memory file that shows what a manager does, to be read by isthmus-stat and isthmus-map while
 * the program runs. The pools' fast paths have no part in it. Who may look into /proc/PID/fd of the process may read the file, and
 * nobody but the library can write to it. stat_page.h says what is in it.
 */
#ifndef ISTHMUS_STAT_H
#define ISTHMUS_STAT_H

#include <isthmus/manager.h>
#include <isthmus/stat_page.h>

IST_BEGIN_DECLS

struct ist_stat;

/* No thread: the file shows what it did at the last ist_stat_refresh. */
#define IST_STAT_MANUAL 1u

#define IST_STAT_OWNERS_MAX 65536u
#define IST_STAT_CELLS_MAX (1u << 20)

/* Zero-initialise, then fill in; every 0 or null means the default. Members may be added at the end. */
struct ist_stat_options {
	const char *name; /* to tell several managers of a process apart, up to 31 bytes; default "isthmus" */
	uint32_t flags; /* IST_STAT_... */
	/*
	 * Milliseconds between two snapshots; default 100. A snapshot visits every live allocation; the pause is never less
	 * than nine times what the last one took, so that it is a tenth of one CPU at most.
	 */
	uint32_t period_ms;
	uint32_t
	        owners; /* rows for owners; those that have most get them, the others are counted. Default 64 */
	uint32_t
	        cells; /* rows for a map of each pool, which is folded to so many; 8 bytes each. Default: no map */
};

/*
 * Make the file, with a first snapshot in it, and unless IST_STAT_MANUAL is set start a thread that takes one every now and
 * then. It blocks all signals. Any number of files of one manager may be there at once; it cannot be destroyed as long as one
 * is.
 *
 * Returns 0 and the export in *out, to be given to ist_stat_unexport;
 *   -EINVAL    manager or out is null, the name is too long, an unknown flag is set, or owners or cells is above its limit;
 *   -ENOMEM    no memory;
 *   -EMFILE, -ENFILE  no descriptor is left;
 *   -EAGAIN    no thread can be started;
 *   -ENOTSUP   the kernel cannot make a file that others can only read (before Linux 5.1);
 *   -EFBIG     the process may not have files of that size (RLIMIT_FSIZE); it gets no SIGXFSZ;
 *   -EDEADLK   called inside a read section;
 *   -ECHILD    this process is a child of the one that made the manager, by fork;
 *   or another negative errno value of making the file.
 * A null `options` means all defaults. May block. A child made by fork inherits the descriptor, but neither the thread nor the
 * mapping: what it shows is still the parent, by whose process number readers tell that. Source: doc/guides/tools.md.
 */
IST_API int ist_stat_export(struct ist_manager *manager, const struct ist_stat_options *options,
                            struct ist_stat **out);

/*
 * Take a snapshot now. 0; -EINVAL stat is null; -EDEADLK called inside a read section; -ECHILD in a forked child. May block;
 * several threads may call it at once.
 */
IST_API int ist_stat_refresh(struct ist_stat *stat);

/*
 * The end: take a last snapshot, mark it as that, stop the thread, close the file. Readers that have it mapped keep that
 * snapshot. Null is ignored. 0; -EDEADLK called inside a read section; -ECHILD in a forked child: then nothing happens. May
 * block. No other call with this export may be running or follow.
 */
IST_API int ist_stat_unexport(struct ist_stat *stat);

IST_END_DECLS

#endif
