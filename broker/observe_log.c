/* observe_log: see the header. */
#include "broker/observe_log.h"
#include "broker/tile_path.h"
#include "common/macro.h"
#include "common/refusal.h"
#include <errno.h>
#include <stdlib.h>

#define FOR_EVER "public, max-age=31536000, immutable"
#define NOT_KEPT "no-cache"

int observe_log_init(struct observe_log *l, struct broker *b)
{
        l->broker = b;
        l->reader = tiles_reader_new(b->tiles, 0);
        return l->reader ? 0 : -ENOMEM;
}

void observe_log_fini(struct observe_log *l)
{
        tiles_reader_free(l->reader);
}

static void not_found(struct http_reply *reply, const char *detail)
{
        http_reply_problem(reply, 404, refusal_text(E_NOT_FOUND)->code, "Not found", detail);
}

void observe_log_checkpoint(const struct observe_log *l, struct http_reply *reply)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 18);
        struct published_head head;
        int r = a ? published_get(l->broker->published, a, &head) : -ENOMEM;

        if (r > 0)
                http_reply_text(reply, 200, "text/plain; charset=utf-8", head.note);
        else if (r == 0)
                not_found(reply, "no head is published yet");
        reply->cache = NOT_KEPT;
}

/* Within the published tree: what is there will never change. */
static bool is_published(const struct observe_log *l, const struct tile_path *p)
{
        uint64_t count = p->level < TILES_LEVELS ? published_size(l->broker->published) >> (8 * p->level) : 0;

        return p->n < count / TILES_WIDTH || (p->n == count / TILES_WIDTH && p->width <= count % TILES_WIDTH);
}

void observe_log_tile(const struct observe_log *l, const char *path, struct http_reply *reply)
{
        static const char prefix[] = "/tile/";
        struct tile_path p;
        uint8_t *body;
        int r;

        if (strncmp(path, prefix, sizeof(prefix) - 1) != 0 || !tile_path_parse(path + sizeof(prefix) - 1, &p) || !is_published(l, &p)) {
                not_found(reply, "no such tile in the published tree");
                return;
        }
        body = malloc((size_t)p.width * DIGEST_BYTES);
        r = body ? tiles_read(l->reader, p.level, p.n, p.width, body) : -ENOMEM;
        if (r < 0) {
                bool later = r == -EAGAIN || r == -ERANGE;      /* being mended, or not agreed yet after a start */

                free(body);
                http_reply_problem(reply, later ? 503 : 500, NULL, "Not readable", later ? "the tile is being mended: come again" : NULL);
                reply->retry_after_s = later;
                return;
        }
        reply->status = 200;
        reply->type = "application/octet-stream";
        reply->body = (char *)body;
        reply->body_len = (size_t)p.width * DIGEST_BYTES;
        reply->cache = FOR_EVER;
}
