/* witness_serve: see the header. */
#include "agent/cli/witness_serve.h"

#include "common/digest.h"
#include "common/failpoint.h"
#include "common/http.h"
#include "common/log.h"
#include "common/macro.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REQUEST_ARENA_BYTES (256u << 10)
#define CONNECTIONS 64
#define TIMEOUT_S 10
#define RATE_PER_S 20                           /* cosignatures a log; a broker asks once a second */
#define RATE_BURST 60
#define TOO_MANY 429

enum { MOVES, REPEATS, RATES };                 /* a stranger can repeat the newest request, but never move a log on */

struct bucket { double tokens; uint64_t at_ns; };

struct witness_server {
        struct witness_store *store;
        const struct witness_self *self;
        const struct witness_known *known;
        unsigned known_n;
        struct bucket bucket[WITNESS_LOGS_MAX][RATES];
        struct http_server *http;
};

static const struct witness_known *find_known(const struct witness_server *s, const char *origin)
{
        for (unsigned i = 0; i < s->known_n; i++)
                if (strcmp(s->known[i].origin, origin) == 0)
                        return &s->known[i];
        return NULL;
}

static bool take_token(struct bucket *b, uint64_t now_ns)
{
        double tokens = b->at_ns == 0 ? RATE_BURST : b->tokens + (double)(now_ns - b->at_ns) / 1e9 * RATE_PER_S;

        b->at_ns = now_ns;
        b->tokens = tokens > RATE_BURST ? RATE_BURST : tokens;
        if (b->tokens < 1)
                return false;
        b->tokens -= 1;
        return true;
}

/* ---- one head ---- */

struct asked { struct witness_request rq; struct checkpoint c; const struct witness_known *by; struct witness_head last; uint64_t epoch; const char *last_note; };

/* Two roots of one size, both signed by the log: nothing else could prove more, so both notes are kept. */
static void keep_conflict(struct witness_server *s, struct arena *a, const struct asked *q)
{
        char *name = arena_printf(a, "conflict-%s-%llu", q->c.origin, (unsigned long long)q->c.size);
        char *text = arena_printf(a, "%s\n%s", q->last_note, q->rq.note);

        for (char *p = name; p && *p; p++)
                if (*p == '/')
                        *p = '_';
        log_event(LOG_CRIT, "witness.two_histories", log_str("origin", q->c.origin), log_u64("size", q->c.size));
        if (!name || !text || strlen(name) > 200 || witness_store_keep(s->store, name, text) < 0)
                log_event(LOG_ERR, "witness.evidence_not_kept", log_str("origin", q->c.origin));
}

/* Anybody can send the same wrong request again: the log of events does not grow with it. */
static bool worth_telling(struct witness_server *s, const struct asked *q)
{
        return take_token(&s->bucket[q->by - s->known][REPEATS], times_mono().ns);
}

static const char *size_line(struct arena *a, uint64_t size, const char **ret_type)
{
        *ret_type = WITNESS_SIZE_TYPE;
        return arena_printf(a, "%llu\n", (unsigned long long)size);
}

/* The last head moves on, on disk, before anybody sees the cosignature. */
static void remember(struct witness_server *s, const struct asked *q)
{
        struct witness_log next = { q->c.origin, { q->c.size, q->c.root }, q->epoch, q->rq.note };
        int r;

        FAILPOINT("witness.before_state");
        r = witness_store_put(s->store, &next);
        if (r < 0) {
                log_event(LOG_CRIT, "witness.state", log_errno("fault", r));
                _exit(70);              /* what is on disk is not known: a new start reads it */
        }
        FAILPOINT("witness.after_state");
}

static unsigned cosign(struct witness_server *s, struct arena *a, const struct asked *q, const char **ret_text)
{
        bool moves = !q->last_note || q->c.size != q->last.size;
        const char *line = checkpoint_cosign(a, q->rq.note, witness_store_name(s->store), times_wall().ms / 1000, secret_peek(s->self->secret), s->self->key);

        if (!take_token(&s->bucket[q->by - s->known][moves ? MOVES : REPEATS], times_mono().ns)) {
                *ret_text = "too many requests for this log\n";
                return TOO_MANY;
        }
        if (!line)
                return 500;
        if (moves)
                remember(s, q);
        *ret_text = line;
        return WITNESS_COSIGN;
}

