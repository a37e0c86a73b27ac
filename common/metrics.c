/* metrics: blocks of counters laid out by the table, added up when somebody looks.
 *
 * A row has one cell a label value; a histogram's cell is its buckets, one for what is beyond them, and the sum.
 * A block is written by its thread alone and read by the scrape: plain relaxed atomics. */
#include "common/metrics.h"
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/macro.h"

struct bounds { unsigned n; uint64_t at[17]; };

#define MS 1000000ull
static const struct bounds unit_bounds[] = {
        [METRIC_COUNT] = { 13, { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 } },
        [METRIC_SECONDS] = { 17, { MS / 20, MS / 10, MS / 4, MS / 2, 1 * MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
                                   250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS } },
        [METRIC_BYTES] = { 10, { 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20 } },
        [METRIC_RATIO] = { 9, { 100, 200, 300, 400, 500, 600, 700, 800, 900 } },
};

struct metrics_block {
        struct metrics_block *next;
        struct metrics *owner;
        _Atomic uint64_t cells[];
};

struct place { unsigned first, labels, width; };        /* of a row's cells: width each */

struct metrics {
        const struct metric_row *rows;
        unsigned n;
        struct place *places;
        unsigned cell_count;
        pthread_mutex_t lock;                   /* the list of blocks */
        struct metrics_block *blocks;           /* the last is the process's own: gauges, totals kept elsewhere */
        struct metrics_block *own;
};

static unsigned count_labels(const struct metric_row *row)
{
        unsigned n = 0;

        if (!row->label)
                return 1;
        while (row->label_value(n))
                n++;
        return n;
}

static void lay_out(struct metrics *m)
{
        for (unsigned i = 0; i < m->n; i++) {
                struct place *p = &m->places[i];

                p->first = m->cell_count;
                p->labels = count_labels(&m->rows[i]);
                p->width = m->rows[i].kind == METRIC_HISTOGRAM ? unit_bounds[m->rows[i].unit].n + 2 : 1;
                m->cell_count += p->labels * p->width;
        }
}

struct metrics *metrics_new(const struct metric_row *rows, unsigned n)
{
        struct metrics *m = calloc(1, sizeof(*m));

        if (!m)
                return NULL;
        m->rows = rows;
        m->n = n;
        pthread_mutex_init(&m->lock, NULL);
        m->places = calloc(n ? n : 1, sizeof(*m->places));
        if (m->places) {
                lay_out(m);
                m->own = metrics_block_new(m);
        }
        if (!m->own) {
                metrics_free(m);
                return NULL;
        }
        return m;
}

void metrics_free(struct metrics *m)
{
        if (!m)
                return;
        while (m->blocks) {
                struct metrics_block *next = m->blocks->next;

                free(m->blocks);
                m->blocks = next;
        }
        pthread_mutex_destroy(&m->lock);
        free(m->places);
        free(m);
}

struct metrics_block *metrics_block_new(struct metrics *m)
{
        struct metrics_block *b = calloc(1, sizeof(*b) + m->cell_count * sizeof(b->cells[0]));

        if (!b)
                return NULL;
        b->owner = m;
        pthread_mutex_lock(&m->lock);
        b->next = m->blocks;
        m->blocks = b;
        pthread_mutex_unlock(&m->lock);
        return b;
}

/* -- Counting. -- */

static unsigned cell_of(const struct metrics *m, unsigned row, unsigned label)
{
        assert(row < m->n && label < m->places[row].labels);
        return m->places[row].first + label * m->places[row].width;
}

