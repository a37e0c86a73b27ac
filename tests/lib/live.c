/* live: see the header. */
#include "tests/lib/live.h"
#include "common/artifact.h"
#include "common/keyfile.h"
#include "common/receipt.h"
#include "common/times.h"
#include "tests/lib/temp_dir.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- failing ---- */

static void show_log(const struct live *l)
{
        char path[300], line[1000];
        FILE *f;

        snprintf(path, sizeof(path), "%s/broker.log", l->dir);
        f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f))
                fprintf(stderr, "# %s", line);
        if (f)
                fclose(f);
}

__attribute__((format(printf, 2, 3), noreturn))
static void fail_live(struct live *l, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fprintf(stderr, "# live: ");
        vfprintf(stderr, format, ap);
        fprintf(stderr, "\n");
        va_end(ap);
        show_log(l);
        if (l->pid > 0)
                kill(l->pid, SIGKILL);
        exit(1);
}

static uint64_t now_ms(void)
{
        return times_mono().ns / 1000000;
}

static void nap(void)
{
        struct timespec t = { 0, 2000000 };

        nanosleep(&t, NULL);
}

/* ---- founding ---- */

const char *live_map_bytes = "256MiB";

static void write_file(struct live *l, const char *name, struct bytes text)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", l->dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n)
                fail_live(l, "cannot write %s: %s", path, strerror(errno));
        close(fd);
}

static void write_key(struct live *l, const char *name, enum keyfile_use use, const struct party *p)
{
        struct arena *a = arena_new(1 << 20);
        struct keyfile k = { .use = use, .sign = secret_copy(bytes_of(p->sign_secret, 64)) };
        uint8_t random[KEYFILE_RANDOM_BYTES] = { 0 };
        struct bytes text;

        memcpy(k.sign_key, p->sign_key, 32);
        if (use == KEYFILE_BROKER)
                k.link = secret_copy(bytes_of(p->link_secret, 32));
        if (keyfile_seal(a, &k, KEYFILE_OPEN, (struct bytes){ 0 }, random, &text) < 0)
                fail_live(l, "cannot seal %s", name);
        write_file(l, name, text);
        keyfile_fini(&k);
        arena_free(a);
}

static void write_genesis(struct live *l)
{
        Shuyi__V1__GenesisFile file = SHUYI__V1__GENESIS_FILE__INIT;
        struct arena *a = arena_new(16 << 20);

        file.envelopes = ARENA_ARRAY(a, ProtobufCBinaryData, l->city->log_n);
        for (size_t i = 0; i < l->city->log_n && l->city->log[i].link == 0; i++)
                file.envelopes[file.n_envelopes++] = (ProtobufCBinaryData){ l->city->log[i].wire.n, (uint8_t *)l->city->log[i].wire.p };
        write_file(l, "genesis.shuyi", artifact_write(a, ARTIFACT_GENESIS, &file.base));
        arena_free(a);
}

void live_found_files(struct live *l)
{
        temp_dir_make(l->dir);
        write_key(l, "broker.key", KEYFILE_BROKER, l->city->broker);
        write_key(l, "log.key", KEYFILE_LOG, city_find(l->city, "log"));
        write_genesis(l);
}

void live_found(struct live *l, const char *program, struct city *city, const char *extra)
{
        char config[2000], out[4000];

        *l = (struct live){ .program = program, .city = city };
        memcpy(l->link_key, city->broker->link_key, 32);
        if (link_context_new(&l->links) < 0)
                fail_live(l, "no context");
        live_found_files(l);
        snprintf(config, sizeof(config),
                 "domain: \"%s\"\nlog:\n  origin: shuyi/%s\n  segment_bytes: 4MiB\nkeys:\n  broker: broker.key\n  log: log.key\n"
                 "store:\n  dir: store\n  allow_volatile: true\n  map_bytes: %s\nhttp:\n  listen: tcp://127.0.0.1:0\n"
                 "%s%s", CITY_DOMAIN, CITY_DOMAIN, live_map_bytes, strstr(extra, "link:") ? "" : "link:\n  listen: tcp://127.0.0.1:0\n", extra);
        write_file(l, "broker.yaml", bytes_str(config));
        if (live_run(l, "init", "genesis.shuyi", out, sizeof(out)) != 0)
                fail_live(l, "init failed: %s", out);
}

