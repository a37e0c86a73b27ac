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
#include "tests/lib/live.h"
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

static const char *program;

#define PATIENCE_MS 20000

struct center {
        struct city *c;
        struct party *agent, *stranger;
        struct link_context *links;
        struct link_server *server;
        struct arena *arena;
        char dir[256];
        pid_t pid;
        struct link_frame *frame;       /* the last one; its route is the agent's */
        const Shuyi__V1__Hello *hello;  /* the last one */
        unsigned hellos;
};

static uint64_t now_ms(void)
{
        return times_mono().ns / 1000000;
}

/* ---- the agent's files ---- */

static void write_file(struct center *s, const char *name, struct bytes text)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", s->dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, text.p, text.n), text.n);
        close(fd);
}

static void write_keys(struct center *s)
{
        const struct party *p = s->agent;
        struct keyfile k = { .use = KEYFILE_AGENT, .sign = secret_copy(bytes_of(p->sign_secret, 64)), .link = secret_copy(bytes_of(p->link_secret, 32)),
                             .seal = secret_copy(bytes_of(p->sign_secret, 32)) };
        uint8_t random[KEYFILE_RANDOM_BYTES] = { 0 };
        struct bytes text;

        memcpy(k.sign_key, p->sign_key, 32);
        assert_int_equal(keyfile_seal(s->arena, &k, KEYFILE_OPEN, (struct bytes){ 0 }, random, &text), 0);
        write_file(s, "agent.key", text);
        keyfile_fini(&k);
}

