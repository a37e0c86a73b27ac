/* hostile, frames: what a registered agent may do wrong before any envelope is looked at (DESIGN 8, PROTOCOL 10).
 *
 * Each frame is tried shorter, longer, truncated and bit-flipped, out of its direction, its state and its size; each number
 * of a lane out of its order.  The answer is a code, a counter, and a log that has not moved. */
#include "tests/integration/hostile.h"
#include "tests/lib/unit.h"

#include <stdlib.h>

static const char *program;

#define IGNORED(why) "shuyi_frames_ignored_total{reason=\"" why "\"}"

/* ---- whatever does not decode ---- */

static struct bytes copy_of(struct hostile *h, struct bytes b, size_t more)
{
        uint8_t *p = arena_zalloc(h->s->m->c->arena, b.n + more + 1);

        memcpy(p, b.p, b.n);
        return bytes_of(p, b.n + more);
}

static bool decodes(struct hostile *h, struct bytes frame)
{
        struct arena *a = arena_new(8 << 20);
        struct frame f;
        bool good = frame_decode(a, frame, FRAME_TO_BROKER, &f) == ACCEPTED;

        arena_free(a);
        return good;
}

/* In a session of its own, which it must end. */
static unsigned expect_form(struct hostile *h, struct bytes frame)
{
        if (decodes(h, frame))
                return 0;               /* a shorter or other message of good form: no case */
        hostile_open(h);
        live_send_bytes(&h->a, frame);
        hostile_bye(h, E_FORM);
        return 1;
}

static struct bytes sample(struct hostile *h, enum frame_type type)
{
        struct arena *a = h->s->m->c->arena;
        Shuyi__V1__Hello hello = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;
        Shuyi__V1__Read read = SHUYI__V1__READ__INIT;
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;

        hello.protocol = 1;
        hello.domain = CITY_DOMAIN;
        hello.agent = (ProtobufCBinaryData){ ID_BYTES, h->mallory->id.b };
        put.outbox_epoch = put.outbox_seq = 1;
        put.envelope = (ProtobufCBinaryData){ 8, (uint8_t *)"envelope" };
        ack.number = 300;
        read.number = 1;
        read.what = READ_CATALOG;
        read.key = (ProtobufCBinaryData){ 3, (uint8_t *)"key" };
        ping.time = 12345678;
        bye.code = 1;
        bye.detail = (char *)"detail";
        switch (type) {
        case FRAME_HELLO: return FRAME_ENCODE(a, type, &hello);
        case FRAME_PUT: return FRAME_ENCODE(a, type, &put);
        case FRAME_PARCEL_ACK: return FRAME_ENCODE(a, type, &ack);
        case FRAME_READ: return FRAME_ENCODE(a, type, &read);
        case FRAME_BYE: return FRAME_ENCODE(a, type, &bye);
        default: return FRAME_ENCODE(a, type, &ping);
        }
}

/* Longer by one byte, every truncation, and a bit of every byte. */
static unsigned spoil_sample(struct hostile *h, enum frame_type type)
{
        struct bytes good = sample(h, type);
        unsigned n = expect_form(h, copy_of(h, good, 1));

        assert_true(decodes(h, good));
        for (size_t cut = 1; cut < good.n; cut++)
                n += expect_form(h, bytes_of(good.p, cut));
        for (size_t i = 0; i < good.n; i++) {
                struct bytes flipped = copy_of(h, good, 0);

                ((uint8_t *)flipped.p)[i] ^= (uint8_t)(1u << (i * 5 % 8));
                n += expect_form(h, flipped);
        }
        return n;
}

static void test_each_frame_shorter_longer_truncated_and_flipped_is_E_FORM(void **state)
{
        static const enum frame_type types[] = { FRAME_HELLO, FRAME_PUT, FRAME_PARCEL_ACK, FRAME_READ, FRAME_PING, FRAME_PONG, FRAME_BYE };
        struct hostile *h = hostile_new(program, "");
        double before = hostile_count(h, IGNORED("not a frame"));
        unsigned n = 0;

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                n += spoil_sample(h, types[i]);
        print_message("# %u frames that do not decode\n", n);
        assert_true(n > 80);
        live_wait_metric(&h->s->live, IGNORED("not a frame"), before + n);
        assert_true(hostile_count(h, IGNORED("not a frame")) == before + n);
        hostile_quiet(h);
        hostile_free(h);
}

