/* segment_internal: the format of a file and of a record, and what the segment files share. */
#pragma once
#include <pthread.h>
#include "common/segment.h"

#define SEGMENT_DOMAIN_MAX 64
#define SEGMENT_CHECK_BYTES 16
#define SEGMENT_NAME_BYTES 40                   /* of a file, relative to the directory */

/* -- Format (segment_format.c). -- */

struct segment_header {
        uint64_t file, first_seq, epoch, bytes;
        uint64_t map, bodies_to, inputs_to;     /* of a rewritten file; map: offset of its MAP, 0 of any other */
        char domain[SEGMENT_DOMAIN_MAX + 1];
};

void segment_header_encode(const struct segment_header *h, uint8_t ret[SEGMENT_HEADER_BYTES]);
bool segment_header_decode(const uint8_t b[SEGMENT_HEADER_BYTES], struct segment_header *ret);

/* `ret` holds segment_record_bytes(payload.n). */
void segment_record_encode(enum segment_type type, uint64_t epoch, uint64_t seq, struct bytes payload, uint8_t *ret);
/* Length of the payload and type, from the first SEGMENT_RECORD_OVERHEAD bytes; false if they cannot be any. */
bool segment_record_peek(const uint8_t *b, enum segment_type *ret_type, uint32_t *ret_length);
/* Is the record at `b` (whole) the one of (epoch, seq)? */
bool segment_record_check(const uint8_t *b, uint64_t epoch, uint64_t seq);
/* Payloads of KEPT (SEGMENT_KEPT_PREFIX + SEGMENT_ENTRY_PREFIX, then the envelope) and TOMBSTONE. */
void segment_kept_encode(const struct segment_entry *e, uint8_t *ret);
void segment_tombstone_encode(const struct segment_entry *e, uint8_t ret[SEGMENT_TOMBSTONE_BYTES]);
/* The seq a HEAD's note says; 0 if it says none. */
uint64_t segment_note_seq(struct bytes note);

/* -- A file being read in order (segment_read.c). -- */

struct segment_reader {
        int fd;
        uint64_t size;
        uint8_t *buffer;
        uint64_t at;                            /* offset of buffer[0] */
        size_t filled, room;
};

int segment_reader_open(struct segment_reader *r, int dir_fd, uint64_t file);   /* r is {.fd = -1} or closed */
void segment_reader_close(struct segment_reader *r);
void segment_reader_forget(struct segment_reader *r);                           /* what was buffered may be old */
/* 1 and `n` bytes at `offset`, borrowed until the next call; 0 if the file ends before; negative errno. */
int segment_reader_bytes(struct segment_reader *r, uint64_t offset, size_t n, const uint8_t **ret);
/* 1 and the record at `offset`, if it is the one that follows (epoch, seq - 1): entry `seq` of this epoch or the next
 * one, or the head of seq - 1.  0: something else stands there. */
int segment_reader_record(struct segment_reader *r, uint64_t file, uint64_t offset, uint64_t epoch, uint64_t seq, struct segment_record *ret);
/* 1 and any good record at `offset` whose seq is at least `seq` (a HEAD: of `epoch`).  Each byte hashed is taken off
 * *work; -E2BIG if that does not suffice. */
int segment_reader_later(struct segment_reader *r, uint64_t file, uint64_t offset, uint64_t epoch, uint64_t seq,
                         uint64_t *work, struct segment_record *ret);

/* -- The log. -- */

struct segment_file { uint64_t number, first_seq, epoch, bytes, map, bodies_to, inputs_to; };

/* MAP payload: u64 first seq, u32 how many entries apart, then for each such step the place in the file: u32 offset / 8. */
#define SEGMENT_MAP_PREFIX 12
#define SEGMENT_MAP_STEP 16

struct segment_log {
        int dir_fd, lock_fd;                    /* lock_fd -1: read only */
        char domain[SEGMENT_DOMAIN_MAX + 1];
        uint64_t segment_bytes;
        unsigned keep_free;
        bool read_only;

        pthread_mutex_t lock;                   /* what follows, and the names in the directory; taken alone */
        struct segment_file *files;             /* ascending, without gaps */
        unsigned file_count, file_room;
        unsigned free_count;
        uint64_t ready;                         /* the last file there is room for: written or prepared */
        struct segment_place plan;              /* where the next batch goes */
        uint64_t plan_limit;                    /* size of that file */

        int write_fd;                           /* sync thread: the file being written, its number, */
        uint64_t write_file;
        bool unsynced, new_name;                /* a batch not yet synced; a name not yet synced */
        unsigned fail_in;                       /* for tests; 0: never */
        int fail_with;
};

void segment_name(uint64_t file, char ret[SEGMENT_NAME_BYTES]);                 /* written */
void segment_name_ready(uint64_t file, char ret[SEGMENT_NAME_BYTES]);           /* prepared */
void segment_name_free(uint64_t file, char ret[SEGMENT_NAME_BYTES]);            /* to be recycled */
void segment_name_new(uint64_t file, char ret[SEGMENT_NAME_BYTES]);             /* being rewritten */
int segment_files_add(struct segment_log *l, struct segment_file file);         /* under lock */
/* The file after `ready`, from a free one or new.  Under lock. */
int segment_files_prepare(struct segment_log *l);
/* Removes the file's name from the log: kept for recycling, or unlinked.  Under lock. */
int segment_files_retire(struct segment_log *l, uint64_t file, uint64_t bytes);
/* Offset of entry `seq` in a rewritten file, from its map.  1, 0 (it is not there), -EBADMSG or another fault. */
int segment_map_find(int fd, const struct segment_file *file, uint64_t seq, uint64_t *ret_offset);
/* Reads the directory and headers, walks, repairs (segment_recover.c). */
int segment_recover(struct segment_log *l, const struct segment_options *o, struct segment_recovery *ret);

/* A record of a batch: overhead, prefix or note in `own`, then an ENTRY's envelope, which is borrowed. */
struct segment_part {
        uint64_t epoch, seq;
        size_t offset;                          /* in the batch */
        size_t own, own_n;                      /* in segment_batch.own */
        struct bytes envelope;
};

struct segment_batch {
        uint8_t *own;
        size_t own_n, own_room;
        struct segment_part *parts;
        unsigned count;
        size_t room;                            /* of parts */
        size_t n, max;                          /* bytes in the file */
        uint64_t first_seq, first_epoch;        /* of the entry the batch begins with */
        struct segment_place place;
        struct segment_place plan_before;       /* for segment_unplan */
        uint64_t limit_before;
};

/* Computes the checks of all records; until then they are empty. */
void segment_batch_seal(struct segment_batch *b);
