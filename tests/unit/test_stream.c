/* stream: links, epochs, subscriptions and receipts (DESIGN 6; SM-GRANT 2). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

static Shuyi__V1__StreamRow *stream_row(struct market *m, const struct market_stream *s)
{
        return CITY_ROW(m->c, TABLE_STREAM, &shuyi__v1__stream_row__descriptor, bytes_digest(&s->id));
}

/* A second consumer's grant on the same view: another person of health, another of its agents. */
static struct digest second_grant(struct market *m, const char *resource, struct party **ret_user, struct party **ret_agent)
{
        struct party *user = city_hire(m->c, CITY_HEALTH, "sun", ROLE_USER, 0), *agent = city_join(m->c, CITY_HEALTH, "clinic");
        Shuyi__V1__SealKeyBody key = SHUYI__V1__SEAL_KEY_BODY__INIT;
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;
        Shuyi__V1__SubscribeBody subscribe = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent *i = market_ask(m, resource), take = SHUYI__V1__INTENT__INIT;
        struct city_result r;
        static struct digest seal;

        seal = digest_plain(bytes_str("clinic seal"));
        key.seal_key = (ProtobufCBinaryData){ 32, seal.b };
        key.not_after = m->c->now.ms + 30 * DAY_MS;
        city_must(m->c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &key.base, .by = { { agent, ROLE_AGENT } } });
        i->agent = (ProtobufCBinaryData){ ID_BYTES, agent->id.b };
        r = city_must(m->c, &(struct city_act){ .kind = KIND_GET, .intent = i, .body = &body.base, .by = { { user, ROLE_USER }, { m->health_approver, ROLE_APPROVER } } });
        take.grant = (ProtobufCBinaryData){ DIGEST_BYTES, r.digest.b };
        struct digest grant = r.digest;
        take.grant.data = grant.b;
        city_must(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &take, .body = &subscribe.base, .by = { { agent, ROLE_AGENT } } });
        *ret_user = user;
        *ret_agent = agent;
        return grant;
}

static void a_stream_begins_with_an_epoch_and_goes_on_by_one(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest grant = market_live(m, market_publish(m, market_open_entry(m)), &s);
        Shuyi__V1__SubscriptionRow *sub = market_subscription(m, &grant);

        assert_int_equal(sub->state, SUB_LIVE);
        assert_int_equal(sub->start, 1);
        assert_int_equal(sub->cursor, 0);
        assert_int_equal(sub->view_epoch, 1);
        assert_refusal(market_update(m, &s, 3).code, ACCEPTED);
        assert_refusal(market_send(m, &s, KIND_STREAM_HEAD, market_link(m, &s)).code, ACCEPTED);
        assert_refusal(market_send(m, &s, KIND_NO_CHANGE, market_link(m, &s)).code, ACCEPTED);
        assert_int_equal(stream_row(m, &s)->head, 4);
        assert_memory_equal(stream_row(m, &s)->head_digest.data, s.head_digest.b, DIGEST_BYTES);
        assert_int_equal(city_count(m->c, TABLE_LINK_SEQ), 4);
}

/* ---- numbers ---- */

static void a_gap_a_repeat_and_a_fork_are_refused(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s, other;
        struct city_result r;

        market_live(m, market_publish(m, market_open_entry(m)), &s);
        other = s;
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        r = market_update(m, &other, 1);
        assert_refusal(r.code, E_REPLAY);
        assert_string_equal(r.detail, "expected=3");
        other = s;
        other.head++;
        r = market_update(m, &other, 1);
        assert_refusal(r.code, E_STATE);
        assert_string_equal(r.detail, "expected=3");
        other = s;
        other.head_digest.b[0] ^= 1;
        r = market_update(m, &other, 1);
        assert_refusal(r.code, E_STATE);
        assert_string_equal(r.detail, "prev_digest");
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
}

