/* hostile_broker: the broker as whoever has taken it over could run it (DESIGN 3, 14): it holds all keys of the center, and lies.
 *
 * The program is shuyi-broker itself; the linker puts the functions below in front of some of its own (--wrap, tests/lib/meson.build), so
 * that nothing in the product knows of lies.  $HOSTILE_LIE names a file: lines "LIE [AGENT]" in it, a lie's name and the agent (32 hex
 * digits) that is to be told it; none: everybody.  Whenever a lie is told, "LIE MILLISECONDS" is added to FILE.told: from the first
 * on the time runs that the others have to find it.
 *
 * Lies of the link alter what leaves for one agent, on the front's thread: number and order of parcels are made to fit.  Lies of the log
 * make entries that the rules do not allow, so that the log's tree, heads and proofs are all of one piece. */
#include "broker/broker.h"
#include "broker/clock_guard.h"
#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/frame.h"
#include "common/link.h"
#include "common/receipt.h"
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include "proto/stream.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUTES_MAX 256
#define HOUR_MS 3600000ull

/* What was there before. */
int __real_link_server_receive(struct link_server *s, struct link_frame **ret);
int __real_link_server_send(struct link_server *s, const struct link_route *route, struct bytes body);
Shuyi__V1__SignedReceipt *__real_receipt_sign(struct arena *a, const Shuyi__V1__Receipt *r, const uint8_t log_secret[64]);
enum refusal __real_envelope_verify(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret);
int __real_exchange_apply(struct exchange *x, struct state state, const struct entry *entry, struct arena *a, struct outcome *ret);
int __real_exchange_trust_head_body(struct state state, struct arena *a, Shuyi__V1__TrustHeadBody *ret);
bool __real_clock_guard_check(struct clock_guard *g, struct wall_time wall, struct mono_time mono);
struct wall_time __real_times_wall(void);

int __wrap_link_server_receive(struct link_server *s, struct link_frame **ret);
int __wrap_link_server_send(struct link_server *s, const struct link_route *route, struct bytes body);
int __wrap_link_server_give(struct link_server *s, const struct link_route *route, struct bytes body, void (*release)(void *p, void *owner), void *owner);
Shuyi__V1__SignedReceipt *__wrap_receipt_sign(struct arena *a, const Shuyi__V1__Receipt *r, const uint8_t log_secret[64]);
enum refusal __wrap_envelope_verify(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret);
int __wrap_exchange_apply(struct exchange *x, struct state state, const struct entry *entry, struct arena *a, struct outcome *ret);
int __wrap_exchange_trust_head_body(struct state state, struct arena *a, Shuyi__V1__TrustHeadBody *ret);
bool __wrap_clock_guard_check(struct clock_guard *g, struct wall_time wall, struct mono_time mono);
struct wall_time __wrap_times_wall(void);

/* ---- which lie ---- */

#define TOLD_MAX 4

struct wish { char name[40]; struct id agent; bool all; };
static _Thread_local struct { struct wish wish[TOLD_MAX]; unsigned n; uint64_t read_ns; } now;

static void read_lies(void)
{
        const char *path = getenv("HOSTILE_LIE");
        uint64_t ns = times_mono().ns;
        char line[100], hex[40];
        FILE *f;

        if (!path || (now.read_ns && ns < now.read_ns + 20000000))
                return;
        now.read_ns = ns;
        now.n = 0;
        f = fopen(path, "r");
        while (f && now.n < TOLD_MAX && fgets(line, sizeof(line), f)) {
                struct wish *w = &now.wish[now.n];

                hex[0] = 0;
                if (sscanf(line, "%39s %39s", w->name, hex) < 1)
                        continue;
                w->all = !hex_parse(hex, w->agent.b, ID_BYTES);
                now.n++;
        }
        if (f)
                fclose(f);
}

static bool about(const struct wish *w, const struct id *agent)
{
        return w->all || memcmp(agent->b, w->agent.b, ID_BYTES) == 0;
}

/* To this agent; NULL: to anybody. */
static bool lying_to(const char *name, const struct id *agent)
{
        read_lies();
        for (unsigned i = 0; i < now.n; i++)
                if (strcmp(now.wish[i].name, name) == 0 && (!agent || about(&now.wish[i], agent)))
                        return true;
        return false;
}

