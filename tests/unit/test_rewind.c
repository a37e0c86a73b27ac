/* rewind: what receipts do to the row of a view. */
#include "agent/rewind.h"
#include "common/kind.h"
#include "common/macro.h"
#include "tests/lib/unit.h"

#include <stdbool.h>
#include <string.h>

#define NOW 1770861600000ull

/* A stream with link 1 VIEW_EPOCH accepted, and links 2..4 (UPDATEs of takes 1-10, 11-20, 21-30) in flight. */
static Shuyi__Agent__ViewRow flying(void)
{
        Shuyi__Agent__ViewRow v = SHUYI__AGENT__VIEW_ROW__INIT;

        v.head = 4;
        v.settled = 1;
        v.view_epoch = v.settled_epoch = 1;
        v.sealed_to = 30;
        v.inflight = 3;
        return v;
}

static Shuyi__Agent__SealedRow sent(uint32_t kind, uint64_t stream_seq)
{
        Shuyi__Agent__SealedRow s = SHUYI__AGENT__SEALED_ROW__INIT;

        s.kind = kind;
        s.stream_seq = stream_seq;
        if (kind == KIND_UPDATE) {
                s.first_take = (stream_seq - 2) * 10 + 1;
                s.last_take = (stream_seq - 1) * 10;
        }
        return s;
}

/* Answers one receipt: did the view go back? */
static bool answer(Shuyi__Agent__ViewRow *v, uint32_t kind, uint64_t stream_seq, uint32_t code, bool *ret_dead)
{
        Shuyi__Agent__SealedRow s = sent(kind, stream_seq);

        return rewind_answer(v, &s, code, code ? 0 : 100 + stream_seq, NOW, ret_dead);
}

static void test_accepted_links_move_the_settled_end(void **state)
{
        Shuyi__Agent__ViewRow v = flying();
        bool dead;

        for (uint64_t seq = 2; seq <= 4; seq++)
                assert_false(answer(&v, KIND_UPDATE, seq, ACCEPTED, &dead));
        assert_int_equal(v.settled, 4);
        assert_int_equal(v.settled_to, 30);
        assert_int_equal(v.inflight, 0);
        assert_int_equal(v.head, 4);
        assert_false(v.stale);
}

static void test_a_stale_epoch_takes_all_later_links_back_and_asks_for_a_new_epoch(void **state)
{
        Shuyi__Agent__ViewRow v = flying();
        bool dead;

        assert_false(answer(&v, KIND_UPDATE, 2, ACCEPTED, &dead));
        assert_false(answer(&v, KIND_UPDATE, 3, E_STALE_EPOCH, &dead));
        assert_false(dead);
        assert_int_equal(v.head, 4);                    /* link 4 is still out: nothing is numbered anew before its refusal is held */
        assert_true(answer(&v, KIND_UPDATE, 4, E_STATE, &dead));
        assert_false(dead);
        assert_int_equal(v.head, 2);
        assert_int_equal(v.sealed_to, 10);
        assert_int_equal(v.refused, 0);
        assert_true(v.stale);
}

static void test_what_is_frozen_waits(void **state)
{
        Shuyi__Agent__ViewRow v = flying();
        bool dead;

        v.inflight = 1;
        assert_true(answer(&v, KIND_UPDATE, 2, E_FROZEN, &dead));
        assert_false(dead);
        assert_true(v.wait_until > NOW);
        assert_int_equal(v.sealed_to, 0);
        assert_false(v.stale);
}

static void test_another_code_buries_that_envelope_and_no_other(void **state)
{
        Shuyi__Agent__ViewRow v = flying();
        bool dead;

        assert_false(answer(&v, KIND_UPDATE, 2, G_ITEMS, &dead));
        assert_true(dead);
        assert_false(answer(&v, KIND_UPDATE, 3, E_STATE, &dead));
        assert_false(dead);
        assert_true(answer(&v, KIND_UPDATE, 4, E_STATE, &dead));
        assert_false(dead);
        assert_int_equal(v.head, 1);
        assert_int_equal(v.sealed_to, 10);              /* its records are put aside, the next are sealed again */
}

static void test_a_refused_epoch_gives_its_number_back(void **state)
{
        Shuyi__Agent__ViewRow v = flying();
        bool dead;

        v.inflight = 2;
        v.head = 3;
        v.view_epoch = 2;                               /* link 2 is VIEW_EPOCH 2, link 3 an UPDATE under it */
        assert_false(answer(&v, KIND_VIEW_EPOCH, 2, E_STALE_EPOCH, &dead));
        assert_true(answer(&v, KIND_UPDATE, 3, E_STALE_EPOCH, &dead));
        assert_int_equal(v.view_epoch, 1);
        assert_int_equal(v.head, 1);
        assert_true(v.stale);
}

static void test_an_accepted_epoch_is_counted(void **state)
{
        Shuyi__Agent__ViewRow v = SHUYI__AGENT__VIEW_ROW__INIT;
        bool dead;

        v.head = 1;
        v.view_epoch = 1;
        v.inflight = 1;
        assert_false(answer(&v, KIND_VIEW_EPOCH, 1, ACCEPTED, &dead));
        assert_int_equal(v.settled_epoch, 1);
        assert_int_equal(v.settled, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted_links_move_the_settled_end),
                cmocka_unit_test(test_a_stale_epoch_takes_all_later_links_back_and_asks_for_a_new_epoch),
                cmocka_unit_test(test_what_is_frozen_waits),
                cmocka_unit_test(test_another_code_buries_that_envelope_and_no_other),
                cmocka_unit_test(test_a_refused_epoch_gives_its_number_back),
                cmocka_unit_test(test_an_accepted_epoch_is_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