static void a_head_is_of_its_stream_and_epoch(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        Shuyi__V1__Intent *i;

        market_live(m, market_publish(m, market_open_entry(m)), &s);
        i = market_link(m, &s);
        i->view_epoch = 2;
        assert_refusal(market_send(m, &s, KIND_STREAM_HEAD, i).code, E_STALE_EPOCH);
        i = market_link(m, &s);
        i->resource = "130001/2";
        assert_refusal(market_send(m, &s, KIND_NO_CHANGE, i).code, G_FIELD);
        assert_refusal(market_send(m, &s, KIND_STREAM_HEAD, market_link(m, &s)).code, ACCEPTED);
}

static void a_refused_link_leaves_nothing(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest before, after;

        market_live(m, market_publish(m, market_open_entry(m)), &s);
        before = city_digest(m->c);
        Shuyi__V1__Intent *i = market_update_intent(m, &s, 1);
        i->medium = MEDIUM_PAPER;
        struct city_result r = market_send(m, &s, KIND_UPDATE, i);
        assert_refusal(r.code, G_MEDIUM);
        assert_int_equal(r.outcome.effects_n, 0);
        after = city_digest(m->c);
        assert_memory_equal(before.b, after.b, DIGEST_BYTES);
}

static void an_update_is_one_row_and_its_place_whatever_the_audience(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct market_stream s;
        struct digest first = market_live(m, resource, &s), second;
        struct party *user, *agent;
        size_t alone, together;

        alone = market_update(m, &s, 1).outcome.effects_n;
        second = second_grant(m, resource, &user, &agent);
        const struct digest *both[] = { &first, &second };
        assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
        together = market_update(m, &s, 1).outcome.effects_n;
        assert_int_equal(together, alone);
}

/* ---- the header of an UPDATE ---- */

#define CASE(name) static void name(struct market *m, Shuyi__V1__Intent *i)
CASE(other_purpose) { i->purpose = "MARKETING"; }
CASE(same_purpose) { i->purpose = "CHILD_HEALTH"; }
CASE(other_method) { i->method = METHOD_BATCH_DOWNLOAD; }
CASE(one_item_more) { static uint32_t items[] = { 1, 2, 3, 4 }; i->items = items; i->n_items = 4; }
CASE(one_item_less) { i->n_items = 2; }
CASE(no_items) { i->n_items = 0; }
CASE(other_filter) { static uint8_t d[32] = { 7 }; i->filter_digest = (ProtobufCBinaryData){ 32, d }; }
CASE(other_mask) { i->mask_version = 2; }
CASE(no_medium) { i->medium = 0; }
CASE(on_disk) { i->medium = MEDIUM_DISK; }
CASE(no_records) { i->record_count = 0; }
CASE(too_many_records) { i->record_count = 257; }
CASE(no_root) { i->records_root = (ProtobufCBinaryData){ 0, NULL }; }
CASE(no_time) { i->oldest_changed_at = 0; }
CASE(other_review) { static uint8_t d[32] = { 7 }; i->secrecy_review = (ProtobufCBinaryData){ 32, d }; }
CASE(no_review) { i->secrecy_review = (ProtobufCBinaryData){ 0, NULL }; }
CASE(other_resource) { i->resource = "130001/2"; }
CASE(no_content) { i->resource = ""; i->n_items = 0; }
CASE(former_epoch) { i->view_epoch = 7; }
CASE(other_key) { static uint8_t d[32] = { 7 }; i->key_id = (ProtobufCBinaryData){ 32, d }; }