static bool lying(const char *name)
{
        return lying_to(name, NULL);
}

/* Appended by several threads: one write a line. */
static void told(const char *name)
{
        struct wall_time at = __real_times_wall();
        char path[512], line[80];
        int fd, n = snprintf(line, sizeof(line), "%s %llu\n", name, (unsigned long long)at.ms);

        snprintf(path, sizeof(path), "%s.told", getenv("HOSTILE_LIE"));
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, line, (size_t)n) != n)
                abort();
        close(fd);
}

/* ---- peers, on the front's thread ---- */

struct peer_route {
        struct link_route route;
        struct id agent;
        uint64_t missing, doubled;              /* parcels that were kept back, or went twice, in this session */
        struct bytes held;                      /* one that waits for the next; malloc'ed */
        bool once;                              /* what is done once in a session was done */
};
static struct peer_route routes[ROUTES_MAX];

static struct peer_route *route_of(const struct link_route *r)
{
        for (unsigned i = 0; i < ROUTES_MAX; i++)
                if (routes[i].route.n == r->n && memcmp(routes[i].route.b, r->b, r->n) == 0)
                        return &routes[i];
        return NULL;
}

/* Acknowledged by the peer's count of parcels, taken by ours: written in place, where it has room. */
static void count_ack(const struct peer_route *r, struct link_frame *f)
{
        struct arena *a = arena_new(4096);
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;
        struct bytes b;
        struct frame in;

        if (a && r && r->doubled != r->missing && frame_decode(a, f->body, FRAME_TO_BROKER, &in) == ACCEPTED) {
                ack.number = in.parcel_ack->number + r->missing - r->doubled;
                b = FRAME_ENCODE(a, FRAME_PARCEL_ACK, &ack);
                if (b.n && b.n <= f->body.n) {
                        memcpy((uint8_t *)f->body.p, b.p, b.n);
                        f->body.n = b.n;
                }
        }
        arena_free(a);
}

int __wrap_link_server_receive(struct link_server *s, struct link_frame **ret)
{
        int r = __real_link_server_receive(s, ret);
        struct peer_route *p;

        if (r == 0 && (*ret)->body.n > 0 && (*ret)->body.p[0] == FRAME_PARCEL_ACK)
                count_ack(route_of(&(*ret)->route), *ret);
        if (r != 0 || (*ret)->body.n == 0 || (*ret)->body.p[0] != FRAME_HELLO)
                return r;
        p = route_of(&(*ret)->route);
        for (unsigned i = 0; !p && i < ROUTES_MAX; i++)
                if (routes[i].route.n == 0 || memcmp(routes[i].agent.b, (*ret)->agent.b, ID_BYTES) == 0)
                        p = &routes[i];
        if (!p)
                abort();
        free((void *)p->held.p);
        *p = (struct peer_route){ .route = (*ret)->route, .agent = (*ret)->agent };
        return r;
}

/* ---- envelopes altered ---- */

static struct bytes binary(ProtobufCBinaryData b)
{
        return bytes_of(b.data, b.len);
}

static Shuyi__V1__Envelope *open_envelope(struct arena *a, ProtobufCBinaryData wire)
{
        return wire.len ? message_parse(a, &shuyi__v1__envelope__descriptor, binary(wire)) : NULL;
}

