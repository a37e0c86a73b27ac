/* live: a real broker process and real links to it, for a city that exists in memory already (tests/lib/city.h).
 *
 * The city's first entries (link 0) become the genesis file; its parties' keys open CURVE links; what the city's log holds
 * goes to the broker as the same bytes.  Every wait is for a condition; if it does not come within PATIENCE the test ends
 * with the reason and the broker's log.  One thread. */
#pragma once
#include "common/frame.h"
#include "common/link.h"
#include "tests/lib/city.h"
#include <sys/types.h>

#define LIVE_PATIENCE_MS 30000

struct live {
        const char *program;            /* shuyi-broker */
        char dir[256];
        char endpoint[128];
        unsigned http_port;
        pid_t pid;                      /* 0: not running */
        struct city *city;
        struct link_context *links;
        uint8_t link_key[LINK_KEY_BYTES];
        unsigned starts;
        const char *clock_library;      /* shifted_clock: the broker's wall clock is live_shift_clock()'s; NULL: the machine's */
        int64_t *clock_shift;           /* ms, shared with the broker */
};

extern const char *live_map_bytes;      /* store.map_bytes of what is founded next */

/* Keys, configuration and genesis of `city` in a fresh directory; `init` is run.  `extra` is more YAML, "" for none. */
void live_found(struct live *l, const char *program, struct city *city, const char *extra);
/* Only the files for it, of l->city, in l->dir, which is made: broker.key, log.key, genesis.shuyi. */
void live_found_files(struct live *l);
void live_start(struct live *l, const char *failpoint);         /* returns when it is ready; failpoint may be NULL */
void live_kill(struct live *l);                                 /* SIGKILL, and waits for its end */
void live_stop(struct live *l);                                 /* SIGTERM, and waits; it must end with 0 */
bool live_wait_death(struct live *l);                           /* of itself: true if by SIGKILL */
void live_end(struct live *l);                                  /* stops it if it runs; removes the directory */
/* The program with other arguments, `last` an option or a file in l->dir (NULL: none); its exit status, and what it wrote to stdout. */
int live_run(struct live *l, const char *first, const char *last, char *ret_out, size_t n);
/* GET on the broker's HTTP port; the status, head and body of the answer, which live until the next call. */
int live_fetch(struct live *l, const char *path, const char **ret_head, struct bytes *ret_body);
/* The same; the body as text. */
int live_get(struct live *l, const char *path, char *ret_body, size_t n);
/* Value of a metric, as `name` or `name{label="x"}`; 0 if it is not there. */
double live_metric(struct live *l, const char *name);
uint64_t live_log_count(const struct live *l, const char *text);        /* lines of the broker's log that hold it */
void live_wait_metric(struct live *l, const char *name, double least);

/* From the next start on the broker lives with `library` (tests/lib/shifted_clock.c), its wall clock `ms` from the machine's. */
void live_shift_clock(struct live *l, const char *library, int64_t ms);

/* ---- links ---- */

struct live_row { uint8_t lane; uint64_t number, seq, accepted_at; uint32_t code; struct digest leaf; char detail[128]; };

struct live_agent {
        struct live *live;
        const struct party *party;
        struct link_client *link;
        uint64_t epoch, next[2];        /* outbox */
        uint64_t trust, mail;           /* said in HELLO */
        struct live_row *rows;          /* of receipts */
        size_t rows_n, rows_room;
        struct live_parcel { uint64_t number; struct bytes frame; const Shuyi__V1__Parcel *parcel; } *parcels;
        size_t parcels_n, parcels_room;
        struct arena *arena;            /* of parcels and pages */
        const Shuyi__V1__Page *page;
        const Shuyi__V1__Busy *busy;    /* the last one */
        unsigned busies;
        const Shuyi__V1__Bye *bye;
        const Shuyi__V1__Welcome *welcome;
        bool denied, down;
        uint32_t reads;
};

void live_open(struct live *l, const struct party *agent, struct live_agent *ret);      /* to WELCOME */
/* The same, but only until the handshake is decided: denied, or up. */
void live_connect(struct live *l, const struct party *agent, struct live_agent *ret);
void live_hello(struct live_agent *a);                  /* again, to WELCOME: after a restart of the broker */
void live_close(struct live_agent *a);
void live_send(struct live_agent *a, enum frame_type type, const ProtobufCMessage *m);
void live_send_bytes(struct live_agent *a, struct bytes frame);
/* Takes frames until `until` holds; ends the test if it does not. */
void live_pump(struct live_agent *a, bool (*until)(struct live_agent *a, void *arg), void *arg, const char *what);
bool live_pump_once(struct live_agent *a, int timeout_ms);      /* one frame or event, if one comes */

uint64_t live_put(struct live_agent *a, uint8_t lane, struct bytes envelope);           /* sends; its number */
struct live_row live_settle(struct live_agent *a, uint8_t lane, uint64_t number);       /* waits for its receipt row */
struct live_row live_act(struct live_agent *a, uint8_t lane, struct bytes envelope);    /* both */
/* The page that answers; rows live until live_close. */
const Shuyi__V1__Page *live_read(struct live_agent *a, uint32_t what, struct bytes key, uint64_t need_seq, struct bytes query);
/* The page behind `after`. */
const Shuyi__V1__Page *live_read_on(struct live_agent *a, uint32_t what, struct bytes key, struct bytes after, struct bytes query);
/* Waits until a parcel of this type with this cursor has come. */
const Shuyi__V1__Parcel *live_parcel(struct live_agent *a, uint32_t type, uint64_t cursor);
