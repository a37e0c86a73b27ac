/* core: what both halves of the load program know.
 *
 * Provider and consumer are two processes, as real agents are; they share the board: the view key, the numbers the
 * stream begins and ends with, and when each envelope was made. */
#pragma once
#include "party.h"
#include "common/digest.h"
#include "common/macro.h"
#include <stdatomic.h>

#define BOARD_ENVELOPES (1u << 20)
#define CORE_JOURNAL_BYTES (128u << 20)
#define CORE_RECORD_BYTES 1024

struct load {
        const char *provider, *consumer;        /* their configuration files */
        const char *directory;                  /* for outbox and inbox */
        struct digest grant;
        uint32_t records;                       /* an envelope */
        uint32_t rate;                          /* envelopes a second; 0 as many as go */
        bool alone;                             /* one in flight */
        uint64_t warm_ns, run_ns;
        int broker;                             /* its process id; 0 unknown */
};

struct side { double cpu_us; uint64_t syncs, bytes; };  /* within the timed run */

struct board {
        uint8_t view_key[32];
        struct digest key_id, prev;             /* of the consumer's cursor */
        _Atomic uint64_t cursor;                /* what the consumer holds already; set before `ready` */
        _Atomic uint64_t base;                  /* stream_seq of the first envelope made here */
        _Atomic int ready, listening;           /* the provider has read the rows; the consumer is connected */
        _Atomic uint64_t start, stop;           /* ns: of the timed run; 0 not yet */
        _Atomic uint64_t last;                  /* last stream_seq made; 0 not yet known */
        uint8_t provider_key[32];
        struct digest provider_credential, stream;
        /* results of the consumer */
        uint64_t delivered, delivered_records;  /* in the timed run */
        double delivery_p50, delivery_p99, delivery_max;
        struct side consumer;
        uint64_t made_ns[BOARD_ENVELOPES];      /* by stream_seq - base */
};

/* Lists of times, in us. */
struct samples { double *v; size_t n, room; };
void samples_add(struct samples *s, double v);
double samples_at(struct samples *s, double quantile);  /* sorts; NAN if empty */

double process_cpu_us(void);
void core_consume(const struct load *l, struct board *b);       /* the consumer's whole life */
void core_provide(const struct load *l, struct board *b);       /* the provider's; prints the results */
