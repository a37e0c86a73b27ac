/* hostile, center: a broker that holds the right link key and lies (DESIGN 3, 14).
 *
 * A real agent is connected to a ROUTER of the test.  What does not decode, is not signed as it must be, or comes out of its
 * order ends the session; the agent counts it, names it in its log, keeps nothing of it, and asks again from where it was. */
#include "common/artifact.h"
#include "common/credential.h"
#include "common/keyfile.h"
#include "common/receipt.h"
#include "common/times.h"
#include "proto/log.pb-c.h"
#include "tests/lib/false_center.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the lies ---- */

static struct bytes text_frame(const char *text, size_t n)
{
        return bytes_of((const uint8_t *)text, n);
}

static struct bytes unknown_type(struct center *s) { return text_frame("\x63what", 5); }
static struct bytes other_direction(struct center *s) { return text_frame("\x01", 1); }
static struct bytes cut_short(struct center *s) { return text_frame("\x06\x08", 2); }
static struct bytes encoded_default(struct center *s) { return text_frame("\x0a\x08\x00", 3); }
static struct bytes critical_field(struct center *s) { return text_frame("\x0a\xb8\x3e\x01", 4); }

static struct bytes second_welcome(struct center *s)
{
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;

        w.protocol = 1;
        w.session = 99;
        w.heartbeat_ms = 1000;
        return FRAME_ENCODE(s->arena, FRAME_WELCOME, &w);
}

static struct bytes parcel(struct center *s, uint64_t number, uint32_t type, uint64_t cursor, struct bytes envelope, const Shuyi__V1__TrustRecord *trust)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;

        p.number = number;
        p.type = type;
        p.cursor = cursor;
        p.epoch = 1;
        p.seq = 1;
        p.accepted_at = s->c->now.ms;
        p.envelope = (ProtobufCBinaryData){ envelope.n, (uint8_t *)envelope.p };
        p.trust = (Shuyi__V1__TrustRecord *)trust;
        return FRAME_ENCODE(s->arena, FRAME_PARCEL, &p);
}

static struct bytes parcel_out_of_order(struct center *s) { return parcel(s, 5, PARCEL_MAIL, 1, (struct bytes){ 0 }, NULL); }
static struct bytes parcel_of_no_type(struct center *s) { return parcel(s, 1, 9, 1, (struct bytes){ 0 }, NULL); }
static struct bytes link_of_no_grant(struct center *s) { return parcel(s, 1, PARCEL_LINK, 1, bytes_str("no envelope"), NULL); }
static struct bytes mail_of_no_form(struct center *s) { return parcel(s, 1, PARCEL_MAIL, 1, bytes_str("no envelope"), NULL); }

static struct bytes trust(struct center *s, uint64_t number, struct bytes envelope)
{
        Shuyi__V1__TrustRecord r = SHUYI__V1__TRUST_RECORD__INIT;
        struct digest d = digest_plain(bytes_str("something")), header = d;
        const struct claim *claim;

        if (envelope_parse(s->arena, envelope, &claim) == ACCEPTED)
                header = claim->header_digest;
        r.trust_seq = number;
        r.seq = 1;
        r.kind = 1;
        r.status = STATUS_ACTIVE;
        r.object = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        r.header_digest = (ProtobufCBinaryData){ DIGEST_BYTES, header.b };
        return parcel(s, 1, PARCEL_TRUST, number, envelope, &r);
}

static struct bytes trust_with_a_gap(struct center *s) { return trust(s, 7, s->c->log[0].wire); }
static struct bytes trust_in_what_the_envelope_does_not_say(struct center *s) { return trust(s, 1, s->c->log[0].wire); }
static struct bytes trust_of_another_root(struct center *s)
{
        struct party *root = city_party(s->c, "foreign-root", "", 0);
        Shuyi__V1__AnchorBody body = SHUYI__V1__ANCHOR_BODY__INIT;
        const struct claim *claim;

        root->credential = root_key_id(SUITE_1, root->sign_key);
        assert_refusal(envelope_parse(s->arena, s->c->log[0].wire, &claim), ACCEPTED);
        body.anchor = ((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor;
        return trust(s, 1, city_envelope(s->c, &(struct city_act){ .kind = KIND_ANCHOR, .body = &body.base, .by = { { root, ROLE_ROOT } } }));
}
static struct bytes head_that_no_log_signed(struct center *s)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        Shuyi__V1__TrustHeadBody body = SHUYI__V1__TRUST_HEAD_BODY__INIT;
        struct digest d = digest_plain(bytes_str("root"));
        struct bytes wire;

        body.trust_seq = 1;
        body.chain = body.map_root = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        wire = city_envelope(s->c, &(struct city_act){ .kind = KIND_TRUST_HEAD, .body = &body.base, .by = { { s->c->broker, ROLE_SYSTEM } } });
        p.number = p.epoch = p.seq = p.cursor = 1;
        p.type = PARCEL_TRUST;
        p.envelope = (ProtobufCBinaryData){ wire.n, (uint8_t *)wire.p };
        p.effects_digest = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        p.checkpoint = (char *)"shuyi/442000\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 shuyi/442000 AAAAAAAA\n";
        return FRAME_ENCODE(s->arena, FRAME_PARCEL, &p);
}

static struct bytes receipt_by(struct center *s, const struct party *log, const struct party *agent)
{
        Shuyi__V1__Receipt r = SHUYI__V1__RECEIPT__INIT;
        Shuyi__V1__ReceiptRow row = SHUYI__V1__RECEIPT_ROW__INIT, *rows[] = { &row };

