/* space: what each step of the ladder still takes. */
#include "broker/space.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct step_case { uint64_t used, total; enum space_step step; } steps[] = {
        { 0, 1000, SPACE_FREE }, { 799, 1000, SPACE_FREE }, { 800, 1000, SPACE_ALERT }, { 899, 1000, SPACE_ALERT }, { 900, 1000, SPACE_NO_DATA },
        { 949, 1000, SPACE_NO_DATA }, { 950, 1000, SPACE_RESERVED }, { 2000, 1000, SPACE_RESERVED }, { 0, 0, SPACE_RESERVED },
        { UINT64_MAX / 2, UINT64_MAX, SPACE_FREE },
};

static void test_steps_are_at_80_90_and_95_per_cent(void **state)
{
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
                assert_int_equal(space_step_of((struct space){ steps[i].used, steps[i].total }), steps[i].step);
}

static const struct kind_case { uint32_t kind; enum space_step highest; } kinds[] = {
        { KIND_UPDATE, SPACE_ALERT }, { KIND_VIEW_EPOCH, SPACE_ALERT }, { KIND_STREAM_HEAD, SPACE_ALERT },
        { KIND_REQ_SUBMIT, SPACE_NO_DATA }, { KIND_CAT_SUBMIT, SPACE_NO_DATA }, { KIND_GET, SPACE_NO_DATA },
        { KIND_DELIVERY_RECEIPT, SPACE_RESERVED }, { KIND_REVOKE, SPACE_RESERVED }, { KIND_GRANT_SUSPEND, SPACE_RESERVED },
        { KIND_TRUST_HEAD, SPACE_RESERVED }, { KIND_TICK, SPACE_RESERVED }, { KIND_PURGE, SPACE_RESERVED }, { KIND_CLOCK, SPACE_RESERVED },
};

static void test_each_kind_is_taken_up_to_its_step(void **state)
{
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                for (enum space_step step = SPACE_FREE; step <= SPACE_RESERVED; step++)
                        if (space_takes(step, kind_find(kinds[i].kind)) != (step <= kinds[i].highest))
                                fail_msg("%s at %s", kind_find(kinds[i].kind)->name, space_step_name(step));
}

static void test_a_limit_counts_what_the_directory_uses(void **state)
{
        char dir[256], path[300];
        static uint8_t block[64 * 1024];
        struct space s;
        int fd;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/file", dir);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        memset(block, 1, sizeof(block));
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
        assert_int_equal(fsync(fd), 0);
        close(fd);
        assert_int_equal(space_read(dir, 1 << 20, &s), 0);
        assert_int_equal(s.total, 1 << 20);
        assert_true(s.used >= sizeof(block) && s.used < 4 * sizeof(block));
        assert_int_equal(space_read(dir, 0, &s), 0);
        assert_true(s.total > sizeof(block));
        assert_true(space_read("/nowhere/at/all", 0, &s) < 0);
        temp_dir_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_steps_are_at_80_90_and_95_per_cent),
                cmocka_unit_test(test_each_kind_is_taken_up_to_its_step),
                cmocka_unit_test(test_a_limit_counts_what_the_directory_uses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
