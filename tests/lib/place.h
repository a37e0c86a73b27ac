/* place: a market whose log goes to files and a store as a broker would write them (tests/lib/market.h), to be purged and read again.
 *
 * Two grants receive one stream, the second one behind the first.  Faults end the test.  One thread. */
#pragma once
#include "common/replay.h"
#include "common/retention.h"
#include "tests/lib/market.h"

#define ORIGIN "shuyi/" CITY_DOMAIN
#define PLACE_UPDATES 30
#define PLACE_RECEIPTED 20                      /* by the first consumer's grant, */
#define PLACE_GONE 15                           /* by both: their bodies, and then their inputs, may go */

struct place {
        char dir[256], log_dir[300], base_dir[300];
        struct market *m;
        struct market_stream stream;
        struct digest grant, behind;            /* the second one */
        uint64_t get, updates[PLACE_UPDATES];   /* seqs */
        const struct party *log;                /* its key */
        struct store *store;
        struct segment_log *segments;
        struct segment_batch *batch;
        struct fold fold;
        size_t fed;                             /* entries of the city */
        uint64_t old;                           /* up to here all may go; */
        struct base base;                       /* behind that, and behind it the PURGE of inputs */
        struct digest full;                     /* state digest of a full replay, before anything went */
};

/* Updates of which two thirds are receipted; more than three years later the bodies may go, and after a BASE the inputs. */
struct place *place_new(void);
void place_free(struct place *p);

struct store *place_open_store(const char *dir);        /* made if absent */
void place_open_segments(struct place *p);              /* closed first */
/* What the city did since the last time; committed. */
void place_feed(struct place *p);
struct retention place_retain(struct place *p);
struct retention place_retain_behind(struct place *p, const struct retention *before);  /* which saw all files */
void place_receive_all(struct place *p);                /* both grants have all that they were sent */
void place_purge_bodies(struct place *p);               /* of all until now, when they are old enough */
struct digest place_state(struct store *s);
/* From where the fold stands; signatures, too.  As replay_run. */
int place_replay(struct place *p, struct fold *f, struct replay *ret);
/* All of it, into a store of its own. */
int place_replay_all(struct place *p, struct replay *ret, struct digest *ret_state);
void place_base_path(struct place *p, char ret[400]);
