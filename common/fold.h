/* fold: one step of the log over the state, and what is kept about it.  DESIGN 2.
 *
 * Sequencer, recovery, replay and log check make every step here, so they cannot differ.  A step applies an entry in
 * the open group of the store, writes its effects, its outcome (so that a repetition gets its receipt again and a proof
 * its leaf) and its header digest, and appends its leaf to the tree.  One thread. */
#pragma once
#include "common/exchange/exchange.h"
#include "common/merkle.h"
#include "common/store.h"

struct fold {
        struct store *store;
        struct exchange *exchange;
        char domain[8];
        uint64_t epoch, seq;            /* of the last entry */
        struct wall_time accepted_at;
        struct merkle_frontier frontier;
        bool directory_moved;           /* since the caller cleared it: keys or links changed */
        bool trust_moved;               /* a TRUST_HEAD must close the group */
};

/* Databases of its own in the store. */
enum {
        STORE_OUTCOMES = STORE_OWN,     /* seq -> what apply made of it */
        STORE_DIGESTS,                  /* header digest -> seq, of control acts but receipts */
        STORE_HEADS,                    /* ~seq of a TRUST_HEAD -> its trust_seq: the newest one first */
        STORE_FOLD_END                  /* the next free number */
};
extern const char *const fold_databases[];      /* their names, for store_options */

/* Reads where the state stands; -ENODATA if there is none (fold_found first). */
int fold_open(struct fold *f, struct store *store, const char *domain);
void fold_close(struct fold *f);
/* The first rows of an empty store: in an open group. */
int fold_found(struct fold *f);
/* The same and opens it, for a log that is applied from its first entry.  -EEXIST: the store holds a state.  Leaves a transaction open. */
int fold_open_new(struct fold *f, struct store *store, const char *domain);
/* Makes `entry` the next one: epoch and seq are set here.  0 or a fault; a refused data envelope leaves all as it was and
 * ret_leaf zero. */
int fold_step(struct fold *f, struct entry *entry, struct arena *a, struct outcome *ret, struct digest *ret_leaf);
/* Before a commit: the tree, so that the next start need not read the log. */
int fold_save(struct fold *f);

/* The run ends in order: with its last commit. */
int fold_mark_clean(struct fold *f);
/* Did the last one?  1 or 0, or a fault; the mark is gone afterwards.  In the open transaction. */
int fold_take_clean(struct fold *f);

/* What was made of entry `seq`. */
struct fold_outcome { enum refusal code; struct digest effects, leaf; struct wall_time accepted_at; char detail[513]; };
/* 1, 0, or a fault. */
int fold_outcome_get(struct store *s, uint64_t seq, struct fold_outcome *ret);
int fold_outcome_read(struct store_snapshot *p, uint64_t seq, struct fold_outcome *ret);
/* Leaf hashes of the n entries from `first_seq` on.  1; 0: not all of them are kept; or a fault. */
int fold_leaves_read(struct store_snapshot *p, uint64_t first_seq, unsigned n, struct digest *ret);
/* The tree that the snapshot's state has reached.  0 or a fault. */
int fold_tree_read(struct store_snapshot *p, struct merkle_frontier *ret);
/* The TRUST_HEAD with the highest seq below `seq`.  1 with both (ret_trust_seq may be NULL), 0, or a fault. */
int fold_head_read(struct store_snapshot *p, uint64_t seq, uint64_t *ret_seq, uint64_t *ret_trust_seq);
int fold_digest_read(struct store_snapshot *p, struct bytes header_digest, uint64_t *ret_seq);

/* Over all rows of the state, in order: equal states, equal digests. */
int fold_state_digest(struct store_snapshot *p, struct digest *ret, uint64_t *ret_rows);
/* One row more of it; it begins with zeros. */
struct digest fold_row_digest(const struct digest *before, struct bytes key, struct bytes value);
/* META of a state; NULL if there is none. */
const Shuyi__V1__MetaRow *fold_meta(struct state state, struct arena *a);
/* A row of the state, decoded into `a`; NULL if there is none. */
void *fold_row(struct state state, struct arena *a, const ProtobufCMessageDescriptor *d, enum table table, const struct bytes *parts, size_t n);
#define FOLD_ROW(state, a, type, table, ...) \
        fold_row((state), (a), &type, (table), (const struct bytes[]){ __VA_ARGS__ }, sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
/* Key of a row in `ret`; its length. */
#define FOLD_KEY_MAX 160
size_t fold_key(enum table table, const struct bytes *parts, size_t n, uint8_t ret[FOLD_KEY_MAX]);
#define FOLD_KEY(buffer, table, ...) \
        bytes_of((buffer), fold_key((table), (const struct bytes[]){ __VA_ARGS__ }, sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes), (buffer)))
