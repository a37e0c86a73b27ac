/* pipeline: see the header. */
#include "broker/pipeline.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

struct ticket *ticket_new(void)
{
        struct ticket *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->work.kind = WORK_TICKET;
        t->detail = "";
        t->arena = arena_new(TICKET_ARENA_MAX);
        if (!t->arena) {
                free(t);
                return NULL;
        }
        return t;
}

void ticket_free(struct ticket *t)
{
        if (!t)
                return;
        link_frame_free(t->frame);
        arena_free(t->arena);
        free(t);
}

void ticket_freep(struct ticket **t)
{
        ticket_free(*t);
}

struct group *group_new(void)
{
        struct group *g = calloc(1, sizeof(*g));

        if (!g)
                return NULL;
        g->tickets = calloc(GROUP_TICKETS_MAX + 8, sizeof(*g->tickets));        /* what the broker adds at the end, too */
        if (!g->tickets) {
                free(g);
                return NULL;
        }
        return g;
}

void group_free(struct group *g)
{
        if (!g)
                return;
        for (unsigned i = 0; i < g->n; i++)
                ticket_free(g->tickets[i]);
        segment_batch_free(g->batch);
        free(g->tickets);
        free(g->note);
        free(g);
}

struct outgoing *outgoing_new(uint32_t link, uint64_t session, enum frame_type type, const ProtobufCMessage *m)
{
        const struct frame_row *row = frame_find((uint8_t)type);
        size_t n = 1 + (m ? protobuf_c_message_get_packed_size(m) : 0);
        struct outgoing *p;

        if (!row || n > row->max_bytes)
                return NULL;
        p = malloc(sizeof(*p) + n);
        if (!p)
                return NULL;
        *p = (struct outgoing){ .link = link, .session = session, .type = (uint8_t)type, .n = n };
        p->bytes[0] = (uint8_t)type;
        if (m)
                protobuf_c_message_pack(m, p->bytes + 1);
        return p;
}

void outgoing_free(struct outgoing *p)
{
        if (!p)
                return;
        free(p->settled);
        free(p);
}

void question_free(struct question *q)
{
        if (!q)
                return;
        link_frame_free(q->frame);
        arena_free(q->arena);
        free(q);
}

int handover_add(struct handover **list, uint32_t link, const struct handover_row *row)
{
        struct handover *h = *list;

        while (h && (h->link != link || h->n == HANDOVER_ROWS_MAX))
                h = h->next;
        if (!h) {
                h = calloc(1, sizeof(*h) + HANDOVER_ROWS_MAX * sizeof(h->rows[0]));
                if (!h)
                        return -ENOMEM;
                h->work.kind = WORK_HANDOVER;
                h->link = link;
                h->next = *list;
                *list = h;
        }
        h->rows[h->n++] = *row;
        return 0;
}
