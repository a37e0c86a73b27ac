/* wire: what we pack is the one spelling, and every other spelling of it is refused.
 *
 * Messages of all types are filled by chance, packed, and then misspelt in each way of the table below. */
#include "common/envelope.h"
#include "common/macro.h"
#include "common/wire.h"
#include "tests/lib/random_message.h"
#include "proto/audit.pb-c.h"
#include "proto/bundle.pb-c.h"
#include "proto/catalog.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/request.pb-c.h"
#include "proto/session.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const ProtobufCMessageDescriptor *const messages[] = {
#include "messages.inc"
};

#define ROUNDS 40                               /* messages of each type */
#define FIELDS_MAX 256

static struct chance chance;

/* One field as it stands at the top of a message: tag at `from`, value at `value`, next field at `to`. */
struct place { size_t from, value, to; const ProtobufCFieldDescriptor *field; };
struct spelled { const ProtobufCMessageDescriptor *type; struct bytes b; struct place place[FIELDS_MAX]; unsigned n; };

static uint64_t varint_at(struct bytes b, size_t *at)
{
        uint64_t v = 0;

        for (unsigned shift = 0;; shift += 7) {
                v |= (uint64_t)(b.p[*at] & 0x7f) << shift;
                if (!(b.p[(*at)++] & 0x80))
                        return v;
        }
}

static void find_places(struct spelled *s)
{
        s->n = 0;
        for (size_t at = 0; at < s->b.n && s->n < FIELDS_MAX;) {
                struct place *p = &s->place[s->n++];
                uint64_t tag, v;

                p->from = at;
                tag = varint_at(s->b, &at);
                p->value = at;
                v = varint_at(s->b, &at);
                at += (tag & 7) == 2 ? v : 0;
                p->to = at;
                p->field = protobuf_c_message_descriptor_get_field(s->type, (unsigned)(tag >> 3));
        }
}

/* The message with [from, to) replaced. */
static struct bytes replaced(struct arena *a, struct bytes b, size_t from, size_t to, struct bytes with)
{
        uint8_t *p = arena_alloc(a, b.n + with.n);

        memcpy(p, b.p, from);
        if (with.n)
                memcpy(p + from, with.p, with.n);
        if (to < b.n)
                memcpy(p + from + with.n, b.p + to, b.n - to);
        return bytes_of(p, from + with.n + b.n - to);
}

static struct bytes part(const struct spelled *s, size_t from, size_t to)
{
        return bytes_of(s->b.p + from, to - from);
}

static struct bytes joined(struct arena *a, struct bytes x, struct bytes y)
{
        return replaced(a, x, x.n, x.n, y);
}

/* Each makes a wrong spelling out of a good one at place `i`; {0} where it does not apply. */
typedef struct bytes misspell(struct arena *a, const struct spelled *s, unsigned i);

static struct bytes swap_fields(struct arena *a, const struct spelled *s, unsigned i)
{
        const struct place *p = &s->place[i], *q = p + 1;

        if (i + 1 >= s->n || p->field == q->field)
                return (struct bytes){ 0 };
        return replaced(a, s->b, p->from, q->to, joined(a, part(s, q->from, q->to), part(s, p->from, p->to)));
}

/* The varint that ends at `end` with one byte more that says nothing. */
static struct bytes lengthen(struct arena *a, const struct spelled *s, size_t end)
{
        uint8_t longer[] = { (uint8_t)(s->b.p[end - 1] | 0x80), 0 };

        return replaced(a, s->b, end - 1, end, bytes_of(longer, 2));
}

static struct bytes lengthen_tag(struct arena *a, const struct spelled *s, unsigned i)
{
        return lengthen(a, s, s->place[i].value);
}

static struct bytes lengthen_value(struct arena *a, const struct spelled *s, unsigned i)
{
        size_t end = s->place[i].value;

        varint_at(s->b, &end);
        return lengthen(a, s, end);
}

static struct bytes repeat_singular(struct arena *a, const struct spelled *s, unsigned i)
{
        const struct place *p = &s->place[i];

        if (p->field->label == PROTOBUF_C_LABEL_REPEATED && !(p->field->flags & PROTOBUF_C_FIELD_FLAG_PACKED))
                return (struct bytes){ 0 };
        return replaced(a, s->b, p->to, p->to, part(s, p->from, p->to));
}

static struct bytes encode_default(struct arena *a, const struct spelled *s, unsigned i)
{
        const struct place *p = &s->place[i];
        uint8_t zero = 0;

        if (p->field->type == PROTOBUF_C_TYPE_MESSAGE ||
            (p->field->label == PROTOBUF_C_LABEL_REPEATED && !(p->field->flags & PROTOBUF_C_FIELD_FLAG_PACKED)))
                return (struct bytes){ 0 };
        return replaced(a, s->b, p->value, p->to, bytes_of(&zero, 1));
}

