/* broker: the real program on loopback: a city is founded, acts, publishes and receives; it dies and comes back; it is asked. */
#include "common/checkpoint.h"
#include "common/merkle.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/stage.h"
#include "tests/lib/unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char *program;

static void test_acts_get_signed_receipts_and_the_log_derives_again(void **state)
{
        struct stage *s = stage_new(program, "");

        assert_true(stage_tell(s));
        live_stop(&s->live);
        stage_must_hold(s, "--replay");
        stage_must_hold(s, "check");
        stage_free(s);
}

static void test_links_reach_their_subscriber_in_order_through_kill_9(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *consumer;
        uint64_t next = 1;

        stage_go_live(s);
        for (unsigned i = 0; i < 20; i++)
                assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
        assert_true(stage_tell(s));
        consumer = stage_agent(s, s->m->health_agent);
        assert_true(live_parcel(consumer, PARCEL_LINK, 1)->row.len > 0);        /* VIEW_EPOCH: the own row, no body */
        live_parcel(consumer, PARCEL_LINK, s->stream.head);
        live_kill(&s->live);
        stage_hang_up(s);
        live_start(&s->live, NULL);
        consumer = stage_agent(s, s->m->health_agent);
        live_parcel(consumer, PARCEL_LINK, s->stream.head);     /* not receipted: all comes again, each once and in order */
        for (size_t i = 0; i < consumer->parcels_n; i++)
                if (consumer->parcels[i].parcel->type == PARCEL_LINK)
                        assert_int_equal(consumer->parcels[i].parcel->cursor, next++);
        assert_int_equal(next, s->stream.head + 1);
        live_stop(&s->live);
        stage_must_hold(s, "check");
        stage_free(s);
}

static void test_after_a_receipt_delivery_goes_on_behind_it(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *consumer;
        struct digest head;

        stage_go_live(s);
        for (unsigned i = 0; i < 4; i++)
                assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
        head = s->stream.head_digest;
        assert_refusal(market_send_receipt(s->m, &s->grant, &s->stream.id, market_receipt(s->m, 1, s->stream.head, &head)).code, ACCEPTED);
        assert_true(stage_tell(s));
        stage_hang_up(s);
        assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
        assert_true(stage_tell(s));
        consumer = stage_agent(s, s->m->health_agent);
        live_parcel(consumer, PARCEL_LINK, s->stream.head);
        for (size_t i = 0; i < consumer->parcels_n; i++)
                if (consumer->parcels[i].parcel->type == PARCEL_LINK)
                        assert_int_equal(consumer->parcels[i].parcel->cursor, s->stream.head);
        stage_free(s);
}

/* ---- trust ---- */

static bool has_head(struct live_agent *a, void *arg)
{
        const Shuyi__V1__Parcel **ret = arg;

        for (size_t i = 0; i < a->parcels_n; i++)
                if (a->parcels[i].parcel->type == PARCEL_TRUST && !a->parcels[i].parcel->trust)
                        *ret = a->parcels[i].parcel;
        return *ret != NULL;
}

/* From the parcel alone: the head's leaf, its path, the signed checkpoint above it. */
static void head_must_hold(struct stage *s, const Shuyi__V1__Parcel *p)
{
        struct arena *a = arena_new(1 << 20);
        struct entry entry = { .epoch = p->epoch, .seq = p->seq, .accepted_at = { p->accepted_at } };
        struct outcome outcome = { .code = (enum refusal)p->code };
        uint8_t record[LEAF_RECORD_BYTES];
        struct digest leaf, path[MERKLE_DEPTH_MAX];
        struct checkpoint c;

        assert_refusal(envelope_parse(a, bytes_of(p->envelope.data, p->envelope.len), &entry.claim), ACCEPTED);
        assert_int_equal(entry.claim->kind->number, KIND_TRUST_HEAD);
        assert_true(bytes_copy_exact(bytes_of(p->effects_digest.data, p->effects_digest.len), outcome.effects_digest.b, 32));
        exchange_leaf_record(CITY_DOMAIN, &entry, &outcome, record);
        leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        for (size_t i = 0; i < p->n_path; i++)
                assert_true(bytes_copy_exact(bytes_of(p->path[i].data, p->path[i].len), path[i].b, 32));
        assert_null(checkpoint_verify(a, p->checkpoint, "shuyi/" CITY_DOMAIN, city_find(s->m->c, "log")->sign_key, &c));
        assert_true(merkle_check_inclusion(&leaf, p->seq - 1, c.size, path, p->n_path, &c.root));
        arena_free(a);
}

