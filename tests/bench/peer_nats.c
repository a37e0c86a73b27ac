/* peer_nats: NATS JetStream by its own client library; file storage, one durable push consumer a reader, explicit acknowledgements. */
#include "peer.h"
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM "bench"
#define READ_AT_ONCE 64
#define READ_WAIT_MS 100
#define FLUSH_WAIT_MS 60000

struct nats { natsConnection *connection; jsCtx *js; natsSubscription *subscription; };

static void need(natsStatus s, const char *what)
{
        if (s != NATS_OK)
                peer_die(what, natsStatus_GetText(s));
}

static struct nats *connect_to(int port)
{
        struct nats *n = calloc(1, sizeof *n);
        char url[64];
        jsOptions o;

        if (!n)
                peer_die("nats", "memory");
        snprintf(url, sizeof url, "nats://127.0.0.1:%d", port);
        need(natsConnection_ConnectTo(&n->connection, url), url);
        jsOptions_Init(&o);
        o.PublishAsync.MaxPending = PEER_WINDOW;
        o.PublishAsync.StallWait = FLUSH_WAIT_MS;
        need(natsConnection_JetStream(&n->js, n->connection, &o), "jetstream");
        return n;
}

static void prepare(int port, unsigned readers)
{
        struct nats *n = connect_to(port);
        const char *subjects[] = { STREAM };
        jsStreamConfig c;
        jsErrCode code;

        (void)js_DeleteStream(n->js, STREAM, NULL, &code);
        jsStreamConfig_Init(&c);
        c.Name = STREAM;
        c.Subjects = subjects;
        c.SubjectsLen = 1;
        c.Storage = js_FileStorage;
        need(js_AddStream(NULL, n->js, &c, NULL, &code), "stream");
}

static void *open_provider(int port)
{
        return connect_to(port);
}

static void publish(void *t, const uint8_t *frame, size_t size)
{
        struct nats *n = t;

        need(js_PublishAsync(n->js, STREAM, frame, (int)size, NULL), "publish");
}

static void flush(void *t)
{
        struct nats *n = t;
        jsPubOptions o;

        jsPubOptions_Init(&o);
        o.MaxWait = FLUSH_WAIT_MS;
        need(js_PublishAsyncComplete(n->js, &o), "acknowledgements");
}

static void *open_reader(int port, unsigned which)
{
        struct nats *n = connect_to(port);
        char name[32];
        jsSubOptions o;
        jsErrCode code;

        snprintf(name, sizeof name, "reader-%u", which);
        jsSubOptions_Init(&o);
        o.Stream = STREAM;
        o.ManualAck = true;
        o.Config.Durable = name;
        o.Config.AckPolicy = js_AckExplicit;
        o.Config.MaxAckPending = 2 * PEER_WINDOW;
        need(js_SubscribeSync(&n->subscription, n->js, STREAM, NULL, &o, &code), "subscribe");
        return n;
}

static void take(void *t, peer_take fn, void *ctx)
{
        struct nats *n = t;
        natsMsg *m;

        for (unsigned i = 0; i < READ_AT_ONCE; i++) {
                if (natsSubscription_NextMsg(&m, n->subscription, i == 0 ? READ_WAIT_MS : 0) != NATS_OK)
                        return;
                fn(ctx, (const uint8_t *)natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
                need(natsMsg_Ack(m, NULL), "ack");
                natsMsg_Destroy(m);
        }
}

const struct transport peer_nats = { "nats", prepare, open_provider, publish, flush, open_reader, take };
