/* reader: one open link as deliver sees it: how far it has read, and how much it may still be sent. */
#pragma once
#include "broker/broker.h"
#include "broker/trust_heads.h"
#include "broker/hot.h"
#include "broker/mirror.h"

struct delivery;

struct reader {
        uint32_t link;
        uint64_t session;
        struct id agent;
        char department[19];
        uint64_t outbox_epoch;
        uint64_t trust, mail;           /* last one handed over */
        uint64_t head_seq;              /* of the TRUST_HEAD handed over last */
        struct head_wait head_wait;
        uint64_t sent, acked;           /* parcels of this session */
        uint32_t window_frames, window_bytes, bytes_out;
        uint32_t flight[SESSION_PARCEL_WINDOW];
        struct outgoing *held;            /* made, and waiting for the window */
        struct mirror_sub **subs;       /* of this agent */
        unsigned subs_n, subs_cap, turn;
        bool wake;                      /* something may have come for it */
        const struct group *answered;   /* the group whose receipt it has; compared, never followed */
};

/* The path of the TRUST_HEAD at `seq` under the head `note` of `size`. */
struct head_proof { uint64_t seq, size; char *note; struct digest path[TREE_PATH_MAX]; unsigned path_n; };

/* What every reader's parcels are made from.  One thread. */
struct delivery {
        struct broker *broker;
        struct metrics_block *counts;
        struct mirror mirror;
        struct hot *hot;
        struct arena *arena;            /* of one parcel */
        uint8_t *buffer;                /* of one cold entry */
        size_t buffer_bytes;
        bool gone;                      /* the entry looked for last was purged */
        struct trust_head head;         /* newest TRUST_HEAD */
        struct head_proof own;          /* how it lies under the head of its own group */
        struct trust_heads heads;       /* the last ones, the newest among them */
        char *published;                /* the newest witnessed head; NULL: none yet */
        uint64_t published_size, published_ns;
        struct head_proof proof;        /* of the TRUST_HEAD proved last under it */
        struct tiles_reader *tiles;     /* made with the first one */
        uint64_t now_ns;                /* of this turn */
};

/* A session opened: subscriptions go on behind their cursors. */
int reader_open(struct reader *r, struct delivery *d, const struct news *hello);
void reader_fini(struct reader *r);
int reader_add_sub(struct reader *r, struct mirror_sub *s);     /* once; again is fine */
void reader_acked(struct reader *r, uint64_t number);
/* The next parcel that may go now, given away with its number; NULL: nothing waits, or the window is full. */
struct outgoing *reader_next(struct reader *r, struct delivery *d);
/* Adds what was handed over in this session and never receipted.  0 or -ENOMEM. */
int reader_handover(const struct reader *r, struct handover **list);
