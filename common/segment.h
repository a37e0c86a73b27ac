/* segment: the files of the log, whose sync is what an acknowledgement stands on.
 *
 * A file is preallocated and begins with one 4,096-byte block (magic, version, file number, first seq, epoch, size,
 * domain, check).  Then records: u32 length, u8 type, 16-byte Poly1305 keyed by (epoch, seq) over type, length and
 * payload, payload, zeros to 8; integers little-endian.  Old bytes of a recycled file never pass, as
 * their seq is another one.  A group (entries, then one HEAD) never spans two files.
 *
 * Who does what: the sequencer fills a batch, places it (segment_plan: from then on there is room for it) and
 * hands it over; the sync thread computes the checks, writes and syncs batches in the order of their places; anyone reads
 * what has been synced.  A failed write or sync is final: the process ends and recovers; never try a sync again. */
#pragma once
#include "common/bytes.h"
#include "common/times.h"

#define SEGMENT_HEADER_BYTES 4096
#define SEGMENT_BYTES_DEFAULT (64ull << 20)
#define SEGMENT_BYTES_MIN (16ull << 10)
#define SEGMENT_BYTES_MAX (1ull << 30)
#define SEGMENT_RECORD_OVERHEAD 21              /* before the payload */
#define SEGMENT_PAYLOAD_MAX (4u << 20)
#define SEGMENT_ENTRY_PREFIX 45                 /* before the envelope in an ENTRY's payload */

#define SEGMENT_KEPT_PREFIX 44                  /* before an ENTRY's payload in a KEPT's */
#define SEGMENT_TOMBSTONE_BYTES 65

/* The last three stand in files that retention has rewritten: what is left of an entry, what is left where nothing is, and at
 * the end where each entry stands. */
enum segment_type { SEGMENT_ENTRY = 1, SEGMENT_HEAD = 2, SEGMENT_KEPT = 3, SEGMENT_TOMBSTONE = 4, SEGMENT_MAP = 5 };

struct segment_place { uint64_t file, offset; };        /* files count from 1; {0} is nowhere */

struct segment_record {
        enum segment_type type;
        uint64_t epoch, seq;                    /* of a HEAD: those of the last entry it covers */
        struct bytes payload;                   /* borrowed: see who fills it in */
        struct segment_place place, next;       /* next: where the record after it would stand in this file */
};

/* An entry, as its record tells it. */
struct segment_entry {
        uint64_t epoch, seq;
        struct wall_time accepted_at;
        uint32_t link;
        uint8_t lane;
        uint64_t outbox_epoch, outbox_seq;
        struct bytes envelope;                  /* borrowed from the payload; without its body where that was purged */
        uint64_t purged_by;                     /* seq of the PURGE that took its body, or all of it; 0: it is whole */
        bool gone;                              /* a tombstone: there are epoch, seq, accepted_at and leaf alone, and */
        uint8_t why;                            /* enum purge */
        struct digest leaf;
        bool judged;                            /* kept in a rewritten file, which tells the outcome, too */
        uint32_t code;
        struct digest effects;
};
/* Of an ENTRY, a KEPT or a TOMBSTONE.  False: another type, or shorter than it must be. */
bool segment_record_entry(enum segment_type type, struct bytes payload, struct segment_entry *ret);
/* Of an ENTRY.  False if the payload is shorter than its prefix. */
bool segment_entry_decode(struct bytes payload, struct segment_entry *ret);

/* -- A group on its way to the disk: one thread, then another. -- */

struct segment_batch;

struct segment_batch *segment_batch_new(size_t max_bytes);      /* NULL: no memory; grows up to the maximum */
void segment_batch_free(struct segment_batch *b);               /* NULL is fine */
void segment_batch_reset(struct segment_batch *b);              /* empty again, keeps its memory */
/* The envelope is borrowed until the batch is written, reset or freed: it is neither copied nor hashed here, but by the
 * thread that writes.  -EMSGSIZE: it would pass the maximum, nothing is added; -ENOMEM. */
