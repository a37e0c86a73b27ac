/* witness: see the header.  A round: all are asked at once; it ends soon after the quorum is there, or when nobody answers any more.
 * Who is slower than that goes on in the background, so that the next question to him starts from what he then has cosigned. */
#include "broker/witness.h"

#include "broker/ask.h"
#include "broker/published_file.h"
#include "broker/recover.h"
#include "common/checkpoint.h"
#include "common/digest.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include "common/witness.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define ROUND_MS 1000                           /* at most one head in this time */
#define ASK_MS 5000                             /* for one answer */
#define GRACE_MS 100                            /* for the others, once the quorum is there */
#define TURN_MS 100
#define TRIES 3                                 /* a round: a 409 names the size to start from */
#define BACKOFF_MAX_S 30
#define TILE_PATIENCE_MS 1000
#define ARENA_BYTES (1u << 20)

struct one {
        const char *name, *url;
        const uint8_t *key;             /* of this round, in its arena; NULL: the anchor does not name it */
        uint64_t size;                  /* what it cosigned last, as far as we know */
        unsigned tries, failures;
        uint64_t wait_until_ns;         /* after failures */
        bool busy;
        char *body, *note;              /* what it is asked */
        uint64_t old, asked;            /* from this size to that one */
        char *line;                     /* its cosignature on `note` */
        struct ask ask;
};

struct witness_collector {
        struct broker *broker;
        pthread_t thread;
        _Atomic bool stopping;
        struct metrics_block *counts;
        struct asker *asker;
        struct tiles_reader *tiles;
        struct arena *arena;            /* of one round */
        const Shuyi__V1__Anchor *anchor;        /* of this round */
        struct one one[SETTINGS_WITNESSES_MAX];
        unsigned n;
        struct published_head restored; /* of the last run; note NULL: none, or taken */
        struct arena *restored_arena;
        bool short_told;
};

static uint64_t now_ns(void) { return times_mono().ns; }

/* ---- what one witness answers ---- */

static void count(struct witness_collector *w, const struct one *o, enum broker_metric row)
{
        metrics_inc(w->counts, row, (unsigned)(o - w->one));
}

/* Is asked again after 1, 2, 4, ... seconds.  Is this its first failure? */
static bool put_off(struct one *o)
{
        uint64_t wait_s = o->failures < 5 ? 1u << o->failures : BACKOFF_MAX_S;

        o->wait_until_ns = now_ns() + wait_s * 1000000000ull;
        return o->failures++ == 0;
}

/* He saw another history, or more of it than there is: only people can tell whose fault that is. */
static void alarm_fork(struct witness_collector *w, struct one *o, const char *why, uint64_t seen)
{
        count(w, o, M_WITNESS_REFUSED);
        log_event(LOG_CRIT, "witness.log_refused", log_str("witness", o->name), log_str("why", why), log_u64("status", (uint64_t)o->ask.status),
                  log_u64("witness_size", seen), log_u64("size", o->asked));
        put_off(o);
}

static void fail_one(struct witness_collector *w, struct one *o, const char *why)
{
        count(w, o, M_WITNESS_FAILED);
        if (put_off(o))
                log_event(LOG_WARNING, "witness.failed", log_str("witness", o->name), log_str("why", why), log_u64("status", (uint64_t)o->ask.status));
}

/* One of the lines that came must be his, on this note. */
static void take_cosignature(struct witness_collector *w, struct one *o)
{
        struct note_cursor c = { o->ask.reply, o->ask.reply + o->ask.reply_n };
        struct bytes line;
        uint64_t at;

        while (note_next_line(&c, &line)) {
                if (checkpoint_check_cosignature(o->note, line, o->name, o->key, &at))
                        continue;
                free(o->line);
                o->line = strndup((const char *)line.p, line.n);
                o->size = o->asked;
                if (o->failures > 0)
                        log_event(LOG_NOTICE, "witness.back", log_str("witness", o->name));
                o->failures = 0;
                count(w, o, M_WITNESS_COSIGNED);
                return;
        }
        fail_one(w, o, "its answer is no cosignature by the anchor's key");
}

