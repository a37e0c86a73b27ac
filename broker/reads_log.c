/* reads_log: the log itself without data bodies, for the auditor who keeps a copy of his own (R-161; DESIGN 7).
 *
 * A row is an entry as the segments have it, an UPDATE bare, or the tombstone of one that was purged, with the tree head that stands
 * behind it, if one does. */
#include "broker/reads.h"
#include "common/macro.h"
#include <errno.h>

#define PAGE_READ_MAX (64u << 20)               /* bytes read from segments for one page, bodies too */

static int refuse(struct reading *r, enum refusal code, const char *detail)
{
        r->page.code = code;
        r->page.detail = (char *)detail;
        return 0;
}

bool reading_is_of_log(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        const Shuyi__V1__LogQuery *q = message_parse(r->arena, &shuyi__v1__log_query__descriptor, bytes_of(read->key.data, read->key.len));

        return q && strcmp(q->origin, r->broker->origin) == 0;
}

/* An ENTRY's payload of it, bare where the kind is UPDATE; {0} when the arena is full. */
static struct bytes bare_payload(struct reading *r, const struct segment_entry *e)
{
        struct bytes envelope = envelope_strip(r->arena, e->envelope);
        const struct claim *c;
        uint8_t *p;

        if (!envelope.p || envelope_read_kept(r->arena, envelope, NULL, &c) != ACCEPTED || c->kind->number != KIND_UPDATE)
                envelope = e->envelope;
        p = arena_alloc(r->arena, SEGMENT_ENTRY_PREFIX + envelope.n);
        if (!p)
                return (struct bytes){ 0 };
        put_le64(p, e->epoch);
        put_le64(p + 8, e->seq);
        put_le64(p + 16, e->accepted_at.ms);
        put_le32(p + 24, e->link);
        p[28] = e->lane;
        put_le64(p + 29, e->outbox_epoch);
        put_le64(p + 37, e->outbox_seq);
        memcpy(p + SEGMENT_ENTRY_PREFIX, envelope.p, envelope.n);
        return bytes_of(p, SEGMENT_ENTRY_PREFIX + envelope.n);
}

struct log_walk { struct reading *r; struct segment_cursor *cursor; struct bytes entry; bool gone; uint64_t seq, last; size_t read; };

static bool is_full(const struct log_walk *w)
{
        return w->read > PAGE_READ_MAX || arena_used(w->r->arena) > (24u << 20);
}

/* The entry at hand becomes a row.  False: the page is full. */
static bool add(struct log_walk *w, struct bytes head)
{
        Shuyi__V1__LogRow row = SHUYI__V1__LOG_ROW__INIT;
        char *note = head.n > 0 ? arena_alloc(w->r->arena, head.n + 1) : NULL;

        if (note) {
                memcpy(note, head.p, head.n);
                note[head.n] = 0;
                row.head = note;
        }
        *(w->gone ? &row.tombstone : &row.entry) = (ProtobufCBinaryData){ w->entry.n, (uint8_t *)w->entry.p };
        if (!reading_add(w->r, message_pack(w->r->arena, &row.base)))
                return false;
        w->last = w->seq;
        w->entry = (struct bytes){ 0 };
        return true;
}

/* An entry is added when what follows it is known: its head, or the next entry. */
static int walk(struct log_walk *w, uint64_t after)
{
        struct segment_record record;
        struct segment_entry e;
        int f;

        while ((f = segment_cursor_next(w->cursor, &record)) > 0) {
                if (record.seq <= after || record.type == SEGMENT_MAP)
                        continue;
                if (record.type == SEGMENT_HEAD) {
                        if (w->entry.n > 0 && record.seq == w->seq && !add(w, record.payload))
                                return 1;
                        continue;
                }
                if (w->entry.n > 0 && !add(w, (struct bytes){ 0 }))
                        return 1;
                if (record.seq > w->r->page.as_of)
                        return 0;
                if (!reading_has_room(w->r) || is_full(w))
                        return 1;
                w->seq = record.seq;
                w->read += record.payload.n;
                if (!segment_record_entry(record.type, record.payload, &e))
                        return -EBADMSG;
                w->gone = e.gone;
                w->entry = e.gone ? arena_copy(w->r->arena, record.payload) : bare_payload(w->r, &e);
                if (w->entry.n == 0)
                        return -ENOMEM;
        }
        return f == 0 && w->entry.n > 0 && !add(w, (struct bytes){ 0 }) ? 1 : f;
}

static int open_cursor(struct log_walk *w, uint64_t after)
{
        struct segment_place place = { 0 };
        struct segment_entry e = { 0 };
        int f = 1;

        if (after > 0) {
                f = store_snapshot_index_find(w->r->snapshot, after, &place);
                if (f > 0)
                        f = reading_left(w->r, after, &e);
        }
        if (f <= 0)
                return f < 0 ? f : -ENOENT;
        return segment_cursor_open(w->r->broker->segments, place, e.epoch, after, &w->cursor);
}

int reads_log(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        uint64_t after = read->after.len == 8 ? get_be64(read->after.data) : 0;
        struct log_walk w = { .r = r };
        uint8_t next[8];
        int f;

        if (!r->auditor)
                return refuse(r, E_ROLE, "the log is read by an AUDIT_OFFICER of the authority");
        if (!reading_is_of_log(r) || (read->after.len != 0 && read->after.len != 8))
                return refuse(r, E_FORM, "key");
        if (after + 1 < segment_first_seq(r->broker->segments))
                return refuse(r, E_NOT_FOUND, arena_printf(r->arena, "the log begins at entry %llu", (unsigned long long)segment_first_seq(r->broker->segments)));
        if (after > r->page.as_of)
                return refuse(r, E_NOT_FOUND, arena_printf(r->arena, "the log ends at entry %llu", (unsigned long long)r->page.as_of));
        if (after == r->page.as_of)
                return 0;
        f = open_cursor(&w, after);
        if (f == 0)
                f = walk(&w, after);
        segment_cursor_close(w.cursor);
        if (f == 1) {
                put_be64(next, w.last);
                reading_next(r, bytes_of(next, sizeof(next)));
        }
        return f < 0 ? f : 0;
}