static void test_every_trust_record_comes_and_the_head_above_is_proved(void **state)
{
        struct stage *s = stage_new(program, "");
        const Shuyi__V1__Parcel *head = NULL;
        struct live_agent *a;
        uint64_t next = 1;

        stage_go_live(s);
        assert_true(stage_tell(s));
        stage_hang_up(s);
        a = stage_agent(s, s->m->health_agent);
        live_pump(a, has_head, &head, "a trust head");
        head_must_hold(s, head);
        for (size_t i = 0; i < a->parcels_n; i++) {
                const Shuyi__V1__Parcel *p = a->parcels[i].parcel;

                if (p->type != PARCEL_TRUST || !p->trust)
                        continue;
                assert_int_equal(p->cursor, next);
                assert_int_equal(p->trust->trust_seq, next++);
                assert_int_equal(p->envelope.len > 0, p->envelope_digest.len == 0);
        }
        assert_true(next - 1 <= head->cursor && next > 1);
        live_parcel(a, PARCEL_MAIL, 1);
        stage_free(s);
}

/* ---- reads ---- */

static struct bytes own_query(struct arena *a, const char *resource)
{
        Shuyi__V1__AuditQuery q = SHUYI__V1__AUDIT_QUERY__INIT;

        q.resource = (char *)resource;
        return message_pack(a, &q.base);
}

static struct bytes audit_read_as(struct stage *s, struct bytes key, const struct party *who, enum role role)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct digest d = digest_plain(key);

        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        return city_envelope(s->m->c, &(struct city_act){ .kind = KIND_AUDIT_READ, .intent = &i, .by = { { who, role } } });
}

static struct bytes audit_read(struct stage *s, struct bytes key, const struct party *who)
{
        return audit_read_as(s, key, who, ROLE_AUDIT_OFFICER);
}