/* True: ask again from the size that it names. */
static bool take_conflict(struct witness_collector *w, struct one *o)
{
        struct bytes text = bytes_of(o->ask.reply, o->ask.reply_n);
        uint64_t size;

        if (text.n > 0 && text.p[text.n - 1] == '\n')
                text.n--;
        if (strcmp(o->ask.type, WITNESS_SIZE_TYPE) != 0 || !note_parse_number(text, &size)) {
                fail_one(w, o, "409 without a size");
                return false;
        }
        if (size == o->old || size > o->asked) {
                alarm_fork(w, o, size == o->old ? "another root of the same size" : "it has cosigned more than this log has", size);
                return false;
        }
        if (size < o->size)
                log_event(LOG_ERR, "witness.went_back", log_str("witness", o->name), log_u64("from", o->size), log_u64("to", size));
        o->size = size;
        return ++o->tries < TRIES;
}

/* True: ask again. */
static bool take_answer(struct witness_collector *w, struct one *o)
{
        o->busy = false;
        if (!o->key)
                return false;
        if (o->ask.status == WITNESS_COSIGN)
                take_cosignature(w, o);
        else if (o->ask.status == WITNESS_CONFLICT)
                return take_conflict(w, o);
        else if (o->ask.status == WITNESS_INCONSISTENT)
                alarm_fork(w, o, "the tree does not go on from what it cosigned", o->old);
        else
                fail_one(w, o, o->ask.fault ? o->ask.fault : "status");
        return false;
}

/* ---- asking ---- */

static int ask_one(struct witness_collector *w, struct one *o, const struct published_head *head)
{
        struct merkle_source source = tiles_source(w->tiles);
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n = 0;
        const char *body;
        int r = 0;

        if (o->size > head->size) {
                o->ask.status = 0;
                o->asked = head->size;
                alarm_fork(w, o, "it has cosigned more than this log has", o->size);
                return 0;
        }
        if (o->size > 0 && o->size < head->size)
                r = merkle_prove_consistency(&source, o->size, head->size, path, &n);
        if (r < 0)
                return r;
        body = witness_request_format(w->arena, o->size, path, n, head->note);
        free(o->body);
        free(o->note);
        free(TAKE(o->line));
        o->body = body ? strdup(body) : NULL;
        o->note = strdup(head->note);
        o->old = o->size;
        o->asked = head->size;
        o->ask.url = o->url;
        o->ask.body = o->body;
        if (!o->body || !o->note)
                return -ENOMEM;
        r = asker_start(w->asker, &o->ask);
        o->busy = r == 0;
        return r;
}

static const uint8_t *find_key(const Shuyi__V1__Anchor *anchor, const char *name)
{
        for (size_t i = 0; i < anchor->n_witnesses; i++)
                if (strcmp(anchor->witnesses[i]->name, name) == 0)
                        return anchor->witnesses[i]->key.data;
        return NULL;
}

static bool is_about(const struct one *o, const struct published_head *head)
{
        return o->note && o->asked == head->size && strcmp(o->note, head->note) == 0;
}

static bool has_cosigned(const struct one *o, const struct published_head *head)
{
        return o->key && !o->busy && o->line && is_about(o, head);
}

static void ask_all(struct witness_collector *w, const struct published_head *head)
{
        uint64_t now = now_ns();

        for (unsigned i = 0; i < w->n; i++) {
                struct one *o = &w->one[i];
                int r;

                o->key = find_key(w->anchor, o->name);
                if (!o->key || o->busy || now < o->wait_until_ns || has_cosigned(o, head))
                        continue;
                o->tries = 0;
                r = ask_one(w, o, head);
                if (r < 0)
                        log_event(LOG_WARNING, "witness.not_asked", log_str("witness", o->name), log_errno("fault", r));
        }
}

/* How many have cosigned this head, and how many may still. */
static void look(const struct witness_collector *w, const struct published_head *head, unsigned *ret_have, unsigned *ret_wait)
{
        *ret_have = *ret_wait = 0;
        for (unsigned i = 0; i < w->n; i++) {
                const struct one *o = &w->one[i];

                *ret_have += has_cosigned(o, head);
                *ret_wait += o->key && o->busy;
        }
}

/* Whoever was still at an earlier head is asked about this one. */
static void take_one(struct witness_collector *w, const struct published_head *head)
{
        struct ask *done = asker_next(w->asker, TURN_MS);

        for (unsigned i = 0; done && i < w->n; i++) {
                struct one *o = &w->one[i];
                bool again;
                int r;

                if (&o->ask != done)
                        continue;
                again = take_answer(w, o) || (o->key && o->failures == 0 && !is_about(o, head));
                r = again ? ask_one(w, o, head) : 0;
                if (r < 0)
                        log_event(LOG_WARNING, "witness.not_asked", log_str("witness", o->name), log_errno("fault", r));
        }
}

