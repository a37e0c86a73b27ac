/* update: records of a stream, as far as their header shows them (SM-GRANT 2; ).
 *
 * The broker never opens the body: it compares the header with the view, and the audience of the open epoch with its grants
 * as they are at this very entry.  The one row that grows with use is the stream's own. */
#include "common/exchange/stream.h"

#include "common/exchange/guards.h"
#include "common/seal.h"

/* ---- is the epoch open? ---- */

static bool listener_stands(struct turn *t, struct stream_act *s, const struct listener *l)
{
        return l->grant && l->grant->state == GRANT_ACTIVE && listener_in_force(t, &s->rows, l->grant);
}

/* An epoch is open while everybody in it may hear it.  Where somebody else still may, the agent goes on without the
 * others (E_STALE_EPOCH); where all are suspended there is nobody to go on for: it waits. */
static enum refusal check_open(struct turn *t, struct stream_act *s)
{
        const struct listener *gone = NULL;
        size_t suspended = 0;

        for (size_t i = 0; i < s->audience_n; i++) {
                const struct listener *l = &s->audience[i];

                suspended += l->grant && l->grant->state == GRANT_SUSPENDED;
                if (!gone && !listener_stands(t, s, l))
                        gone = l;
        }
        if (!gone)
                return ACCEPTED;
        return stream_refuse_grant(t, suspended == s->audience_n ? E_SUSPENDED : E_STALE_EPOCH, gone->grant_id);
}

static enum refusal read_audience(struct turn *t, struct stream_act *s)
{
        s->audience_n = s->stream->n_audience;
        s->audience = turn_new_matter(t, (s->audience_n + 1) * sizeof(*s->audience));
        if (!s->audience)
                return E_NOT_FOUND;
        for (size_t i = 0; i < s->audience_n; i++) {
                struct listener *l = &s->audience[i];

                l->grant_id = bytes_of_field(s->stream->audience[i]);
                l->grant = rows_grant(&s->rows, l->grant_id);
                l->sub = s->stream->rate ? rows_subscription(&s->rows, l->grant_id) : NULL;
        }
        return ACCEPTED;
}

enum refusal update_load(struct turn *t, struct stream_act *s)
{
        enum refusal no;

        if (t->intent->view_epoch != s->stream->view_epoch || !field_equal(t->intent->key_id, s->stream->key_id))
                return turn_refuse(t, E_STALE_EPOCH, "view_epoch");
        no = read_audience(t, s);
        return no == ACCEPTED ? check_open(t, s) : no;
}

/* ---- the header against the view ---- */

/* Who, by whose approval, what, how and in which medium: without all of it nothing is routed. */
static bool has_facts(const struct listener *l)
{
        return l->grant->user.len == ID_BYTES && l->grant->approver.len == ID_BYTES && l->grant->method && l->grant->purpose[0];
}

enum refusal guard_update_fields(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        const Shuyi__V1__Intent *i = t->intent;

        t->detail[0] = 0;
        if (strcmp(i->resource, s->stream->resource) != 0 || i->resource_version != s->stream->version)
                turn_detail(t, "resource");
        if (!field_equal(i->view, s->stream->view))
                turn_detail(t, "view");
        if (i->n_items == 0)
                turn_detail(t, "items");
        if (i->medium == 0)
                turn_detail(t, "medium");
        if (i->record_count < 1 || i->record_count > UPDATE_RECORDS_MAX)
                turn_detail(t, "record_count");
        if (i->records_root.len != DIGEST_BYTES)
                turn_detail(t, "records_root");
        if (i->oldest_changed_at == 0)
                turn_detail(t, "oldest_changed_at");
        if (t->claim->body_bytes <= SEAL_OVERHEAD)
                turn_detail(t, "body");
        for (size_t k = 0; k < s->audience_n; k++)
                if (!has_facts(&s->audience[k]))
                        turn_detail(t, "audience");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

enum refusal guard_update_secrecy(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        return field_equal(t->intent->secrecy_review, s->stream->secrecy) ? ACCEPTED : turn_refuse(t, G_SECRECY, "secrecy_review");
}

enum refusal guard_update_items(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        return items_equal(t->intent->items, t->intent->n_items, s->stream->items, s->stream->n_items) ? ACCEPTED : turn_refuse(t, G_ITEMS, "items");
}

/* Method and purpose stand in the epoch's rows.  A header that names them besides must name the same. */
enum refusal guard_update_method(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        for (size_t i = 0; i < s->audience_n; i++)
                if (t->intent->method && t->intent->method != s->audience[i].grant->method)
                        return stream_refuse_grant(t, G_METHOD, s->audience[i].grant_id);
        return ACCEPTED;
}

enum refusal guard_update_medium(struct turn *t, void *matter)
{
        return t->intent->medium == MEDIUM_NETWORK ? ACCEPTED : turn_refuse(t, G_MEDIUM, "medium");
}

enum refusal guard_update_purpose(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        for (size_t i = 0; i < s->audience_n; i++)
                if (t->intent->purpose[0] && strcmp(t->intent->purpose, s->audience[i].grant->purpose) != 0)
                        return stream_refuse_grant(t, G_PURPOSE, s->audience[i].grant_id);
        return ACCEPTED;
}

enum refusal guard_update_period(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        for (size_t i = 0; i < s->audience_n; i++) {
                const Shuyi__V1__GrantRow *g = s->audience[i].grant;

                if (t->now.ms < g->period_from || (g->period_to && t->now.ms >= g->period_to))
                        return stream_refuse_grant(t, G_PERIOD, s->audience[i].grant_id);
        }
        return ACCEPTED;
}

enum refusal guard_update_rate(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        uint32_t today = (uint32_t)times_shanghai_day(t->now);

        for (size_t i = 0; i < s->audience_n && s->stream->rate; i++)
                if (s->audience[i].sub && listener_count(s->stream, s->audience[i].sub, today) + t->intent->record_count > s->stream->rate)
                        return stream_refuse_grant(t, G_RATE, s->audience[i].grant_id);
        return ACCEPTED;
}

enum refusal guard_update_filter(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        return field_equal(t->intent->filter_digest, s->stream->filter_digest) ? ACCEPTED : turn_refuse(t, G_FILTER, "filter_digest");
}

enum refusal guard_update_mask(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;

        return t->intent->mask_version == s->stream->mask_version ? ACCEPTED : turn_refuse(t, G_MASK, "mask_version");
}

void update_apply(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        uint32_t today = (uint32_t)times_shanghai_day(t->now);

        if (s->stream->day != today)
                s->stream->count = 0;
        s->stream->day = today;
        s->stream->count += t->intent->record_count;
        stream_advance(t, s);
}
