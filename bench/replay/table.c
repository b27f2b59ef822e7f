/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "table.h"

#include <string.h>

#define GOAL_FACTOR 1.10

static void print_head(FILE *file, const struct trace_report *report)
{
	const struct plan *plan = &report->plan;

	fprintf(file, "\n%s\n", report->name);
	fprintf(file,
	        "  %u events, %u objects, %u CPUs; replayed %u steps. Not replayed: %llu calls and supplicant requests,\n",
	        report->events, report->objects, plan->worker_count, plan->step_count,
	        (unsigned long long)plan->calls);
	fprintf(file,
	        "  %llu registrations and their ends, %llu translations of registered memory (dynamic mappings),\n"
	        "  %llu births and ends of pages that only hold message slots.\n",
	        (unsigned long long)plan->mappings, (unsigned long long)plan->mapping_lookups,
	        (unsigned long long)plan->slot_pages);
}

static void print_ns(FILE *file, double ns)
{
	if (ns < 99.95)
		fprintf(file, " %8.1f", ns);
	else
		fprintf(file, " %8.0f", ns);
}

static void print_latency(FILE *file, const char *kind, uint64_t planned, const struct peer *peer,
                          const struct latency *latency)
{
	const struct spread *mean = &latency->figures[FIGURE_MEAN];
	char range[48];
	uint32_t figure;

	if (kind)
		fprintf(file, "  %-12s %9llu", kind, (unsigned long long)planned);
	fprintf(file, "%*s  %-9s", kind ? 0 : 24, "", peer->name);
	if (!latency->count) {
		fprintf(file, " %8s\n",
		        peer->knows_physical ? "-" : "-  (cannot: knows no physical address)");
		return;
	}
	print_ns(file, mean->median);
	snprintf(range, sizeof(range), "[%.*f..%.*f]", mean->high < 99.95, mean->low, mean->high < 99.95,
	         mean->high);
	fprintf(file, " %-16s", range);
	for (figure = FIGURE_P50; figure < FIGURE_COUNT; figure++)
		print_ns(file, latency->figures[figure].median);
	fputc('\n', file);
}

static void print_mode(FILE *file, const struct measure_config *config, const struct trace_report *report,
                       enum mode mode)
{
	uint32_t kind, peer, figure;

	fprintf(file, "\n  %s; ns per operation, medians of %u repetitions, the mean's range in brackets\n",
	        mode_name(mode), config->repeat);
	fprintf(file, "  %-12s %9s  %-9s %8s %-16s", "operation", "count", "peer", "mean",
	        "[lowest..highest]");
	for (figure = FIGURE_P50; figure < FIGURE_COUNT; figure++)
		fprintf(file, " %8s", figure_name(figure));
	fputc('\n', file);
	for (kind = 0; kind < STEP_KIND_COUNT; kind++) {
		if (!report->plan.kinds[kind])
			continue;
		for (peer = 0; peer < report->peer_count; peer++)
			print_latency(file, peer ? NULL : step_kind_name(kind), report->plan.kinds[kind],
			              report->peers[peer].peer, &report->peers[peer].modes[mode].kinds[kind]);
	}
}

static void print_refusals(FILE *file, const struct trace_report *report, enum mode mode)
{
	uint32_t peer;

	fprintf(file, "  %-44s",
	        mode == MODE_SINGLE ? "refused, one thread" : "refused, a thread for each recorded CPU");
	for (peer = 0; peer < report->peer_count; peer++) {
		const struct mode_report *figures = &report->peers[peer].modes[mode];

		fprintf(file, " %12llu",
		        (unsigned long long)(figures->refused[POOL_DRIVER] + figures->refused[POOL_CLIENT]));
	}
	fputc('\n', file);
}

/* Requests that the recorded system refused; those larger than the pool must be refused by everybody. */
static void print_attempts(FILE *file, const struct trace_report *report, enum mode mode)
{
	uint64_t impossible = report->peers[0].modes[mode].attempts_impossible;
	uint32_t peer;

	if (report->plan.attempts > impossible) {
		fprintf(file, "  %-44s", "refused when recorded; of these served now");
		for (peer = 0; peer < report->peer_count; peer++)
			fprintf(file, " %7llu of %llu",
			        (unsigned long long)report->peers[peer].modes[mode].attempts_served,
			        (unsigned long long)(report->plan.attempts - impossible));
		fputc('\n', file);
	}
	if (impossible)
		fprintf(file,
		        "  (%llu request larger than the pool, refused when recorded, by all here, and rightly)\n",
		        (unsigned long long)impossible);
}

