/* mirror: what an auditor's copy takes only under the anchor that the auditor was handed. */
#include "agent/cli/mirror.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/evidence.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>

static struct bytes payload(struct arena *a, const struct city_entry *e)
{
        uint8_t *p = arena_alloc(a, SEGMENT_ENTRY_PREFIX + e->wire.n);

        assert_non_null(p);
        put_le64(p, 1);
        put_le64(p + 8, e->seq);
        put_le64(p + 16, e->accepted_at);
        put_le32(p + 24, e->link);
        p[28] = e->lane;
        put_le64(p + 29, e->outbox_epoch);
        put_le64(p + 37, e->outbox_seq);
        memcpy(p + SEGMENT_ENTRY_PREFIX, e->wire.p, e->wire.n);
        return bytes_of(p, SEGMENT_ENTRY_PREFIX + e->wire.n);
}

/* All of the city's log, in one page. */
static void feed(struct mirror *m, const struct city *c, struct arena *a)
{
        assert_int_equal(mirror_begin(m), 0);
        for (size_t i = 0; i < c->log_n; i++) {
                Shuyi__V1__LogRow row = SHUYI__V1__LOG_ROW__INIT;
                struct bytes entry = payload(a, &c->log[i]);

                row.entry = (ProtobufCBinaryData){ entry.n, (uint8_t *)entry.p };
                if (mirror_take(m, message_pack(a, &row.base)) < 0)
                        fail_msg("entry %zu: %s", i + 1, mirror_wrong(m)->what);
        }
        assert_int_equal(mirror_commit(m), 0);
}

static struct mirror *open_mirror(const char *dir, struct bytes anchor)
{
        struct mirror_options o = { .dir = dir, .signed_anchor = anchor, .allow_volatile = true };
        struct mirror *m;

        assert_int_equal(mirror_open(&o, &m), 0);
        return m;
}

/* The log's own keeper could hand out a log of his own roots that never comes to the version which the auditor holds. */
static void test_R_161_a_log_without_the_anchor_given_does_not_hold(void **state)
{
        struct city *c = city_founded(), *later = city_founded();
        struct evidence *log, *other;
        struct arena *a = arena_new(64 << 20);
        struct mirror *m;
        char dir[256];

        city_anchor(later);
        log = evidence_of(c);
        other = evidence_of(later);

        temp_dir_make(dir);
        m = open_mirror(dir, log->anchor);
        feed(m, c, a);
        assert_int_equal(mirror_check_published(m, log->note), 0);
        mirror_close(m);
        m = open_mirror(dir, (struct bytes){ 0 });              /* after a new start, too, with nothing new to read */
        assert_int_equal(mirror_check_published(m, log->note), 0);
        mirror_close(m);
        temp_dir_remove(dir);

        temp_dir_make(dir);
        m = open_mirror(dir, other->anchor);
        feed(m, c, a);
        assert_int_equal(mirror_check_published(m, log->note), -EBADMSG);
        assert_non_null(strstr(mirror_wrong(m)->what, "does not hold the anchor"));
        mirror_close(m);
        temp_dir_remove(dir);

        evidence_free(log);
        evidence_free(other);
        city_free(c);
        city_free(later);
        arena_free(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_161_a_log_without_the_anchor_given_does_not_hold),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
