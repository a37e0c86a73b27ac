/* vectors: one function for each operation that proto/vectors/ shows by example.
 *
 * A case is {op, in, out}: bytes as lower-case hex, texts as texts, numbers as numbers.  The generator fills `out` from its own
 * inputs; the test reads the files and asks for the same again. */
#pragma once
#include <jansson.h>

/* A new object with the outputs of `op`, or NULL: no such operation, or inputs it cannot read. */
json_t *vectors_run(const char *op, const json_t *in);
/* Names of the operations: NULL past the end. */
const char *vectors_op(unsigned index);