/* ---- the process ---- */

static void be_program(struct live *l, int out, int err, const char *first, const char *last, const char *failpoint)
{
        char config[300], operand[300];
        const char *argv[6];
        unsigned n = 0;

        snprintf(config, sizeof(config), "%s/broker.yaml", l->dir);
        snprintf(operand, sizeof(operand), "%s/%s", l->dir, last ? last : "");
        argv[n++] = l->program;
        if (first)
                argv[n++] = first;
        argv[n++] = "--config";
        argv[n++] = config;
        if (last)
                argv[n++] = last[0] == '-' ? last : operand;
        argv[n] = NULL;
        dup2(out, 1);
        dup2(err, 2);
        if (failpoint)
                setenv("SHUYI_FAILPOINT", failpoint, 1);
        else
                unsetenv("SHUYI_FAILPOINT");
        if (l->clock_library) {
                char clock[300];

                snprintf(clock, sizeof(clock), "%s/clock", l->dir);
                setenv("SHIFTED_CLOCK", clock, 1);
                setenv("LD_PRELOAD", l->clock_library, 1);
        }
        execv(l->program, (char *const *)argv);
        _exit(127);
}

int live_run(struct live *l, const char *first, const char *last, char *ret_out, size_t n)
{
        char path[300];
        int pipe_fd[2], err, status;
        size_t at = 0;
        ssize_t got;
        pid_t pid;

        snprintf(path, sizeof(path), "%s/broker.log", l->dir);
        err = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (pipe(pipe_fd) < 0 || (pid = fork()) < 0)
                fail_live(l, "cannot start %s", l->program);
        if (pid == 0) {
                close(pipe_fd[0]);
                be_program(l, pipe_fd[1], err, first, last, NULL);
        }
        close(pipe_fd[1]);
        close(err);
        while (at + 1 < n && (got = read(pipe_fd[0], ret_out + at, n - at - 1)) > 0)
                at += (size_t)got;
        ret_out[at] = 0;
        close(pipe_fd[0]);
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool find_text(const char *line, const char *name, char *ret, size_t n)
{
        const char *at = strstr(line, name);
        size_t len;

        if (!at)
                return false;
        at += strlen(name);
        len = strcspn(at, "\",}");
        snprintf(ret, n, "%.*s", (int)len, at);
        return true;
}

/* The n-th "broker.ready" of the log tells where it listens. */
static bool read_ready(struct live *l)
{
        char path[300], line[1000], port[16];
        unsigned found = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/broker.log", l->dir);
        f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f))
                if (strstr(line, "\"broker.ready\"") && ++found == l->starts && find_text(line, "\"endpoint\":\"", l->endpoint, sizeof(l->endpoint)) &&
                    find_text(line, "\"http_port\":", port, sizeof(port))) {
                        l->http_port = (unsigned)atoi(port);
                        fclose(f);
                        return true;
                }
        if (f)
                fclose(f);
        return false;
}

uint64_t live_log_count(const struct live *l, const char *text)
{
        char path[300], line[1000];
        uint64_t n = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/broker.log", l->dir);
        f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f))
                n += strstr(line, text) != NULL;
        if (f)
                fclose(f);
        return n;
}

void live_start(struct live *l, const char *failpoint)
{
        char path[300];
        uint64_t until = now_ms() + LIVE_PATIENCE_MS;
        int fd;

        snprintf(path, sizeof(path), "%s/broker.log", l->dir);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        l->pid = fork();
        if (l->pid == 0)
                be_program(l, fd, fd, NULL, NULL, failpoint);
        close(fd);
        l->starts++;
        while (!read_ready(l)) {
                int status;

                if (waitpid(l->pid, &status, WNOHANG) == l->pid) {
                        l->pid = 0;
                        fail_live(l, "the broker ended at its start with status %d", status);
                }
                if (now_ms() > until)
                        fail_live(l, "the broker is not ready");
                nap();
        }
}

void live_kill(struct live *l)
{
        if (l->pid <= 0)
                return;
        kill(l->pid, SIGKILL);
        waitpid(l->pid, NULL, 0);
        l->pid = 0;
}

static int wait_end(struct live *l)
{
        uint64_t until = now_ms() + LIVE_PATIENCE_MS;
        int status = 0;

        while (waitpid(l->pid, &status, WNOHANG) == 0) {
                if (now_ms() > until)
                        fail_live(l, "the broker does not end");
                nap();
        }
        l->pid = 0;
        return status;
}

