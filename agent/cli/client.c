/* client: HTTP/JSON to the agent's Unix socket.  libcurl is met here only. */
#include "agent/cli/client.h"
#include "common/base64.h"
#include "common/macro.h"
#include "common/refusal.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX_BYTES (64u << 20)
#define CALL_TIMEOUT_S 120L

struct answer { char *p; size_t n; };

static void answer_free(struct answer *a) { free(a->p); }
static void slist_freep(struct curl_slist **l) { curl_slist_free_all(*l); }
static void easy_freep(CURL **e) { curl_easy_cleanup(*e); }

static size_t take_bytes(char *p, size_t size, size_t n, void *ctx)
{
        struct answer *a = ctx;

        n *= size;
        if (n > ANSWER_MAX_BYTES - a->n)
                return 0;
        char *grown = realloc(a->p, a->n + n + 1);
        if (!grown)
                return 0;
        memcpy(grown + a->n, p, n);
        a->p = grown;
        a->n += n;
        a->p[a->n] = 0;
        return n;
}

static struct curl_slist *headers_make(const char *idempotency_key)
{
        struct curl_slist *l = curl_slist_append(NULL, "Content-Type: application/json");
        char line[160];

        if (idempotency_key) {
                snprintf(line, sizeof line, "Idempotency-Key: %.100s", idempotency_key);
                l = curl_slist_append(l, line);
        }
        return l;
}

static int call(struct cli *c, const char *method, const char *path, const char *idempotency_key, struct bytes body, long *ret_status, json_t **ret)
{
        const char *socket = c->socket && *c->socket ? c->socket : AGENT_SOCKET_DEFAULT;
        _cleanup_(easy_freep) CURL *e = curl_easy_init();
        _cleanup_(slist_freep) struct curl_slist *headers = headers_make(idempotency_key);
        _cleanup_(answer_free) struct answer a = { NULL, 0 };
        char *url = arena_printf(c->arena, "http://localhost%s", path);
        json_error_t error;

        if (!e || !headers || !url) {
                cli_error("out of memory");
                return -1;
        }
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, socket);
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(e, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_bytes);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, &a);
        if (body.p) {
                curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.p);
                curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        }
        CURLcode code = curl_easy_perform(e);
        if (code != CURLE_OK) {
                cli_error("the agent at %s does not answer: %s", socket, curl_easy_strerror(code));
                return -1;
        }
        curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, ret_status);
        *ret = a.n ? json_loadb(a.p, a.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error) : NULL;
        if (a.n && !*ret) {
                cli_error("the agent's answer is not JSON (HTTP %ld)", *ret_status);
                return -1;
        }
        return 0;
}

int client_call(struct cli *c, const char *method, const char *path, json_t *body, long *ret_status, json_t **ret)
{
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        int r;

        if (body && !text) {
                json_decref(body);
                cli_error("out of memory");
                return -1;
        }
        r = call(c, method, path, NULL, text ? bytes_str(text) : (struct bytes){ 0 }, ret_status, ret);
        free(text);
        json_decref(body);
        return r;
}

int client_post_bytes(struct cli *c, const char *path, const char *idempotency_key, struct bytes body, long *ret_status, json_t **ret)
{
        return call(c, "POST", path, idempotency_key, body, ret_status, ret);
}

int client_problem(const struct cli *c, long status, const json_t *answer)
{
        const char *title = json_string_value(json_object_get(answer, "title"));
        const char *detail = json_string_value(json_object_get(answer, "detail"));
        const char *code = json_string_value(json_object_get(answer, "code"));

        if (c->json && answer) {
                json_dumpf(answer, stdout, JSON_COMPACT);
                putchar('\n');
        }
        cli_error("%s%s%s%s%s (HTTP %ld)", code ? code : "", code ? ": " : "", title ? title : "the agent refused", detail && *detail ? ": " : "",
                  detail ? detail : "", status);
        return code ? CLI_REFUSED : CLI_FAILED;
}

char *client_base64(struct cli *c, struct bytes b)
{
        char *text = arena_alloc(c->arena, BASE64_CHARS(b.n) + 1);

        if (text)
                base64_encode(b, text);
        return text;
}

struct bytes client_unbase64(struct cli *c, const char *text)
{
        size_t len = text ? strlen(text) : 0, n = 0;
        uint8_t *p = arena_alloc(c->arena, len + 1);

        if (!p || !text || !base64_decode(bytes_of(text, len), p, len, &n))
                return (struct bytes){ 0 };
        return bytes_of(p, n);
}

char *client_hex(struct cli *c, struct bytes b)
{
        char *text = arena_alloc(c->arena, 2 * b.n + 1);

        if (text)
                hex_format(b, text);
        return text;
}

static json_t *query_json(struct cli *c, const struct client_query *q, const char *after, unsigned limit)
{
        json_t *body = json_pack("{s:i, s:I, s:i}", "what", (int)q->what, "need_seq", (json_int_t)q->need_seq, "limit", (int)limit);

        if (q->key.n)
                json_object_set_new(body, "key", json_string(client_hex(c, q->key)));
        if (after)
                json_object_set_new(body, "after", json_string(after));
        if (q->signed_query.n)
                json_object_set_new(body, "query", json_string(client_base64(c, q->signed_query)));
        return body;
}

static int read_page(struct cli *c, const json_t *page, int (*row)(struct cli *c, struct bytes row, void *ctx), void *ctx)
{
        const json_t *value;
        size_t i;

        json_array_foreach(json_object_get(page, "rows"), i, value) {
                struct bytes b = client_unbase64(c, json_string_value(value));
                int r = b.p ? row(c, b, ctx) : -1;
                if (r != 0)
                        return r;
        }
        return 0;
}

int client_page(struct cli *c, const struct client_query *q, const char *after, unsigned limit, json_t **ret)
{
        json_t *answer = NULL;
        long status;
        int code;

        if (client_call(c, "POST", "/v1/read", query_json(c, q, after, limit), &status, &answer) < 0)
                return CLI_FAILED;
        code = status == 200 ? CLI_OK : client_problem(c, status, answer);
        if (code != CLI_OK)
                json_decref(answer);
        else
                *ret = answer;
        return code;
}

static int refusal_of(const json_t *page)
{
        uint32_t refusal = (uint32_t)json_integer_value(json_object_get(page, "code"));
        const char *detail = json_string_value(json_object_get(page, "detail"));

        if (refusal == ACCEPTED)
                return CLI_OK;
        cli_error("%s: %s%s%s", refusal_text(refusal)->code, refusal_text(refusal)->english, detail && *detail ? ": " : "", detail ? detail : "");
        return CLI_REFUSED;
}

int client_read(struct cli *c, const struct client_query *q, int (*row)(struct cli *c, struct bytes row, void *ctx), void *ctx)
{
        const char *after = NULL;

        for (;;) {
                json_t *page = NULL;
                int code = client_page(c, q, after, 200, &page), r = -1;

                if (code != CLI_OK)
                        return code;
                code = refusal_of(page);
                const char *next = json_string_value(json_object_get(page, "next"));
                if (code == CLI_OK)
                        r = read_page(c, page, row, ctx);
                after = next && *next ? arena_strdup(c->arena, next) : NULL;
                json_decref(page);
                if (code != CLI_OK || r != 0 || !after)
                        return code != CLI_OK ? code : r < 0 ? CLI_FAILED : CLI_OK;
        }
}
