/* wire: is a run of bytes exactly one canonical message of a type?
 *
 * protobuf accepts many spellings of one message; we accept one.  The scan walks the generated descriptor before
 * anything is unpacked: fields ascending and none repeated, varints minimal, no encoded defaults, repeated scalars
 * packed and not empty, integers within their width, bools 0 or 1, strings UTF-8 without NUL, sub-messages
 * likewise to a depth of 8, unknown fields only from number 1000.  What passes re-encodes to itself.  Pure. */
#pragma once
#include "common/bytes.h"
#include <protobuf-c/protobuf-c.h>

#define WIRE_UNKNOWN_FROM 1000
#define WIRE_DEPTH_MAX 8

/* NULL if it is; else what is wrong, a static text for tests and logs. */
const char *wire_scan(const ProtobufCMessageDescriptor *d, struct bytes b);
