/* base: a state image, raw, or rows in chunks whose checks are made here.  Nothing is signed by anybody, so nothing is taken: no state is
 * left behind, whatever was read before it was found out. */
#include "common/base.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK 512

static char dir[256], path[300];

static void write_chunk(FILE *f, const uint8_t *p, size_t n, uint64_t number)
{
        uint8_t head[4 + 16], key[16] = { 0 };

        put_be32(head, (uint32_t)n);
        put_be64(key + 8, number);
        crypto_generichash(head + 4, 16, p, n, key, sizeof(key));
        REQUIRE(fwrite(head, 1, sizeof(head), f) == sizeof(head) && fwrite(p, 1, n, f) == n);
}

/* A header of good form, of no tree and no HEAD. */
static void write_header(FILE *f, struct script *s)
{
        uint8_t header[BASE_HEADER_BYTES] = "SHUYIBAS";

        put_be32(header + 8, 2);
        memcpy(header + 12, "442000", 6);
        put_be64(header + 20, 1);
        put_be64(header + 44, script_u8(s));    /* rows, */
        put_be64(header + 52, script_u8(s));    /* outcomes, */
        put_be64(header + 60, script_u8(s));    /* header digests and trust heads */
        REQUIRE(fwrite(header, 1, sizeof(header), f) == sizeof(header));
}

static void write_file(struct script *s)
{
        bool raw = script_u8(s) % 4 == 0;
        struct bytes rest;
        uint64_t number = 0;
        FILE *f = fopen(path, "wb");

        REQUIRE(f);
        if (!raw)
                write_header(f, s);
        rest = script_rest(s);
        if (raw) {
                REQUIRE(fwrite(rest.p, 1, rest.n, f) == rest.n);
        } else {
                for (size_t at = 0; at < rest.n; at += CHUNK)
                        write_chunk(f, rest.p + at, rest.n - at < CHUNK ? rest.n - at : CHUNK, number++);
                write_chunk(f, rest.p, 0, number);
        }
        REQUIRE(fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct store_options o = { .dir = dir, .map_bytes = 4 << 20, .databases = fold_databases, .allow_volatile = true };
        struct base *b = calloc(1, sizeof(*b));
        struct script s = { data, n };
        struct store *store;
        struct fold fold;
        int fault;

        if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
                setenv("TMPDIR", "/dev/shm", 1);
        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/BASE", dir);
        REQUIRE(b && store_open(&o, &store) == 0);
        write_file(&s);
        base_peek(path, "shuyi/442000", NULL, b, &fault);
        REQUIRE(base_load(path, store, "shuyi/442000", NULL, NULL, NULL, &fold, b, &fault) && fault < 0);
        REQUIRE(fold_open(&fold, store, "442000") == -ENODATA);
        fold_close(&fold);
        store_close(store);
        temp_dir_remove(dir);
        free(b);
        return 0;
}