void live_stop(struct live *l)
{
        int status;

        if (l->pid <= 0)
                return;
        kill(l->pid, SIGTERM);
        status = wait_end(l);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_live(l, "the broker ended with status %d", status);
}

bool live_wait_death(struct live *l)
{
        int status = wait_end(l);

        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void live_end(struct live *l)
{
        live_stop(l);
        link_context_free(l->links);
        temp_dir_remove(l->dir);
}

void live_shift_clock(struct live *l, const char *library, int64_t ms)
{
        char path[300];
        int fd;

        l->clock_library = library;
        if (!l->clock_shift) {
                snprintf(path, sizeof(path), "%s/clock", l->dir);
                fd = open(path, O_RDWR | O_CREAT, 0600);
                if (fd < 0 || ftruncate(fd, 4096) < 0)
                        fail_live(l, "no clock file");
                l->clock_shift = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                close(fd);
        }
        __atomic_store_n(l->clock_shift, ms, __ATOMIC_SEQ_CST);
}

/* ---- HTTP ---- */

int live_fetch(struct live *l, const char *path, const char **ret_head, struct bytes *ret_body)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->http_port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
        static char answer[1 << 20];
        char request[300], *body;
        size_t at = 0;
        ssize_t got;
        int status = 0, fd = socket(AF_INET, SOCK_STREAM, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                fail_live(l, "no HTTP on port %u", l->http_port);
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", path, l->http_port);
        if (write(fd, request, strlen(request)) < 0)
                fail_live(l, "HTTP write");
        while (at + 1 < sizeof(answer) && (got = read(fd, answer + at, sizeof(answer) - at - 1)) > 0)
                at += (size_t)got;
        answer[at] = 0;
        close(fd);
        sscanf(answer, "HTTP/1.1 %d", &status);
        body = strstr(answer, "\r\n\r\n");
        *ret_body = body ? bytes_of(body + 4, (size_t)(answer + at - body - 4)) : (struct bytes){ 0 };
        if (body)
                *body = 0;
        *ret_head = answer;
        return status;
}

int live_get(struct live *l, const char *path, char *ret_body, size_t n)
{
        const char *head;
        struct bytes body;
        int status = live_fetch(l, path, &head, &body);

        snprintf(ret_body, n, "%.*s", (int)body.n, body.n ? (const char *)body.p : "");
        return status;
}

double live_metric(struct live *l, const char *name)
{
        static char body[1 << 20];
        size_t len = strlen(name);

        live_get(l, "/metrics", body, sizeof(body));
        for (char *line = body; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, name, len) == 0 && line[len] == ' ')
                        return atof(line + len + 1);
        return 0;
}

void live_wait_metric(struct live *l, const char *name, double least)
{
        uint64_t until = now_ms() + LIVE_PATIENCE_MS;

        while (live_metric(l, name) < least) {
                if (now_ms() > until)
                        fail_live(l, "%s does not reach %g", name, least);
                nap();
        }
}

/* ---- a link ---- */

void live_send_bytes(struct live_agent *a, struct bytes frame)
{
        uint64_t until = now_ms() + LIVE_PATIENCE_MS;

        while (link_client_send(a->link, frame) == -EAGAIN) {
                live_pump_once(a, 2);
                if (a->down || now_ms() > until)
                        return;
        }
}

void live_send(struct live_agent *a, enum frame_type type, const ProtobufCMessage *m)
{
        struct arena *scratch = arena_new(4 << 20);

        live_send_bytes(a, frame_encode(scratch, type, m));
        arena_free(scratch);
}

static void take_receipt(struct live_agent *a, const Shuyi__V1__SignedReceipt *s)
{
        const Shuyi__V1__Receipt *r;
        const char *wrong = receipt_check(a->arena, s, city_find(a->live->city, "log")->sign_key, CITY_DOMAIN, &a->party->id, &r);

        if (wrong)
                fail_live(a->live, "a receipt does not hold: %s", wrong);
        for (size_t i = 0; i < r->n_rows; i++) {
                struct live_row *row;

                if (a->rows_n == a->rows_room) {
                        a->rows_room = a->rows_room ? a->rows_room * 2 : 64;
                        a->rows = realloc(a->rows, a->rows_room * sizeof(*a->rows));
                }
                row = &a->rows[a->rows_n++];
                *row = (struct live_row){ (uint8_t)r->rows[i]->lane, r->rows[i]->outbox_seq, r->rows[i]->seq, r->rows[i]->accepted_at, r->rows[i]->code, { { 0 } }, "" };
                bytes_copy_exact(bytes_of(r->rows[i]->leaf_hash.data, r->rows[i]->leaf_hash.len), row->leaf.b, 32);
                snprintf(row->detail, sizeof(row->detail), "%s", r->rows[i]->detail);
        }
}

