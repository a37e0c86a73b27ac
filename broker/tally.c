/* tally: see the header. */
#include "broker/tally.h"

static struct tally_row *row_of(struct tally *t, uint32_t link, uint32_t code)
{
        for (unsigned i = 0; i < t->n; i++)
                if (t->rows[i].link == link && t->rows[i].code == code)
                        return &t->rows[i];
        if (t->n == TALLY_ROWS_MAX)
                return NULL;
        t->rows[t->n] = (struct tally_row){ .link = link, .code = code };
        return &t->rows[t->n++];
}

bool tally_add(struct tally *t, uint32_t link, enum refusal code, const struct id *id)
{
        struct tally_row *row = row_of(t, link, code);

        if (!row)
                return false;
        row->count++;
        if (id && row->ids_n < TALLY_IDS_MAX)
                row->ids[row->ids_n++] = *id;
        return true;
}

static Shuyi__V1__RefusedRow *row_take(const struct tally_row *from, struct arena *a)
{
        Shuyi__V1__RefusedRow *row = ARENA_NEW(a, Shuyi__V1__RefusedRow);

        if (!row)
                return NULL;
        shuyi__v1__refused_row__init(row);
        row->link = from->link;
        row->code = from->code;
        row->count = from->count;
        row->n_first_ids = from->ids_n;
        row->first_ids = ARENA_ARRAY(a, ProtobufCBinaryData, from->ids_n + 1);
        for (unsigned i = 0; row->first_ids && i < from->ids_n; i++) {
                struct bytes copy = arena_copy(a, bytes_id(&from->ids[i]));

                row->first_ids[i] = (ProtobufCBinaryData){ copy.n, (uint8_t *)copy.p };
        }
        return row->first_ids ? row : NULL;
}

Shuyi__V1__RefusedBody *tally_take(struct tally *t, struct arena *a)
{
        Shuyi__V1__RefusedBody *body = ARENA_NEW(a, Shuyi__V1__RefusedBody);

        if (!body)
                return NULL;
        shuyi__v1__refused_body__init(body);
        body->rows = ARENA_ARRAY(a, Shuyi__V1__RefusedRow *, t->n + 1);
        body->n_rows = t->n;
        for (unsigned i = 0; i < t->n; i++) {
                Shuyi__V1__RefusedRow *row = body->rows ? row_take(&t->rows[i], a) : NULL;

                if (!row)
                        return NULL;
                body->rows[i] = row;
        }
        t->n = 0;
        return body;
}
