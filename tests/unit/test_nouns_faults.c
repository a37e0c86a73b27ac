/* A store that fails at any read, and an arena too small at any place: a clean fault, never a refusal, never a crash. */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

#include <errno.h>

static struct entry entry_of(struct market *m, struct bytes wire, const struct party *over, uint8_t lane)
{
        const struct claim *claim = NULL;
        Shuyi__V1__LaneRow *row;
        uint8_t link[4];

        put_be32(link, over->link);
        row = CITY_ROW(m->c, TABLE_LANE, &shuyi__v1__lane_row__descriptor, bytes_of(link, 4), bytes_of(&lane, 1));
        assert_refusal(envelope_parse(m->c->arena, wire, &claim), ACCEPTED);
        return (struct entry){ .epoch = m->c->epoch, .seq = m->c->seq + 1, .accepted_at = m->c->now, .link = over->link, .lane = lane,
                               .outbox_epoch = row ? row->outbox_epoch : 1, .outbox_seq = row ? row->highest + 1 : 1, .claim = claim };
}

/* Read 1 fails, then read 2, … until it passes untouched; each in an arena of its own. */
static void fails_cleanly_at_each_read(struct market *m, const struct entry *e)
{
        struct state s = map_state_ops(m->c->state);
        struct outcome out;
        unsigned n = 0;
        int r;

        do {
                struct arena *a = arena_new(4 << 20);

                map_state_fail_at(m->c->state, ++n);
                r = exchange_apply(m->c->exchange, s, e, a, &out);
                map_state_fail_at(m->c->state, 0);
                if (r < 0)
                        assert_int_equal(r, -EIO);
                else
                        assert_refusal(out.code, ACCEPTED);
                arena_free(a);
        } while (r < 0);
        assert_true(n > 5);
}

static void fails_cleanly_in_each_small_arena(struct market *m, const struct entry *e)
{
        struct state s = map_state_ops(m->c->state);
        struct outcome out;
        bool fitted = false;

        for (size_t bytes = 64; !fitted; bytes += 1021) {
                struct arena *a = arena_new(bytes);
                int r = exchange_apply(m->c->exchange, s, e, a, &out);

                if (r < 0)
                        assert_int_equal(r, -ENOMEM);
                else
                        assert_refusal(out.code, ACCEPTED);
                fitted = r == 0;
                arena_free(a);
        }
}

static void sweep(struct market *m, struct bytes wire, const struct party *over, uint8_t lane)
{
        struct entry e = entry_of(m, wire, over, lane);

        fails_cleanly_at_each_read(m, &e);
        fails_cleanly_in_each_small_arena(m, &e);
        assert_refusal(city_put(m->c, wire, over).code, ACCEPTED);
}

static struct bytes act(struct market *m, uint16_t kind, const Shuyi__V1__Intent *i, const ProtobufCMessage *body,
                        const struct party *one, enum role as, const struct party *two, enum role as_two)
{
        return city_envelope(m->c, &(struct city_act){ .kind = kind, .intent = i, .body = body, .by = { { one, as }, { two, as_two } } });
}

static void each_act_of_an_exchange(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__CatSubmitBody submit = SHUYI__V1__CAT_SUBMIT_BODY__INIT;
        Shuyi__V1__CatApproveBody approve = SHUYI__V1__CAT_APPROVE_BODY__INIT;
        Shuyi__V1__RequestBody request = SHUYI__V1__REQUEST_BODY__INIT;
        Shuyi__V1__ReplyBody reply = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__SubscribeBody subscribe = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__ViewEpochBody epoch = SHUYI__V1__VIEW_EPOCH_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__AudienceRow *row;
        const struct claim *claim;
        struct digest matter, asked, grant;
        static const uint8_t sealed[100] = { 1 };
        struct market_stream s;
        struct bytes wire;

        submit.entry = market_conditional_entry(m);
        i.agent = (ProtobufCBinaryData){ ID_BYTES, m->civil_agent->id.b };
        wire = act(m, KIND_CAT_SUBMIT, &i, &submit.base, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER);
        envelope_parse(m->c->arena, wire, &claim);
        matter = claim->header_digest;
        sweep(m, wire, m->civil_agent, 0);

        shuyi__v1__intent__init(&i);
        i.object = approve.submit_digest = (ProtobufCBinaryData){ DIGEST_BYTES, matter.b };
        sweep(m, act(m, KIND_CAT_APPROVE, &i, &approve.base, m->c->data_operator, ROLE_DATA_OPERATOR, NULL, 0), m->c->authority_agent, 0);

        request.need = "网格与区划对应";
        wire = act(m, KIND_REQ_SUBMIT, market_ask(m, "344001/1"), &request.base, m->health_user, ROLE_USER, m->health_approver, ROLE_APPROVER);
        envelope_parse(m->c->arena, wire, &claim);
        asked = claim->header_digest;
        sweep(m, wire, m->health_agent, 0);

        wire = act(m, KIND_CONSENT, market_answer(m, &asked, (const uint32_t[]){ 1, 2, 3 }, 3), &reply.base, m->civil_officer, ROLE_DATA_OFFICER,
                   m->civil_approver, ROLE_APPROVER);
        envelope_parse(m->c->arena, wire, &claim);
        grant = claim->header_digest;
        sweep(m, wire, m->civil_agent, 0);

        shuyi__v1__intent__init(&i);
        i.grant = (ProtobufCBinaryData){ DIGEST_BYTES, grant.b };
        sweep(m, act(m, KIND_SUBSCRIBE, &i, &subscribe.base, m->health_agent, ROLE_AGENT, NULL, 0), m->health_agent, 0);

        s = market_stream_of(m, &grant);
        row = market_row(m, &grant);
        epoch.n_rows = 1;
        epoch.rows = &row;
        wire = act(m, KIND_VIEW_EPOCH, market_epoch_intent(m, &s, &row, 1), &epoch.base, m->civil_agent, ROLE_AGENT, NULL, 0);
        envelope_parse(m->c->arena, wire, &claim);
        sweep(m, wire, m->civil_agent, 1);
        s.head = s.epoch = 1;
        s.head_digest = claim->header_digest;

        wire = city_envelope(m->c, &(struct city_act){ .kind = KIND_UPDATE, .intent = market_update_intent(m, &s, 3), .raw = bytes_of(sealed, sizeof(sealed)),
                                                       .by = { { m->civil_agent, ROLE_AGENT } } });
        envelope_parse(m->c->arena, wire, &claim);
        sweep(m, wire, m->civil_agent, 1);

        shuyi__v1__intent__init(&i);
        i.grant = (ProtobufCBinaryData){ DIGEST_BYTES, grant.b };
        i.stream = (ProtobufCBinaryData){ DIGEST_BYTES, s.id.b };
        sweep(m, act(m, KIND_DELIVERY_RECEIPT, &i, &market_receipt(m, 1, 2, &claim->header_digest)->base, m->health_agent, ROLE_AGENT, NULL, 0), m->health_agent, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_act_of_an_exchange),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
