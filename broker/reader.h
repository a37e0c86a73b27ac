/* reader: one open link as deliver sees it: how far it has read, and how much it may still be sent. */
#pragma once
#include "broker/broker.h"
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
        uint64_t sent, acked;           /* parcels of this session */
        uint32_t window_frames, window_bytes, bytes_out;
        uint32_t flight[SESSION_PARCEL_WINDOW];
        struct outgoing *held;            /* made, and waiting for the window */
        struct mirror_sub **subs;       /* of this agent */
        unsigned subs_n, subs_cap, turn;
        bool wake;                      /* something may have come for it */
        const struct group *answered;   /* the group whose receipt it has; compared, never followed */
};

/* What every reader's parcels are made from.  One thread. */
struct delivery {
        struct broker *broker;
        struct metrics_block *counts;
        struct mirror mirror;
        struct hot *hot;
        struct arena *arena;            /* of one parcel */
        uint8_t *buffer;                /* of one cold entry */
        size_t buffer_bytes;
        struct {                        /* newest TRUST_HEAD, and how it lies in the tree */
                uint64_t seq, trust_seq;
                uint8_t *envelope;
                size_t envelope_n;
                struct digest effects, path[TREE_PATH_MAX];
                unsigned path_n;
                struct wall_time accepted_at;
                uint64_t epoch;
                char *note;
        } head;
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