static void take_parcel(struct live_agent *a, const Shuyi__V1__Parcel *p)
{
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        if (a->parcels_n == a->parcels_room) {
                a->parcels_room = a->parcels_room ? a->parcels_room * 2 : 64;
                a->parcels = realloc(a->parcels, a->parcels_room * sizeof(*a->parcels));
        }
        a->parcels[a->parcels_n++] = (struct live_parcel){ p->number, { 0 }, p };
        ack.number = p->number;
        live_send(a, FRAME_PARCEL_ACK, &ack.base);
}

static void take_frame(struct live_agent *a, struct link_frame *f)
{
        struct bytes body = arena_copy(a->arena, f->body);
        struct frame frame;

        if (body.n == 0 || frame_decode(a->arena, body, FRAME_TO_AGENT, &frame) != ACCEPTED)
                fail_live(a->live, "the broker sent what does not decode, type %u", f->body.n ? f->body.p[0] : 0);
        switch (frame.type) {
        case FRAME_WELCOME:
                a->welcome = frame.welcome;
                break;
        case FRAME_RECEIPT:
                take_receipt(a, frame.receipt);
                break;
        case FRAME_PARCEL:
                take_parcel(a, frame.parcel);
                break;
        case FRAME_PAGE:
                a->page = frame.page;
                break;
        case FRAME_BUSY:
                a->busy = frame.busy;
                a->busies++;
                break;
        case FRAME_BYE:
                a->bye = frame.bye;
                break;
        case FRAME_PING:
                live_send(a, FRAME_PONG, frame.message);
                break;
        default:
                break;
        }
}

bool live_pump_once(struct live_agent *a, int timeout_ms)
{
        struct link_frame *f;
        enum link_event e;

        link_client_wait(a->link, NULL, NULL, 0, timeout_ms);
        while ((e = link_client_event(a->link, NULL)) != LINK_EVENT_NONE) {
                if (e == LINK_EVENT_DENIED)
                        a->denied = true;
                if (e == LINK_EVENT_DOWN)
                        a->down = true;
                if (e == LINK_EVENT_UP)
                        a->down = false;
        }
        if (link_client_receive(a->link, &f) != 0)
                return false;
        take_frame(a, f);
        link_frame_free(f);
        return true;
}

void live_pump(struct live_agent *a, bool (*until)(struct live_agent *a, void *arg), void *arg, const char *what)
{
        uint64_t end = now_ms() + LIVE_PATIENCE_MS;

        while (!until(a, arg)) {
                live_pump_once(a, 20);
                if (now_ms() > end)
                        fail_live(a->live, "%s: %s does not come", a->party->name, what);
        }
}

static bool is_welcome(struct live_agent *a, void *arg)
{
        return a->welcome != NULL;
}

void live_hello(struct live_agent *a)
{
        Shuyi__V1__Hello h = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Lane lanes[2] = { SHUYI__V1__LANE__INIT, SHUYI__V1__LANE__INIT }, *rows[2] = { &lanes[0], &lanes[1] };

        lanes[0].next = a->next[0];
        lanes[1].lane = 1;
        lanes[1].next = a->next[1];
        h.protocol = 1;
        h.domain = CITY_DOMAIN;
        h.agent = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)a->party->id.b };
        h.outbox_epoch = a->epoch;
        h.n_lanes = 2;
        h.lanes = rows;
        h.trust_seq = a->trust;
        h.mail = a->mail;
        h.software = "tests";
        h.parcel_frames = 64;
        h.parcel_bytes = 4 << 20;
        a->welcome = NULL;
        live_send(a, FRAME_HELLO, &h.base);
        live_pump(a, is_welcome, NULL, "WELCOME");
}