static void bump(_Atomic uint64_t *cell, uint64_t n)
{
        atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

void metrics_add(struct metrics_block *b, unsigned row, unsigned label, uint64_t n)
{
        assert(b->owner->rows[row].kind == METRIC_COUNTER);
        bump(&b->cells[cell_of(b->owner, row, label)], n);
}

void metrics_observe(struct metrics_block *b, unsigned row, unsigned label, uint64_t value)
{
        const struct bounds *bounds = &unit_bounds[b->owner->rows[row].unit];
        unsigned cell = cell_of(b->owner, row, label), i = 0;

        assert(b->owner->rows[row].kind == METRIC_HISTOGRAM);
        while (i < bounds->n && value > bounds->at[i])
                i++;
        bump(&b->cells[cell + i], 1);
        bump(&b->cells[cell + bounds->n + 1], value);
}

void metrics_set(struct metrics *m, unsigned row, unsigned label, uint64_t value)
{
        assert(m->rows[row].kind == METRIC_GAUGE);
        atomic_store_explicit(&m->own->cells[cell_of(m, row, label)], value, memory_order_relaxed);
}

void metrics_set_total(struct metrics *m, unsigned row, unsigned label, uint64_t value)
{
        assert(m->rows[row].kind == METRIC_COUNTER);
        atomic_store_explicit(&m->own->cells[cell_of(m, row, label)], value, memory_order_relaxed);
}

/* -- Looking. -- */

static uint64_t sum_cell(const struct metrics *m, unsigned cell)        /* under lock */
{
        uint64_t n = 0;

        for (struct metrics_block *b = m->blocks; b; b = b->next)
                n += atomic_load_explicit(&b->cells[cell], memory_order_relaxed);
        return n;
}

static uint64_t count_observed(const struct metrics *m, unsigned row, unsigned cell)    /* under lock */
{
        uint64_t n = 0;

        for (unsigned i = 0; i <= unit_bounds[m->rows[row].unit].n; i++)
                n += sum_cell(m, cell + i);
        return n;
}

uint64_t metrics_get(struct metrics *m, unsigned row, unsigned label)
{
        unsigned cell = cell_of(m, row, label);
        uint64_t n;

        pthread_mutex_lock(&m->lock);
        n = m->rows[row].kind == METRIC_HISTOGRAM ? count_observed(m, row, cell) : sum_cell(m, cell);
        pthread_mutex_unlock(&m->lock);
        return n;
}

/* A value in the unit that is printed. */
static void print_value(FILE *f, enum metric_unit unit, uint64_t v)
{
        switch (unit) {
        case METRIC_SECONDS:
                fprintf(f, "%.15g", (double)v / 1e9);
                break;
        case METRIC_RATIO:
                fprintf(f, "%.3g", (double)v / 1e3);
                break;
        case METRIC_COUNT:
        case METRIC_BYTES:
                fprintf(f, "%" PRIu64, v);
                break;
        }
}

static void print_escaped(FILE *f, const char *s, bool in_quotes)
{
        for (; *s; s++) {
                if (*s == '\n')
                        fputs("\\n", f);
                else if (*s == '\\' || (in_quotes && *s == '"'))
                        fprintf(f, "\\%c", *s);
                else
                        fputc(*s, f);
        }
}

/* {code="E_STATE",le="0.5"}: either may be missing. */
static void print_labels(FILE *f, const struct metric_row *row, unsigned label, enum metric_unit unit, const uint64_t *le, bool infinite)
{
        bool any = row->label || le || infinite;

        if (any)
                fputc('{', f);
        if (row->label) {
                fprintf(f, "%s=\"", row->label);
                print_escaped(f, row->label_value(label), true);
                fputc('"', f);
        }
        if (row->label && (le || infinite))
                fputc(',', f);
        if (infinite) {
                fputs("le=\"+Inf\"", f);
        } else if (le) {
                fputs("le=\"", f);
                print_value(f, unit, *le);
                fputc('"', f);
        }
        if (any)
                fputc('}', f);
}

static void print_line(FILE *f, const struct metric_row *row, const char *suffix, unsigned label, const uint64_t *le, bool infinite,
                       enum metric_unit unit, uint64_t value)
{
        fprintf(f, "%s%s", row->name, suffix);
        print_labels(f, row, label, row->unit, le, infinite);
        fputc(' ', f);
        print_value(f, unit, value);
        fputc('\n', f);
}

static void print_histogram(FILE *f, const struct metrics *m, unsigned r, unsigned label, unsigned cell)
{
        const struct metric_row *row = &m->rows[r];
        const struct bounds *bounds = &unit_bounds[row->unit];
        uint64_t n = 0;

        for (unsigned i = 0; i < bounds->n; i++) {
                n += sum_cell(m, cell + i);
                print_line(f, row, "_bucket", label, &bounds->at[i], false, METRIC_COUNT, n);
        }
        n += sum_cell(m, cell + bounds->n);
        print_line(f, row, "_bucket", label, NULL, true, METRIC_COUNT, n);
        print_line(f, row, "_sum", label, NULL, false, row->unit, sum_cell(m, cell + bounds->n + 1));
        print_line(f, row, "_count", label, NULL, false, METRIC_COUNT, n);
}

static void print_row(FILE *f, const struct metrics *m, unsigned r)
{
        static const char *const kinds[] = { "counter", "gauge", "histogram" };
        const struct metric_row *row = &m->rows[r];

        fprintf(f, "# HELP %s ", row->name);
        print_escaped(f, row->help, false);
        fprintf(f, "\n# TYPE %s %s\n", row->name, kinds[row->kind]);
        for (unsigned label = 0; label < m->places[r].labels; label++) {
                unsigned cell = m->places[r].first + label * m->places[r].width;
                uint64_t n = row->kind == METRIC_HISTOGRAM ? count_observed(m, r, cell) : sum_cell(m, cell);

                if (n == 0 && row->label)
                        continue;
                if (row->kind == METRIC_HISTOGRAM)
                        print_histogram(f, m, r, label, cell);
                else
                        print_line(f, row, "", label, NULL, false, row->unit, n);
        }
}

char *metrics_format(struct metrics *m, size_t *ret_len)
{
        char *text = NULL;
        FILE *f = open_memstream(&text, ret_len);

        if (!f)
                return NULL;
        pthread_mutex_lock(&m->lock);
        for (unsigned r = 0; r < m->n; r++)
                print_row(f, m, r);
        pthread_mutex_unlock(&m->lock);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}
