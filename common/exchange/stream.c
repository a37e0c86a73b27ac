/* stream: the machine of links, subscriptions and receipts (DESIGN 6; SM-GRANT 2).
 *
 * Reading downward: finding the stream and its next number, then subscriptions, then the table.  What each kind of link
 * must hold is in view_epoch.c, update.c and receipt_act.c. */
#include "common/exchange/stream.h"

#include "common/exchange/grant.h"
#include "common/exchange/signers.h"
#include "common/macro.h"

#include <stdio.h>

/* ---- shared ---- */

enum refusal stream_refuse_grant(struct turn *t, enum refusal code, struct bytes grant)
{
        char text[8 + 2 * DIGEST_BYTES] = "grant=";

        if (grant.n == DIGEST_BYTES)
                hex_format(grant, text + strlen(text));
        return turn_refuse(t, code, text);
}

bool listener_in_force(struct turn *t, struct rows *rows, const Shuyi__V1__GrantRow *grant)
{
        return rows_person_in_force(rows, grant->consumer, bytes_of_field(grant->user), t->now) &&
               rows_person_in_force(rows, grant->consumer, bytes_of_field(grant->approver), t->now) &&
               rows_agent_in_force(rows, grant->consumer, bytes_of_field(grant->agent), t->now);
}

/* The stream counts once for all who hear it; a subscription remembers from which count on it hears. */
uint64_t listener_count(const Shuyi__V1__StreamRow *stream, const Shuyi__V1__SubscriptionRow *sub, uint32_t today)
{
        uint64_t heard = stream->day == today ? stream->count : 0;

        if (sub->day != today)
                return heard;
        return sub->count + (heard > sub->from_count ? heard - sub->from_count : 0);
}

void listener_settle(struct turn *t, const Shuyi__V1__StreamRow *stream, Shuyi__V1__SubscriptionRow *sub)
{
        uint32_t today = (uint32_t)times_shanghai_day(t->now);

        sub->count = listener_count(stream, sub, today);
        sub->day = today;
        sub->from_count = stream->day == today ? stream->count : 0;
}

void stream_advance(struct turn *t, struct stream_act *s)
{
        Shuyi__V1__NumberRow place = SHUYI__V1__NUMBER_ROW__INIT;
        struct bytes digest = bytes_digest(&t->claim->header_digest);

        s->stream->head = t->intent->stream_seq;
        s->stream->head_digest = field_of_bytes(digest);
        s->stream->head_at = t->now.ms;
        turn_put_row(t, TURN_KEY(t, TABLE_STREAM, s->id), &s->stream->base);
        place.n = t->entry->seq;
        place.digest = field_of_bytes(digest);
        place.at = t->now.ms;
        turn_put_row(t, TURN_KEY(t, TABLE_LINK_SEQ, s->id, turn_u64(t, t->intent->stream_seq)), &place.base);
        turn_wake(t, WAKE_STREAM, s->id);
}

/* ---- finding: links ---- */

/* Exactly the next number, and the link before it by its digest: no gap, no repeat, no fork. */
static enum refusal check_next(struct turn *t, const struct stream_act *s)
{
        uint64_t next = (s->stream ? s->stream->head : 0) + 1;
        struct bytes prev = bytes_of_field(t->intent->prev_digest);
        char text[40];

        if (t->intent->stream_seq != next) {
                snprintf(text, sizeof(text), "expected=%llu", (unsigned long long)next);
                return turn_refuse(t, t->intent->stream_seq < next ? E_REPLAY : E_STATE, text);
        }
        if (!bytes_equal(prev, s->stream ? bytes_of_field(s->stream->head_digest) : (struct bytes){ 0 }))
                return turn_refuse(t, E_STATE, "prev_digest");
        return ACCEPTED;
}

static bool sent_by(const struct turn *t, ProtobufCBinaryData agent)
{
        return t->actors_n == 1 && bytes_equal(bytes_id(&t->actors[0].subject), bytes_of_field(agent));
}

/* A stream and an entry have one agent that may push: others are told nothing of them. */
static enum refusal load_link(struct turn *t, struct stream_act *s)
{
        bool begins = t->intent->kind == KIND_VIEW_EPOCH;
        enum refusal no;

