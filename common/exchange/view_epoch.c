/* view_epoch: who hears a stream from this link on (DESIGN 6).
 *
 * Each row repeats what its grant says, so that the seven facts of ZS 32 stand signed beside the data; what only time
 * can change (a grant that ended, a person revoked, a new seal key) is E_STALE_EPOCH: the agent looks again and issues the next. */
#include "common/exchange/stream.h"

#include "common/exchange/catalog_rules.h"
#include "common/exchange/grant.h"
#include "common/exchange/guards.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"

/* Grants and subscriptions of the rows, found once.  A row without them stays with NULL: guard_epoch_rows says so. */
enum refusal view_epoch_load(struct turn *t, struct stream_act *s)
{
        const Shuyi__V1__ViewEpochBody *body = (const Shuyi__V1__ViewEpochBody *)t->claim->open_body;
        size_t n = body ? body->n_rows : 0;

        if (n == 0 || n > AUDIENCE_MAX)
                return turn_refuse(t, G_FIELD, "rows");
        s->audience = turn_new_matter(t, n * sizeof(*s->audience));
        if (!s->audience)
                return E_NOT_FOUND;
        s->audience_n = n;
        for (size_t i = 0; i < n; i++) {
                struct listener *l = &s->audience[i];

                l->row = body->rows[i];
                l->grant_id = bytes_of_field(l->row->grant);
                l->grant = l->grant_id.n == DIGEST_BYTES ? rows_grant(&s->rows, l->grant_id) : NULL;
                l->sub = l->grant ? rows_subscription(&s->rows, l->grant_id) : NULL;
        }
        return ACCEPTED;
}

/* ---- the header ---- */

static struct digest rows_root(struct turn *t, const struct stream_act *s)
{
        struct digest *leaves = turn_new_matter(t, s->audience_n * sizeof(*leaves));

        if (!leaves)
                return (struct digest){ { 0 } };
        for (size_t i = 0; i < s->audience_n; i++)
                leaves[i] = row_leaf(message_pack(t->arena, &s->audience[i].row->base));
        return merkle_records_root(leaves, s->audience_n);
}

/* The view is what the grants say it is: its rate stands in them, not in the header. */
static struct digest view_of(const struct turn *t, const struct stream_act *s)
{
        const Shuyi__V1__Intent *i = t->intent;
        uint32_t rate = s->audience[0].grant ? s->audience[0].grant->rate : 0;

        return view_id(i->resource, i->resource_version, i->items, i->n_items, bytes_of_field(i->filter_digest), i->mask_version, rate);
}