static const struct { const char *name; void (*spoil)(struct market *, Shuyi__V1__Intent *); enum refusal code; const char *detail; } updates[] = {
        { "R-109: a purpose that is not the grant's", other_purpose, G_PURPOSE, NULL },
        { "a method that is not the grant's", other_method, G_METHOD, NULL },
        { "R-110: an item more than granted", one_item_more, G_ITEMS, "items" },
        { "an item less than the view", one_item_less, G_ITEMS, "items" },
        { "R-110: another filter", other_filter, G_FILTER, "filter_digest" },
        { "another mask", other_mask, G_MASK, "mask_version" },
        { "R-150: no medium", no_medium, G_FIELD, "medium" },
        { "a medium that the platform is not", on_disk, G_MEDIUM, "medium" },
        { "R-150: no content", no_content, G_FIELD, "resource,items" },
        { "R-150: no items", no_items, G_FIELD, "items" },
        { "no records", no_records, G_FIELD, "record_count" },
        { "257 records", too_many_records, G_FIELD, "record_count" },
        { "no root over them", no_root, G_FIELD, "records_root" },
        { "since when?", no_time, G_FIELD, "oldest_changed_at" },
        { "another secrecy review", other_review, G_SECRECY, "secrecy_review" },
        { "no secrecy review", no_review, G_SECRECY, "secrecy_review" },
        { "a resource that is not the stream's", other_resource, G_FIELD, "resource" },
        { "another epoch", former_epoch, E_STALE_EPOCH, "view_epoch" },
        { "another key", other_key, E_STALE_EPOCH, "view_epoch" },
        { "the grant's purpose, said again", same_purpose, ACCEPTED, NULL },
};

static void test_R_109_R_110_R_150_the_header_of_an_update(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;

        market_live(m, market_publish(m, market_open_entry(m)), &s);
        for (size_t k = 0; k < ELEMENTS(updates); k++) {
                Shuyi__V1__Intent *i = market_update_intent(m, &s, 2);
                struct city_result r;

                updates[k].spoil(m, i);
                r = market_send(m, &s, KIND_UPDATE, i);
                if (r.code != updates[k].code || (updates[k].detail && strcmp(r.detail, updates[k].detail) != 0))
                        fail_msg("%s: %s %s", updates[k].name, refusal_text(r.code)->code, r.detail);
        }
}

static void test_R_110_nothing_after_the_period(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        Shuyi__V1__Intent *i = market_ask(m, resource);
        struct market_stream s;
        struct digest grant;
        const struct digest *grants[] = { &grant };

        i->period_to = m->c->now.ms + DAY_MS;
        grant = market_get(m, i).digest;
        market_subscribe(m, &grant);
        s = market_stream_of(m, &grant);
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);
        city_pass(m->c, DAY_MS - 1);
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        city_pass(m->c, 1);
        assert_refusal(market_update(m, &s, 1).code, G_PERIOD);         /* also before a TICK has ended the grant */
        city_tick(m->c);
        assert_refusal(market_update(m, &s, 1).code, E_STALE_EPOCH);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_ENDED);
        assert_int_equal(market_subscription(m, &grant)->stop, s.head);
}

static void test_R_110_a_grant_hears_no_more_records_a_day_than_its_rate(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        Shuyi__V1__Intent *i = market_ask(m, resource);
        struct market_stream s;
        struct digest grant;
        const struct digest *grants[] = { &grant };

        i->rate = 10;
        grant = market_get(m, i).digest;
        market_subscribe(m, &grant);
        s = market_stream_of(m, &grant);
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 8).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 3).code, G_RATE);
        assert_refusal(market_update(m, &s, 2).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 1).code, G_RATE);
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);  /* a new epoch gives no new day */
        assert_refusal(market_update(m, &s, 1).code, G_RATE);
        city_pass(m->c, 14 * 3600 * 1000 - 1);                          /* 23:59:59.999 in Shanghai */
        assert_refusal(market_update(m, &s, 1).code, G_RATE);
        city_pass(m->c, 1);
        assert_refusal(market_update(m, &s, 10).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 1).code, G_RATE);
}

static void who_joined_later_has_its_own_day(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        Shuyi__V1__Intent *i = market_ask(m, resource), *j = market_ask(m, resource);
        struct digest first, second;
        struct market_stream s;

        i->rate = j->rate = 10;
        first = market_get(m, i).digest;
        second = market_get(m, j).digest;
        const struct digest *one[] = { &first }, *other[] = { &second }, *both[] = { &first, &second };
        market_subscribe(m, &first);
        market_subscribe(m, &second);
        s = market_stream_of(m, &first);
        assert_refusal(market_epoch(m, &s, one, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 9).code, ACCEPTED);
        assert_refusal(market_epoch(m, &s, other, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 9).code, ACCEPTED);         /* the second's own */
        assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 2).code, G_RATE);           /* both have one left */
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 1).code, G_RATE);
}

