/* queue: order, bounds, closing, the descriptor, and several threads at once. */
#include "common/queue.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

struct item { unsigned producer, number; };
QUEUE(item_queue, struct item)

static void free_item(void *item) { free(item); }

static struct item *item_new(unsigned producer, unsigned number)
{
        struct item *i = malloc(sizeof(*i));

        assert_non_null(i);
        *i = (struct item){ producer, number };
        return i;
}

static void test_first_in_first_out_around_the_ring(void **state)
{
        struct item_queue q;
        struct item *i = NULL;

        assert_int_equal(item_queue_init(&q, 3), 0);
        for (unsigned n = 0; n < 10; n++) {
                assert_int_equal(item_queue_push(&q, item_new(0, 2 * n)), 0);
                assert_int_equal(item_queue_push(&q, item_new(0, 2 * n + 1)), 0);
                for (unsigned k = 0; k < 2; k++) {
                        assert_int_equal(item_queue_take(&q, 0, &i), 1);
                        assert_int_equal(i->number, 2 * n + k);
                        free(i);
                }
        }
        assert_int_equal(item_queue_take(&q, 0, &i), 0);
        item_queue_fini(&q, free_item);
}

static void test_a_full_queue_says_so_and_drops_nothing(void **state)
{
        struct item_queue q;
        struct item *i = NULL, *third = item_new(0, 3);

        item_queue_init(&q, 2);
        assert_int_equal(item_queue_try_push(&q, item_new(0, 1)), 0);
        assert_int_equal(item_queue_try_push(&q, item_new(0, 2)), 0);
        assert_int_equal(item_queue_try_push(&q, third), -EAGAIN);
        assert_int_equal(item_queue_depth(&q), 2);
        assert_int_equal(item_queue_take(&q, 0, &i), 1);
        free(i);
        assert_int_equal(item_queue_try_push(&q, third), 0);
        assert_int_equal(queue_peak(q.q), 2);
        assert_int_equal(queue_capacity(q.q), 2);
        item_queue_fini(&q, free_item);         /* the two inside are freed: the leak checker sees it */
}

static void test_a_closed_queue_gives_what_it_has_then_ends(void **state)
{
        struct item_queue q;
        struct item *i = NULL, *late = item_new(0, 2);

        item_queue_init(&q, 2);
        item_queue_push(&q, item_new(0, 1));
        item_queue_close(&q);
        assert_int_equal(item_queue_push(&q, late), -EPIPE);
        assert_int_equal(item_queue_try_push(&q, late), -EPIPE);
        free(late);
        assert_int_equal(item_queue_take(&q, -1, &i), 1);
        free(i);
        assert_int_equal(item_queue_take(&q, -1, &i), -EPIPE);
        item_queue_fini(&q, free_item);
}

static bool readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) == 1;
}

static void test_the_descriptor_is_readable_while_something_is_there(void **state)
{
        struct item_queue q;
        struct item *i = NULL;
        int fd;

        item_queue_init(&q, 4);
        item_queue_push(&q, item_new(0, 1));
        fd = item_queue_fd(&q);                 /* made late: it still tells of what was there */
        assert_true(fd >= 0);
        assert_true(readable(fd));
        item_queue_push(&q, item_new(0, 2));
        item_queue_take(&q, 0, &i);
        free(i);
        assert_true(readable(fd));
        item_queue_take(&q, 0, &i);
        free(i);
        assert_false(readable(fd));
        item_queue_push(&q, item_new(0, 3));
        assert_true(readable(fd));
        item_queue_take(&q, 0, &i);
        free(i);
        item_queue_close(&q);
        assert_true(readable(fd));
        assert_int_equal(item_queue_take(&q, 0, &i), -EPIPE);
        assert_true(readable(fd));
        item_queue_fini(&q, free_item);
}

static void test_take_waits_no_longer_than_told(void **state)
{
        struct item_queue q;
        struct item *i = NULL;

        item_queue_init(&q, 1);
        assert_int_equal(item_queue_take(&q, 10, &i), 0);
        item_queue_fini(&q, free_item);
}

static void test_many_are_taken_at_once(void **state)
{
        struct item_queue q;
        void *got[4];

        item_queue_init(&q, 8);
        for (unsigned n = 0; n < 6; n++)
                item_queue_push(&q, item_new(0, n));
        assert_int_equal(queue_take_many(q.q, 0, got, 4), 4);
        for (unsigned n = 0; n < 4; n++) {
                assert_int_equal(((struct item *)got[n])->number, n);
                free(got[n]);
        }
        assert_int_equal(queue_take_many(q.q, 0, got, 4), 2);
        free(got[0]);
        free(got[1]);
        item_queue_fini(&q, free_item);
}

#define PRODUCERS 3
#define EACH 5000

struct producer { struct item_queue *q; unsigned id; };

static void *produce(void *arg)
{
        struct producer *p = arg;

        for (unsigned n = 0; n < EACH; n++)
                item_queue_push(p->q, item_new(p->id, n));
        return NULL;
}

struct consumer { struct item_queue *q; unsigned taken; bool in_order; };

static void *consume(void *arg)
{
        struct consumer *c = arg;
        unsigned next[PRODUCERS] = {0};
        struct item *i = NULL;

        c->in_order = true;
        while (item_queue_take(c->q, -1, &i) > 0) {
                if (i->number < next[i->producer])
                        c->in_order = false;
                next[i->producer] = i->number + 1;
                c->taken++;
                free(i);
        }
        return NULL;
}

static void test_nothing_is_lost_between_threads(void **state)
{
        struct item_queue q;
        struct producer producers[PRODUCERS];
        struct consumer consumers[2] = {0};
        pthread_t up[PRODUCERS], down[2];

        item_queue_init(&q, 7);
        for (unsigned n = 0; n < 2; n++) {
                consumers[n].q = &q;
                pthread_create(&down[n], NULL, consume, &consumers[n]);
        }
        for (unsigned n = 0; n < PRODUCERS; n++) {
                producers[n] = (struct producer){ &q, n };
                pthread_create(&up[n], NULL, produce, &producers[n]);
        }
        for (unsigned n = 0; n < PRODUCERS; n++)
                pthread_join(up[n], NULL);
        item_queue_close(&q);
        for (unsigned n = 0; n < 2; n++)
                pthread_join(down[n], NULL);
        assert_int_equal(consumers[0].taken + consumers[1].taken, PRODUCERS * EACH);
        assert_true(consumers[0].in_order && consumers[1].in_order);
        item_queue_fini(&q, free_item);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_in_first_out_around_the_ring),
                cmocka_unit_test(test_a_full_queue_says_so_and_drops_nothing),
                cmocka_unit_test(test_a_closed_queue_gives_what_it_has_then_ends),
                cmocka_unit_test(test_the_descriptor_is_readable_while_something_is_there),
                cmocka_unit_test(test_take_waits_no_longer_than_told),
                cmocka_unit_test(test_many_are_taken_at_once),
                cmocka_unit_test(test_nothing_is_lost_between_threads),
        };

        return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
