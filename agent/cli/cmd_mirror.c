/* cmd_mirror: an auditor follows the log over a department's agent and trusts neither the agent nor the center.
 *
 * It reads page by page what lies behind its own last entry, that entry included, so that a log which was exchanged shows; then
 * the published head.  What does not hold ends the command with CLI_CHECK and leaves the evidence in DIR/alarms.  Where the
 * agent or the center is away, --follow waits for it. */
#include "agent/cli/cmd_mirror.h"
#include "agent/cli/asker.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/mirror.h"
#include "common/artifact.h"
#include "common/macro.h"
#include "proto/audit.pb-c.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROWS_A_PAGE 500
#define SIGN_AGAIN_NS 120000000000ull
#define PROGRESS_NS 2000000000ull
#define AHEAD_TRIES 30                          /* how often a published head may be ahead of what the log gives */

struct follow {
        struct cli *c;
        struct cli page;                        /* the same with the memory of one page */
        struct mirror *mirror;
        struct asker asker;
        struct bytes key;                       /* LogQuery */
        uint8_t question[4096];                 /* signed, and */
        size_t question_n;
        struct mono_time signed_at, told;
        const char *evidence;                   /* what was read last: base64, or a note; of the page's memory */
        unsigned ahead;
        bool follows;
};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
        (void)number;
        stopping = 1;
}

/* ---- an alarm ---- */

static void write_evidence(struct follow *f, const struct mirror_wrong *w)
{
        const char *dir = f->c->operands[0];
        uint64_t now = times_wall().ms;
        char *path = arena_printf(f->page.arena, "%s/alarms/%llu-%llu.json", dir, (unsigned long long)w->seq, (unsigned long long)now);
        char *folder = arena_printf(f->page.arena, "%s/alarms", dir);
        json_t *all = json_pack("{s:I, s:s, s:I, s:I, s:I, s:s?}", "seq", (json_int_t)w->seq, "differs", w->what, "at", (json_int_t)now, "held",
                                (json_int_t)mirror_seq(f->mirror), "published", (json_int_t)mirror_published(f->mirror), "shown", f->evidence);
        char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;

        if (folder && mkdir(folder, 0700) < 0 && errno != EEXIST)
                cli_error("%s: %s", folder, strerror(errno));
        if (path && text && file_write(&f->page, path, bytes_str(text), 0600, false) == 0)
                cli_error("the evidence is in %s", path);
        free(text);
        json_decref(all);
}

/* What a function of the mirror answered, as an exit code after a message. */
static int judge(struct follow *f, int r)
{
        const struct mirror_wrong *w = mirror_wrong(f->mirror);

        if (r >= 0)
                return CLI_OK;
        if (r != -EBADMSG || !w->what[0]) {
                cli_error("%s: %s", f->c->operands[0], strerror(-r));
                return CLI_FAILED;
        }
        cli_error("ALARM: event=mirror.alarm seq=%llu differs=\"%s\"", (unsigned long long)w->seq, w->what);
        write_evidence(f, w);
        if (f->c->json)
                cli_print(f->c, json_pack("{s:I, s:s}", "alarm", (json_int_t)w->seq, "differs", w->what), NULL);
        return CLI_CHECK;
}

/* ---- asking ---- */

static int sign(struct follow *f)
{
        struct bytes question;
        int code = CLI_OK;

        if (f->question_n == 0 || times_mono().ns - f->signed_at.ns > SIGN_AGAIN_NS) {
                code = asker_sign(&f->page, &f->asker, f->key, &question);
                if (code == CLI_OK && question.n > sizeof(f->question))
                        code = CLI_FAILED;
                if (code != CLI_OK)
                        return code;
                memcpy(f->question, question.p, question.n);
                f->question_n = question.n;
                f->signed_at = times_mono();
        }
        return code;
}