static void print_smallest(FILE *file, const struct trace_report *report, enum pool pool)
{
	uint32_t peer;

	if (!report->searched[pool])
		return;
	fprintf(file, "  %-44s",
	        pool == POOL_CLIENT ? "smallest client pool without refusal, pages"
	                            : "smallest driver pool without refusal, pages");
	for (peer = 0; peer < report->peer_count; peer++) {
		size_t bytes = report->peers[peer].smallest[pool];

		if (bytes)
			fprintf(file, " %12zu", bytes / IST_PAGE_SIZE);
		else
			fprintf(file, " %12s", "none found");
	}
	fputc('\n', file);
}

static const struct peer_report *find_peer(const struct trace_report *report, const struct peer *peer)
{
	uint32_t i;

	for (i = 0; i < report->peer_count; i++)
		if (report->peers[i].peer == peer)
			return &report->peers[i];
	return NULL;
}

static void print_goal(FILE *file, bool met, const char *what)
{
	fprintf(file, "  goal %-6s %s\n", met ? "met:" : "MISSED:", what);
}

/* Judged by the recorded order: threads of their own pace may ask for more at once than was ever recorded. */
static void print_goals(FILE *file, const struct measure_config *config, const struct trace_report *report)
{
	const struct peer_report *ours = find_peer(report, &peer_isthmus),
	                         *theirs = find_peer(report, &peer_bestfit);
	enum mode mode = config->modes[MODE_SINGLE] ? MODE_SINGLE : MODE_MULTI;
	const struct mode_report *figures = &ours->modes[mode];
	uint64_t refused = figures->refused[POOL_DRIVER] + figures->refused[POOL_CLIENT];
	uint64_t possible = report->plan.attempts - figures->attempts_impossible;
	char text[160];

	snprintf(text, sizeof(text), "%llu requests refused, %s (goal 0)", (unsigned long long)refused,
	         mode_name(mode));
	print_goal(file, refused == 0, text);
	if (possible) {
		snprintf(text, sizeof(text),
		         "%llu of %llu requests served that the recorded kernel pool refused",
		         (unsigned long long)figures->attempts_served, (unsigned long long)possible);
		print_goal(file, figures->attempts_served == possible, text);
	}
	if (report->searched[POOL_CLIENT] && theirs->smallest[POOL_CLIENT]) {
		double factor = (double)ours->smallest[POOL_CLIENT] / (double)theirs->smallest[POOL_CLIENT];

		snprintf(text, sizeof(text), "smallest client pool %.3f times best fit's (goal at most %.2f)",
		         factor, GOAL_FACTOR);
		print_goal(file, ours->smallest[POOL_CLIENT] && factor <= GOAL_FACTOR, text);
	}
}

static void print_pools(FILE *file, const struct measure_config *config, const struct trace_report *report)
{
	const struct plan *plan = &report->plan;
	char title[96];
	uint32_t peer;
	enum mode mode;

	snprintf(title, sizeof(title), "pools: driver %zu KiB, client %zu KiB",
	         report->region.driver_size / 1024, report->region.client_size / 1024);
	fprintf(file, "\n  %-44s", title);
	for (peer = 0; peer < report->peer_count; peer++)
		fprintf(file, " %12s", report->peers[peer].peer->name);
	fputc('\n', file);
	fprintf(file, "  peak asked at once: client %llu B, in %llu pages; driver %llu B\n",
	        (unsigned long long)plan->peak_asked[POOL_CLIENT],
	        (unsigned long long)(plan->peak_rounded[POOL_CLIENT] / IST_PAGE_SIZE),
	        (unsigned long long)plan->peak_asked[POOL_DRIVER]);
	for (mode = 0; mode < MODE_COUNT; mode++)
		if (config->modes[mode])
			print_refusals(file, report, mode);
	if (plan->attempts)
		print_attempts(file, report, config->modes[MODE_SINGLE] ? MODE_SINGLE : MODE_MULTI);
	print_smallest(file, report, POOL_CLIENT);
	print_smallest(file, report, POOL_DRIVER);
}

void table_print(FILE *file, const struct measure_config *config, const struct trace_report *report)
{
	enum mode mode;

	print_head(file, report);
	for (mode = 0; mode < MODE_COUNT; mode++)
		if (config->modes[mode])
			print_mode(file, config, report, mode);
	print_pools(file, config, report);
	print_goals(file, config, report);
}
