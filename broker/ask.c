/* ask: see the header. */
#include "broker/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct asker { CURLM *multi; unsigned timeout_ms; };

static bool has_prefix(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool ask_url_check(const char *url)
{
        static const char *const hosts[] = { "http://127.0.0.1", "http://[::1]", "http://localhost" };

        if (has_prefix(url, "https://"))
                return strcspn(url + 8, "/?#@\\") > 0 && !strchr(url, '@');
        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
                if (has_prefix(url, hosts[i]))
                        return strchr(":/", url[strlen(hosts[i])]) && !strchr(url, '@');        /* also its end */
        return false;
}

struct asker *asker_new(unsigned timeout_ms)
{
        struct asker *a;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
                return NULL;
        a = calloc(1, sizeof(*a));
        if (a)
                a->multi = curl_multi_init();
        if (!a || !a->multi) {
                free(a);
                curl_global_cleanup();
                return NULL;
        }
        a->timeout_ms = timeout_ms;
        return a;
}

void asker_free(struct asker *a)
{
        if (!a)
                return;
        curl_multi_cleanup(a->multi);
        curl_global_cleanup();
        free(a);
}

/* An answer that is too long is no answer. */
static size_t take(char *p, size_t size, size_t n, void *ctx)
{
        struct ask *q = ctx;

        n *= size;
        if (n > ASK_REPLY_MAX - q->reply_n)
                return 0;
        memcpy(q->reply + q->reply_n, p, n);
        q->reply_n += n;
        q->reply[q->reply_n] = 0;
        return n;
}

static void set_options(const struct asker *a, struct ask *q, CURL *e)
{
        curl_easy_setopt(e, CURLOPT_URL, q->url);
        curl_easy_setopt(e, CURLOPT_PRIVATE, q);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, q->headers);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)a->timeout_ms);
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(e, CURLOPT_NOPROXY, "127.0.0.1,::1,localhost");
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
}

static void forget(struct asker *a, struct ask *q)
{
        if (q->handle) {
                curl_multi_remove_handle(a->multi, q->handle);
                curl_easy_cleanup(q->handle);
        }
        curl_slist_free_all(q->headers);
        q->handle = NULL;
        q->headers = NULL;
}

int asker_start(struct asker *a, struct ask *q)
{
        q->status = 0;
        q->fault = NULL;
        q->type[0] = 0;
        q->reply[0] = 0;
        q->reply_n = 0;
        q->headers = curl_slist_append(NULL, "Content-Type: text/plain; charset=utf-8");
        q->handle = q->headers ? curl_easy_init() : NULL;
        if (q->handle)
                set_options(a, q, q->handle);
        if (!q->handle || curl_multi_add_handle(a->multi, q->handle) != CURLM_OK) {
                curl_easy_cleanup(q->handle);
                q->handle = NULL;
                forget(a, q);
                return -ENOMEM;
        }
        return 0;
}

static void finish(struct asker *a, struct ask *q, CURLcode code)
{
        char *type = NULL;
        size_t n;

        if (code == CURLE_OK) {
                curl_easy_getinfo(q->handle, CURLINFO_RESPONSE_CODE, &q->status);
                curl_easy_getinfo(q->handle, CURLINFO_CONTENT_TYPE, &type);
        } else {
                q->fault = curl_easy_strerror(code);
        }
        n = type ? strcspn(type, "; ") : 0;
        if (n > 0 && n < sizeof(q->type)) {
                memcpy(q->type, type, n);
                q->type[n] = 0;
        }
        forget(a, q);
}

static struct ask *take_done(struct asker *a)
{
        CURLMsg *m;
        int left;

        while ((m = curl_multi_info_read(a->multi, &left))) {
                CURLcode code = m->data.result;
                struct ask *q = NULL;

                if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &q) != CURLE_OK)
                        continue;
                finish(a, q, code);
                return q;
        }
        return NULL;
}

struct ask *asker_next(struct asker *a, unsigned timeout_ms)
{
        struct ask *q;
        int running;

        curl_multi_perform(a->multi, &running);
        q = take_done(a);
        if (q || timeout_ms == 0)
                return q;
        curl_multi_poll(a->multi, NULL, 0, (int)timeout_ms, NULL);
        curl_multi_perform(a->multi, &running);
        return take_done(a);
}

void asker_drop(struct asker *a, struct ask *q)
{
        forget(a, q);
}