static int ask(struct follow *f, uint32_t what, const char *after, json_t **ret)
{
        struct client_query q = { .what = what };
        int code = CLI_OK;

        if (what == READ_LOG || what == READ_BASE) {
                code = sign(f);
                q.key = f->key;
                q.signed_query = bytes_of(f->question, f->question_n);
        }
        return code == CLI_OK ? client_page(&f->page, &q, after, ROWS_A_PAGE, ret) : code;
}

static uint32_t refusal_of(const json_t *page) { return (uint32_t)json_integer_value(json_object_get(page, "code")); }

static int tell_refusal(const json_t *page)
{
        const char *detail = json_string_value(json_object_get(page, "detail"));
        const struct refusal_text *t = refusal_text(refusal_of(page));

        cli_error("%s: %s%s%s", t->code, t->english, detail && *detail ? ": " : "", detail ? detail : "");
        return CLI_REFUSED;
}

/* ---- a page ---- */

static int take_rows(struct follow *f, const json_t *rows)
{
        const json_t *value;
        size_t i;
        int r = mirror_begin(f->mirror);

        json_array_foreach(rows, i, value) {
                struct bytes row;

                if (r < 0)
                        break;
                f->evidence = json_string_value(value);
                row = client_unbase64(&f->page, f->evidence);
                r = row.p ? mirror_take(f->mirror, row) : -ENOMEM;
        }
        if (r == 0)
                r = mirror_commit(f->mirror);
        if (r < 0)
                mirror_abort(f->mirror);
        if (r != -ENODATA)
                return judge(f, r);
        cli_error("%s: what follows entry %llu was purged meanwhile: this copy cannot go on, a new one begins at a state image", f->c->operands[0], (unsigned long long)mirror_seq(f->mirror));
        return CLI_REFUSED;
}

static void tell_progress(struct follow *f, uint64_t as_of)
{
        struct mono_time now = times_mono();

        if (!isatty(STDERR_FILENO) || now.ns - f->told.ns < PROGRESS_NS || as_of == mirror_seq(f->mirror))
                return;
        fprintf(stderr, "shuyi: entry %llu of %llu\n", (unsigned long long)mirror_seq(f->mirror), (unsigned long long)as_of);
        f->told = now;
}

static int take_page(struct follow *f, const json_t *page, bool *ret_more)
{
        uint64_t as_of = (uint64_t)json_integer_value(json_object_get(page, "as_of")), before = mirror_reached(f->mirror);
        int code = CLI_OK;

        *ret_more = false;
        if (refusal_of(page) == E_ROLE)
                f->question_n = 0;              /* perhaps it only grew old */
        if (refusal_of(page) == ACCEPTED || refusal_of(page) == E_NOT_FOUND)
                code = judge(f, mirror_check_end(f->mirror, as_of));
        if (code == CLI_OK && refusal_of(page) != ACCEPTED)
                return tell_refusal(page);
        if (code == CLI_OK)
                code = take_rows(f, json_object_get(page, "rows"));
        tell_progress(f, as_of);
        *ret_more = code == CLI_OK && mirror_reached(f->mirror) < as_of && mirror_reached(f->mirror) > before;
        return code;
}

/* The entry held is asked for again, but of what lies before an image. */
static uint64_t last_before(const struct mirror *m)
{
        uint64_t reached = mirror_reached(m);

        return reached == mirror_seq(m) && reached > 0 ? reached - 1 : reached;
}

/* From the last entry held, which is shown again, to the end. */
static int catch_up(struct follow *f)
{
        bool more = true;
        int code = CLI_OK;

        while (code == CLI_OK && more && !stopping) {
                uint8_t after[8];
                json_t *page = NULL;

                arena_reset(f->page.arena);
                put_be64(after, last_before(f->mirror));
                code = ask(f, READ_LOG, last_before(f->mirror) > 0 ? client_hex(&f->page, bytes_of(after, 8)) : NULL, &page);
                if (code == CLI_OK)
                        code = take_page(f, page, &more);
                json_decref(page);
        }
        return code;
}

/* ---- a log that was purged ---- */

