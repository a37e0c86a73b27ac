/* samples: see the header. */
#include "samples.h"
#include <math.h>
#include <stdlib.h>

void samples_add(struct samples *s, double v)
{
        if (s->n == s->room) {
                s->room = s->room ? 2 * s->room : 4096;
                s->v = realloc(s->v, s->room * sizeof *s->v);
                if (!s->v)
                        abort();
        }
        s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

double samples_at(struct samples *s, double quantile)
{
        if (s->n == 0)
                return NAN;
        qsort(s->v, s->n, sizeof *s->v, by_value);
        return s->v[(size_t)(quantile * (double)(s->n - 1))];
}