/* ---- epochs ---- */

static void row_other_purpose(Shuyi__V1__AudienceRow *r) { r->purpose = "MARKETING"; }
static void row_no_purpose(Shuyi__V1__AudienceRow *r) { r->purpose = ""; }
static void row_other_method(Shuyi__V1__AudienceRow *r) { r->method = METHOD_INTERFACE; }
static void row_no_method(Shuyi__V1__AudienceRow *r) { r->method = 0; }
static void row_no_user(Shuyi__V1__AudienceRow *r) { r->user = (ProtobufCBinaryData){ 0, NULL }; }
static void row_no_approver(Shuyi__V1__AudienceRow *r) { r->approver = (ProtobufCBinaryData){ 0, NULL }; }
static void row_user_as_approver(Shuyi__V1__AudienceRow *r) { r->approver = r->user; }
static void row_other_channel(Shuyi__V1__AudienceRow *r) { r->channel = CHANNEL_EMERGENCY; }
static void row_other_consumer(Shuyi__V1__AudienceRow *r) { r->consumer = CITY_TAX; }
static void row_no_key(Shuyi__V1__AudienceRow *r) { r->wrapped = (ProtobufCBinaryData){ 0, NULL }; }
static void row_no_grant(Shuyi__V1__AudienceRow *r) { static uint8_t d[32] = { 9 }; r->grant = (ProtobufCBinaryData){ 32, d }; }
static void row_former_seal_key(Shuyi__V1__AudienceRow *r) { static uint8_t d[32] = { 9 }; r->seal_key = (ProtobufCBinaryData){ 32, d }; }

static const struct { const char *name; void (*spoil)(Shuyi__V1__AudienceRow *); enum refusal code; } rows[] = {
        { "R-109: a purpose that is not the grant's", row_other_purpose, G_PURPOSE },
        { "R-109: no purpose", row_no_purpose, G_PURPOSE },
        { "a method that is not the grant's", row_other_method, G_METHOD },
        { "R-150: no method", row_no_method, G_METHOD },
        { "R-150: no user", row_no_user, G_FIELD },
        { "R-150: no approver", row_no_approver, G_FIELD },
        { "R-008: the user as approver", row_user_as_approver, G_FIELD },
        { "another channel", row_other_channel, G_FIELD },
        { "another consumer", row_other_consumer, G_FIELD },
        { "no wrapped key", row_no_key, G_FIELD },
        { "no such grant", row_no_grant, E_NOT_FOUND },
        { "a seal key that is not in force", row_former_seal_key, E_STALE_EPOCH },
};

static void test_R_150_R_109_each_row_of_an_epoch_is_its_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct digest grant = market_get(m, market_ask(m, resource)).digest;
        struct market_stream s = market_stream_of(m, &grant);

        market_subscribe(m, &grant);
        for (size_t k = 0; k < ELEMENTS(rows); k++) {
                Shuyi__V1__AudienceRow *row = market_row(m, &grant);
                struct city_result r;

                rows[k].spoil(row);
                r = market_send_epoch(m, &s, market_epoch_intent(m, &s, &row, 1), &row, 1);
                if (r.code != rows[k].code)
                        fail_msg("%s: %s %s", rows[k].name, refusal_text(r.code)->code, r.detail);
        }
        assert_int_equal(city_count(m->c, TABLE_STREAM), 0);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_KEY_WAIT);
}

