/* frame: what is a frame, in which direction, of what size. */
#include "common/frame.h"
#include "common/macro.h"
#include "common/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static int make_arena(void **state)
{
        *state = arena_new(4 << 20);
        return *state ? 0 : -1;
}

static int free_arena(void **state)
{
        arena_free(*state);
        return 0;
}

/* A message of each type with something in it. */
static struct bytes sample(struct arena *a, enum frame_type type)
{
        const struct frame_row *row = frame_find((uint8_t)type);
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        ProtobufCMessage *m = arena_zalloc(a, row->message->sizeof_message);

        if (type == FRAME_PUT) {
                put.lane = 1;
                put.outbox_epoch = 3;
                put.outbox_seq = 300;
                put.envelope = (ProtobufCBinaryData){ 5, (uint8_t *)"bytes" };
                return FRAME_ENCODE(a, type, &put);
        }
        protobuf_c_message_init(row->message, m);
        for (unsigned i = 0; i < row->message->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &row->message->fields[i];

                if (f->type == PROTOBUF_C_TYPE_UINT64 && f->label != PROTOBUF_C_LABEL_REPEATED)
                        *(uint64_t *)((char *)m + f->offset) = 1000 + i;
                if (f->type == PROTOBUF_C_TYPE_UINT32 && f->label != PROTOBUF_C_LABEL_REPEATED)
                        *(uint32_t *)((char *)m + f->offset) = 10 + i;
        }
        return frame_encode(a, type, m);
}

static void test_every_type_reads_back_and_packs_to_itself(void **state)
{
        struct arena *a = *state;
        const struct frame_row *row;

        for (unsigned i = 0; (row = frame_at(i)); i++) {
                struct bytes wire = sample(a, row->type), again;
                struct frame f;

                assert_int_equal(row->type, i + 1);
                assert_int_equal(wire.p[0], row->type);
                assert_int_equal(frame_decode(a, wire, FRAME_TO_BOTH, &f), ACCEPTED);
                assert_int_equal(f.type, row->type);
                again = frame_encode(a, f.type, f.message);
                assert_true(bytes_equal(wire, again));
        }
        assert_null(frame_find(0));
        assert_null(frame_find(14));
        assert_null(frame_find(255));
}

static void test_direction_is_held(void **state)
{
        struct arena *a = *state;
        const struct frame_row *row;

        for (unsigned i = 0; (row = frame_at(i)); i++) {
                struct bytes wire = sample(a, row->type);
                struct frame f;

                assert_int_equal(frame_decode(a, wire, FRAME_TO_BROKER, &f), row->direction & FRAME_TO_BROKER ? ACCEPTED : E_FORM);
                assert_int_equal(frame_decode(a, wire, FRAME_TO_AGENT, &f), row->direction & FRAME_TO_AGENT ? ACCEPTED : E_FORM);
        }
}

static void test_a_put_borrows_its_envelope(void **state)
{
        struct arena *a = *state;
        struct bytes wire = sample(a, FRAME_PUT);
        struct frame f;

        assert_int_equal(frame_decode(a, wire, FRAME_TO_BROKER, &f), ACCEPTED);
        assert_int_equal(f.put->lane, 1);
        assert_true(f.put->outbox_epoch == 3 && f.put->outbox_seq == 300);
        assert_int_equal(f.put->envelope.len, 5);
        assert_true(f.put->envelope.data > wire.p && f.put->envelope.data < wire.p + wire.n);
        assert_memory_equal(f.put->envelope.data, "bytes", 5);
}

/* Every field that a PUT may leave out, in every combination, as protobuf-c itself reads it. */
static void test_a_put_reads_as_protobuf_reads_it(void **state)
{
        struct arena *a = *state;

        for (unsigned mask = 0; mask < 16; mask++) {
                Shuyi__V1__Put put = SHUYI__V1__PUT__INIT, *other;
                struct bytes wire;
                struct frame f;

                put.lane = mask & 1 ? 1 : 0;
                put.outbox_epoch = mask & 2 ? UINT64_MAX : 0;
                put.outbox_seq = mask & 4 ? 1ull << 35 : 0;
                if (mask & 8)
                        put.envelope = (ProtobufCBinaryData){ 300, arena_zalloc(a, 300) };
                wire = FRAME_ENCODE(a, FRAME_PUT, &put);
                assert_int_equal(frame_decode(a, wire, FRAME_TO_BROKER, &f), ACCEPTED);
                other = shuyi__v1__put__unpack(NULL, wire.n - 1, wire.p + 1);
                assert_non_null(other);
                assert_int_equal(f.put->lane, other->lane);
                assert_true(f.put->outbox_epoch == other->outbox_epoch && f.put->outbox_seq == other->outbox_seq);
                assert_int_equal(f.put->envelope.len, other->envelope.len);
                shuyi__v1__put__free_unpacked(other, NULL);
        }
}

