/* core: what both sides of the load program know.
 *
 * The provider and each consumer are processes of their own, as real agents are; they share the board: the view key, the
 * numbers the stream begins and ends with, and when each envelope was made. */
#pragma once
#include "party.h"
#include "samples.h"
#include "common/digest.h"
#include "common/macro.h"
#include <stdatomic.h>

#define BOARD_ENVELOPES (1u << 20)
#define CORE_JOURNAL_BYTES (128u << 20)
#define CORE_RECORD_BYTES 1024
#define CORE_CONSUMERS_MAX 16u

struct reader { const char *config; struct digest grant; };     /* a consumer: its configuration file, its grant */

struct load {
        const char *provider;                   /* its configuration file */
        const char *directory;                  /* for outbox and inboxes */
        struct reader readers[CORE_CONSUMERS_MAX];
        unsigned readers_n;
        uint32_t records;                       /* an envelope */
        uint32_t rate;                          /* envelopes a second; 0 as many as go */
        bool alone;                             /* one in flight */
        uint64_t warm_ns, run_ns;
        int broker;                             /* its process id; 0 unknown */
};

struct side { double cpu_us; uint64_t syncs, bytes; };  /* within the timed run */

/* One consumer's corner of the board. */
struct corner {
        uint64_t cursor;                        /* what it holds already, and */
        struct digest prev;                     /* the header digest there: set before `ready` */
        _Atomic int listening;                  /* it is connected */
        /* its results */
        uint64_t delivered, delivered_records, receipts;        /* in the timed run */
        double p50, p99, max;                   /* of delivery, us */
        struct side use;
        _Atomic int done;
};

struct board {
        uint8_t view_key[32];
        struct digest key_id;
        _Atomic uint64_t base;                  /* stream_seq of the first envelope made here */
        _Atomic int ready;                      /* the provider has read the rows */
        _Atomic uint64_t start, stop;           /* ns: of the timed run; 0 not yet */
        _Atomic uint64_t last;                  /* last stream_seq made; 0 not yet known */
        uint8_t provider_key[32];
        struct digest provider_credential, stream;
        struct corner corners[CORE_CONSUMERS_MAX];
        uint64_t made_ns[BOARD_ENVELOPES];      /* by stream_seq - base */
};

double process_cpu_us(void);
void core_consume(const struct load *l, struct board *b, unsigned which);       /* a consumer's whole life */
void core_provide(const struct load *l, struct board *b);       /* the provider's; prints the results */