/* The number of cosignatures on `head` when waiting any longer is of no use. */
static unsigned collect(struct witness_collector *w, const struct published_head *head)
{
        uint64_t end = now_ns() + ASK_MS * 1000000ull;
        unsigned have, wait;

        ask_all(w, head);
        for (;;) {
                look(w, head, &have, &wait);
                if (have >= w->anchor->witness_quorum && end > now_ns() + GRACE_MS * 1000000ull)
                        end = now_ns() + GRACE_MS * 1000000ull;
                if (wait == 0 || now_ns() >= end || atomic_load(&w->stopping))
                        return have;
                take_one(w, head);
        }
}

/* ---- publishing ---- */

static const char *note_with_lines(struct witness_collector *w, const struct published_head *head)
{
        const char *note = head->note;

        for (unsigned i = 0; i < w->n && note; i++) {
                const struct one *o = &w->one[i];

                if (has_cosigned(o, head))
                        note = arena_printf(w->arena, "%s%s\n", note, o->line);
        }
        return note;
}

static int tell_deliver(struct broker *b, const struct published_head *head)
{
        struct news *n = calloc(1, sizeof(*n));
        char *note = strdup(head->note);

        if (!n || !note) {
                free(n);
                free(note);
                return -ENOMEM;
        }
        n->kind = NEWS_PUBLISHED;
        n->note = note;
        n->size = head->size;
        if (news_queue_push(&b->news, n) < 0) {
                free(note);
                free(n);
        }
        return 0;
}

static int bring_out(struct broker *b, const struct published_head *head, const struct checkpoint_quorum *q)
{
        int r = published_set(b->published, head);

        if (r == 0)
                r = tell_deliver(b, head);
        atomic_store(&b->witnessed_at, q->last_s * 1000);
        return r == -ESTALE ? 0 : r;            /* a newer one is out */
}

static int publish_head(struct witness_collector *w, const struct published_head *head)
{
        struct published_head whole = *head;
        struct checkpoint_quorum q;
        char path[4096];
        int r;

        whole.note = note_with_lines(w, head);
        if (!whole.note)
                return -ENOMEM;
        if (checkpoint_quorum(whole.note, w->anchor, &q) || q.count < w->anchor->witness_quorum)
                return -EBADMSG;
        r = published_file_write(recover_dir(w->broker, "published", path), &whole);
        if (r < 0)
                log_event(LOG_ERR, "published.write", log_errno("fault", r));    /* it holds all the same */
        return bring_out(w->broker, &whole, &q);
}

static int read_anchor(struct broker *b, struct arena *a, const Shuyi__V1__Anchor **ret)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        int r = store_snapshot_open(b->store, &p);

        if (r < 0)
                return r;
        *ret = statekeys_anchor(store_snapshot_state(p), a);
        return *ret ? 0 : -EBADMSG;
}

static int round_of(struct witness_collector *w, const struct published_head *head)
{
        unsigned have;
        int r = read_anchor(w->broker, w->arena, &w->anchor);

        if (r < 0)
                return r;
        atomic_store(&w->broker->witness_quorum, w->anchor->witness_quorum);
        if (w->anchor->witness_quorum == 0)
                return 0;
        have = collect(w, head);
        if (have < w->anchor->witness_quorum) {
                if (!w->short_told)
                        log_event(LOG_ERR, "witness.no_quorum", log_u64("size", head->size), log_u64("have", have), log_u64("need", w->anchor->witness_quorum));
                w->short_told = true;
                return 0;
        }
        w->short_told = false;
        return publish_head(w, head);
}

/* ---- the head of the last run ---- */

/* Its tree must be the one that lies here: else this log is another than the one that was witnessed. */
static int take_restored(struct witness_collector *w)
{
        struct merkle_source source = tiles_source(w->tiles);
        struct checkpoint_quorum q;
        struct digest root;
        int r;

        if (tiles_size(w->broker->tiles) < w->restored.size)
                return 0;
        r = merkle_source_root(&source, w->restored.size, &root);
        if (r < 0)
                return r;
        if (!digest_equal(&root, &w->restored.root)) {
                log_event(LOG_CRIT, "published.another_history", log_u64("size", w->restored.size));
                broker_fail("published.another_history", -EBADMSG);
        }
        r = read_anchor(w->broker, w->arena, &w->anchor);
        if (r == 0 && !checkpoint_quorum(w->restored.note, w->anchor, &q) && q.count >= w->anchor->witness_quorum && w->anchor->witness_quorum > 0)
                r = bring_out(w->broker, &w->restored, &q);
        w->restored.note = NULL;
        return r;
}