static void an_epoch_names_its_view_its_number_and_the_root_of_its_rows(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct market_stream s;
        struct digest grant = market_live(m, resource, &s);
        Shuyi__V1__AudienceRow *row = market_row(m, &grant), *twice[] = { row, row };
        Shuyi__V1__Intent *i = market_epoch_intent(m, &s, &row, 1);
        struct city_result r;

        i->view_epoch = 1;
        r = market_send_epoch(m, &s, i, &row, 1);
        assert_refusal(r.code, G_FIELD);
        assert_string_equal(r.detail, "view_epoch");
        i = market_epoch_intent(m, &s, &row, 1);
        i->records_root.data[0] ^= 1;
        assert_string_equal(market_send_epoch(m, &s, i, &row, 1).detail, "records_root");
        i = market_epoch_intent(m, &s, &row, 1);
        i->n_items = 2;
        assert_string_equal(market_send_epoch(m, &s, i, &row, 1).detail, "view,stream");
        i = market_epoch_intent(m, &s, &row, 1);
        i->record_count = 2;
        assert_string_equal(market_send_epoch(m, &s, i, &row, 1).detail, "record_count");
        i = market_epoch_intent(m, &s, &row, 1);
        i->secrecy_review = (ProtobufCBinaryData){ 0, NULL };
        assert_refusal(market_send_epoch(m, &s, i, &row, 1).code, G_SECRECY);
        i = market_epoch_intent(m, &s, twice, 2);
        assert_refusal(market_send_epoch(m, &s, i, twice, 2).code, G_FIELD);
        i = market_epoch_intent(m, &s, &row, 0);
        assert_refusal(market_send_epoch(m, &s, i, &row, 0).code, G_FIELD);
        i = market_epoch_intent(m, &s, &row, 1);
        assert_refusal(market_send_epoch(m, &s, i, &row, 1).code, ACCEPTED);
}

static void only_the_agent_of_the_entry_pushes(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct party *other = city_join(m->c, CITY_CIVIL, "other");
        struct digest grant = market_get(m, market_ask(m, resource)).digest;
        struct market_stream s = market_stream_of(m, &grant);
        struct party *civil = m->civil_agent;

        market_subscribe(m, &grant);
        const struct digest *grants[] = { &grant };
        m->civil_agent = other;
        assert_refusal(market_epoch(m, &s, grants, 1).code, E_ROLE);
        m->civil_agent = m->health_agent;
        assert_refusal(market_epoch(m, &s, grants, 1).code, E_ROLE);
        m->civil_agent = civil;
        assert_refusal(market_update(m, &s, 1).code, E_NOT_FOUND);      /* link 1 is a VIEW_EPOCH */
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);
        m->civil_agent = other;
        assert_refusal(market_update(m, &s, 1).code, E_ROLE);
}

static void a_grant_that_has_not_subscribed_waits_outside(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = market_get(m, market_ask(m, market_publish(m, market_open_entry(m)))).digest;
        struct market_stream s = market_stream_of(m, &grant);
        const struct digest *grants[] = { &grant };

        assert_refusal(market_epoch(m, &s, grants, 1).code, E_STALE_EPOCH);
}

/* ---- who leaves, who stays ---- */

static void a_revoked_user_closes_the_epoch_and_the_others_go_on(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct market_stream s;
        struct digest stays = market_live(m, resource, &s), leaves;
        struct party *user, *agent;

        leaves = second_grant(m, resource, &user, &agent);
        const struct digest *both[] = { &stays, &leaves }, *one[] = { &stays };
        assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        city_revoke(m->c, user);
        assert_refusal(market_update(m, &s, 1).code, E_STALE_EPOCH);
        assert_refusal(market_epoch(m, &s, both, 2).code, E_STALE_EPOCH);
        assert_refusal(market_epoch(m, &s, one, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &leaves)->state, SUB_KEY_WAIT);
        assert_int_equal(market_subscription(m, &leaves)->stop, 3);     /* the link before the epoch without it */
        assert_int_equal(market_subscription(m, &stays)->state, SUB_LIVE);
        assert_int_equal(market_subscription(m, &stays)->start, 1);
        assert_int_equal(market_subscription(m, &stays)->stop, 0);
        assert_int_equal(market_grant(m, &leaves)->state, GRANT_ACTIVE);        /* waits for another person */
}