static void write_welcome(struct center *s)
{
        Shuyi__V1__WelcomeFile file = SHUYI__V1__WELCOME_FILE__INIT;
        const struct claim *claim;
        struct bytes anchor;

        assert_refusal(envelope_parse(s->arena, s->c->log[0].wire, &claim), ACCEPTED);
        anchor = message_pack(s->arena, &((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor->base);
        file.endpoint = (char *)link_server_endpoint(s->server);
        file.broker_link_key = (ProtobufCBinaryData){ 32, s->c->broker->link_key };
        file.anchor = (ProtobufCBinaryData){ anchor.n, (uint8_t *)anchor.p };
        file.credential = (ProtobufCBinaryData){ s->agent->signed_credential.n, (uint8_t *)s->agent->signed_credential.p };
        write_file(s, "welcome", artifact_write(s->arena, ARTIFACT_WELCOME, &file.base));
}

static void write_config(struct center *s)
{
        char text[1000];

        snprintf(text, sizeof(text), "state_dir: state\nkeys_file: agent.key\nwelcome_file: welcome\napi:\n  listen: unix:%s/api.sock\n"
                                     "store:\n  allow_volatile: true\n  size_max: 64MiB\n", s->dir);
        write_file(s, "agent.yaml", bytes_str(text));
}

/* ---- the agent ---- */

static void start_agent(struct center *s)
{
        char config[300], log[300];
        int fd;

        snprintf(config, sizeof(config), "%s/agent.yaml", s->dir);
        snprintf(log, sizeof(log), "%s/agent.log", s->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        s->pid = fork();
        if (s->pid == 0) {
                dup2(fd, 1);
                dup2(fd, 2);
                execl(program, program, "--config", config, (char *)NULL);
                _exit(127);
        }
        close(fd);
}

static void stop_agent(struct center *s)
{
        int status;

        kill(s->pid, SIGTERM);
        waitpid(s->pid, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool log_has(struct center *s, const char *part)
{
        char path[300], line[2000];
        bool found = false;
        FILE *f;

        snprintf(path, sizeof(path), "%s/agent.log", s->dir);
        f = fopen(path, "r");
        while (f && !found && fgets(line, sizeof(line), f))
                found = strstr(line, part) != NULL;
        if (f)
                fclose(f);
        return found;
}

static double metric(struct center *s, const char *name)
{
        static char answer[1 << 18];
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        size_t at = 0, len = strlen(name);
        ssize_t got;

        snprintf(to.sun_path, sizeof(to.sun_path), "%.90s/api.sock", s->dir);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
        while (at + 1 < sizeof(answer) && (got = read(fd, answer + at, sizeof(answer) - at - 1)) > 0)
                at += (size_t)got;
        answer[at] = 0;
        close(fd);
        for (char *line = answer; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, name, len) == 0 && line[len] == ' ')
                        return atof(line + len + 1);
        return 0;
}

/* ---- the center ---- */

static enum link_admission admit(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address, struct id *ret_agent)
{
        *ret_agent = ((struct center *)ctx)->agent->id;
        return LINK_ADMIT;
}

static struct center *center_new(void)
{
        struct center *s = calloc(1, sizeof(*s));
        struct link_server_options o = { .endpoint = "tcp://127.0.0.1:*", .admit = admit, .admit_ctx = s };

        s->c = city_founded();
        s->arena = arena_new((size_t)1 << 28);
        city_department(s->c, CITY_HEALTH, "health");
        s->agent = city_find(s->c, "health-agent");
        s->stranger = city_party(s->c, "stranger", CITY_HEALTH, SUBJECT_AGENT);
        o.secret_key = s->c->broker->link_secret;
        assert_int_equal(link_context_new(&s->links), 0);
        assert_int_equal(link_server_open(s->links, &o, &s->server), 0);
        temp_dir_make(s->dir);
        write_keys(s);
        write_welcome(s);
        write_config(s);
        return s;
}

static void center_free(struct center *s)
{
        link_frame_free(s->frame);
        link_server_close(s->server);
        link_context_free(s->links);
        temp_dir_remove(s->dir);
        city_free(s->c);
        arena_free(s->arena);
        free(s);
}

/* Takes one frame if one comes. */
static bool hear(struct center *s, int timeout_ms)
{
        struct link_frame *f;
        struct frame frame;

        link_server_wait(s->server, NULL, NULL, 0, timeout_ms);
        if (link_server_receive(s->server, &f) != 0)
                return false;
        link_frame_free(s->frame);
        s->frame = f;
        assert_refusal(frame_decode(s->arena, f->body, FRAME_TO_BROKER, &frame), ACCEPTED);
        if (frame.type == FRAME_HELLO) {
                s->hello = frame.hello;
                s->hellos++;
        }
        return true;
}

static void wait_hello(struct center *s)
{
        uint64_t until = now_ms() + PATIENCE_MS;
        unsigned before = s->hellos;

        while (s->hellos == before) {
                hear(s, 20);
                if (now_ms() > until)
                        fail_msg("HELLO does not come");
        }
}

static void wait_log(struct center *s, const char *part)
{
        uint64_t until = now_ms() + PATIENCE_MS;

        while (!log_has(s, part)) {
                hear(s, 20);
                if (now_ms() > until)
                        fail_msg("the agent does not say %s", part);
        }
}

static void send_bytes(struct center *s, struct bytes frame)
{
        assert_true(frame.n > 0);
        assert_int_equal(link_server_send(s->server, &s->frame->route, frame), 0);
}

static void send_welcome(struct center *s)
{
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;
        Shuyi__V1__LaneCredit credit[2] = { SHUYI__V1__LANE_CREDIT__INIT, SHUYI__V1__LANE_CREDIT__INIT }, *rows[2] = { &credit[0], &credit[1] };

        credit[1].lane = 1;
        credit[0].frames = credit[1].frames = 16;
        credit[0].bytes = credit[1].bytes = 1 << 20;
        w.protocol = 1;
        w.session = s->hellos;
        w.log_epoch = 1;
        w.heartbeat_ms = 60000;
        w.max_frame = FRAME_MAX_BYTES;
        w.broker_time = times_wall().ms;
        w.credit = rows;
        w.n_credit = 2;
        send_bytes(s, FRAME_ENCODE(s->arena, FRAME_WELCOME, &w));
}

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
        uint64_t until = now_ms() + PATIENCE_MS;

        while (metric(s, name) < 1) {
                hear(s, 20);
                if (now_ms() > until)
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
                start_agent(s);
                wait_hello(s);
                assert_int_equal(s->hello->trust_seq, 0);
                assert_int_equal(s->hello->mail, 0);
                assert_int_equal(s->hello->log_size, 0);
                send_welcome(s);
                wait_log(s, "\"link.opened\"");
                send_bytes(s, lies[i].make(s));
                wait_log(s, lies[i].event);
                wait_metric(s, lies[i].counter);
                stop_agent(s);
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

        start_agent(s);
        wait_hello(s);
        send_welcome(s);
        wait_log(s, "\"link.opened\"");
        hellos = s->hellos;
        page.number = 77;
        send_bytes(s, FRAME_ENCODE(s->arena, FRAME_PAGE, &page));
        send_bytes(s, receipt_by(s, city_find(s->c, "log"), s->agent));
        ping.time = 4711;
        send_bytes(s, FRAME_ENCODE(s->arena, FRAME_PING, &ping));
        for (uint64_t until = now_ms() + PATIENCE_MS; !(hear(s, 20) && s->frame->body.p[0] == FRAME_PONG);)
                assert_true(now_ms() < until);
        assert_int_equal(s->hellos, hellos);
        stop_agent(s);
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
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