static struct bytes spoil_text(struct arena *a, const struct spelled *s, unsigned i)
{
        static const uint8_t wrong[] = { 0xff, 0x00, 0xc0, 0x80 };
        const struct place *p = &s->place[i];
        size_t at = p->value;

        if (p->field->type != PROTOBUF_C_TYPE_STRING || varint_at(s->b, &at) == 0)
                return (struct bytes){ 0 };
        return replaced(a, s->b, p->to - 1, p->to, bytes_of(&wrong[chance_below(&chance, 3)], 1));
}

static struct bytes add_unknown(struct arena *a, const struct spelled *s, unsigned i)
{
        uint32_t number = s->type->fields[s->type->n_fields - 1].id + 1 + (uint32_t)chance_below(&chance, 100);
        uint8_t field[] = { (uint8_t)(number << 3 | 0x80), (uint8_t)(number >> 4), 1 };

        return number < 16 ? (struct bytes){ 0 } : replaced(a, s->b, s->b.n, s->b.n, bytes_of(field, 3));
}

static struct bytes truncate_within(struct arena *a, const struct spelled *s, unsigned i)
{
        const struct place *p = &s->place[i];

        return arena_copy(a, part(s, 0, p->from + 1 + chance_below(&chance, p->to - p->from - 1)));
}

static struct bytes change_wire_type(struct arena *a, const struct spelled *s, unsigned i)
{
        const struct place *p = &s->place[i];
        uint8_t tag = s->b.p[p->from] ^ (uint8_t)(1 + chance_below(&chance, 7));

        return replaced(a, s->b, p->from, p->from + 1, bytes_of(&tag, 1));
}

static const struct { const char *name; misspell *make; } misspellings[] = {
        { "swapped fields", swap_fields },
        { "a tag not minimal", lengthen_tag },
        { "a number or length not minimal", lengthen_value },
        { "a singular field repeated", repeat_singular },
        { "a default encoded", encode_default },
        { "text that is not UTF-8", spoil_text },
        { "an unknown field below 1000", add_unknown },
        { "cut within a field", truncate_within },
        { "another wire type", change_wire_type },
};

static struct bytes random_packed(struct arena *a, const ProtobufCMessageDescriptor *type)
{
        arena_reset(a);
        return message_pack(a, random_message(a, &chance, type));
}

static void test_what_is_packed_scans_and_re_encodes_to_itself(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);

        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                for (unsigned round = 0; round < ROUNDS; round++) {
                        struct bytes b = random_packed(a, messages[i]);
                        const char *error = wire_scan(messages[i], b);
                        ProtobufCMessage *m = message_parse(a, messages[i], b);

                        if (error || !m || !bytes_equal(message_pack(a, m), b))
                                fail_msg("%s: %s", messages[i]->name, error ? error : "re-encoded otherwise");
                }
}

static void test_every_misspelling_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        unsigned made[ELEMENTS(misspellings)] = { 0 };
        struct spelled s;

        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                for (unsigned round = 0; round < ROUNDS; round++) {
                        s.type = messages[i];
                        s.b = random_packed(a, s.type);
                        find_places(&s);
                        for (unsigned k = 0; s.n > 0 && k < ELEMENTS(misspellings); k++) {
                                struct bytes wrong = misspellings[k].make(a, &s, (unsigned)chance_below(&chance, s.n));

                                if (!wrong.p)
                                        continue;
                                made[k]++;
                                if (!wire_scan(s.type, wrong))
                                        fail_msg("%s with %s passes", s.type->name, misspellings[k].name);
                        }
                }
        for (unsigned k = 0; k < ELEMENTS(misspellings); k++)
                if (made[k] < 100)
                        fail_msg("only %u messages with %s", made[k], misspellings[k].name);
}

static void test_changed_bytes_are_refused_or_are_another_canonical_message(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);

        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                for (unsigned round = 0; round < ROUNDS; round++) {
                        struct bytes b = random_packed(a, messages[i]);
                        uint8_t *p = (uint8_t *)b.p;

                        for (unsigned change = 0; b.n > 0 && change < 20; change++) {
                                ProtobufCMessage *m;

                                p[chance_below(&chance, b.n)] ^= (uint8_t)(1 << chance_below(&chance, 8));
                                m = message_parse(a, messages[i], b);
                                if (!m == !wire_scan(messages[i], b))
                                        fail_msg("%s: scan and parse disagree", messages[i]->name);
                                if (m && !bytes_equal(message_pack(a, m), b))
                                        fail_msg("%s: taken, but re-encoded otherwise", messages[i]->name);
                        }
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_packed_scans_and_re_encodes_to_itself),
                cmocka_unit_test(test_every_misspelling_is_refused),
                cmocka_unit_test(test_changed_bytes_are_refused_or_are_another_canonical_message),
        };

        chance = chance_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