static void a_revoked_approver_or_agent_closes_it_too(void **state)
{
        for (int k = 0; k < 2; k++) {
                _cleanup_(market_freep) struct market *m = market_new();
                const char *resource = market_publish(m, market_open_entry(m));
                struct market_stream s;
                struct digest stays = market_live(m, resource, &s), leaves;
                struct party *user, *agent;

                leaves = second_grant(m, resource, &user, &agent);
                const struct digest *both[] = { &stays, &leaves };
                assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
                city_revoke(m->c, k ? agent : m->health_approver);
                assert_refusal(market_update(m, &s, 1).code, E_STALE_EPOCH);
        }
}

static void a_suspended_grant_leaves_while_others_listen_and_waits_when_alone(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct market_stream s;
        struct digest first = market_live(m, resource, &s), second;
        struct party *user, *agent;

        second = second_grant(m, resource, &user, &agent);
        const struct digest *both[] = { &first, &second }, *one[] = { &first };
        assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
        market_reason(m, KIND_GRANT_SUSPEND, &second, NULL, REASON_MISUSE, m->c->sec_admin, ROLE_SEC_ADMIN);
        assert_refusal(market_update(m, &s, 1).code, E_STALE_EPOCH);
        assert_refusal(market_epoch(m, &s, one, 1).code, ACCEPTED);
        market_reason(m, KIND_GRANT_SUSPEND, &first, NULL, REASON_MISUSE, m->c->sec_admin, ROLE_SEC_ADMIN);
        assert_refusal(market_update(m, &s, 1).code, E_SUSPENDED);
        assert_refusal(market_send(m, &s, KIND_STREAM_HEAD, market_link(m, &s)).code, ACCEPTED);
        market_reason(m, KIND_GRANT_RESUME, &first, NULL, REASON_RECTIFIED, m->c->sec_admin, ROLE_SEC_ADMIN);
        assert_refusal(market_update(m, &s, 1).code, ACCEPTED);
        market_reason(m, KIND_GRANT_RESUME, &second, NULL, REASON_RECTIFIED, m->c->sec_admin, ROLE_SEC_ADMIN);
        assert_refusal(market_epoch(m, &s, both, 2).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &second)->state, SUB_LIVE);
        assert_int_equal(market_subscription(m, &second)->start, s.head);       /* nothing that was sealed without it */
        assert_int_equal(market_subscription(m, &second)->stop, 0);
}

static void a_frozen_entry_sends_nothing_but_its_head(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_submit(m, market_open_entry(m), NULL);
        struct digest matter = r.digest, grant;
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct market_stream s;

        market_approve(m, &matter, &matter);
        grant = market_live(m, "130001/1", &s);
        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, matter.b };
        body.reason = REASON_SECURITY_INCIDENT;
        city_must(m->c, &(struct city_act){ .kind = KIND_FREEZE, .intent = &i, .body = &body.base, .by = { { m->c->sec_admin, ROLE_SEC_ADMIN } } });
        assert_refusal(market_update(m, &s, 1).code, E_FROZEN);
        const struct digest *grants[] = { &grant };
        assert_refusal(market_epoch(m, &s, grants, 1).code, E_FROZEN);
        assert_refusal(market_send(m, &s, KIND_STREAM_HEAD, market_link(m, &s)).code, ACCEPTED);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &s.head_digest)).code, ACCEPTED);
}

/* ---- subscribing ---- */

