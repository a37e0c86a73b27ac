/* party: see the header. */
#include "party.h"
#include "agent/settings.h"
#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/receipt.h"
#include "common/secret.h"
#include "proto/audit.pb-c.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAMES_MAX_BYTES (16u << 20)
#define FRAMES_A_TURN 64
#define OPEN_NS 20000000000ull
#define READ_NS 20000000000ull

void die(const char *who, const char *what, int r)
{
        fprintf(stderr, "core: %s: %s%s%s\n", who, what, r ? ": " : "", r ? strerror(r < 0 ? -r : r) : "");
        fflush(stdout);
        _Exit(1);
}

ProtobufCBinaryData data_of(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

/* ---- sending ---- */

static bool send_frame(struct party *p, enum frame_type type, const ProtobufCMessage *m)
{
        struct bytes body = frame_encode(p->frames, type, m);
        int r;

        if (!body.p)
                die(p->name, "frame too large", 0);
        r = link_client_send(p->link, body);
        if (r < 0)
                die(p->name, "send", r);
        session_client_spoke(&p->session, p->now);
        return true;
}

static void say_hello(struct party *p)
{
        Shuyi__V1__Hello h = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Lane lane[SESSION_LANES], *rows[SESSION_LANES];

        session_client_hello(&p->session, &h, lane, rows);
        h.domain = p->self.domain;
        h.agent = data_of(bytes_id(&p->self.agent));
        h.software = (char *)"shuyi-bench/" SHUYI_VERSION;
        h.parcel_frames = SESSION_PARCEL_WINDOW;
        h.parcel_bytes = 4 << 20;
        h.trust_seq = p->trust;
        h.mail = p->mail;
        send_frame(p, FRAME_HELLO, &h.base);
}

bool party_put(struct party *p, uint32_t lane, uint64_t number, struct bytes envelope)
{
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;

        if (!session_client_put(&p->session, lane, number, (uint32_t)envelope.n, p->now))
                return false;
        put.lane = lane;
        put.outbox_epoch = p->session.outbox_epoch;
        put.outbox_seq = number;
        put.envelope = data_of(envelope);
        arena_reset(p->frames);
        return send_frame(p, FRAME_PUT, &put.base);
}

void party_ack(struct party *p, uint64_t parcel)
{
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        if (!session_client_ack(&p->session, parcel))
                return;
        ack.number = parcel;
        arena_reset(p->frames);
        send_frame(p, FRAME_PARCEL_ACK, &ack.base);
}

/* ---- what comes ---- */

static void take_receipt(struct party *p, const Shuyi__V1__SignedReceipt *s)
{
        const Shuyi__V1__Receipt *receipt;
        const char *why = receipt_check(p->frames, s, p->self.log_key, p->self.domain, &p->self.agent, &receipt);

        if (why)
                die(p->name, why, 0);
        for (size_t i = 0; i < receipt->n_rows; i++) {
                const Shuyi__V1__ReceiptRow *row = receipt->rows[i];

                if (row->code != ACCEPTED) {
                        fprintf(stderr, "core: %s: lane %u number %llu refused: %s %s\n", p->name, row->lane, (unsigned long long)row->outbox_seq,
                                refusal_text((enum refusal)row->code)->code, row->detail);
                        die(p->name, "refused", 0);
                }
                if (session_client_settle(&p->session, row->lane, row->outbox_seq) && p->settled)
                        p->settled(p->ctx, row);
        }
}

static void obey(struct party *p, const struct frame *f, struct session_action act)
{
        Shuyi__V1__Ping pong = SHUYI__V1__PING__INIT;

        switch (act.what) {
        case SESSION_NOTHING:
                break;
        case SESSION_OPENED:
                p->open = true;
                break;
        case SESSION_SEND_HELLO:
                say_hello(p);
                break;
        case SESSION_SEND_PING:
                pong.time = p->now.ns;
                send_frame(p, FRAME_PING, &pong.base);
                break;
        case SESSION_SEND_PONG:
                pong.time = act.number;
                send_frame(p, FRAME_PONG, &pong.base);
                break;
        case SESSION_TAKE_RECEIPT:
                take_receipt(p, f->receipt);
                break;
        case SESSION_TAKE_PARCEL:
                p->parcel(p->parcel_ctx, f->parcel);
                break;
        case SESSION_TAKE_PAGE:
                p->page = f->page;
                break;
        default:
                if (act.detail || act.code)
                        fprintf(stderr, "core: %s: code %u %s\n", p->name, act.code, act.detail ? act.detail : "");
                die(p->name, session_why_text(act.why), 0);
        }
}

static void take_events(struct party *p)
{
        enum link_event e;

        while ((e = link_client_event(p->link, NULL)) != LINK_EVENT_NONE) {
                if (e != LINK_EVENT_UP)
                        die(p->name, link_event_text(e), 0);
                obey(p, NULL, session_client_up(&p->session, p->now));
        }
}

void party_turn(struct party *p, const int *fds, size_t n, int timeout_ms)
{
        bool ready[LINK_FDS_MAX];
        struct link_frame *f;
        struct frame frame;

        link_client_wait(p->link, fds, ready, n, timeout_ms);
        p->now = times_mono();
        arena_reset(p->frames);
        take_events(p);
        for (unsigned i = 0; i < FRAMES_A_TURN && !p->page && link_client_receive(p->link, &f) == 0; i++) {
                arena_reset(p->frames);
                if (frame_decode(p->frames, f->body, FRAME_TO_AGENT, &frame) != ACCEPTED)
                        die(p->name, "a frame of no form", 0);
                obey(p, &frame, session_client_frame(&p->session, &frame, p->now, 0));
                link_frame_free(f);
        }
        obey(p, NULL, session_client_tick(&p->session, p->now, 0));
}

/* ---- opening ---- */

static void ignore(void *ctx, const Shuyi__V1__Parcel *parcel)
{
        struct party *p = ctx;

        party_ack(p, parcel->number);
}

static void open_party(struct party *p, struct link_context *c, const char *config)
{
        static const struct session_timing timing = SESSION_TIMING_DEFAULT;
        static const uint64_t one[SESSION_LANES] = { 1, 1 };
        struct link_client_options o;
        uint64_t began = times_mono().ns;
        int r;

        p->frames = arena_new(FRAMES_MAX_BYTES);
        if (!p->frames || settings_load(config, stderr, &p->config) < 0 || identity_load(p->config, stderr, &p->self) < 0)
                die(p->name, config, 0);
        session_client_init(&p->session, &timing, times_wall().ms, one, one);
        o = (struct link_client_options){ .endpoint = p->self.endpoint, .server_key = p->self.broker_key, .secret_key = secret_peek(p->self.keys.link) };
        r = link_client_open(c, &o, &p->link);
        if (r < 0)
                die(p->name, p->self.endpoint, r);
        p->now = times_mono();
        session_client_connecting(&p->session, p->now);
        while (!p->open) {
                party_turn(p, NULL, 0, 100);
                if (p->now.ns - began > OPEN_NS)
                        die(p->name, "no WELCOME", 0);
        }
}

void party_open(struct party *p, const char *name, struct link_context *c, const char *config,
                void (*parcel)(void *ctx, const Shuyi__V1__Parcel *p), void *ctx)
{
        *p = (struct party){ .name = name, .parcel = parcel ? parcel : ignore, .parcel_ctx = parcel ? ctx : p };
        open_party(p, c, config);
}

void party_open_with(struct party *p, const char *name, struct link_context *c, const char *config, uint64_t trust, uint64_t mail)
{
        *p = (struct party){ .name = name, .parcel = ignore, .parcel_ctx = p, .trust = trust, .mail = mail };
        open_party(p, c, config);
}

void party_close(struct party *p)
{
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;

        arena_reset(p->frames);
        send_frame(p, FRAME_BYE, &bye.base);
        link_client_close(p->link);
        identity_fini(&p->self);
        config_free(p->config);
        arena_free(p->frames);
}

/* ---- reading ---- */

struct bytes party_ask(struct party *p, struct arena *a, enum read what, struct bytes key)
{
        Shuyi__V1__Read q = SHUYI__V1__READ__INIT;
        uint64_t began = times_mono().ns;
        struct bytes row;

        q.number = ++p->reads;
        q.what = what;
        q.key = data_of(key);
        q.limit = 1;
        arena_reset(p->frames);
        send_frame(p, FRAME_READ, &q.base);
        while (!p->page) {
                party_turn(p, NULL, 0, 100);
                if (p->now.ns - began > READ_NS)
                        die(p->name, "no answer to a read", 0);
        }
        if (p->page->n_rows != 1)
                die(p->name, "no such row", 0);
        row = arena_copy(a, bytes_of(p->page->rows[0].data, p->page->rows[0].len));
        p->page = NULL;
        return row;
}

void *party_read(struct party *p, struct arena *a, enum read what, struct bytes key, const ProtobufCMessageDescriptor *type)
{
        struct bytes answer = party_ask(p, a, what, key);
        Shuyi__V1__ReadRow *row = shuyi__v1__read_row__unpack(arena_allocator(a), answer.n, answer.p);
        void *m = row ? protobuf_c_message_unpack(type, arena_allocator(a), row->row.len, row->row.data) : NULL;
        if (!m)
                die(p->name, "a row of no form", 0);
        return m;
}

/* ---- envelopes ---- */

void party_begin(const struct party *p, struct arena *a, uint32_t kind, Shuyi__V1__Intent *ret)
{
        struct wall_time now = times_wall();
        struct id *id = ARENA_NEW(a, struct id);
        uint8_t random[10];

        if (!id)
                die(p->name, "memory", 0);
        randombytes_buf(random, sizeof random);
        uuid7_make(now.ms, random, id);
        shuyi__v1__intent__init(ret);
        ret->suite = SUITE_1;
        ret->id = data_of(bytes_id(id));
        ret->kind = kind;
        ret->domain = (char *)p->self.domain;
        ret->from = (char *)p->self.department;
        ret->created_at = now.ms;
        ret->expires_at = now.ms + EXPIRY_MAX_MS;
}

struct bytes party_sign(const struct party *p, struct arena *a, const Shuyi__V1__Intent *i, struct bytes body)
{
        const struct claim *c = envelope_issue(a, i, body, &p->self.credential, ROLE_AGENT, secret_peek(p->self.keys.sign));

        if (!c)
                die(p->name, "an envelope of no form", 0);
        return c->wire;
}
