/* api_read: questions to the center, passed on over the link and answered as they come back. */
#include <errno.h>
#include <stdlib.h>

#include "agent/api.h"
#include "agent/link.h"
#include "common/macro.h"
#include "common/words.h"

#define LIMIT_MAX 1000
#define KEY_MAX 4096

struct read_job {
        struct link_read read;                  /* first: its job is ours */
        struct http_deferred *http;
        struct arena *arena;
};

static void read_free(struct read_job *j)
{
        if (!j)
                return;
        arena_free(j->arena);
        free(j);
}

static json_t *page_json(const Shuyi__V1__Page *p)
{
        json_t *rows = json_array();

        for (size_t i = 0; i < p->n_rows; i++)
                json_array_append_new(rows, api_json_base64(keep_bytes(p->rows[i])));
        return json_pack("{s:o, s:o, s:I, s:I, s:s, s:s}", "rows", rows, "next", api_json_hex(keep_bytes(p->next)), "as_of", (json_int_t)p->as_of, "code",
                         (json_int_t)p->code, "refusal", refusal_text(p->code)->code, "detail", p->detail);
}

static void no_page(struct http_reply *reply, int fault)
{
        switch (fault) {
        case -ENOTCONN:
                http_reply_problem(reply, 503, NULL, "no link to the center", "acts and pushes are kept meanwhile; see /v1/status");
                reply->retry_after_s = 5;
                return;
        case -ETIMEDOUT:
                http_reply_problem(reply, 504, NULL, "the center did not answer in time", "try again");
                return;
        case -EBUSY:
                http_reply_problem(reply, 503, NULL, "too many questions wait already", "try again");
                reply->retry_after_s = 1;
                return;
        default:
                api_fault(reply, "read", fault);
        }
}

static void answered(struct link_read *r, const Shuyi__V1__Page *page, int fault)
{
        struct read_job *j = (struct read_job *)r;
        struct http_reply reply = { 0 };

        if (page)
                api_reply(&reply, 200, page_json(page));
        else
                no_page(&reply, fault);
        http_answer(j->http, &reply);
        read_free(j);
}

static bool take_hex(const json_t *body, const char *name, struct arena *a, struct bytes *ret)
{
        const json_t *value = json_object_get(body, name);
        const char *text = json_string_value(value);
        size_t n = text ? strlen(text) / 2 : 0;
        uint8_t *p;

        *ret = (struct bytes){ 0 };
        if (!value || (text && !*text))
                return true;
        p = text && n <= KEY_MAX && strlen(text) % 2 == 0 ? arena_alloc(a, n) : NULL;
        if (!p || !hex_parse(text, p, n))
                return false;
        *ret = bytes_of(p, n);
        return true;
}

static bool take_number(const json_t *body, const char *name, uint64_t max, uint64_t *ret)
{
        const json_t *value = json_object_get(body, name);

        *ret = 0;
        if (!value)
                return true;
        if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
                return false;
        *ret = (uint64_t)json_integer_value(value);
        return true;
}

static bool take_what(const json_t *body, uint32_t *ret)
{
        const json_t *value = json_object_get(body, "what");

        *ret = json_is_string(value) ? word_find(LIST_read, json_string_value(value)) : (uint32_t)json_integer_value(value);
        return word_known(LIST_read, *ret);
}

static bool fill(struct read_job *j, const json_t *body, struct http_reply *reply)
{
        struct link_read *r = &j->read;
        uint64_t limit;
        const char *wrong = NULL;

        if (!take_what(body, &r->what))
                wrong = "what";
        else if (!take_hex(body, "key", j->arena, &r->key))
                wrong = "key";
        else if (!take_hex(body, "after", j->arena, &r->after))
                wrong = "after";
        else if (!take_number(body, "limit", LIMIT_MAX, &limit))
                wrong = "limit";
        else if (!take_number(body, "need_seq", INT64_MAX, &r->need_seq))
                wrong = "need_seq";
        if (wrong) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "the body is not of the form", wrong);
                return false;
        }
        r->limit = (uint32_t)limit;
        return !json_object_get(body, "query") || api_base64(body, "query", j->arena, reply, &r->query);
}

API_HANDLER(api_read)
{
        struct api *api = ctx;
        struct read_job *j = calloc(1, sizeof(*j));
        json_t *body = NULL;
        bool good = false;

        if (j)
                j->arena = arena_new(API_ARENA_BYTES);
        if (j && j->arena)
                body = api_body(rq, reply);
        if (body)
                good = fill(j, body, reply);
        json_decref(body);
        if (!good) {
                read_free(j);
                return;
        }
        link_read_init(&j->read);
        j->read.answered = answered;
        j->http = http_defer(rq);
        if (!j->http) {
                api_busy(reply);
                read_free(j);
                return;
        }
        if (agent_hand_over(api->ag, &j->read.job) < 0)
                answered(&j->read, NULL, -EBUSY);
}