        s->id = bytes_of_field(t->intent->stream);
        s->stream = s->id.n == DIGEST_BYTES ? rows_stream(&s->rows, s->id) : NULL;
        if (s->stream ? !sent_by(t, s->stream->agent) : !begins)
                return turn_refuse(t, s->stream ? E_ROLE : E_NOT_FOUND, "stream");
        if (begins) {
                s->version = rows_version(&s->rows, t->intent->resource, t->intent->resource_version);
                if (!s->version)
                        return turn_refuse(t, E_NOT_FOUND, "resource");
                if (!sent_by(t, s->version->agent) || strcmp(s->version->entry->provider_code, t->intent->from) != 0)
                        return turn_refuse(t, E_ROLE, "resource");
        }
        no = check_next(t, s);
        if (no == ACCEPTED && begins)
                return view_epoch_load(t, s);
        return no == ACCEPTED && t->intent->kind == KIND_UPDATE ? update_load(t, s) : no;
}

/* ---- finding: subscriptions ---- */

static enum refusal load_subscription(struct turn *t, struct stream_act *s)
{
        s->grant_id = bytes_of_field(t->intent->grant);
        s->grant = s->grant_id.n == DIGEST_BYTES ? rows_grant(&s->rows, s->grant_id) : NULL;
        s->sub = s->grant ? rows_subscription(&s->rows, s->grant_id) : NULL;
        if (!s->sub || strcmp(signers_department(t), s->grant->consumer) != 0)
                return turn_refuse(t, E_NOT_FOUND, "grant");
        if (t->actors[0].capacity == ROLE_AGENT && !sent_by(t, s->sub->agent))
                return turn_refuse(t, E_ROLE, "agent");
        s->id = bytes_of_field(s->sub->stream);
        s->stream = s->id.n ? rows_stream(&s->rows, s->id) : NULL;
        return ACCEPTED;
}

static bool about_subscription(uint32_t kind)
{
        return kind == KIND_SUBSCRIBE || kind == KIND_DELIVERY_RECEIPT;
}

static enum refusal stream_load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct stream_act *s = turn_new_matter(t, sizeof(*s));
        bool subscription = about_subscription(t->intent->kind);
        enum refusal no;

        if (!s)
                return E_NOT_FOUND;
        s->rows = rows_of(t);
        no = subscription ? load_subscription(t, s) : load_link(t, s);
        if (no != ACCEPTED)
                return no;
        *ret_matter = s;
        *ret_state = subscription ? s->sub->state : s->stream ? STREAM_RUNNING : 0;
        return ACCEPTED;
}

/* A frozen entry sends no data; heads, receipts and subscriptions go on. */
static enum refusal stream_frozen(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        struct bytes id = s->version ? bytes_of_field(s->version->matter) : s->stream ? bytes_of_field(s->stream->matter) : (struct bytes){ 0 };
        const Shuyi__V1__MatterRow *m;

        if (t->intent->kind != KIND_UPDATE && t->intent->kind != KIND_VIEW_EPOCH)
                return ACCEPTED;
        m = rows_matter(&s->rows, id);
        return m && !m->frozen ? ACCEPTED : turn_refuse(t, E_FROZEN, t->intent->resource);
}

/* Links write their rows themselves. */
static void stream_store(struct turn *t, void *matter, unsigned state)
{
        struct stream_act *s = matter;

        if (!about_subscription(t->intent->kind))
                return;
        s->sub->state = s->stopped ? SUB_STOPPED : state;
        turn_put_row(t, TURN_KEY(t, TABLE_SUBSCRIPTION, s->grant_id), &s->sub->base);
        turn_wake(t, WAKE_SUBSCRIPTION, s->grant_id);
}

/* ---- subscribing ---- */

static enum refusal guard_no_snapshot(struct turn *t, void *matter)
{
        const Shuyi__V1__SubscribeBody *body = (const Shuyi__V1__SubscribeBody *)t->claim->open_body;

        return body && body->snapshot ? turn_refuse(t, E_NOT_YET, "snapshot") : ACCEPTED;
}

