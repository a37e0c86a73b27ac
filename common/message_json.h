/* message_json: any protobuf message as JSON and back, for people and their programs.
 *
 * Members are the fields' names; absent fields are left out, as on the wire.  Bytes are lower-case hex, numbers JSON
 * integers (above 2^63 - 1, which JSON libraries cannot hold: decimal text), and a field with a word list is its word,
 * by one table.  What is read is checked by name, type and word; what it means is for others.  Shell (jansson), no state. */
#pragma once
#include "common/arena.h"
#include <jansson.h>

#define MESSAGE_JSON_ERROR_BYTES 200

/* A new reference, an object; NULL if there is no memory or a text is not UTF-8.  A number without a word stays a number. */
json_t *message_json_print(const ProtobufCMessage *m);

/* A message of the type in `a`, or NULL and, at `ret_error` (MESSAGE_JSON_ERROR_BYTES; may be NULL), where and what is
 * wrong: "items[2].sensitivity: must be one of PUBLIC, ...".  Unknown members, other types and null are refused. */
void *message_json_parse(struct arena *a, const ProtobufCMessageDescriptor *d, const json_t *json, char *ret_error);

/* The word of a number in a field of words; NULL if the field has no words or the number none. */
const char *message_json_word(const ProtobufCMessageDescriptor *d, const char *field, uint32_t number);
