/* bad_link: a ring of frames. */
#include "tests/lib/bad_link.h"
#include <stdlib.h>

void bad_link_push(struct bad_link *l, struct bytes frame)
{
        unsigned at = (l->head + l->n) % BAD_LINK_FRAMES;

        if (frame.n == 0 || l->n == BAD_LINK_FRAMES || !(l->frame[at] = malloc(frame.n)))
                abort();
        memcpy(l->frame[at], frame.p, frame.n);
        l->bytes[at] = frame.n;
        l->n++;
}

bool bad_link_pop(struct bad_link *l, uint8_t **ret, size_t *ret_n)
{
        if (l->n == 0)
                return false;
        *ret = l->frame[l->head];
        *ret_n = l->bytes[l->head];
        l->head = (l->head + 1) % BAD_LINK_FRAMES;
        l->n--;
        return true;
}

void bad_link_cut(struct bad_link *l)
{
        uint8_t *frame;
        size_t n;

        while (bad_link_pop(l, &frame, &n))
                free(frame);
}
