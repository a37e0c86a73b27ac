/* reads: what agents ask, answered from short snapshots of the committed state.  Internal to reads*.c.
 *
 * A snapshot is never held across a send or a wait.  What a link may see follows its department (proto/audit.proto). */
#pragma once
#include "broker/broker.h"
#include "common/audit_search.h"
#include "common/bundle_make.h"
#include "common/fold.h"
#include "proto/audit.pb-c.h"

#define PAGE_ROWS_MAX 500
#define PAGE_BYTES_MAX (512 * 1024)
#define PAGE_SCAN_MAX 20000             /* rows looked at for one page */

struct reading {
        struct broker *broker;
        const struct question *question;
        struct store_snapshot *snapshot;
        struct state state;
        struct arena *arena;
        bool authority;                 /* the link is the authority's */
        bool auditor;                   /* Read.query is signed by an AUDIT_OFFICER of the authority */
        struct { bool known; struct audit_scope scope; } asker; /* who signed it, where it is signed */
        uint8_t **buffer;               /* for entries read from segments */
        size_t *buffer_bytes;
        struct tiles_reader *tiles;
        struct bundle_trust *trust;     /* the trust map as of the head asked for last */
        /* the page */
        Shuyi__V1__Page page;
        ProtobufCBinaryData rows[PAGE_ROWS_MAX];
        size_t bytes;
        unsigned limit;
};

/* Adds a packed message; false when the page is full (then set page.next and stop). */
bool reading_add(struct reading *r, struct bytes packed);
bool reading_has_room(const struct reading *r);
void reading_next(struct reading *r, struct bytes cursor);
/* An entry of the log, borrowed from *r->buffer until the next one is read.  1, 0, or a fault. */
int reading_entry(struct reading *r, uint64_t seq, struct segment_entry *ret);
/* The same, and where it was purged what is left of it: ret->gone. */
int reading_left(struct reading *r, uint64_t seq, struct segment_entry *ret);

/* Who signed Read.query: sets `asker` and `auditor`.  False: nobody who may ask. */
bool reading_identify(struct reading *r);

/* Is the department asking a party of the entry, or the authority?  May read rows; keeps nothing. */
bool reading_is_party(struct reading *r, const struct segment_entry *e);

/* Does Read.key (a LogQuery) name this log? */
bool reading_is_of_log(struct reading *r);

/* ---- one function a kind of question; 0 or a fault; a refusal goes into page.code ---- */
int reads_table(struct reading *r);
int reads_entry(struct reading *r);
int reads_status(struct reading *r);
int reads_audit(struct reading *r);
int reads_checkpoint(struct reading *r);
int reads_proof(struct reading *r);
int reads_consistency(struct reading *r);
int reads_log(struct reading *r);
int reads_base(struct reading *r);
int reads_lookup(struct reading *r);
int reads_evidence(struct reading *r);
