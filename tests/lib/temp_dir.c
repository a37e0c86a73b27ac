/* temp_dir: mkdtemp, and nftw back again. */
#include "tests/lib/temp_dir.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void temp_dir_make(char *ret)
{
        const char *base = getenv("TMPDIR");

        snprintf(ret, 256, "%s/shuyi-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(ret)) {
                perror(ret);
                abort();
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void temp_dir_remove(const char *dir)
{
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
