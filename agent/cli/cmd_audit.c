/* cmd_audit: who got what, when, by whose approval, how; and who did what with which outcome. */
#include "agent/cli/asker.h"
#include "agent/cli/audit_query.h"
#include "agent/cli/client.h"
#include "agent/cli/cmd_mirror.h"
#include "agent/cli/evidence.h"
#include "agent/cli/mirror.h"
#include "common/macro.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_NS 2000000000ull

/* ---- asking the center ---- */

struct search { const Shuyi__V1__AuditQuery *query; json_t *list; struct mono_time told; };

static void tell_progress(struct search *s)
{
        struct mono_time now = times_mono();

        if (!isatty(STDERR_FILENO) || now.ns - s->told.ns < PROGRESS_NS)
                return;
        fprintf(stderr, "shuyi: %zu found so far\n", json_array_size(s->list));
        s->told = now;
}

/* Rows of one page.  0, or an exit code after a message. */
static int take_page(struct cli *c, struct search *s, const json_t *page)
{
        uint32_t refusal = (uint32_t)json_integer_value(json_object_get(page, "code"));
        const char *detail = json_string_value(json_object_get(page, "detail"));
        const json_t *value;
        size_t i;

        if (refusal != ACCEPTED) {
                cli_error("%s: %s%s%s", refusal_text(refusal)->code, refusal_text(refusal)->english, detail && *detail ? ": " : "", detail ? detail : "");
                return CLI_REFUSED;
        }
        json_array_foreach(json_object_get(page, "rows"), i, value) {
                json_t *row = audit_query_row(s->query, client_unbase64(c, json_string_value(value)), c->arena);

                if (!row)
                        return CLI_FAILED;
                json_array_append_new(s->list, row);
        }
        tell_progress(s);
        return CLI_OK;
}

/* Every page is signed for anew only when the question has grown old; the memory of a page is given back. */
static int ask(struct cli *c, const struct asker *asker, struct bytes key, struct search *s)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(16u << 20);
        struct client_query q = { .what = READ_AUDIT, .key = key };
        struct cli inner = *c;
        struct mono_time asked = { 0 };
        char after[64] = "";
        int code = arena ? CLI_OK : CLI_FAILED;

        for (bool more = true; more && code == CLI_OK;) {
                json_t *page = NULL;

                if (!q.signed_query.p || times_mono().ns - asked.ns > 120000000000ull) {
                        code = asker_sign(c, asker, key, &q.signed_query);
                        asked = times_mono();
                }
                inner.arena = arena;
                arena_reset(arena);
                if (code == CLI_OK)
                        code = client_page(&inner, &q, *after ? after : NULL, 500, &page);
                if (code != CLI_OK)
                        break;
                code = take_page(&inner, s, page);
                snprintf(after, sizeof(after), "%s", json_string_value(json_object_get(page, "next")) ? json_string_value(json_object_get(page, "next")) : "");
                more = *after;
                json_decref(page);
        }
        return code;
}

static int search_center(struct cli *c, const Shuyi__V1__AuditQuery *query, json_t *list)
{
        struct search s = { query, list, times_mono() };
        struct asker asker;
        int code = asker_open(c, &asker);

        if (code != CLI_OK)
                return code;
        code = ask(c, &asker, message_pack(c->arena, &query->base), &s);
        asker_fini(&asker);
        return code;
}

/* ---- asking one's own copy ---- */

#define LOCAL_ROWS 1000                         /* at a time: their memory is given back */

struct local { struct search *search; struct arena *arena; bool failed; unsigned rows; };

static bool take_local(void *ctx, struct bytes packed)
{
        struct local *l = ctx;
        json_t *row;

        if (l->rows == LOCAL_ROWS)
                return false;
        row = audit_query_row(l->search->query, packed, l->arena);
        l->failed = row == NULL;
        if (row)
                json_array_append_new(l->search->list, row);
        l->rows++;
        return row != NULL;
}

static int search_copy(struct cli *c, struct mirror *m, struct search *s)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(32u << 20);
        uint8_t after[AUDIT_CURSOR_BYTES], next[AUDIT_CURSOR_BYTES];
        bool more = true;
        size_t after_n = 0;
        int r = arena ? 0 : -ENOMEM;

        while (r == 0 && more) {
                struct local l = { .search = s, .arena = arena };

                arena_reset(arena);
                r = mirror_search(m, s->query, bytes_of(after, after_n), arena, take_local, &l, &more, next);
                if (l.failed)
                        return CLI_FAILED;
                if (more)
                        memcpy(after, next, after_n = sizeof(after));
                tell_progress(s);
        }
        if (r < 0)
                cli_error("%s: %s", cli_option(c, "mirror"), strerror(-r));
        return r < 0 ? CLI_FAILED : CLI_OK;
}

static int search_mirror(struct cli *c, const Shuyi__V1__AuditQuery *query, json_t *list)
{
        struct mirror_options o = { .dir = cli_option(c, "mirror"), .read_only = true };
        struct search s = { query, list, times_mono() };
        struct mirror *m = NULL;
        int code, r = mirror_open(&o, &m);

        if (r < 0) {
                cli_error("%s: %s", o.dir, r == -ENOENT ? "there is no mirror" : strerror(-r));
                return CLI_FAILED;
        }
        code = search_copy(c, m, &s);
        mirror_close(m);
        return code;
}

static int audit_search(struct cli *c)
{
        Shuyi__V1__AuditQuery query;
        int code = audit_query_read(c, &query);
        json_t *list;

        if (code != CLI_OK)
                return code;
        list = json_array();
        code = cli_option(c, "mirror") ? search_mirror(c, &query, list) : search_center(c, &query, list);
        if (code == CLI_OK)
                cli_print(c, list, audit_query_print);
        else
                json_decref(list);
        return code;
}

static const struct cli_option options_search[] = {
        AUDIT_QUERY_OPTIONS, ASKER_OPTIONS, { "mirror", "DIR", "search a mirror of one's own instead: nobody is asked", false }, { NULL, NULL, NULL, false },
};

static const struct cli_option options_export[] = { EVIDENCE_EXPORT_OPTIONS, ASKER_OPTIONS, { NULL, NULL, NULL, false } };

static const struct cli_option options_check[] = {
        { "anchor", "FILE", "the anchor that you trust", true },
        { "unwitnessed", NULL, "take a head that too few witnesses have seen; said so in the report", false },
        { NULL, NULL, NULL, false },
};

const struct cli_command commands_audit[] = {
        { "audit", "export", "", 0, 0, "evidence of one act or transfer in a file that anybody can check", options_export, evidence_export },
        { "audit", "check", "BUNDLE", 1, 1, "what a file of evidence proves, offline", options_check, evidence_check },
        { "audit", "search", "", 0, 0, "acquisitions with the seven facts of ZS 32, or acts, as far as one's role may see", options_search, audit_search },
        { "audit", "mirror", "DIR", 1, 1, "follow the whole log without data bodies, derive it again, alarm on what does not hold", options_mirror, audit_mirror },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