static void test_unknown_types_the_other_direction_and_what_is_too_large_are_E_FORM(void **state)
{
        static const struct { uint8_t type; size_t bytes; } frames[] = {
                { 0, 10 }, { 14, 10 }, { 255, 10 }, { FRAME_WELCOME, 1 }, { FRAME_RECEIPT, 1 }, { FRAME_BUSY, 1 }, { FRAME_PARCEL, 1 }, { FRAME_PAGE, 1 },
                { FRAME_CREDIT, 1 }, { FRAME_HELLO, 4097 }, { FRAME_PARCEL_ACK, 65 }, { FRAME_READ, 64 * 1024 + 1 }, { FRAME_PING, 65 }, { FRAME_BYE, 4097 },
        };
        struct hostile *h = hostile_new(program, "");
        double before = hostile_count(h, IGNORED("not a frame"));
        unsigned n = 0;

        for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
                uint8_t type = frames[i].type;
                struct bytes frame = copy_of(h, bytes_of(&type, 1), frames[i].bytes - 1);

                n += expect_form(h, frame);
        }
        n += expect_form(h, (struct bytes){ (const uint8_t *)"", 0 });
        assert_int_equal(n, sizeof(frames) / sizeof(frames[0]) + 1);
        live_wait_metric(&h->s->live, IGNORED("not a frame"), before + n);
        hostile_quiet(h);
        hostile_free(h);
}

static void test_a_critical_field_is_refused_and_one_from_1000_passes(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct arena *a = h->s->m->c->arena;
        struct bytes ping = sample(h, FRAME_PING), critical = forge_field(a, 999, 1, (struct bytes){ 0 }), later = forge_field(a, 1000, 1, (struct bytes){ 0 });
        struct bytes bad = copy_of(h, ping, critical.n), good = copy_of(h, ping, later.n);

        memcpy((uint8_t *)bad.p + ping.n, critical.p, critical.n);
        memcpy((uint8_t *)good.p + ping.n, later.p, later.n);
        assert_int_equal(expect_form(h, bad), 1);
        hostile_open(h);
        live_send_bytes(&h->a, good);
        live_read(&h->a, READ_STATUS, (struct bytes){ 0 }, 0, (struct bytes){ 0 });     /* the session lives */
        assert_null(h->a.bye);
        hostile_free(h);
}

/* ---- the wrong moment, the wrong HELLO ---- */

static void bad_protocol(Shuyi__V1__Hello *hello) { hello->protocol = 2; }
static void other_domain(Shuyi__V1__Hello *hello) { hello->domain = (char *)"440000"; }
static void other_agent(Shuyi__V1__Hello *hello) { hello->agent = (ProtobufCBinaryData){ 16, (uint8_t *)"somebody else..." }; }
static void no_epoch(Shuyi__V1__Hello *hello) { hello->outbox_epoch = 0; }
static void one_lane(Shuyi__V1__Hello *hello) { hello->n_lanes = 1; }
static void lanes_swapped(Shuyi__V1__Hello *hello) { hello->lanes[0]->lane = 1; hello->lanes[1]->lane = 0; }
static void lane_zero(Shuyi__V1__Hello *hello) { hello->lanes[0]->next = 0; }
static void lane_without_end(Shuyi__V1__Hello *hello) { hello->lanes[1]->next = UINT64_MAX; }