static void only_the_agent_named_in_the_grant_subscribes(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = market_get(m, market_ask(m, market_publish(m, market_open_entry(m)))).digest;
        struct party *own = m->health_agent;
        Shuyi__V1__SubscribeBody snapshot = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        m->health_agent = city_join(m->c, CITY_HEALTH, "second");
        assert_refusal(market_subscribe(m, &grant).code, E_ROLE);
        m->health_agent = m->civil_agent;
        assert_refusal(market_subscribe(m, &grant).code, E_NOT_FOUND);
        m->health_agent = own;
        i.grant = (ProtobufCBinaryData){ DIGEST_BYTES, grant.b };
        snapshot.snapshot = true;
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &snapshot.base, .by = { { own, ROLE_AGENT } } }).code, E_NOT_YET);
        snapshot.snapshot = false;
        i.purpose = "MARKETING";
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &snapshot.base, .by = { { own, ROLE_AGENT } } }).code, G_PURPOSE);
        assert_refusal(market_subscribe(m, &grant).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_KEY_WAIT);
        assert_refusal(market_subscribe(m, &grant).code, E_ROLE);       /* again is the officer's */
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &snapshot.base, .by = { { m->health_officer, ROLE_DATA_OFFICER } } }).code, G_PURPOSE);
}

/* ---- receipts ---- */

static void test_R_075_R_151_a_receipt_moves_the_cursor(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest grant = market_live(m, market_publish(m, market_open_entry(m)), &s), second;
        struct city_result r;

        market_update(m, &s, 5);
        second = s.head_digest;
        market_update(m, &s, 5);
        r = market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &second));
        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->cursor, 2);
        assert_memory_equal(market_subscription(m, &grant)->last_digest.data, second.b, DIGEST_BYTES);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 3, 3, &s.head_digest)).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->cursor, 3);
        assert_int_equal(city_count(m->c, TABLE_RECEIPT), 2);
}

static void test_R_075_a_receipt_that_differs_from_the_log_is_refused(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest grant = market_live(m, market_publish(m, market_open_entry(m)), &s), wrong;
        Shuyi__V1__DeliveryReceiptBody *b;
        struct party *own = m->health_agent;

        market_update(m, &s, 5);
        wrong = s.head_digest;
        wrong.b[5] ^= 1;
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &wrong)).code, E_CONTENT);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 1, &s.head_digest)).code, E_CONTENT);  /* the digest of another link */
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 2, 2, &s.head_digest)).code, E_STATE);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 3, &s.head_digest)).code, E_STATE);
        assert_refusal(market_send_receipt(m, &grant, &wrong, market_receipt(m, 1, 2, &s.head_digest)).code, G_FIELD);
        b = market_receipt(m, 1, 2, &s.head_digest);
        b->n_deltas = 0;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, G_FIELD);
        b = market_receipt(m, 1, 2, &s.head_digest);
        b->acquired_at -= SKEW_MS + 1;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, G_FIELD);         /* before it was there */
        b = market_receipt(m, 1, 2, &s.head_digest);
        b->deltas[0] = SKEW_MS + 1;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, G_FIELD);         /* after now */
        b = market_receipt(m, 1, 2, &s.head_digest);
        b->deltas[0] = UINT64_MAX;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, G_FIELD);
        m->health_agent = city_join(m->c, CITY_HEALTH, "second");
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &s.head_digest)).code, E_ROLE);
        m->health_agent = own;
        assert_int_equal(market_subscription(m, &grant)->cursor, 0);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &s.head_digest)).code, ACCEPTED);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &s.head_digest)).code, E_REPLAY);
}

static void a_nack_stops_the_subscription_until_the_officer_takes_it_up(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest grant = market_live(m, market_publish(m, market_open_entry(m)), &s);
        const struct digest *grants[] = { &grant };
        Shuyi__V1__DeliveryReceiptBody *b;
        Shuyi__V1__Nack nack = SHUYI__V1__NACK__INIT, *nacks[] = { &nack };
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        market_update(m, &s, 5);
        b = market_receipt(m, 1, 2, &s.head_digest);
        b->n_nacks = 1;
        b->nacks = nacks;
        nack.stream_seq = 3;
        nack.code = E_CONTENT;
        nack.count = 1;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, G_FIELD);
        nack.stream_seq = 2;
        assert_refusal(market_send_receipt(m, &grant, &s.id, b).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_STOPPED);
        assert_int_equal(market_subscription(m, &grant)->stop, 2);
        assert_refusal(market_subscribe(m, &grant).code, E_ROLE);
        i.grant = (ProtobufCBinaryData){ DIGEST_BYTES, grant.b };
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &body.base, .by = { { m->health_officer, ROLE_DATA_OFFICER } } }).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_KEY_WAIT);
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_LIVE);
        assert_int_equal(market_subscription(m, &grant)->cursor, 2);    /* it heard every epoch: nothing is left out */
        assert_int_equal(market_subscription(m, &grant)->stop, 0);
}