/* Are inputs gone, so that no state can be derived from the first entry on? */
static int ask_purged(struct follow *f, bool *ret)
{
        json_t *page = NULL;
        int code = ask(f, READ_STATUS, NULL, &page);
        const char *text = code == CLI_OK ? json_string_value(json_array_get(json_object_get(page, "rows"), 0)) : NULL;
        struct bytes packed = text ? client_unbase64(&f->page, text) : (struct bytes){ 0 };
        const Shuyi__V1__StatusRow *row = packed.p ? message_parse(f->page.arena, &shuyi__v1__status_row__descriptor, packed) : NULL;

        *ret = row && row->inputs_purged_to > 0;
        if (code == CLI_OK && refusal_of(page) != ACCEPTED)
                code = tell_refusal(page);
        json_decref(page);
        return code;
}

static int write_rows(struct follow *f, FILE *out, const json_t *rows)
{
        const json_t *value;
        size_t i;

        json_array_foreach(rows, i, value) {
                struct bytes piece = client_unbase64(&f->page, json_string_value(value));

                if (!piece.p || fwrite(piece.p, 1, piece.n, out) != piece.n) {
                        cli_error("the state image: %s", strerror(piece.p ? errno : ENOMEM));
                        return CLI_FAILED;
                }
        }
        return CLI_OK;
}

static int fetch_image(struct follow *f, FILE *out)
{
        char after[80] = "";
        int code = CLI_OK;

        do {
                json_t *page = NULL;

                arena_reset(f->page.arena);
                code = ask(f, READ_BASE, *after ? after : NULL, &page);
                if (code == CLI_OK && refusal_of(page) != ACCEPTED)
                        code = tell_refusal(page);
                if (code == CLI_OK)
                        code = write_rows(f, out, json_object_get(page, "rows"));
                snprintf(after, sizeof(after), "%s", code == CLI_OK && json_string_value(json_object_get(page, "next")) ? json_string_value(json_object_get(page, "next")) : "");
                json_decref(page);
        } while (code == CLI_OK && *after && !stopping);
        return code;
}

static int begin_at_image(struct follow *f)
{
        char path[4200];
        FILE *out;
        int code;

        snprintf(path, sizeof(path), "%s/image", f->c->operands[0]);
        out = fopen(path, "wbe");
        code = out ? fetch_image(f, out) : CLI_FAILED;
        if (!out || fclose(out) != 0) {
                cli_error("%s: %s", path, strerror(errno));
                code = CLI_FAILED;
        }
        f->evidence = "";
        if (code == CLI_OK && !stopping)
                code = judge(f, mirror_begin_at(f->mirror, path));
        if (code != CLI_CHECK)
                unlink(path);                   /* else it is evidence */
        if (code == CLI_OK && !stopping)
                cli_error("entries of this log were purged: the copy begins at the center's signed state of entry %llu; before it what is left is held against the tree, outcomes are not derived",
                          (unsigned long long)mirror_image(f->mirror));
        return code;
}

/* An empty mirror. */
static int begin(struct follow *f)
{
        bool purged = false;
        int code = ask_purged(f, &purged);

        return code == CLI_OK && purged ? begin_at_image(f) : code;
}

/* ---- the published head ---- */

static int take_published(struct follow *f, const json_t *page)
{
        const char *text = json_string_value(json_array_get(json_object_get(page, "rows"), 0));
        struct bytes packed = text ? client_unbase64(&f->page, text) : (struct bytes){ 0 };
        const Shuyi__V1__CheckpointRow *row = packed.p ? message_parse(f->page.arena, &shuyi__v1__checkpoint_row__descriptor, packed) : NULL;
        int r;

        if (!row) {
                cli_error("the published head is not of the form that this version knows");
                return CLI_FAILED;
        }
        f->evidence = row->note;
        r = mirror_check_published(f->mirror, row->note);
        f->ahead = r > 0 ? f->ahead + 1 : 0;
        return judge(f, r);
}