static int restore(struct witness_collector *w)
{
        struct broker *b = w->broker;
        struct checkpoint c;
        char path[4096];
        int r = published_file_read(recover_dir(b, "published", path), w->restored_arena, &w->restored);

        if (r == -EBADMSG || (r > 0 && checkpoint_verify(w->restored_arena, w->restored.note, b->origin, b->log_keys.sign_key, &c))) {
                log_event(LOG_WARNING, "published.dropped");
                w->restored.note = NULL;
                return 0;
        }
        if (r <= 0)
                return r;
        w->restored.size = c.size;
        w->restored.root = c.root;
        if (w->restored.epoch != b->epoch) {
                w->restored.note = NULL;        /* of before a declared cut */
                return 0;
        }
        if (c.size > atomic_load(&b->synced)) {
                log_event(LOG_CRIT, "published.more_than_the_log", log_u64("published", c.size), log_u64("synced", atomic_load(&b->synced)));
                return -EBADMSG;
        }
        return 0;
}

/* ---- the thread ---- */

static void nap(struct witness_collector *w, uint64_t until_ns)
{
        while (!atomic_load(&w->stopping) && now_ns() < until_ns)
                nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

static void *run(void *arg)
{
        struct witness_collector *w = arg;
        struct published_head head;

        pthread_setname_np(pthread_self(), "witness");
        while (!atomic_load(&w->stopping)) {
                uint64_t from = now_ns();
                int r;

                arena_reset(w->arena);
                r = w->restored.note ? take_restored(w) : 0;
                if (r >= 0)
                        r = published_candidate(w->broker->published, published_size(w->broker->published), TURN_MS, w->arena, &head);
                if (r == -EPIPE)
                        break;
                if (r > 0 && !w->restored.note) {
                        r = round_of(w, &head);
                        nap(w, from + ROUND_MS * 1000000ull);
                }
                if (r < 0) {
                        log_event(LOG_ERR, "witness.round", log_errno("fault", r));
                        nap(w, from + ROUND_MS * 1000000ull);
                }
        }
        return NULL;
}

/* ---- start and stop ---- */

static void read_config(struct witness_collector *w)
{
        const struct config *c = w->broker->first_config;

        w->n = config_count(c, S_WITNESS_NAME);
        for (unsigned i = 0; i < w->n; i++) {
                w->one[i].name = config_string_at(c, S_WITNESS_NAME, i);
                w->one[i].url = config_string_at(c, S_WITNESS_URL, i);
        }
}

static void release(struct witness_collector *w)
{
        for (unsigned i = 0; i < w->n; i++) {
                if (w->one[i].busy)
                        asker_drop(w->asker, &w->one[i].ask);
                free(w->one[i].body);
                free(w->one[i].note);
                free(w->one[i].line);
        }
        asker_free(w->asker);
        tiles_reader_free(w->tiles);
        arena_free(w->arena);
        arena_free(w->restored_arena);
        free(w);
}

static int prepare(struct witness_collector *w)
{
        const Shuyi__V1__Anchor *anchor;
        int r;

        w->counts = metrics_block_new(w->broker->metrics);
        w->arena = arena_new(ARENA_BYTES);
        w->restored_arena = arena_new(ARENA_BYTES);
        w->tiles = tiles_reader_new(w->broker->tiles, TILE_PATIENCE_MS);
        if (!w->counts || !w->arena || !w->restored_arena || !w->tiles)
                return -ENOMEM;
        if (w->n > 0) {
                w->asker = asker_new(ASK_MS);
                if (!w->asker)
                        return -ENOMEM;
        }
        r = read_anchor(w->broker, w->arena, &anchor);
        if (r < 0)
                return r;
        atomic_store(&w->broker->witness_quorum, anchor->witness_quorum);
        if (anchor->witness_quorum == 0)
                return 0;
        atomic_store(&w->broker->witnessed_at, times_wall().ms);
        return restore(w);
}

int witness_start(struct broker *b, struct witness_collector **ret)
{
        struct witness_collector *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->broker = b;
        read_config(w);
        r = prepare(w);
        if (r == 0)
                r = -pthread_create(&w->thread, NULL, run, w);
        if (r < 0) {
                release(w);
                return r;
        }
        *ret = w;
        return 0;
}

void witness_stop(struct witness_collector *w)
{
        if (!w)
                return;
        atomic_store(&w->stopping, true);
        pthread_join(w->thread, NULL);
        release(w);
}