static void test_R_151_acquisitions_show_the_seven_facts(void **state)
{
        struct stage *s = stage_new(program, "");
        const Shuyi__V1__AcquisitionRow *row;
        const Shuyi__V1__Page *page;
        struct party *auditor;
        struct bytes key;
        struct digest head;

        stage_go_live(s);
        auditor = city_hire(s->m->c, CITY_AUTHORITY, "wen", ROLE_AUDIT_OFFICER, 0);
        for (unsigned i = 0; i < 3; i++)
                assert_refusal(market_update(s->m, &s->stream, 5).code, ACCEPTED);
        head = s->stream.head_digest;
        assert_refusal(market_send_receipt(s->m, &s->grant, &s->stream.id, market_receipt(s->m, 1, s->stream.head, &head)).code, ACCEPTED);
        assert_true(stage_tell(s));
        key = own_query(s->m->c->arena, s->resource);

        page = live_read(stage_agent(s, s->m->health_agent), READ_AUDIT, key, s->rows[s->told - 1].seq, audit_read(s, key, auditor));
        assert_refusal(page->code, ACCEPTED);
        assert_int_equal(page->n_rows, 3);
        row = message_parse(s->m->c->arena, &shuyi__v1__acquisition_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        assert_int_equal(row->channel, CHANNEL_UNCONDITIONAL);
        assert_memory_equal(row->user.data, s->m->health_user->id.b, 16);
        assert_memory_equal(row->approver.data, s->m->health_approver->id.b, 16);
        assert_string_equal(row->resource, s->resource);
        assert_int_equal(row->record_count, 5);
        assert_int_equal(row->payload_digest.len, 32);
        assert_true(row->acquired_at > 0 && row->broker_at > 0 && row->requested_at > 0 && row->sent_at > 0);
        assert_int_equal(row->method, METHOD_DB_PUSH);
        assert_int_equal(row->medium, MEDIUM_NETWORK);
        assert_string_equal(row->consumer, CITY_HEALTH);
        assert_string_equal(row->provider, CITY_CIVIL);
        stage_free(s);
}

/* Each role of 3.5, over the link that its people use: how many of the three acquisitions, or E_ROLE. */
static void test_R_154_an_audit_shows_what_the_askers_role_may_see(void **state)
{
        struct stage *s = stage_new(program, "");
        struct market *m;
        struct party *auditor, *civil_user, *health_head;
        struct bytes key, other;
        struct digest head;
        uint64_t last;

        stage_go_live(s);
        m = s->m;
        auditor = city_hire(m->c, CITY_AUTHORITY, "wen", ROLE_AUDIT_OFFICER, 0);
        civil_user = city_hire(m->c, CITY_CIVIL, "luo", ROLE_USER, 0);
        health_head = city_hire(m->c, CITY_HEALTH, "tan", ROLE_DEPT_HEAD, 0);
        for (unsigned i = 0; i < 3; i++)
                assert_refusal(market_update(m, &s->stream, 5).code, ACCEPTED);
        head = s->stream.head_digest;
        assert_refusal(market_send_receipt(m, &s->grant, &s->stream.id, market_receipt(m, 1, s->stream.head, &head)).code, ACCEPTED);
        assert_true(stage_tell(s));
        last = s->rows[s->told - 1].seq;
        key = own_query(m->c->arena, s->resource);
        other = own_query(m->c->arena, "3074420000001/000099");

        const struct { const struct party *who; enum role as; struct party *over; struct bytes asked, about; int rows; } cases[] = {
                { auditor, ROLE_AUDIT_OFFICER, m->c->authority_agent, key, key, 3 },
                { auditor, ROLE_AUDIT_OFFICER, m->health_agent, key, key, 3 },
                { auditor, ROLE_AUDIT_OFFICER, m->c->authority_agent, other, other, 0 },
                { auditor, ROLE_AUDIT_OFFICER, m->c->authority_agent, key, other, -1 },         /* signed for another question */
                { m->health_officer, ROLE_DATA_OFFICER, m->health_agent, key, key, 3 },         /* the consumer's */
                { m->civil_officer, ROLE_DATA_OFFICER, m->civil_agent, key, key, 3 },           /* the provider's: on its own data */
                { m->c->officer, ROLE_DATA_OFFICER, m->c->authority_agent, key, key, 0 },       /* of no party */
                { m->health_officer, ROLE_DATA_OFFICER, m->civil_agent, key, key, -1 },         /* over another's link */
                { m->health_user, ROLE_USER, m->health_agent, key, key, 3 },
                { m->health_approver, ROLE_APPROVER, m->health_agent, key, key, 3 },
                { civil_user, ROLE_USER, m->civil_agent, key, key, 0 },                         /* took no part */
                { m->health_user, ROLE_DATA_OFFICER, m->health_agent, key, key, -1 },           /* a role not held */
                { m->health_user, ROLE_AUDIT_OFFICER, m->health_agent, key, key, -1 },
                { m->c->sec_admin, ROLE_SEC_ADMIN, m->c->authority_agent, key, key, -1 },
                { m->c->data_operator, ROLE_DATA_OPERATOR, m->c->authority_agent, key, key, -1 },
                { health_head, ROLE_DEPT_HEAD, m->health_agent, key, key, -1 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const Shuyi__V1__Page *page =
                        live_read(stage_agent(s, cases[i].over), READ_AUDIT, cases[i].asked, last, audit_read_as(s, cases[i].about, cases[i].who, cases[i].as));
                int got = page->code == ACCEPTED ? (int)page->n_rows : page->code == E_ROLE ? -1 : -2;

                if (got != cases[i].rows)
                        fail_msg("case %zu: %d, not %d", i, got, cases[i].rows);
        }
        assert_refusal(live_read(stage_agent(s, m->health_agent), READ_AUDIT, key, last, (struct bytes){ 0 })->code, E_ROLE);
        stage_free(s);
}

static void test_reads_show_what_the_department_may_see(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *health, *authority;
        uint8_t seq[8];
        uint64_t last;

        stage_go_live(s);
        assert_true(stage_tell(s));
        last = s->rows[s->told - 1].seq;
        health = stage_agent(s, s->m->health_agent);
        authority = stage_agent(s, s->m->c->authority_agent);
        assert_int_equal(live_read(health, READ_DEPARTMENTS, (struct bytes){ 0 }, last, (struct bytes){ 0 })->n_rows, 3);
        assert_int_equal(live_read(health, READ_CATALOG, bytes_str(s->resource), 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_GRANTS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_SUBSCRIPTIONS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_STREAMS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_POLICY, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_CALENDAR, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_STATUS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_MATTERS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 0);
        assert_int_equal(live_read(authority, READ_MATTERS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_FILINGS, bytes_str(CITY_CIVIL), 0, (struct bytes){ 0 })->n_rows, 0);
        assert_true(live_read(health, READ_FILINGS, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows > 0);
        put_be64(seq, last);
        assert_int_equal(live_read(authority, READ_ENTRY, bytes_of(seq, 8), 0, (struct bytes){ 0 })->n_rows, 1);
        assert_int_equal(live_read(health, READ_ENTRY, bytes_digest(&s->grant), 0, (struct bytes){ 0 })->n_rows, 1);
        put_be64(seq, 1u << 30);
        assert_refusal(live_read(health, READ_ENTRY, bytes_of(seq, 8), 0, (struct bytes){ 0 })->code, E_NOT_FOUND);
        assert_refusal(live_read(health, 99, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->code, E_FORM);
        stage_free(s);
}

/* ---- operating ---- */

static void test_health_readiness_metrics_and_reload(void **state)
{
        struct stage *s = stage_new(program, "");
        char body[4096];

        assert_true(stage_tell(s));
        assert_int_equal(live_get(&s->live, "/healthz", body, sizeof(body)), 200);
        assert_int_equal(live_get(&s->live, "/readyz", body, sizeof(body)), 200);
        assert_non_null(strstr(body, "\"clock\":true"));
        live_wait_metric(&s->live, "shuyi_accepted_total{kind=\"POLICY_SET\"}", 1);
        live_wait_metric(&s->live, "shuyi_state_sequence", (double)s->rows[s->told - 1].seq);
        assert_int_equal(kill(s->live.pid, SIGHUP), 0);
        live_wait_metric(&s->live, "shuyi_config_last_reload_success", 1);
        stage_free(s);
}

/* Everything was committed long before: the mark of an orderly end is written all the same. */
static void test_an_orderly_stop_after_a_quiet_spell_is_no_crash(void **state)
{
        struct stage *s = stage_new(program, "");
        uint64_t crashes;

        assert_true(stage_tell(s));
        crashes = live_log_count(&s->live, "\"crashed_before\":true");
        live_wait_metric(&s->live, "shuyi_state_sequence", live_metric(&s->live, "shuyi_log_sequence"));
        live_stop(&s->live);
        live_start(&s->live, NULL);
        assert_int_equal(live_log_count(&s->live, "\"crashed_before\":true"), crashes);
        live_kill(&s->live);
        live_start(&s->live, NULL);
        assert_int_equal(live_log_count(&s->live, "\"crashed_before\":true"), crashes + 1);
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_acts_get_signed_receipts_and_the_log_derives_again),
                cmocka_unit_test(test_links_reach_their_subscriber_in_order_through_kill_9),
                cmocka_unit_test(test_after_a_receipt_delivery_goes_on_behind_it),
                cmocka_unit_test(test_every_trust_record_comes_and_the_head_above_is_proved),
                cmocka_unit_test(test_R_151_acquisitions_show_the_seven_facts),
                cmocka_unit_test(test_R_154_an_audit_shows_what_the_askers_role_may_see),
                cmocka_unit_test(test_reads_show_what_the_department_may_see),
                cmocka_unit_test(test_health_readiness_metrics_and_reload),
                cmocka_unit_test(test_an_orderly_stop_after_a_quiet_spell_is_no_crash),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