static int check_published(struct follow *f)
{
        json_t *page = NULL;
        int code = ask(f, READ_CHECKPOINT, NULL, &page);

        if (code == CLI_OK && refusal_of(page) == ACCEPTED)
                code = take_published(f, page);
        else if (code == CLI_OK && refusal_of(page) != E_NOT_FOUND)     /* not published yet: no fault */
                code = tell_refusal(page);
        json_decref(page);
        if (f->ahead >= AHEAD_TRIES) {
                cli_error("ALARM: event=mirror.alarm seq=%llu differs=\"a published head is ahead of all that the log shows\"", (unsigned long long)mirror_seq(f->mirror) + 1);
                code = CLI_CHECK;
        }
        return code;
}

/* ---- following ---- */

static void rest(struct follow *f)
{
        struct timespec nap = { 1, 0 };

        if (!stopping)
                nanosleep(&nap, NULL);
        arena_reset(f->page.arena);
}

/* Once, until all is held and no published head is ahead; or for ever.  The center may be away for a while. */
static int follow(struct follow *f)
{
        for (;;) {
                int code = mirror_seq(f->mirror) == 0 ? begin(f) : CLI_OK;

                if (code == CLI_OK)
                        code = catch_up(f);

                if (code == CLI_OK && !stopping)
                        code = check_published(f);
                if (code == CLI_CHECK)
                        return code;
                if (stopping)
                        return f->follows ? CLI_OK : code;      /* who is asked to end while the agent is away ends well */
                if (!f->follows && (code != CLI_OK || f->ahead == 0))
                        return code;
                rest(f);
        }
}

static void print_text(const struct cli *c, const json_t *at, FILE *out)
{
        fprintf(out, "%s, epoch %" JSON_INTEGER_FORMAT ": all holds to entry %" JSON_INTEGER_FORMAT "\n", json_string_value(json_object_get(at, "origin")),
                json_integer_value(json_object_get(at, "epoch")), json_integer_value(json_object_get(at, "seq")));
        fprintf(out, "  root   %s\n  state  %s, %" JSON_INTEGER_FORMAT " rows\n", json_string_value(json_object_get(at, "root")),
                json_string_value(json_object_get(at, "state")), json_integer_value(json_object_get(at, "rows")));
        if (json_integer_value(json_object_get(at, "published")) > 0)
                fprintf(out, "  the published head of %" JSON_INTEGER_FORMAT " entries signs the same tree\n", json_integer_value(json_object_get(at, "published")));
        fprintf(out, "  this time %" JSON_INTEGER_FORMAT " entries, %" JSON_INTEGER_FORMAT " signatures and %" JSON_INTEGER_FORMAT " tree heads were derived anew\n",
                json_integer_value(json_object_get(at, "entries")), json_integer_value(json_object_get(at, "signatures")), json_integer_value(json_object_get(at, "heads")));
        if (json_integer_value(json_object_get(at, "image")) > 0)
                fprintf(out, "  up to entry %" JSON_INTEGER_FORMAT " the state is the center's signed image, and nothing was derived: entries were purged\n", json_integer_value(json_object_get(at, "image")));
        fputs("search it: shuyi audit search --mirror DIR\n", out);
}

static int print_standing(struct follow *f)
{
        const struct mirror_counts *n = mirror_counts(f->mirror);
        struct mirror_standing at;
        int r = mirror_standing(f->mirror, &at);

        if (r < 0)
                return judge(f, r);
        cli_print(f->c, json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "domain", mirror_domain(f->mirror), "origin", mirror_origin(f->mirror),
                                  "epoch", (json_int_t)at.epoch, "seq", (json_int_t)at.seq, "rows", (json_int_t)at.rows,
                                  "root", client_hex(f->c, bytes_digest(&at.root)), "state", client_hex(f->c, bytes_digest(&at.state)),
                                  "published", (json_int_t)mirror_published(f->mirror), "entries", (json_int_t)n->entries,
                                  "signatures", (json_int_t)n->signatures, "heads", (json_int_t)n->heads, "image", (json_int_t)mirror_image(f->mirror),
                                  "left", (json_int_t)n->left, "gone", (json_int_t)n->gone), print_text);
        return CLI_OK;
}

