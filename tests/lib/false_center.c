/* false_center: see false_center.h. */
#include "tests/lib/false_center.h"

#include "common/artifact.h"
#include "common/keyfile.h"
#include "common/times.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *center_program;

uint64_t center_now_ms(void)
{
        return times_mono().ns / 1000000;
}

/* ---- the agent's files ---- */

void center_write_file(struct center *s, const char *name, struct bytes text)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", s->dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, text.p, text.n), text.n);
        close(fd);
}

static void center_write_keys(struct center *s)
{
        const struct party *p = s->agent;
        struct keyfile k = { .use = KEYFILE_AGENT, .sign = secret_copy(bytes_of(p->sign_secret, 64)), .link = secret_copy(bytes_of(p->link_secret, 32)),
                             .seal = secret_copy(bytes_of(p->sign_secret, 32)) };
        uint8_t random[KEYFILE_RANDOM_BYTES] = { 0 };
        struct bytes text;

        memcpy(k.sign_key, p->sign_key, 32);
        assert_int_equal(keyfile_seal(s->arena, &k, KEYFILE_OPEN, (struct bytes){ 0 }, random, &text), 0);
        center_write_file(s, "agent.key", text);
        keyfile_fini(&k);
}

static void center_write_welcome(struct center *s)
{
        Shuyi__V1__WelcomeFile file = SHUYI__V1__WELCOME_FILE__INIT;
        const struct claim *claim;
        struct bytes anchor;

        assert_refusal(envelope_parse(s->arena, s->c->log[0].wire, &claim), ACCEPTED);
        anchor = s->anchor.p ? s->anchor : message_pack(s->arena, &((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor->base);
        file.endpoint = (char *)link_server_endpoint(s->server);
        file.broker_link_key = (ProtobufCBinaryData){ 32, s->c->broker->link_key };
        file.anchor = (ProtobufCBinaryData){ anchor.n, (uint8_t *)anchor.p };
        file.credential = (ProtobufCBinaryData){ s->agent->signed_credential.n, (uint8_t *)s->agent->signed_credential.p };
        center_write_file(s, "welcome", artifact_write(s->arena, ARTIFACT_WELCOME, &file.base));
}

static void center_write_config(struct center *s)
{
        char text[1000];

        snprintf(text, sizeof(text), "state_dir: state\nkeys_file: agent.key\nwelcome_file: welcome\napi:\n  listen: unix:%s/api.sock\n"
                                     "store:\n  allow_volatile: true\n  size_max: 64MiB\n%s", s->dir, s->more ? s->more : "");
        center_write_file(s, "agent.yaml", bytes_str(text));
}

/* ---- the agent ---- */

void center_start_agent(struct center *s)
{
        char config[300], log[300];
        int fd;

        center_write_keys(s);
        center_write_welcome(s);
        center_write_config(s);
        snprintf(config, sizeof(config), "%s/agent.yaml", s->dir);
        snprintf(log, sizeof(log), "%s/agent.log", s->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        s->pid = fork();
        if (s->pid == 0) {
                dup2(fd, 1);
                dup2(fd, 2);
                execl(center_program, center_program, "--config", config, (char *)NULL);
                _exit(127);
        }
        close(fd);
}

void center_stop_agent(struct center *s)
{
        int status;

        kill(s->pid, SIGTERM);
        waitpid(s->pid, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool center_log_has(struct center *s, const char *part)
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

const char *center_http(struct center *s, const char *method, const char *path, const char *body)
{
        static char answer[1 << 18];
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        char *request = arena_printf(s->arena, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                     method, path, strlen(body), body);
        uint64_t until = center_now_ms() + CENTER_PATIENCE_MS;
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        size_t at = 0;
        ssize_t got;

        snprintf(to.sun_path, sizeof(to.sun_path), "%.90s/api.sock", s->dir);
        while (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {   /* it listens a little after its link is up */
                assert_true(center_now_ms() < until);
                nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
        }
        assert_int_equal(write(fd, request, strlen(request)), strlen(request));
        while (at + 1 < sizeof(answer) && (got = read(fd, answer + at, sizeof(answer) - at - 1)) > 0)
                at += (size_t)got;
        answer[at] = 0;
        close(fd);
        return answer;
}

double center_metric(struct center *s, const char *name)
{
        const char *answer = center_http(s, "GET", "/metrics", "");
        size_t len = strlen(name);

        for (const char *line = answer; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
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

struct center *center_new(void)
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
        return s;
}

void center_free(struct center *s)
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
bool center_hear(struct center *s, int timeout_ms)
{
        struct link_frame *f;

        link_server_wait(s->server, NULL, NULL, 0, timeout_ms);
        if (link_server_receive(s->server, &f) != 0)
                return false;
        link_frame_free(s->frame);
        s->frame = f;
        assert_refusal(frame_decode(s->arena, f->body, FRAME_TO_BROKER, &s->said), ACCEPTED);
        if (s->said.type == FRAME_HELLO) {
                s->hello = s->said.hello;
                s->hellos++;
        }
        return true;
}

void center_wait_hello(struct center *s)
{
        uint64_t until = center_now_ms() + CENTER_PATIENCE_MS;
        unsigned before = s->hellos;

        while (s->hellos == before) {
                center_hear(s, 20);
                if (center_now_ms() > until)
                        fail_msg("HELLO does not come");
        }
}

void center_wait_log(struct center *s, const char *part)
{
        uint64_t until = center_now_ms() + CENTER_PATIENCE_MS;

        while (!center_log_has(s, part)) {
                center_hear(s, 20);
                if (center_now_ms() > until)
                        fail_msg("the agent does not say %s", part);
        }
}

void center_send_bytes(struct center *s, struct bytes frame)
{
        assert_true(frame.n > 0);
        assert_int_equal(link_server_send(s->server, &s->frame->route, frame), 0);
}

void center_send_welcome(struct center *s)
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
        center_send_bytes(s, FRAME_ENCODE(s->arena, FRAME_WELCOME, &w));
}