static void test_a_put_of_a_later_version_is_read(void **state)
{
        static const uint8_t wire[] = { FRAME_PUT, 0x08, 1, 0x22, 1, 'x', 0xc2, 0x3e, 2, 'h', 'i' };    /* field 1000 */
        static const uint8_t critical[] = { FRAME_PUT, 0x08, 1, 0x22, 1, 'x', 0x2a, 2, 'h', 'i' };      /* field 5 */
        struct frame f;

        assert_int_equal(frame_decode(*state, bytes_of(wire, sizeof wire), FRAME_TO_BROKER, &f), ACCEPTED);
        assert_int_equal(f.put->envelope.len, 1);
        assert_int_equal(frame_decode(*state, bytes_of(critical, sizeof critical), FRAME_TO_BROKER, &f), E_FORM);
}

static void test_shorter_and_longer_is_refused(void **state)
{
        struct arena *a = *state;
        const struct frame_row *row;

        assert_int_equal(frame_decode(a, (struct bytes){ 0 }, FRAME_TO_BOTH, &(struct frame){ 0 }), E_FORM);
        for (unsigned i = 0; (row = frame_at(i)); i++) {
                struct bytes wire = sample(a, row->type);
                uint8_t *longer = arena_zalloc(a, wire.n + 1);
                struct frame f;

                memcpy(longer, wire.p, wire.n);
                assert_int_equal(frame_decode(a, bytes_of(longer, wire.n + 1), FRAME_TO_BOTH, &f), E_FORM);
                assert_int_equal(frame_decode(a, bytes_of(wire.p, wire.n - 1), FRAME_TO_BOTH, &f), E_FORM);
        }
}

/* Whatever passes after a flipped bit re-encodes to itself: one spelling a message. */
static void test_a_flipped_bit_never_makes_a_second_spelling(void **state)
{
        struct arena *scratch = arena_new(1 << 20);
        const struct frame_row *row;

        for (unsigned i = 0; (row = frame_at(i)); i++) {
                struct bytes wire = sample(*state, row->type);

                for (size_t bit = 0; bit < wire.n * 8; bit++) {
                        uint8_t *p = malloc(wire.n);           /* exactly as long: reading beyond shows under ASan */
                        struct frame f;

                        arena_reset(scratch);
                        memcpy(p, wire.p, wire.n);
                        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
                        if (frame_decode(scratch, bytes_of(p, wire.n), FRAME_TO_BOTH, &f) == ACCEPTED) {
                                struct bytes again = frame_encode(scratch, f.type, f.message);

                                assert_int_equal(again.n, wire.n);
                                assert_memory_equal(again.p, p, wire.n);
                        }
                        free(p);
                }
        }
        arena_free(scratch);
}

static void test_sizes_end_where_the_table_says(void **state)
{
        struct arena *a = *state;
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;
        struct bytes wire;
        struct frame f;

        put.lane = 1;
        put.envelope = (ProtobufCBinaryData){ FRAME_MAX_BYTES - 7, arena_zalloc(a, FRAME_MAX_BYTES) };
        wire = FRAME_ENCODE(a, FRAME_PUT, &put);
        assert_int_equal(wire.n, FRAME_MAX_BYTES);
        assert_int_equal(frame_decode(a, wire, FRAME_TO_BROKER, &f), ACCEPTED);
        put.envelope.len++;
        assert_int_equal(FRAME_ENCODE(a, FRAME_PUT, &put).n, 0);

        bye.detail = arena_alloc(a, 5000);
        memset(bye.detail, 'x', 4999);
        bye.detail[4999] = 0;
        assert_int_equal(FRAME_ENCODE(a, FRAME_BYE, &bye).n, 0);
        bye.detail[4000] = 0;
        assert_int_not_equal(FRAME_ENCODE(a, FRAME_BYE, &bye).n, 0);
}

static void test_a_frame_beyond_its_type_is_refused_unread(void **state)
{
        struct arena *a = *state;
        uint8_t *p = arena_zalloc(a, 5000);
        struct frame f;

        p[0] = FRAME_HELLO;
        assert_int_equal(frame_decode(a, bytes_of(p, 5000), FRAME_TO_BROKER, &f), E_FORM);
}

static void test_the_wrong_message_is_not_encoded(void **state)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;

        assert_int_equal(FRAME_ENCODE(*state, FRAME_BYE, &ping).n, 0);
        assert_int_equal(FRAME_ENCODE(*state, FRAME_PONG, &ping).n, 1);
}

static void test_a_full_arena_refuses(void **state)
{
        struct arena *small = arena_new(64);
        struct bytes wire = sample(*state, FRAME_HELLO);
        struct frame f;

        assert_int_equal(frame_decode(small, wire, FRAME_TO_BROKER, &f), E_FORM);
        arena_free(small);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_type_reads_back_and_packs_to_itself),
                cmocka_unit_test(test_direction_is_held),
                cmocka_unit_test(test_a_put_borrows_its_envelope),
                cmocka_unit_test(test_a_put_reads_as_protobuf_reads_it),
                cmocka_unit_test(test_a_put_of_a_later_version_is_read),
                cmocka_unit_test(test_shorter_and_longer_is_refused),
                cmocka_unit_test(test_a_flipped_bit_never_makes_a_second_spelling),
                cmocka_unit_test(test_sizes_end_where_the_table_says),
                cmocka_unit_test(test_a_frame_beyond_its_type_is_refused_unread),
                cmocka_unit_test(test_the_wrong_message_is_not_encoded),
                cmocka_unit_test(test_a_full_arena_refuses),
        };

        return cmocka_run_group_tests_name("frame", tests, make_arena, free_arena);
}