static void test_a_HELLO_that_does_not_fit_the_link_is_refused(void **state)
{
        static const struct { const char *name; void (*spoil)(Shuyi__V1__Hello *hello); enum refusal code; } cases[] = {
                { "another protocol", bad_protocol, E_FORM }, { "another domain", other_domain, E_DOMAIN }, { "another agent than the key's", other_agent, E_CRED },
                { "no outbox epoch", no_epoch, E_FORM }, { "one lane", one_lane, E_FORM }, { "lanes swapped", lanes_swapped, E_FORM },
                { "a lane that begins at 0", lane_zero, E_FORM }, { "a lane at its end", lane_without_end, E_FORM },
        };
        struct hostile *h = hostile_new(program, "");
        double before = hostile_count(h, IGNORED("HELLO does not fit the link"));

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                hostile_connect(h);
                hostile_hello(h, cases[i].spoil);
                print_message("# %s\n", cases[i].name);
                hostile_bye(h, cases[i].code);
                assert_null(h->a.welcome);
        }
        live_wait_metric(&h->s->live, IGNORED("HELLO does not fit the link"), before + sizeof(cases) / sizeof(cases[0]));
        hostile_quiet(h);
        hostile_open(h);
        hostile_free(h);
}

static void test_nothing_is_heard_before_HELLO_and_HELLO_is_heard_once(void **state)
{
        struct hostile *h = hostile_new(program, "");

        hostile_connect(h);
        live_send_bytes(&h->a, sample(h, FRAME_PUT));
        live_send_bytes(&h->a, sample(h, FRAME_READ));
        live_wait_metric(&h->s->live, IGNORED("before HELLO"), 2);
        hostile_hello(h, NULL);
        hostile_welcome(h);
        hostile_hello(h, NULL);
        hostile_bye(h, E_FORM);
        live_wait_metric(&h->s->live, IGNORED("not in this state"), 1);
        hostile_quiet(h);
        hostile_free(h);
}

static void test_after_BYE_nothing_is_taken_and_who_goes_on_is_cut(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct bytes junk = bytes_str("\x63junk"), put = sample(h, FRAME_PUT);
        double byes = hostile_count(h, "shuyi_frames_sent_total{type=\"BYE\"}");

        hostile_open(h);
        live_send_bytes(&h->a, junk);
        hostile_bye(h, E_FORM);
        for (unsigned i = 0; i < 5000 && !h->a.down; i++) {
                live_send_bytes(&h->a, i % 2 ? junk : put);
                if (i % 32 == 0)
                        live_pump_once(&h->a, 0);
        }
        hostile_cut_off(h);
        assert_true(hostile_count(h, IGNORED("after BYE")) > 0);
        assert_true(hostile_count(h, "shuyi_frames_sent_total{type=\"BYE\"}") <= byes + 2);    /* said once, not for each frame */
        hostile_quiet(h);
        hostile_open(h);
        hostile_free(h);
}

/* ---- lanes and numbers ---- */

static void put_as(struct hostile *h, uint32_t lane, uint64_t epoch, uint64_t number, struct bytes envelope)
{
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;

        put.lane = lane;
        put.outbox_epoch = epoch;
        put.outbox_seq = number;
        put.envelope = (ProtobufCBinaryData){ envelope.n, (uint8_t *)envelope.p };
        live_send(&h->a, FRAME_PUT, &put.base);
}

static void test_no_such_lane_another_epoch_number_0_and_an_ack_of_nothing_end_the_session(void **state)
{
        static const struct { uint32_t lane; uint64_t epoch, number; } puts[] = { { 2, 1, 1 }, { UINT32_MAX, 1, 1 }, { 0, 2, 1 }, { 0, 0, 1 }, { 0, 1, 0 } };
        struct hostile *h = hostile_new(program, "");
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        for (size_t i = 0; i < sizeof(puts) / sizeof(puts[0]); i++) {
                hostile_open(h);
                put_as(h, puts[i].lane, puts[i].epoch, puts[i].number, bytes_str("envelope"));
                hostile_bye(h, E_FORM);
        }
        hostile_open(h);
        ack.number = UINT64_MAX;
        live_send(&h->a, FRAME_PARCEL_ACK, &ack.base);
        hostile_bye(h, E_FORM);
        live_wait_metric(&h->s->live, IGNORED("no such lane"), 2);
        live_wait_metric(&h->s->live, IGNORED("other outbox epoch"), 3);
        live_wait_metric(&h->s->live, IGNORED("acknowledges what was not sent"), 1);
        hostile_quiet(h);
        hostile_free(h);
}

