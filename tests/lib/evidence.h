/* evidence: bundles out of a city's log (tests/lib/city.h), under a head that the city's log key signs. */
#pragma once
#include "common/bundle.h"
#include "common/bundle_make.h"
#include "tests/lib/city.h"
#include "tests/lib/market.h"

struct evidence {
        struct city *c;
        struct arena *a;
        struct bundle_trust *trust;
        struct digest *leaves;                  /* of the whole log */
        uint16_t *kinds;
        uint64_t size;                          /* entries covered by the head */
        char *note;
        struct bytes anchor;                    /* SignedAnchor of the city */
};

/* Of the log as it stands. */
struct evidence *evidence_of(struct city *c);
void evidence_free(struct evidence *e);
void evidence_freep(struct evidence **e);

/* Ends the program unless it can be made. */
Shuyi__V1__Bundle *evidence_make(struct evidence *e, const struct bundle_wish *wish);
/* 0 or what bundle_make() says. */
int evidence_try(struct evidence *e, const struct bundle_wish *wish, Shuyi__V1__Bundle **ret);
struct bytes evidence_file(struct evidence *e, const Shuyi__V1__Bundle *b);

/* A market with one transfer: three updates, the second of which is `update`, and a receipt over all; a trust head behind. */
struct transferred { struct market *m; struct digest grant; struct market_stream stream; uint64_t update, get, receipt; };
struct transferred evidence_transfer(void);