static unsigned judge(struct witness_server *s, struct arena *a, const struct asked *q, const char **ret_text, const char **ret_type)
{
        enum witness_answer answer = witness_judge(&q->last, &q->rq, &q->c);

        if (answer == WITNESS_COSIGN)
                return cosign(s, a, q, ret_text);
        if (answer == WITNESS_FORM)
                *ret_text = "the old size is above the checkpoint's\n";
        if (answer == WITNESS_CONFLICT) {
                if (q->last.size == q->c.size && !digest_equal(&q->last.root, &q->c.root) && worth_telling(s, q))
                        keep_conflict(s, a, q);
                *ret_text = size_line(a, q->last.size, ret_type);
        }
        if (answer == WITNESS_INCONSISTENT) {
                if (worth_telling(s, q))
                        log_event(LOG_ERR, "witness.inconsistent", log_str("origin", q->c.origin), log_u64("cosigned", q->last.size), log_u64("size", q->c.size));
                *ret_text = "the consistency proof does not hold\n";
        }
        return answer;
}

unsigned witness_serve_answer(struct witness_server *s, struct arena *a, struct bytes body, const char **ret_text, const char **ret_type)
{
        const struct witness_log *last;
        struct asked q = { 0 };
        struct checkpoint c;
        const char *wrong = witness_request_parse(a, body, &q.rq);

        *ret_text = "";
        *ret_type = "text/plain; charset=utf-8";
        if (!wrong)
                wrong = checkpoint_peek(a, q.rq.note, &c);
        if (wrong) {
                *ret_text = arena_printf(a, "%s\n", wrong);
                return WITNESS_FORM;
        }
        q.by = find_known(s, c.origin);
        if (!q.by)
                return WITNESS_UNKNOWN;
        wrong = checkpoint_verify(a, q.rq.note, q.by->origin, q.by->key, &q.c);
        if (wrong) {
                *ret_text = arena_printf(a, "%s\n", wrong);
                return WITNESS_SIGNATURE;
        }
        last = witness_store_find(s->store, q.c.origin);
        if (last) {
                q.last = last->head;
                q.epoch = last->epoch;
                q.last_note = last->note;
        }
        return judge(s, a, &q, ret_text, ret_type);
}

/* ---- HTTP ---- */

static void handle_add(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(REQUEST_ARENA_BYTES);
        const char *text, *type;
        unsigned status;

        if (!a)
                return;                         /* 500 */
        status = witness_serve_answer(ctx, a, http_body(rq), &text, &type);
        if (status == TOO_MANY)
                reply->retry_after_s = 1;
        http_reply_text(reply, status, type, text ? text : "");
}

static void handle_health(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        http_reply_text(reply, 200, "text/plain", "ok\n");
}

static const struct http_route routes[] = {
        { "POST", "/add-checkpoint", handle_add },
        { "GET", "/healthz", handle_health },
};

int witness_serve_start(const char *listen, struct witness_store *store, const struct witness_self *self, const struct witness_known *known, unsigned known_n,
                        struct witness_server **ret)
{
        struct witness_server *s = calloc(1, sizeof(*s));
        struct http_options options = { .listen = listen, .routes = routes, .route_count = ELEMENTS(routes), .ctx = s, .body_max_bytes = WITNESS_REQUEST_MAX_BYTES,
                                        .connections = CONNECTIONS, .timeout_s = TIMEOUT_S };
        int r = 0;

        if (!s || known_n > WITNESS_LOGS_MAX) {
                free(s);
                return s ? -EINVAL : -ENOMEM;
        }
        s->store = store;
        s->self = self;
        s->known = known;
        s->known_n = known_n;
        *ret = s;
        if (listen)
                r = http_start(&options, &s->http);
        if (r < 0) {
                free(s);
                *ret = NULL;
        }
        return r;
}

void witness_serve_stop(struct witness_server *s)
{
        if (!s)
                return;
        http_stop(s->http);
        free(s);
}

unsigned witness_serve_port(const struct witness_server *s)
{
        return http_port(s->http);
}
