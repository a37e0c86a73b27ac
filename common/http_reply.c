/* http_reply: bodies of our own: plain text and RFC 9457 problems. */
#include "common/http.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reply holds one body. */
static int take_body(struct http_reply *reply, unsigned status, const char *type, char *body)
{
        free(reply->body);
        reply->status = body ? status : 500;
        reply->type = type;
        reply->body = body;
        reply->body_len = body ? strlen(body) : 0;
        return body ? 0 : -ENOMEM;
}

int http_reply_text(struct http_reply *reply, unsigned status, const char *type, const char *text)
{
        return take_body(reply, status, type, strdup(text));
}

int http_reply_problem(struct http_reply *reply, unsigned status, const char *code, const char *title, const char *detail)
{
        char type[64] = "about:blank", *body = NULL;
        json_t *j;

        if (code)
                snprintf(type, sizeof(type), "urn:shuyi:refusal:%s", code);
        j = json_pack("{s:s, s:s, s:i, s:s*, s:s*}", "type", type, "title", title, "status", (int)status, "code", code, "detail", detail);
        if (j)
                body = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        return take_body(reply, status, "application/problem+json", body);
}