static bool close_envelope(struct arena *a, const Shuyi__V1__Envelope *e, ProtobufCBinaryData *ret)
{
        struct bytes b = message_pack(a, &e->base);

        *ret = (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
        return b.n > 0;
}

/* Who signed as this is said to have signed as that. */
static bool relabel(struct arena *a, ProtobufCBinaryData *wire)
{
        Shuyi__V1__Envelope *e = open_envelope(a, *wire);

        if (!e || e->n_signatures == 0)
                return false;
        e->signatures[0]->capacity = e->signatures[0]->capacity == ROLE_APPROVER ? ROLE_DATA_OFFICER : ROLE_APPROVER;
        return close_envelope(a, e, wire);
}

static bool edit_intent(struct arena *a, ProtobufCBinaryData *wire, void (*edit)(Shuyi__V1__Intent *in))
{
        Shuyi__V1__Envelope *e = open_envelope(a, *wire);
        Shuyi__V1__Header *h = e ? message_parse(a, &shuyi__v1__header__descriptor, binary(e->header)) : NULL;
        Shuyi__V1__Intent *in = h ? message_parse(a, &shuyi__v1__intent__descriptor, binary(h->intent)) : NULL;
        struct bytes b;

        if (!in)
                return false;
        edit(in);
        b = message_pack(a, &in->base);
        h->intent = (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
        b = message_pack(a, &h->base);
        e->header = (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
        return close_envelope(a, e, wire);
}

static void swap_parties(Shuyi__V1__Intent *in)
{
        char *from = in->from;

        in->from = in->to;
        in->to = from;
}

static void other_object(Shuyi__V1__Intent *in)
{
        ProtobufCBinaryData *what = in->object.len ? &in->object : in->agent.len ? &in->agent : &in->grant;

        if (what->len)
                what->data[0] ^= 1;
}

/* ---- lies of the link: what is done with a parcel ---- */

enum doing { PASS, ALTERED, DROP, HOLD, TWICE };

static enum doing capacity(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST && p->trust && relabel(a, &p->envelope) ? ALTERED : PASS;
}

static enum doing capacity_of_link(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_LINK && relabel(a, &p->envelope) ? ALTERED : PASS;
}

static enum doing recipient(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST && p->trust && edit_intent(a, &p->envelope, swap_parties) ? ALTERED : PASS;
}

/* A grant's record with an act behind it that nobody signed so: another agent is to receive. */
static enum doing forged_grant(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        struct digest d;

        if (p->type != PARCEL_TRUST || !p->trust || p->trust->kind != TRUST_GRANT || !edit_intent(a, &p->envelope, other_object))
                return PASS;
        if (!envelope_header_digest(binary(p->envelope), &d))
                return PASS;
        memcpy(p->trust->header_digest.data, d.b, DIGEST_BYTES);
        memcpy(p->trust->object.data, d.b, DIGEST_BYTES);
        return ALTERED;
}

static enum doing body(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        Shuyi__V1__Envelope *e = p->type == PARCEL_LINK && !p->row.len ? open_envelope(a, p->envelope) : NULL;

        if (!e || e->body.len < 64)
                return PASS;
        e->body.data[50] ^= 1;
        return close_envelope(a, e, &p->envelope) ? ALTERED : PASS;
}

static enum doing other_grant(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        if (p->type != PARCEL_LINK || r->once)
                return PASS;
        r->once = true;
        p->grant.data[0] ^= 1;
        return ALTERED;
}

/* The row of another consumer, or of nobody. */
static enum doing row(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        Shuyi__V1__AudienceRow *w = p->type == PARCEL_LINK && p->row.len ? message_parse(a, &shuyi__v1__audience_row__descriptor, binary(p->row)) : NULL;
        struct bytes b;

        if (!w)
                return PASS;
        w->purpose = (char *)"something else";
        b = message_pack(a, &w->base);
        p->row = (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
        return ALTERED;
}

static enum doing tail(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_LINK ? DROP : PASS;
}

static enum doing gap(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_LINK && !r->once ? (r->once = true, DROP) : PASS;
}

static enum doing reorder(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_LINK && !r->once ? (r->once = true, HOLD) : PASS;
}

static enum doing replay(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_LINK ? TWICE : PASS;
}

static enum doing mail(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_MAIL && !r->once ? (r->once = true, DROP) : PASS;
}

static enum doing one_record(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST && p->trust && !r->once ? (r->once = true, DROP) : PASS;
}

static enum doing all_records(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST ? DROP : PASS;
}

/* Everything that moves a grant or ends a credential is kept back; heads go on, as far as what was given. */
static enum doing revocations(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST && p->trust ? DROP : PASS;
}

static enum doing head_ahead(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        if (p->type != PARCEL_TRUST || !*p->checkpoint)
                return PASS;
        p->accepted_at += HOUR_MS;
        return ALTERED;
}

static enum doing head_back(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        if (p->type != PARCEL_TRUST || !*p->checkpoint)
                return PASS;
        p->accepted_at -= HOUR_MS;
        return ALTERED;
}

static enum doing other_epoch(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        if (p->type != PARCEL_TRUST || !*p->checkpoint)
                return PASS;
        p->epoch++;
        return ALTERED;
}

/* All signatures under a note but the first, which is the log's. */
static bool strip(char *note)
{
        char *first = strstr(note, "\n\n"), *end = first ? strchr(first + 2, '\n') : NULL;

        if (!end || !end[1])
                return false;
        end[1] = 0;
        return true;
}

static enum doing cosignatures(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p)
{
        return p->type == PARCEL_TRUST && *p->checkpoint && strip(p->checkpoint) ? ALTERED : PASS;
}

static const struct lie { const char *name; enum doing (*tell)(struct arena *a, struct peer_route *r, Shuyi__V1__Parcel *p); } lies[] = {
        { "capacity", capacity },
        { "capacity_of_link", capacity_of_link },
        { "recipient", recipient },
        { "forged_grant", forged_grant },
        { "body", body },
        { "other_grant", other_grant },
        { "row", row },
        { "tail", tail },
        { "gap", gap },
        { "reorder", reorder },
        { "replay", replay },
        { "mail", mail },
        { "one_record", one_record },
        { "all_records", all_records },
        { "revocations", revocations },
        { "head_ahead", head_ahead },
        { "head_back", head_back },
        { "other_epoch", other_epoch },
        { "cosignatures", cosignatures },
};

/* ---- lies of the link: sending ---- */

static int send_parcel(struct link_server *s, const struct peer_route *r, struct arena *a, Shuyi__V1__Parcel *p, uint64_t number)
{
        struct bytes b;

        p->number = number;
        b = FRAME_ENCODE(a, FRAME_PARCEL, p);
        return b.n ? __real_link_server_send(s, &r->route, b) : -EMSGSIZE;
}

static struct bytes kept(struct bytes b)
{
        uint8_t *p = malloc(b.n);

        if (!p)
                abort();
        memcpy(p, b.p, b.n);
        return bytes_of(p, b.n);
}

/* The one that was held goes behind this one. */
static int send_held(struct link_server *s, struct peer_route *r, struct arena *a, uint64_t number)
{
        struct bytes held = r->held;
        struct frame f;
        int e = 0;

        if (!held.n)
                return 0;
        r->held = (struct bytes){ 0 };
        if (frame_decode(a, held, FRAME_TO_AGENT, &f) == ACCEPTED)
                e = send_parcel(s, r, a, (Shuyi__V1__Parcel *)f.parcel, number);
        free((void *)held.p);
        return e;
}

static int send_by(struct link_server *s, struct peer_route *r, struct arena *a, const struct lie *lie, struct bytes frame, Shuyi__V1__Parcel *p)
{
        uint64_t number = p->number + r->doubled - r->missing;
        enum doing doing = lie ? lie->tell(a, r, p) : PASS;
        int e;

        if (doing != PASS)
                told(lie->name);
        switch (doing) {
        case DROP:
                r->missing++;
                return 0;
        case HOLD:
                r->held = kept(frame);
                r->missing++;
                return 0;
        case TWICE:
                e = send_parcel(s, r, a, p, number);
                r->doubled++;
                return e < 0 ? e : send_parcel(s, r, a, p, number + 1);
        case ALTERED:
        case PASS:
                break;
        }
        e = send_parcel(s, r, a, p, number);
        if (e == 0 && r->held.n && p->type == PARCEL_LINK) {
                r->missing--;
                e = send_held(s, r, a, number + 1);
        }
        return e;
}

static const struct lie *lie_for(const struct peer_route *r)
{
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
                if (lying_to(lies[i].name, &r->agent))
                        return &lies[i];
        return NULL;
}

/* The published head without its cosignatures. */
static int send_page(struct link_server *s, const struct peer_route *r, struct arena *a, Shuyi__V1__Page *page, struct bytes frame)
{
        Shuyi__V1__CheckpointRow *c = page->n_rows == 1 ? message_parse(a, &shuyi__v1__checkpoint_row__descriptor, binary(page->rows[0])) : NULL;
        struct bytes b;

        if (!c || !strip(c->note))
                return __real_link_server_send(s, &r->route, frame);
        told("cosignatures");
        b = message_pack(a, &c->base);
        page->rows[0] = (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
        b = FRAME_ENCODE(a, FRAME_PAGE, page);
        return __real_link_server_send(s, &r->route, b);
}

int __wrap_link_server_send(struct link_server *s, const struct link_route *route, struct bytes frame)
{
        struct peer_route *r = route_of(route);
        const struct lie *lie = r ? lie_for(r) : NULL;
        bool parcel = frame.p[0] == FRAME_PARCEL, page = frame.p[0] == FRAME_PAGE && lie && strcmp(lie->name, "cosignatures") == 0;
        struct arena *a;
        struct frame f;
        int e;

        if (!r || (!parcel && !page) || (parcel && !lie && r->missing == r->doubled))
                return __real_link_server_send(s, route, frame);
        a = arena_new((size_t)64 << 20);
        if (!a || frame_decode(a, frame, FRAME_TO_AGENT, &f) != ACCEPTED)
                abort();
        e = parcel ? send_by(s, r, a, lie, frame, (Shuyi__V1__Parcel *)f.parcel) : send_page(s, r, a, (Shuyi__V1__Page *)f.page, frame);
        arena_free(a);
        return e;
}

int __wrap_link_server_give(struct link_server *s, const struct link_route *route, struct bytes body, void (*release)(void *p, void *owner), void *owner)
{
        int e = __wrap_link_server_send(s, route, body);

        release((void *)body.p, owner);
        return e;
}

/* ---- lies in receipts, on the thread that delivers ---- */

/* A row of a control act in the log. */
static bool of_act(const Shuyi__V1__ReceiptRow *row)
{
        return row->seq != 0 && row->lane == 0;
}

static void other_code(Shuyi__V1__ReceiptRow *row)
{
        row->code = row->code ? ACCEPTED : E_ROLE;
        told("receipt_code");
}

static void other_time(Shuyi__V1__ReceiptRow *row)
{
        row->accepted_at -= HOUR_MS;
        told("receipt_time");
}

/* The entry of the first act that comes stands for all others. */
static void other_entry(Shuyi__V1__ReceiptRow *row)
{
        static uint8_t leaf[DIGEST_BYTES], effects[DIGEST_BYTES];
        static uint64_t seq;

        if (seq == 0) {
                memcpy(leaf, row->leaf_hash.data, DIGEST_BYTES);
                memcpy(effects, row->effects_digest.data, DIGEST_BYTES);
                seq = row->seq;
                return;
        }
        memcpy(row->leaf_hash.data, leaf, DIGEST_BYTES);
        memcpy(row->effects_digest.data, effects, DIGEST_BYTES);
        row->seq = seq;
        told("receipt_other");
}

Shuyi__V1__SignedReceipt *__wrap_receipt_sign(struct arena *a, const Shuyi__V1__Receipt *r, const uint8_t log_secret[64])
{
        static const struct { const char *name; void (*alter)(Shuyi__V1__ReceiptRow *row); } kinds[] = {
                { "receipt_code", other_code }, { "receipt_time", other_time }, { "receipt_other", other_entry },
        };
        struct id agent;

        memcpy(agent.b, r->agent.data, ID_BYTES);
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
                for (size_t i = 0; i < r->n_rows && lying_to(kinds[k].name, &agent); i++)
                        if (of_act(r->rows[i]))
                                kinds[k].alter(r->rows[i]);
        return __real_receipt_sign(a, r, log_secret);
}

/* ---- lies of the log ---- */

/* An act is put into the log otherwise than it was signed. */
enum refusal __wrap_envelope_verify(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret)
{
        enum refusal r = __real_envelope_verify(a, wire, keys, ret);
        bool capacity_lie = lying("log_capacity"), recipient_lie = lying("log_recipient");
        ProtobufCBinaryData altered = { wire.n, (uint8_t *)wire.p };

        if (r != ACCEPTED || (*ret)->kind->class != KIND_CONTROL || (*ret)->kind->number == KIND_DELIVERY_RECEIPT || (!capacity_lie && !recipient_lie))
                return r;
        if (capacity_lie ? !relabel(a, &altered) : !edit_intent(a, &altered, other_object))
                return r;
        if (envelope_parse(a, binary(altered), ret) == ACCEPTED)
                told(capacity_lie ? "log_capacity" : "log_recipient");
        return r;
}

/* A TRUST_HEAD body that owns its bytes. */
struct head_copy { Shuyi__V1__TrustHeadBody body; uint8_t chain[DIGEST_BYTES], map_root[DIGEST_BYTES]; };

static void head_keep(struct head_copy *to, const Shuyi__V1__TrustHeadBody *from)
{
        to->body = *from;
        memcpy(to->chain, from->chain.data, DIGEST_BYTES);
        memcpy(to->map_root, from->map_root.data, DIGEST_BYTES);
        to->body.chain.data = to->chain;
        to->body.map_root.data = to->map_root;
}

static _Thread_local bool forged;               /* the next TRUST_HEAD is not what the state says */
static _Thread_local struct head_copy honest, before;

/* Another map; or a head that says that nothing happened since the last honest one. */
int __wrap_exchange_trust_head_body(struct state state, struct arena *a, Shuyi__V1__TrustHeadBody *ret)
{
        int r = __real_exchange_trust_head_body(state, a, ret);
        bool stale = lying("log_stale_head"), root = lying("log_map_root");

        if (r < 0)
                return r;
        head_keep(&honest, ret);
        forged = root || (stale && before.body.trust_seq && before.body.trust_seq < ret->trust_seq);
        if (root) {
                ret->map_root.data[0] ^= 1;
        } else if (forged) {
                ret->trust_seq = before.body.trust_seq;
                memcpy(ret->chain.data, before.chain, DIGEST_BYTES);
                memcpy(ret->map_root.data, before.map_root, DIGEST_BYTES);
        } else if (!stale) {
                head_keep(&before, ret);
        }
        return 0;
}

static bool of_person(const struct entry *entry)
{
        return entry->claim->kind->class == KIND_CONTROL && entry->claim->kind->number != KIND_DELIVERY_RECEIPT && entry->link;
}

/* The state takes what is true; the log gets what is not. */
int __wrap_exchange_apply(struct exchange *x, struct state state, const struct entry *entry, struct arena *a, struct outcome *ret)
{
        struct entry real = *entry;
        struct claim claim = *entry->claim;
        bool head = claim.kind->number == KIND_TRUST_HEAD && forged;
        int r;

        if (head) {
                claim.open_body = &honest.body.base;
                real.claim = &claim;
                forged = false;
                told("log_head");
        }
        r = __real_exchange_apply(x, state, &real, a, ret);
        if (r < 0 || !of_person(entry))
                return r;
        if (ret->code != ACCEPTED && lying("log_accept")) {
                ret->code = ACCEPTED;
                told("log_accept");
        } else if (ret->code == ACCEPTED && lying("log_refuse")) {
                ret->code = E_ROLE;
                told("log_refuse");
        }
        return 0;
}

static bool on_sequencer(void)
{
        char name[16] = "";

        return pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 && strcmp(name, "sequence") == 0;
}

/* The time by which entries are stamped. */
struct wall_time __wrap_times_wall(void)
{
        static _Thread_local struct wall_time stopped;
        static _Thread_local bool ahead;
        struct wall_time t = __real_times_wall();

        if (!on_sequencer())
                return t;
        if (lying("log_ahead")) {
                if (!ahead)
                        told("log_ahead");
                ahead = true;
                t.ms += HOUR_MS;
        } else if (lying("log_still")) {
                if (stopped.ms == 0)
                        told("log_still");
                t = stopped = stopped.ms ? stopped : t;
        }
        return t;
}

bool __wrap_clock_guard_check(struct clock_guard *g, struct wall_time wall, struct mono_time mono)
{
        if (lying("log_ahead") || lying("log_still")) {
                g->base_wall = wall;
                g->base_mono = mono;
                return true;
        }
        return __real_clock_guard_check(g, wall, mono);
}