static void what_was_accepted_before_the_end_may_still_be_receipted(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct market_stream s;
        struct digest grant = market_live(m, market_publish(m, market_open_entry(m)), &s), last;

        market_update(m, &s, 5);
        last = s.head_digest;
        market_reason(m, KIND_GRANT_END, &grant, NULL, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER);
        assert_refusal(market_update(m, &s, 5).code, E_STALE_EPOCH);
        market_send(m, &s, KIND_STREAM_HEAD, market_link(m, &s));
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 3, &s.head_digest)).code, E_STATE);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &last)).code, ACCEPTED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_ENDED);
}

static void the_whole_of_it_replays_to_the_same_state(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct market_stream s;
        struct digest grant = market_live(m, resource, &s), other, a, b;
        struct party *user, *agent;

        for (int i = 0; i < 5; i++)
                market_update(m, &s, 5);
        market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 6, &s.head_digest));
        other = second_grant(m, resource, &user, &agent);
        const struct digest *both[] = { &grant, &other };
        market_epoch(m, &s, both, 2);
        city_revoke(m->c, user);
        market_update(m, &s, 5);
        city_pass(m->c, DAY_MS);
        city_tick(m->c);
        a = city_digest(m->c);
        b = city_replay(m->c);
        assert_memory_equal(a.b, b.b, DIGEST_BYTES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_stream_begins_with_an_epoch_and_goes_on_by_one),
                cmocka_unit_test(a_gap_a_repeat_and_a_fork_are_refused),
                cmocka_unit_test(a_head_is_of_its_stream_and_epoch),
                cmocka_unit_test(a_refused_link_leaves_nothing),
                cmocka_unit_test(an_update_is_one_row_and_its_place_whatever_the_audience),
                cmocka_unit_test(test_R_109_R_110_R_150_the_header_of_an_update),
                cmocka_unit_test(test_R_110_nothing_after_the_period),
                cmocka_unit_test(test_R_110_a_grant_hears_no_more_records_a_day_than_its_rate),
                cmocka_unit_test(who_joined_later_has_its_own_day),
                cmocka_unit_test(test_R_150_R_109_each_row_of_an_epoch_is_its_grant),
                cmocka_unit_test(an_epoch_names_its_view_its_number_and_the_root_of_its_rows),
                cmocka_unit_test(only_the_agent_of_the_entry_pushes),
                cmocka_unit_test(a_grant_that_has_not_subscribed_waits_outside),
                cmocka_unit_test(a_revoked_user_closes_the_epoch_and_the_others_go_on),
                cmocka_unit_test(a_revoked_approver_or_agent_closes_it_too),
                cmocka_unit_test(a_suspended_grant_leaves_while_others_listen_and_waits_when_alone),
                cmocka_unit_test(a_frozen_entry_sends_nothing_but_its_head),
                cmocka_unit_test(only_the_agent_named_in_the_grant_subscribes),
                cmocka_unit_test(test_R_075_R_151_a_receipt_moves_the_cursor),
                cmocka_unit_test(test_R_075_a_receipt_that_differs_from_the_log_is_refused),
                cmocka_unit_test(a_nack_stops_the_subscription_until_the_officer_takes_it_up),
                cmocka_unit_test(what_was_accepted_before_the_end_may_still_be_receipted),
                cmocka_unit_test(the_whole_of_it_replays_to_the_same_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
