/* front, inside: what the files of the front share.  All of it belongs to the front's thread. */
#pragma once
#include "broker/broker.h"
#include "broker/peers.h"

#define FRONT_FRAMES_A_TURN 256
#define FRONT_BUSY_RETRY_MS 200

struct front {
        struct broker *broker;
        struct verify *verify;
        struct link_server *server;
        pthread_t thread;
        struct metrics_block *counts;
        struct peers peers;
        struct keydir *directory;       /* of this turn */
        struct session_limits limits;
        uint64_t budget, reserve, quota;
        uint64_t last_session;
        struct arena *scratch;          /* for frames of ours */
        struct news *late[4096];        /* to deliver, when it has room */
        unsigned late_n;
        struct mono_time now, ticked;
        _Atomic bool stopping, draining;        /* main */
};

/* ---- front_send.c: to deliver, and to peers.  A peer that cannot be sent to is cut; it comes back and goes on where it was ---- */

struct news *front_news_of(const struct peer *p, enum news_kind kind);
void front_tell(struct front *f, struct news *n);       /* never waits: what has no room is kept */
void front_tell_late(struct front *f);
void front_retire(struct front *f, struct peer *p);     /* its session ended; what still comes is counted and ignored */
void front_cut(struct front *f, struct peer *p);        /* and shuts its connection */
/* These three answer false if the peer is gone (retired). */
bool front_send_bytes(struct front *f, struct peer *p, struct bytes frame);
bool front_send_frame(struct front *f, struct peer *p, enum frame_type type, const ProtobufCMessage *m);
bool front_send_busy(struct front *f, struct peer *p, const struct session_action *act);
void front_send_bye(struct front *f, struct peer *p, const struct session_action *act);
void front_send_ping(struct front *f, struct peer *p, enum frame_type type, uint64_t time);
void front_take_parcels(struct front *f);               /* what deliver and reads made */

/* ---- front_frames.c: from peers ---- */

void front_take_frame(struct front *f, struct link_frame *in);
/* What a session says is to be done; may retire p. */
void front_act_on(struct front *f, struct peer *p, const struct session_action *act, const struct frame *frame);