int segment_batch_add_entry(struct segment_batch *b, const struct segment_entry *entry);
/* `note`: a checkpoint whose second line is `seq` in decimal. */
int segment_batch_add_head(struct segment_batch *b, uint64_t epoch, uint64_t seq, struct bytes note);
size_t segment_batch_bytes(const struct segment_batch *b);
unsigned segment_batch_count(const struct segment_batch *b);    /* records */
/* Where record `i` stands, once segment_plan has placed the batch. */
struct segment_place segment_batch_place(const struct segment_batch *b, unsigned i);
size_t segment_record_bytes(size_t payload_bytes);              /* what a record takes in a file */

/* -- The log. -- */

struct segment_options {
        const char *dir;                        /* made if absent, 0700 */
        const char *domain;                     /* at most 64 bytes; another one in the files is -EXDEV */
        uint64_t segment_bytes;                 /* of new files, rounded up to 4,096; 0: the default */
        unsigned keep_free;                     /* released files kept for recycling; the rest is unlinked */
        uint64_t check_from_file;               /* files before it are opened by their header only; 0: read them all */
        uint64_t synced_seq;                    /* known to have been synced (state has it): less is damage */
        bool read_only;                         /* repairs nothing, writes nothing, locks nothing */
        bool allow_volatile;                    /* take a tmpfs or ramfs: tests and demos only */
};

/* What segment_open found. */
struct segment_recovery {
        uint64_t epoch, last_seq;               /* of the last good HEAD; 0 in an empty log */
        uint64_t first_seq;                     /* the oldest entry still there; 1 in an empty log */
        struct segment_place end;               /* where the next group goes, if it fits there */
        struct segment_place head;              /* the last good HEAD's place; {0} if none */
        uint64_t dropped_bytes;                 /* of whole records behind that head: never synced, so never acknowledged */
        unsigned dropped_records;
        struct segment_place damage;            /* with -EBADMSG: the bad record, and */
        char reason[96];                        /* what is wrong there */
};

struct segment_log;

/* Opens or makes the log, recovers: drops what follows the last good HEAD, prepares the next file.
 * -EBADMSG: damage elsewhere, named in *ret_recovery; -EXDEV: another domain's; -EINVAL: options out of bounds;
 * -ENOSPC, -EACCES, -EBUSY (locked), -EMEDIUMTYPE. */
int segment_open(const struct segment_options *options, struct segment_log **ret, struct segment_recovery *ret_recovery);
void segment_close(struct segment_log *l);      /* NULL is fine */

/* Gives `b` the next place, with room made for it (and for the file after, if it can be).  The sequencer's thread.
 * -ENOSPC: the disk has none, nothing is placed; -EMSGSIZE: more than a file can hold. */
int segment_plan(struct segment_log *l, struct segment_batch *b);
/* Takes back the place of the batch planned last, which has not been handed over. */
void segment_unplan(struct segment_log *l, struct segment_batch *b);
/* Sync thread.  Batches in the order of their places, each synced before the next is written: only so can recovery
 * tell a torn end from damage.  Any fault ends the process. */
int segment_write(struct segment_log *l, struct segment_batch *b);
int segment_sync(struct segment_log *l);
/* For tests: the n-th write or sync from now on answers `fault`. */
void segment_fail_after(struct segment_log *l, unsigned n, int fault);
/* Prepares the file after the present one, if it is missing: call when idle.  Any thread. */
int segment_prepare(struct segment_log *l);

/* Files that hold only entries below `seq` are recycled or removed; the one being written stays.  Any thread. */
int segment_release(struct segment_log *l, uint64_t seq);

/* -- Reading: any thread; only what has been synced. -- */

/* The record at `place`, which must be the one of (epoch, seq).  Its payload lies in *buffer (malloc'ed, grown with
 * realloc; *buffer_bytes its size; start with NULL and 0; the caller frees it).
 * -EBADMSG: something else stands there; -ENOENT: that file is no longer kept.  A rewritten file has a map of its own: `place`
 * then says which file only. */
int segment_read(struct segment_log *l, struct segment_place place, uint64_t epoch, uint64_t seq,
                 uint8_t **buffer, size_t *buffer_bytes, struct segment_record *ret);
/* The same for an entry whose epoch is not known: it is read from the payload and checked with the rest.  -ENOENT also where
 * only a tombstone is left; its body may be left out (purged_by). */
