/* cuts: a recorded run, cut many times, and each time opened again by what opens it in earnest (tests/lib/disk.h).
 *
 *         test-cuts-broker [--cuts N] [--seed S] [--dir D] [--ignore "fdatasync .seg"] [--from CUT]
 *
 * prints TAP.  The first failing cut is named with the seed and its number, so that it can be repeated alone. */
#pragma once
#include "tests/lib/disk.h"

#define CUTS_WRONG_BYTES 300

struct cuts_case {
        const char *name;
        /* A run that begins with an empty directory; tells what it promises (disk_promise).  `random` decides what it does. */
        void (*run)(struct disk *d, const char *root, uint64_t *random);
        /* Opens the image, checks it against all that the run did, and leaves it closed.  `promised`: the last promise before the cut.
         * False, and `wrong` says why.  `deep`: go on working with it afterwards, too. */
        bool (*recover)(const char *image, uint64_t promised, bool deep, uint64_t *random, char wrong[CUTS_WRONG_BYTES]);
        /* What was promised by a recovery that went on (`deep`), for a second cut; NULL: nothing more. */
        unsigned cuts_a_run;
        /* Kinds of sync whose loss cuts must find out, NULL-ended; the others are named as not needed in FAULTS.md. */
        const char *const *needed;
};

int cuts_main(const struct cuts_case *c, unsigned cuts_default, int argc, char **argv);
