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
/* The run (text, bytes or message) under this number of a packed message, without unpacking the rest; false: none. */
bool wire_find_run(struct bytes message, uint32_t number, struct bytes *ret);
/* Likewise a number; 0 where there is none, as on the wire. */
uint64_t wire_find_number(struct bytes message, uint32_t number);
/* As wire_scan(), of a message that has at most `fields_max` fields, all levels counted: a field may be two bytes on the wire and
 * a hundred times as much unpacked, so who keeps what is unpacked bounds their number. */
const char *wire_scan_bounded(const ProtobufCMessageDescriptor *d, struct bytes b, size_t fields_max);