        row.outbox_seq = 1;
        row.code = E_FORM;
        r.domain = (char *)CITY_DOMAIN;
        r.agent = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)agent->id.b };
        r.log_epoch = 1;
        r.outbox_epoch = s->hello->outbox_epoch;
        r.rows = rows;
        r.n_rows = 1;
        return FRAME_ENCODE(s->arena, FRAME_RECEIPT, receipt_sign(s->arena, &r, log->sign_secret));
}

static struct bytes receipt_of_another_key(struct center *s) { return receipt_by(s, s->c->broker, s->agent); }
static struct bytes receipt_for_another(struct center *s) { return receipt_by(s, city_find(s->c, "log"), s->stranger); }

static const struct lie {
        const char *name;
        struct bytes (*make)(struct center *s);
        const char *event;              /* what the agent's log says */
        const char *counter;
} lies[] = {
        { "an unknown frame type", unknown_type, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a frame of the other direction", other_direction, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a frame cut short", cut_short, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "an encoded default", encoded_default, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a critical field", critical_field, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a second WELCOME", second_welcome, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a parcel out of order", parcel_out_of_order, "\"link.closed\"", "shuyi_agent_center_faults_total" },
        { "a parcel of no type", parcel_of_no_type, "\"link.parcel_bad\"", "shuyi_agent_center_faults_total" },
        { "a link of no grant", link_of_no_grant, "\"link.parcel_bad\"", "shuyi_agent_center_faults_total" },
        { "mail that is no envelope", mail_of_no_form, "\"link.parcel_bad\"", "shuyi_agent_center_faults_total" },
        { "a trust record that skips some", trust_with_a_gap, "\"trust.rejected\"", "shuyi_agent_trust_rejected_total" },
        { "a trust record that its envelope does not say", trust_in_what_the_envelope_does_not_say, "\"trust.rejected\"", "shuyi_agent_trust_rejected_total" },
        { "an anchor by another root", trust_of_another_root, "\"trust.rejected\"", "shuyi_agent_trust_rejected_total" },
        { "a trust head that no log signed", head_that_no_log_signed, "\"trust.rejected\"", "shuyi_agent_trust_rejected_total" },
        { "a receipt signed by another key", receipt_of_another_key, "\"link.receipt_bad\"", "shuyi_agent_center_faults_total" },
        { "a receipt for another agent", receipt_for_another, "\"link.receipt_bad\"", "shuyi_agent_center_faults_total" },
};

static void wait_metric(struct center *s, const char *name)
{
        uint64_t until = center_now_ms() + CENTER_PATIENCE_MS;

        while (center_metric(s, name) < 1) {
                center_hear(s, 20);
                if (center_now_ms() > until)
                        fail_msg("%s stays 0", name);
        }
}

/* A new start after each, as the agent waits longer from time to time: what it kept it would say in HELLO. */
static void test_what_a_lying_center_says_is_named_counted_and_not_kept(void **state)
{
        struct center *s = center_new();
        char log[300];

        snprintf(log, sizeof(log), "%s/agent.log", s->dir);
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                print_message("# %s\n", lies[i].name);
                unlink(log);
                center_start_agent(s);
                center_wait_hello(s);
                assert_int_equal(s->hello->trust_seq, 0);
                assert_int_equal(s->hello->mail, 0);
                assert_int_equal(s->hello->log_size, 0);
                center_send_welcome(s);
                center_wait_log(s, "\"link.opened\"");
                center_send_bytes(s, lies[i].make(s));
                center_wait_log(s, lies[i].event);
                wait_metric(s, lies[i].counter);
                center_stop_agent(s);
        }
        center_free(s);
}

/* A page that nobody asked for, a receipt of what was never sent: heard, and nothing comes of it. */
static void test_what_was_not_asked_for_is_ignored(void **state)
{
        struct center *s = center_new();
        Shuyi__V1__Page page = SHUYI__V1__PAGE__INIT;
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        unsigned hellos;

        center_start_agent(s);
        center_wait_hello(s);
        center_send_welcome(s);
        center_wait_log(s, "\"link.opened\"");
        hellos = s->hellos;
        page.number = 77;
        center_send_bytes(s, FRAME_ENCODE(s->arena, FRAME_PAGE, &page));
        center_send_bytes(s, receipt_by(s, city_find(s->c, "log"), s->agent));
        ping.time = 4711;
        center_send_bytes(s, FRAME_ENCODE(s->arena, FRAME_PING, &ping));
        for (uint64_t until = center_now_ms() + CENTER_PATIENCE_MS; !(center_hear(s, 20) && s->frame->body.p[0] == FRAME_PONG);)
                assert_true(center_now_ms() < until);
        assert_int_equal(s->hellos, hellos);
        center_stop_agent(s);
        center_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_a_lying_center_says_is_named_counted_and_not_kept),
                cmocka_unit_test(test_what_was_not_asked_for_is_ignored),
        };

        if (argc < 2)
                return 2;
        center_program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