int segment_read_entry(struct segment_log *l, struct segment_place place, uint64_t seq,
                       uint8_t **buffer, size_t *buffer_bytes, struct segment_entry *ret);

/* The same, and tombstones are handed out. */
int segment_read_left(struct segment_log *l, struct segment_place place, uint64_t seq,
                      uint8_t **buffer, size_t *buffer_bytes, struct segment_entry *ret);

/* How the envelope of ENTRY `seq` begins, without reading or checking the rest: a hint of what is worth reading.  1 and bytes in
 * `buffer`; 0: no such thing there; or a fault. */
#define SEGMENT_PEEK_BYTES 2048
int segment_peek_entry(struct segment_log *l, struct segment_place place, uint64_t seq, uint8_t buffer[SEGMENT_PEEK_BYTES], struct bytes *ret);

struct segment_cursor;

/* Walks records in order.  `place` is that of entry `seq` (epoch `epoch` or the one before), or {0} for the oldest
 * kept (epoch and seq are then ignored).  One thread. */
int segment_cursor_open(struct segment_log *l, struct segment_place place, uint64_t epoch, uint64_t seq, struct segment_cursor **ret);
/* From the beginning of the file that holds entry `seq` (or of the oldest): records before it come first. */
int segment_cursor_open_near(struct segment_log *l, uint64_t seq, struct segment_cursor **ret);
void segment_cursor_close(struct segment_cursor *c);            /* NULL is fine */
/* 1 and a record, valid until the next call; 0 at the end of what is whole there; -EBADMSG. */
int segment_cursor_next(struct segment_cursor *c, struct segment_record *ret);

/* -- Retention: a closed file is written anew, whole, in place of the old one (segment_rewrite.c). -- */

struct segment_closed {
        uint64_t file, epoch, first_seq, last_seq, bytes;
        uint64_t bodies_to, inputs_to;          /* the marks that it was rewritten under; 0: never */
};
/* The first file with a number of at least `from` that is not written to any more.  1, or 0.  Any thread. */
int segment_closed_find(struct segment_log *l, uint64_t from, struct segment_closed *ret);

/* What becomes of an entry.  It comes as it stands now, an ENTRY not yet `judged`.  Fill in code and effects and set judged;
 * or cut the envelope, too, and set purged_by; or set gone, why, purged_by and leaf.  0 or a fault, which ends it all. */
typedef int (*segment_judge)(void *ctx, struct segment_entry *e);
/* Up to which entries a file is done with: read when all are judged, so `judge` may lower them on the way. */
struct segment_marks { uint64_t bodies_to, inputs_to; };
/* Crash-safe: a new file beside it, synced, then renamed over it.  Reading goes on meanwhile.  One thread at a time.  *ret_bytes:
 * of the file now.  -ENOENT: not there, or not closed; -EBADMSG: it does not read; -ENOSPC: all is as before. */
int segment_rewrite(struct segment_log *l, const struct segment_closed *file, const struct segment_marks *marks,
                    segment_judge judge, void *ctx, uint64_t *ret_bytes);

struct segment_space {
        unsigned files, free_files;
        uint64_t log_bytes;                     /* of all files */
        uint64_t ready_bytes;                   /* allocated, and not yet written */
        uint64_t disk_bytes, disk_free_bytes;   /* of the file system, for others than root */
};
int segment_space(struct segment_log *l, struct segment_space *ret);    /* any thread */
uint64_t segment_first_seq(struct segment_log *l);                      /* the oldest kept; any thread */

/* -- All that is wrong, not only the first. -- */

struct segment_damage {
        struct segment_place place;             /* offset 0: the file as a whole */
        uint64_t first, last;                   /* entries that cannot be read; 0: none of them, a head or a header */
        char reason[96];
};
struct segment_checked { uint64_t files, entries, heads, first_seq, last_seq, damages; };

/* Reads all files of the log in `dir`, goes on behind what does not read, and tells each damage.  What a cut may have left of a last
 * group beyond `synced_seq` is none.  Nobody may write meanwhile.  0, also with damages; -ENOENT: no log; faults. */
int segment_check(const char *dir, const char *domain, uint64_t synced_seq, void (*tell)(void *ctx, const struct segment_damage *d), void *ctx,
                  struct segment_checked *ret);