static enum refusal guard_grant_active(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        if (s->grant->state == GRANT_ACTIVE)
                return ACCEPTED;
        return turn_refuse(t, s->grant->state == GRANT_SUSPENDED ? E_SUSPENDED : E_STATE, word_name(LIST_grant_state, s->grant->state));
}

/* What is taken up is the grant, for the grant's purpose. */
static enum refusal guard_subscribe_purpose(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        return !t->intent->purpose[0] || strcmp(t->intent->purpose, s->grant->purpose) == 0 ? ACCEPTED : turn_refuse(t, G_PURPOSE, "purpose");
}

/* The provider's agent is told, and names the grant in its next epoch. */
static void subscribe(struct turn *t, void *matter)
{
        struct stream_act *s = matter;

        TELL(t, NOTICE_SUBSCRIBE, s->grant->provider);
}

/* ---- links without content ---- */

/* NO_CHANGE and STREAM_HEAD say of which stream and epoch they are the head, and go on whether or not it is open. */
static enum refusal guard_link_fields(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        const Shuyi__V1__Intent *i = t->intent;

        if (!field_equal(i->view, s->stream->view) || strcmp(i->resource, s->stream->resource) != 0 || i->resource_version != s->stream->version)
                return turn_refuse(t, G_FIELD, "view");
        if (i->view_epoch != s->stream->view_epoch || !field_equal(i->key_id, s->stream->key_id))
                return turn_refuse(t, E_STALE_EPOCH, "view_epoch");
        return ACCEPTED;
}

static void advance(struct turn *t, void *matter)
{
        stream_advance(t, matter);
}

#define IN_RECEIPTABLE (IN(SUB_LIVE) | IN(SUB_KEY_WAIT) | IN(SUB_STOPPED) | IN(SUB_LAGGED) | IN(SUB_ENDED))

static const struct rule rules[] = {
        { IN(SUB_REQUESTED), KIND_SUBSCRIBE, BY_AGENT, { guard_no_snapshot, guard_grant_active, guard_subscribe_purpose },
          SUB_KEY_WAIT, subscribe, "SM-GRANT 2", "DESIGN 6" },
        { IN(SUB_STOPPED), KIND_SUBSCRIBE, BY_OFFICER, { guard_no_snapshot, guard_grant_active, guard_subscribe_purpose },
          SUB_KEY_WAIT, subscribe, "SM-GRANT 2", "DESIGN 6" },
        /* Asking again where it waits or hears changes nothing but that the provider is told. */
        { IN(SUB_KEY_WAIT) | IN(SUB_LIVE), KIND_SUBSCRIBE, BY_OFFICER, { guard_no_snapshot, guard_grant_active, guard_subscribe_purpose },
          0, subscribe, "SM-GRANT 2", "DESIGN 6" },
        { IN_RECEIPTABLE, KIND_DELIVERY_RECEIPT, BY_AGENT,
          { guard_receipt_fields, guard_receipt_range, guard_receipt_digest, guard_receipt_times }, 0, receipt_apply, "SM-GRANT 2", "ZS 32(2)" },
        { IN_NONE | IN(STREAM_RUNNING), KIND_VIEW_EPOCH, BY_AGENT, { guard_epoch_fields, guard_epoch_secrecy, guard_epoch_rows },
          STREAM_RUNNING, view_epoch_apply, "SM-GRANT 2", "ZS 21, 32(2)" },
        { IN(STREAM_RUNNING), KIND_UPDATE, BY_AGENT,
          { guard_update_fields, guard_update_secrecy, guard_update_items, guard_update_method, guard_update_medium, guard_update_purpose,
            guard_update_period, guard_update_rate, guard_update_filter, guard_update_mask }, 0, update_apply, "SM-GRANT 2", "ZS 18, 21, 32(2)" },
        { IN(STREAM_RUNNING), KIND_NO_CHANGE, BY_AGENT, { guard_link_fields }, 0, advance, "5.4", "ZS 18" },
        { IN(STREAM_RUNNING), KIND_STREAM_HEAD, BY_AGENT, { guard_link_fields }, 0, advance, "SM-GRANT 2", "DESIGN 6" },
};

const struct machine machine_stream = {
        .name = "STREAM",
        .load = stream_load,
        .frozen = stream_frozen,
        .store = stream_store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};