enum refusal guard_epoch_fields(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        const Shuyi__V1__Intent *i = t->intent;
        struct digest view = view_of(t, s), root = rows_root(t, s), id = stream_id(&t->actors[0].subject, &view);

        t->detail[0] = 0;
        if (i->n_items == 0 || !items_ordered(i->items, i->n_items))
                turn_detail(t, "items");
        if (!bytes_equal(bytes_of_field(i->view), bytes_digest(&view)))
                turn_detail(t, "view");
        if (!bytes_equal(s->id, bytes_digest(&id)))
                turn_detail(t, "stream");
        if (i->view_epoch != (s->stream ? s->stream->view_epoch : 0) + 1)
                turn_detail(t, "view_epoch");
        if (i->key_id.len != DIGEST_BYTES)
                turn_detail(t, "key_id");
        if (i->record_count != s->audience_n)
                turn_detail(t, "record_count");
        if (!bytes_equal(bytes_of_field(i->records_root), bytes_digest(&root)))
                turn_detail(t, "records_root");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

enum refusal guard_epoch_secrecy(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        struct digest secrecy = entry_secrecy_digest(t->arena, s->version->entry);
        bool same = bytes_equal(bytes_of_field(t->intent->secrecy_review), bytes_digest(&secrecy));

        return same ? ACCEPTED : turn_refuse(t, G_SECRECY, "secrecy_review");
}

/* ---- the rows ---- */

static bool named_before(const struct stream_act *s, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (bytes_equal(s->audience[k].grant_id, s->audience[i].grant_id))
                        return true;
        return false;
}

/* What the row says is what the grant says.  NULL, or the field that is not. */
static const char *row_differs(const Shuyi__V1__AudienceRow *r, const Shuyi__V1__GrantRow *g)
{
        if (r->channel != g->channel)
                return "channel";
        if (strcmp(r->consumer, g->consumer) != 0)
                return "consumer";
        if (r->user.len != ID_BYTES || !field_equal(r->user, g->user))
                return "user";
        if (r->approver.len != ID_BYTES || !field_equal(r->approver, g->approver))
                return "approver";
        if (r->agent.len != ID_BYTES || !field_equal(r->agent, g->agent))
                return "agent";
        if (r->seal_key.len != 32)
                return "seal_key";
        return r->wrapped.len ? NULL : "wrapped";
}

static bool seal_key_in_force(struct turn *t, struct rows *rows, const Shuyi__V1__AudienceRow *r)
{
        const Shuyi__V1__AgentRow *agent = rows_agent(rows, bytes_of_field(r->agent));

        return agent && field_equal(agent->seal_key, r->seal_key) && t->now.ms < agent->seal_not_after;
}

/* E_STALE_EPOCH for what may have changed since the agent looked. */
static enum refusal check_standing(struct turn *t, struct stream_act *s, const struct listener *l)
{
        bool listens = l->sub && (l->sub->state == SUB_KEY_WAIT || l->sub->state == SUB_LIVE);

        if (l->grant->state != GRANT_ACTIVE || !listens || !listener_in_force(t, &s->rows, l->grant) || !seal_key_in_force(t, &s->rows, l->row))
                return stream_refuse_grant(t, E_STALE_EPOCH, l->grant_id);
        return ACCEPTED;
}

static enum refusal check_row(struct turn *t, struct stream_act *s, size_t i)
{
        const struct listener *l = &s->audience[i];
        const Shuyi__V1__GrantRow *g = l->grant;
        const char *field;

        if (!g || strcmp(g->provider, t->intent->from) != 0)
                return stream_refuse_grant(t, E_NOT_FOUND, l->grant_id);
        field = named_before(s, i) ? "grant" : row_differs(l->row, g);
        if (field) {
                stream_refuse_grant(t, G_FIELD, l->grant_id);
                turn_detail(t, field);
                return G_FIELD;
        }
        if (!field_equal(g->view, t->intent->view) || !items_equal(g->items, g->n_items, t->intent->items, t->intent->n_items))
                return stream_refuse_grant(t, G_ITEMS, l->grant_id);
        if (l->row->method != g->method)
                return stream_refuse_grant(t, G_METHOD, l->grant_id);
        if (!l->row->purpose[0] || strcmp(l->row->purpose, g->purpose) != 0)
                return stream_refuse_grant(t, G_PURPOSE, l->grant_id);
        if (t->now.ms < g->period_from || (g->period_to && t->now.ms >= g->period_to))
                return stream_refuse_grant(t, G_PERIOD, l->grant_id);
        return ACCEPTED;
}

enum refusal guard_epoch_rows(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        enum refusal no = ACCEPTED;

        for (size_t i = 0; i < s->audience_n && no == ACCEPTED; i++)
                no = check_row(t, s, i);
        for (size_t i = 0; i < s->audience_n && no == ACCEPTED; i++)
                no = check_standing(t, s, &s->audience[i]);
        return no;
}

/* ---- what comes of it ---- */

static void put_subscription(struct turn *t, struct bytes grant, const Shuyi__V1__SubscriptionRow *sub)
{
        turn_put_row(t, TURN_KEY(t, TABLE_SUBSCRIPTION, grant), &sub->base);
        turn_wake(t, WAKE_SUBSCRIPTION, grant);
}

/* Heard the epoch before, too: its links can be opened, so delivery goes on where it stood.  Else it begins here; what was
 * sealed meanwhile was sealed without it, and what it had not fetched before it left is told as a failure. */
static void join(struct turn *t, struct stream_act *s, struct listener *l, uint32_t today)
{
        Shuyi__V1__SubscriptionRow *sub = l->sub;
        bool goes_on = sub->start && s->stream->view_epoch && sub->view_epoch == s->stream->view_epoch;

        if (!goes_on) {
                if (sub->stop && sub->cursor < sub->stop)
                        TELL(t, NOTICE_FAIL, l->grant->consumer);
                sub->start = t->intent->stream_seq;
                sub->cursor = sub->start - 1;
        }
        sub->count = sub->day == today ? sub->count : 0;
        sub->day = today;
        sub->from_count = s->stream->day == today ? s->stream->count : 0;
        sub->state = SUB_LIVE;
        sub->stop = 0;
        sub->stream = field_of_bytes(s->id);
        turn_put(t, TURN_KEY(t, TABLE_STREAM_SUB, s->id, l->grant_id), (struct bytes){ 0 });
}

/* Left out: it hears up to the link before this one. */
static void leave(struct turn *t, struct stream_act *s, struct bytes grant)
{
        Shuyi__V1__SubscriptionRow *sub = rows_subscription(&s->rows, grant);

        if (!sub || sub->state != SUB_LIVE)
                return;
        listener_settle(t, s->stream, sub);
        sub->state = SUB_KEY_WAIT;
        sub->stop = s->stream->head;
        put_subscription(t, grant, sub);
}

static bool still_named(const struct stream_act *s, struct bytes grant)
{
        for (size_t i = 0; i < s->audience_n; i++)
                if (bytes_equal(s->audience[i].grant_id, grant))
                        return true;
        return false;
}

static Shuyi__V1__StreamRow *new_stream(struct turn *t, const struct stream_act *s)
{
        Shuyi__V1__StreamRow *row = turn_new_matter(t, sizeof(*row));

        if (!row)
                return NULL;
        shuyi__v1__stream_row__init(row);
        row->provider = t->intent->from;
        row->agent = field_of_bytes(bytes_id(&t->actors[0].subject));
        row->view = t->intent->view;
        row->resource = t->intent->resource;
        row->version = t->intent->resource_version;
        row->n_items = t->intent->n_items;
        row->items = t->intent->items;
        row->rate = s->audience[0].grant->rate;
        row->filter_digest = t->intent->filter_digest;
        row->mask_version = t->intent->mask_version;
        row->matter = s->version->matter;
        return row;
}

static void open_epoch(struct turn *t, struct stream_act *s)
{
        ProtobufCBinaryData *audience = turn_new_matter(t, s->audience_n * sizeof(*audience));
        struct digest secrecy = entry_secrecy_digest(t->arena, s->version->entry);
        Shuyi__V1__NumberRow place = SHUYI__V1__NUMBER_ROW__INIT;

        if (!audience)
                return;
        for (size_t i = 0; i < s->audience_n; i++)
                audience[i] = field_of_bytes(s->audience[i].grant_id);
        s->stream->view_epoch = t->intent->view_epoch;
        s->stream->epoch_head = t->intent->stream_seq;
        s->stream->key_id = t->intent->key_id;
        s->stream->n_audience = s->audience_n;
        s->stream->audience = audience;
        s->stream->secrecy = field_of_bytes(arena_copy(t->arena, bytes_digest(&secrecy)));
        place.n = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_EPOCH_SEQ, s->id, turn_u32(t, t->intent->view_epoch)), &place.base);
}

void view_epoch_apply(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        uint32_t today = (uint32_t)times_shanghai_day(t->now);

        if (!s->stream)
                s->stream = new_stream(t, s);
        if (!s->stream)
                return;
        for (size_t i = 0; i < s->stream->n_audience; i++)
                if (!still_named(s, bytes_of_field(s->stream->audience[i])))
                        leave(t, s, bytes_of_field(s->stream->audience[i]));
        for (size_t i = 0; i < s->audience_n; i++) {
                struct listener *l = &s->audience[i];

                if (l->sub->state != SUB_LIVE)
                        join(t, s, l, today);
                l->sub->view_epoch = t->intent->view_epoch;
                put_subscription(t, l->grant_id, l->sub);
        }
        open_epoch(t, s);
        stream_advance(t, s);
        turn_trust(t, TRUST_VIEW_EPOCH, s->id, STATUS_ACTIVE);
}
