/* samples: lists of times, in us, and their quantiles. */
#pragma once
#include <stddef.h>

struct samples { double *v; size_t n, room; };         /* {0} is empty */
void samples_add(struct samples *s, double v);          /* no memory ends the process: then there is nothing to measure */
double samples_at(struct samples *s, double quantile);  /* sorts; NAN if empty */