static bool is_busy(struct live_agent *a, void *arg)
{
        return a->busies > 0;
}

static void test_a_number_ahead_is_BUSY_and_what_follows_is_dropped(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct forge f = forge_get(h);

        hostile_open(h);
        put_as(h, 0, h->epoch, h->next[0] + 5, bytes_str("ahead"));
        put_as(h, 0, h->epoch, h->next[0] + 6, bytes_str("ahead"));
        live_pump(&h->a, is_busy, NULL, "BUSY");
        assert_int_equal(h->a.busy->outbox_seq, h->next[0]);
        live_wait_metric(&h->s->live, IGNORED("number ahead of the next"), 1);
        live_wait_metric(&h->s->live, IGNORED("behind a BUSY"), 1);
        hostile_quiet(h);
        assert_refusal(hostile_act(h, forge_envelope(&f)).code, ACCEPTED);      /* from there it goes on */
        hostile_free(h);
}

static void test_a_number_behind_gets_its_first_receipt_whatever_it_holds_now(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct forge first = forge_get(h), other = forge_get(h);
        struct live_row row, again;

        hostile_open(h);
        row = hostile_act(h, forge_envelope(&first));
        assert_refusal(row.code, ACCEPTED);
        hostile_quiet(h);
        h->next[0]--;
        hostile_open(h);
        other.intent.purpose = (char *)"ANOTHER";
        again = hostile_act(h, forge_envelope(&other));
        assert_int_equal(again.seq, row.seq);
        assert_refusal(again.code, ACCEPTED);
        assert_true(digest_equal(&again.leaf, &row.leaf));
        h->quiet_seq = row.seq;
        hostile_quiet(h);
        live_wait_metric(&h->s->live, "shuyi_repeated_total", 1);
        hostile_free(h);
}

static void lower_epoch(Shuyi__V1__Hello *hello) { hello->outbox_epoch = 1; }

static void test_an_older_life_of_the_outbox_is_E_REPLAY(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct forge first = forge_get(h), second = forge_get(h);

        hostile_open(h);
        assert_refusal(hostile_act(h, forge_envelope(&first)).code, ACCEPTED);
        h->epoch = 2;                           /* the agent's store was lost: numbers begin anew */
        h->next[0] = h->next[1] = 1;
        hostile_open(h);
        assert_refusal(hostile_act(h, forge_envelope(&second)).code, ACCEPTED);
        hostile_quiet(h);                       /* the answer to a read is committed state, where HELLO is held against */
        hostile_connect(h);
        hostile_hello(h, lower_epoch);
        hostile_bye(h, E_REPLAY);
        hostile_quiet(h);
        hostile_free(h);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_frame_shorter_longer_truncated_and_flipped_is_E_FORM),
                cmocka_unit_test(test_unknown_types_the_other_direction_and_what_is_too_large_are_E_FORM),
                cmocka_unit_test(test_a_critical_field_is_refused_and_one_from_1000_passes),
                cmocka_unit_test(test_a_HELLO_that_does_not_fit_the_link_is_refused),
                cmocka_unit_test(test_nothing_is_heard_before_HELLO_and_HELLO_is_heard_once),
                cmocka_unit_test(test_after_BYE_nothing_is_taken_and_who_goes_on_is_cut),
                cmocka_unit_test(test_no_such_lane_another_epoch_number_0_and_an_ack_of_nothing_end_the_session),
                cmocka_unit_test(test_a_number_ahead_is_BUSY_and_what_follows_is_dropped),
                cmocka_unit_test(test_a_number_behind_gets_its_first_receipt_whatever_it_holds_now),
                cmocka_unit_test(test_an_older_life_of_the_outbox_is_E_REPLAY),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