static bool is_up(struct live_agent *a, void *arg)
{
        return a->denied || !a->down;
}

void live_connect(struct live *l, const struct party *agent, struct live_agent *ret)
{
        struct link_client_options o = { .endpoint = l->endpoint, .server_key = l->link_key, .secret_key = agent->link_secret };

        *ret = (struct live_agent){ .live = l, .party = agent, .epoch = 1, .next = { 1, 1 }, .arena = arena_new((size_t)1 << 30), .down = true };
        if (link_client_open(l->links, &o, &ret->link) < 0)
                fail_live(l, "cannot open a link");
        live_pump(ret, is_up, NULL, "the handshake");
}

void live_open(struct live *l, const struct party *agent, struct live_agent *ret)
{
        live_connect(l, agent, ret);
        if (ret->denied)
                fail_live(l, "%s was denied", agent->name);
        live_hello(ret);
}

void live_close(struct live_agent *a)
{
        link_client_close(a->link);
        free(a->rows);
        free(a->parcels);
        arena_free(a->arena);
        *a = (struct live_agent){ 0 };
}

/* ---- acts, reads, parcels ---- */

uint64_t live_put(struct live_agent *a, uint8_t lane, struct bytes envelope)
{
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;

        put.lane = lane;
        put.outbox_epoch = a->epoch;
        put.outbox_seq = a->next[lane]++;
        put.envelope = (ProtobufCBinaryData){ envelope.n, (uint8_t *)envelope.p };
        live_send(a, FRAME_PUT, &put.base);
        return put.outbox_seq;
}

struct settling { uint8_t lane; uint64_t number; struct live_row row; };

static bool is_settled(struct live_agent *a, void *arg)
{
        struct settling *s = arg;

        for (size_t i = 0; i < a->rows_n; i++)
                if (a->rows[i].lane == s->lane && a->rows[i].number == s->number) {
                        s->row = a->rows[i];
                        return true;
                }
        return false;
}

struct live_row live_settle(struct live_agent *a, uint8_t lane, uint64_t number)
{
        struct settling s = { lane, number, { 0 } };

        live_pump(a, is_settled, &s, "a receipt");
        return s.row;
}

struct live_row live_act(struct live_agent *a, uint8_t lane, struct bytes envelope)
{
        return live_settle(a, lane, live_put(a, lane, envelope));
}

static bool is_page(struct live_agent *a, void *arg)
{
        return a->page && a->page->number == a->reads;
}

static const Shuyi__V1__Page *ask(struct live_agent *a, uint32_t what, struct bytes key, struct bytes after, uint64_t need_seq, struct bytes query)
{
        Shuyi__V1__Read r = SHUYI__V1__READ__INIT;

        r.number = ++a->reads;
        r.what = what;
        r.key = (ProtobufCBinaryData){ key.n, (uint8_t *)key.p };
        r.after = (ProtobufCBinaryData){ after.n, (uint8_t *)after.p };
        r.need_seq = need_seq;
        r.query = (ProtobufCBinaryData){ query.n, (uint8_t *)query.p };
        live_send(a, FRAME_READ, &r.base);
        live_pump(a, is_page, NULL, "a page");
        return a->page;
}

const Shuyi__V1__Page *live_read(struct live_agent *a, uint32_t what, struct bytes key, uint64_t need_seq, struct bytes query)
{
        return ask(a, what, key, (struct bytes){ 0 }, need_seq, query);
}

const Shuyi__V1__Page *live_read_on(struct live_agent *a, uint32_t what, struct bytes key, struct bytes after, struct bytes query)
{
        return ask(a, what, key, after, 0, query);
}

struct wanted { uint32_t type; uint64_t cursor; const Shuyi__V1__Parcel *found; };

static bool has_parcel(struct live_agent *a, void *arg)
{
        struct wanted *w = arg;

        for (size_t i = 0; i < a->parcels_n && !w->found; i++)
                if (a->parcels[i].parcel->type == w->type && a->parcels[i].parcel->cursor == w->cursor)
                        w->found = a->parcels[i].parcel;
        return w->found;
}

const Shuyi__V1__Parcel *live_parcel(struct live_agent *a, uint32_t type, uint64_t cursor)
{
        struct wanted w = { type, cursor, NULL };

        live_pump(a, has_parcel, &w, "a parcel");
        return w.found;
}
