/* artifact: a text is a file of one kind at most, and what decodes encodes to the same text (but for carriage returns). */
#include "common/artifact.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

/* The text without each carriage return that stands before LF. */
static struct bytes without_returns(struct arena *a, struct bytes text)
{
        uint8_t *p = arena_alloc(a, text.n + 1);
        size_t n = 0;

        REQUIRE(p);
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] != '\r' || i + 1 == text.n || text.p[i + 1] != '\n')
                        p[n++] = text.p[i];
        return bytes_of(p, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct bytes text = bytes_of(data, n), content, again;
        enum artifact found = ARTIFACT_COUNT;
        bool known = artifact_find(text, &found);

        for (unsigned k = 0; k < ARTIFACT_COUNT; k++) {
                ProtobufCMessage *m = NULL;

                if (artifact_decode(a, k, text, &content))
                        continue;
                REQUIRE(known && k == found);
                again = artifact_encode(a, k, content);
                REQUIRE(bytes_equal(again, without_returns(a, text)));
                if (k == ARTIFACT_KEY || artifact_read(a, k, text, &m))
                        continue;
                again = artifact_write(a, k, m);
                REQUIRE(bytes_equal(again, without_returns(a, text)));
        }
        return 0;
}
