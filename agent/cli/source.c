/* source: see source.h. */
#include "agent/cli/source.h"
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "common/words.h"

static int take_entry(struct cli *c, struct bytes b, void *ctx)
{
        const Shuyi__V1__EntryRow *r = message_parse(c->arena, &shuyi__v1__entry_row__descriptor, b);

        *(const Shuyi__V1__EntryRow **)ctx = r;
        return r ? 1 : -1;
}

int source_fetch(struct cli *c, struct bytes key, const Shuyi__V1__EntryRow **ret)
{
        struct client_query q = { .what = READ_ENTRY, .key = key };
        const Shuyi__V1__EntryRow *r = NULL;
        int code = client_read(c, &q, take_entry, &r);

        if (code == CLI_OK && !r) {
                cli_error("no such entry, or not visible to this department");
                code = CLI_REFUSED;
        }
        *ret = r;
        return code;
}

int source_show(struct cli *c, uint64_t seq, struct bytes digest, const char *title, const struct claim **ret)
{
        const Shuyi__V1__EntryRow *row;
        const struct claim *claim;
        uint8_t key[8];

        put_be64(key, seq);
        int code = source_fetch(c, seq ? bytes_of(key, sizeof key) : digest, &row);
        if (code != CLI_OK)
                return code;
        struct bytes wire = bytes_of(row->envelope.data, row->envelope.len);
        if (envelope_parse(c->arena, wire, &claim) != ACCEPTED || !bytes_equal(bytes_digest(&claim->header_digest), digest)) {
                cli_error("the center shows another envelope than the one asked for: nothing is signed; tell SEC_ADMIN");
                return CLI_FAILED;
        }
        fprintf(stderr, "%s: ", title);
        if (ret)
                *ret = claim;
        return act_show(c, wire, stderr);
}
