/* judge: what the library says of bundles, a line of JSON for each, in one process (compared with tests/conformance/evidence).
 *
 * Input, again and again: u32 length | SignedAnchor | u8 unwitnessed | u32 length | text of the bundle's file; big-endian. */
#include "common/bundle.h"
#include "common/macro.h"
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static bool read_exact(void *p, size_t n)
{
        return fread(p, 1, n, stdin) == n;
}

/* {NULL, 0}: the input has ended. */
static struct bytes read_block(void)
{
        uint8_t head[4];
        uint8_t *p;
        size_t n;

        if (!read_exact(head, sizeof(head)))
                return (struct bytes){ 0 };
        n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        p = malloc(n + 1);
        if (!p || !read_exact(p, n))
                abort();
        return bytes_of(p, n);
}

/* What the report says of the grant: it must be the one that the act is about. */
static void print_grant(const struct bundle_report *r)
{
        char id[2 * DIGEST_BYTES + 1];

        if (!r->grant)
                return;
        hex_format(bytes_digest(&r->decision->claim->header_digest), id);
        printf("\"grant\":{\"id\":\"%s\",\"consumer\":\"%s\",\"provider\":\"%s\",\"resource\":\"%s\",\"user\":\"%s\",\"approver\":\"%s\"},", id, r->grant->consumer,
               r->grant->provider, r->grant->resource, r->user, r->approver);
}

static void print_report(const struct bundle_report *r)
{
        printf("{\"wrong\":%s,\"proven\":%s,\"witnesses\":%u,\"quorum\":%u,\"acquired_at\":%" PRIu64 ",", r->wrong ? "true" : "false", r->proven ? "true" : "false",
               r->witnesses, r->quorum, r->acquired_at);
        print_grant(r);
        printf("\"items\":[");
        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT && !r->wrong; i++)
                printf("%s{\"item\":\"%s\",\"state\":\"%s\",\"fault\":\"%s\",\"code\":\"%s\",\"seq\":%" PRIu64 "}", i ? "," : "", bundle_item_word(i),
                       bundle_state_word(r->items[i].state), bundle_fault_word(r->items[i].fault),
                       r->items[i].code ? refusal_text(r->items[i].code)->code : "", r->items[i].seq);
        puts("]}");
        fflush(stdout);
}

int main(void)
{
        struct arena *a = arena_new(BUNDLE_ARENA_BYTES);
        struct bytes anchor;

        if (!a || sodium_init() < 0)
                return 1;
        while ((anchor = read_block()).p) {
                int unwitnessed = getchar();
                struct bytes text = read_block();
                struct bundle_report report = { 0 };

                arena_reset(a);
                if (bundle_check(a, text, anchor, &(struct bundle_options){ unwitnessed == 1, false }, &report) < 0)
                        puts("{\"anchor\":false}");
                else
                        print_report(&report);
                fflush(stdout);
                free((void *)anchor.p);
                free((void *)text.p);
        }
        arena_free(a);
        return 0;
}