/* ---- starting ---- */

static int read_anchor(struct cli *c, struct bytes *ret)
{
        const Shuyi__V1__SignedAnchor *anchor;
        struct bytes text;
        const char *wrong;

        if (!cli_option(c, "anchor"))
                return 0;
        if (file_read(c, cli_option(c, "anchor"), &text) < 0)
                return -1;
        wrong = artifact_read(c->arena, ARTIFACT_ANCHOR, text, &anchor);
        *ret = wrong ? (struct bytes){ 0 } : message_pack(c->arena, &anchor->base);
        if (wrong)
                cli_error("%s: not an anchor: %s", cli_option(c, "anchor"), wrong);
        return wrong ? -1 : 0;
}

static const char *open_fault(int r)
{
        switch (r) {
        case -EBUSY: return "another program follows this mirror";
        case -ENOKEY: return "a new mirror needs --anchor, the anchor that you compared yourself";
        case -EKEYREJECTED: return "this mirror was begun with another anchor";
        case -EINVAL: return "that is not an anchor with a log";
        case -EMEDIUMTYPE: return "a mirror must lie on a file system that lasts (or --allow-volatile)";
        default: return strerror(-r);
        }
}

static bool agent_answers(struct follow *f)
{
        json_t *answer = NULL;
        long status;
        bool answers = client_call(&f->page, "GET", "/v1/status", NULL, &status, &answer) >= 0;

        json_decref(answer);
        return answers;
}

/* A follower may be started before its agent. */
static int open_asker(struct follow *f)
{
        int code;

        do {
                while (f->follows && !stopping && !agent_answers(f))
                        rest(f);
                code = stopping ? CLI_FAILED : asker_open(f->c, &f->asker);
        } while (code == CLI_FAILED && f->follows && !stopping && !agent_answers(f));
        return code;
}

static int run(struct follow *f)
{
        Shuyi__V1__LogQuery q = SHUYI__V1__LOG_QUERY__INIT;
        struct sigaction act = { .sa_handler = stop };
        int code;

        sigaction(SIGTERM, &act, NULL);
        sigaction(SIGINT, &act, NULL);
        code = open_asker(f);
        if (code != CLI_OK)
                return stopping ? CLI_OK : code;
        q.origin = (char *)mirror_origin(f->mirror);
        f->key = message_pack(f->c->arena, &q.base);
        code = follow(f);
        asker_fini(&f->asker);
        return code == CLI_OK ? print_standing(f) : code;
}

int audit_mirror(struct cli *c)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(64u << 20);
        struct mirror_options o = { .dir = c->operands[0], .allow_volatile = cli_switch(c, "allow-volatile") };
        struct follow f = { .c = c, .page = *c, .follows = cli_switch(c, "follow") };
        int r, code;

        f.page.arena = arena;
        if (!arena || read_anchor(c, &o.signed_anchor) < 0)
                return CLI_FAILED;
        r = mirror_open(&o, &f.mirror);
        if (r < 0) {
                cli_error("%s: %s", o.dir, open_fault(r));
                return r == -ENOKEY ? CLI_USAGE : CLI_FAILED;
        }
        code = run(&f);
        mirror_close(f.mirror);
        return code;
}

const struct cli_option options_mirror[] = {
        { "key", "FILE", "key file of an AUDIT_OFFICER of the authority", true }, PASSPHRASE_OPTIONS,
        { "as", "ROLE", "AUDIT_OFFICER is what the center asks for", false },
        { "anchor", "FILE", "the domain's anchor, needed once: a new mirror trusts nothing else", false },
        { "follow", NULL, "go on, until it is stopped or something does not hold", false },
        { "allow-volatile", NULL, "take a directory that a restart forgets: for tests and demonstrations", false },
        { NULL, NULL, NULL, false },
};
