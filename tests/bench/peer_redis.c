/* peer_redis: Redis streams by hiredis; XADD in a pipeline, one consumer group a reader, XREADGROUP and XACK. */
#include "peer.h"
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM "bench"
#define KEEP 100000                     /* entries: the oldest go, as with any queue that is read */
#define READ_AT_ONCE 64

struct redis { redisContext *context; unsigned pending; char group[32]; };

static struct redis *connect_to(int port)
{
        struct redis *r = calloc(1, sizeof *r);

        if (!r)
                peer_die("redis", "memory");
        r->context = redisConnect("127.0.0.1", port);
        if (!r->context || r->context->err)
                peer_die("redis", r->context ? r->context->errstr : "memory");
        return r;
}

static void take_reply(struct redis *r, redisReply **ret)
{
        redisReply *reply;

        if (redisGetReply(r->context, (void **)&reply) != REDIS_OK)
                peer_die("redis", r->context->errstr);
        if (reply->type == REDIS_REPLY_ERROR)
                peer_die("redis", reply->str);
        if (ret)
                *ret = reply;
        else
                freeReplyObject(reply);
}

static void prepare(int port, unsigned readers)
{
        struct redis *r = connect_to(port);

        redisAppendCommand(r->context, "DEL " STREAM);
        take_reply(r, NULL);
        for (unsigned i = 0; i < readers; i++) {
                redisAppendCommand(r->context, "XGROUP CREATE " STREAM " reader-%u $ MKSTREAM", i);
                take_reply(r, NULL);
        }
}

static void *open_provider(int port)
{
        return connect_to(port);
}

static void publish(void *t, const uint8_t *frame, size_t n)
{
        struct redis *r = t;

        redisAppendCommand(r->context, "XADD " STREAM " MAXLEN ~ %d * f %b", KEEP, frame, n);
        if (++r->pending < PEER_WINDOW)
                return;
        for (; r->pending > PEER_WINDOW / 2; r->pending--)
                take_reply(r, NULL);
}

static void flush(void *t)
{
        struct redis *r = t;

        for (; r->pending > 0; r->pending--)
                take_reply(r, NULL);
}

static void *open_reader(int port, unsigned which)
{
        struct redis *r = connect_to(port);

        snprintf(r->group, sizeof r->group, "reader-%u", which);
        return r;
}

/* An answer is [[stream, [[id, [field, value]], ...]]]. */
static void take_entries(struct redis *r, const redisReply *entries, peer_take fn, void *ctx)
{
        for (size_t i = 0; i < entries->elements; i++) {
                const redisReply *e = entries->element[i], *fields = e->element[1];

                fn(ctx, (const uint8_t *)fields->element[1]->str, fields->element[1]->len);
                redisAppendCommand(r->context, "XACK " STREAM " %s %s", r->group, e->element[0]->str);
        }
        for (size_t i = 0; i < entries->elements; i++)
                take_reply(r, NULL);
}

static void take(void *t, peer_take fn, void *ctx)
{
        struct redis *r = t;
        redisReply *reply;

        redisAppendCommand(r->context, "XREADGROUP GROUP %s me COUNT %d BLOCK 100 STREAMS " STREAM " >", r->group, READ_AT_ONCE);
        take_reply(r, &reply);
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1)
                take_entries(r, reply->element[0]->element[1], fn, ctx);
        freeReplyObject(reply);
}

const struct transport peer_redis = { "redis", prepare, open_provider, publish, flush, open_reader, take };
