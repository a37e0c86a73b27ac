/* metrics: what is counted, in one table of the program's, as Prometheus reads it.
 *
 *         #define BROKER_METRICS(X) \
 *                 X(M_FRAMES, "shuyi_frames_received_total", METRIC_COUNTER, METRIC_COUNT, "Frames taken from peers.", NULL, NULL) \
 *                 X(M_REFUSED, "shuyi_refused_total", METRIC_COUNTER, METRIC_COUNT, "Refusals by code.", "code", refusal_label) \
 *                 X(M_SYNC, "shuyi_sync_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time of one log sync.", NULL, NULL)
 *         enum { BROKER_METRICS(METRIC_ENUMERATOR) M_COUNT };
 *         static const struct metric_row rows[] = { BROKER_METRICS(METRIC_ROW) };
 *
 * Counters and histograms are counted in a block of the thread's own and added up at a scrape; gauges belong to the
 * process, the last setter wins.  Nothing locks but making a block and the scrape. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
/* What is given and what is printed: METRIC_SECONDS takes nanoseconds and prints seconds; histograms have fixed
 * bounds by unit: 50 us to 10 s, 256 B to 64 MiB, 1 to 4,096. */
enum metric_unit { METRIC_COUNT, METRIC_SECONDS, METRIC_BYTES, METRIC_RATIO /* permille, prints 0 to 1 */ };

struct metric_row {
        const char *name;                       /* counters end in _total, units stand before: _seconds, _bytes */
        enum metric_kind kind;
        enum metric_unit unit;
        const char *help;
        const char *label;                      /* NULL: one value */
        const char *(*label_value)(unsigned i); /* text of label value i from 0; NULL past the last */
};
#define METRIC_ENUMERATOR(constant, name, kind, unit, help, label, label_value) constant,
#define METRIC_ROW(constant, name, kind, unit, help, label, label_value) { name, kind, unit, help, label, label_value },

struct metrics;
struct metrics_block;

/* The rows must outlive it.  NULL: no memory. */
struct metrics *metrics_new(const struct metric_row *rows, unsigned n);
void metrics_free(struct metrics *m);           /* with all blocks; NULL is fine */
/* A thread's own counters; stays counted after the thread has ended.  NULL: no memory. */
struct metrics_block *metrics_block_new(struct metrics *m);

void metrics_add(struct metrics_block *b, unsigned row, unsigned label, uint64_t n);    /* counter */
void metrics_observe(struct metrics_block *b, unsigned row, unsigned label, uint64_t value);    /* histogram */
void metrics_set(struct metrics *m, unsigned row, unsigned label, uint64_t value);      /* gauge; any thread */
/* A counter that is kept elsewhere (a library's figure, a row of state): its value as it is now. */
void metrics_set_total(struct metrics *m, unsigned row, unsigned label, uint64_t value);
uint64_t metrics_get(struct metrics *m, unsigned row, unsigned label);  /* counter sum, gauge, or histogram count */
static inline void metrics_inc(struct metrics_block *b, unsigned row, unsigned label) { metrics_add(b, row, label, 1); }

/* Prometheus text format 0.0.4, NUL-ended, malloc'ed: the caller frees it.  NULL: no memory.  Values that are zero
 * of a labelled row are left out. */
char *metrics_format(struct metrics *m, size_t *ret_len);
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
