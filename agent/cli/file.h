/* file: whole files in and out, with the errors a person understands. */
#pragma once
#include "agent/cli/cli.h"
#include <protobuf-c/protobuf-c.h>

#define FILE_MAX_BYTES (64u << 20)

/* The file's bytes in the command's arena; 0, or -1 after a message.  "-" is standard input. */
int file_read(struct cli *c, const char *path, struct bytes *ret);
/* Writes a new file of `mode` atomically (temporary name, fsync, rename); refuses to overwrite unless `replace`. 0, or -1 after a message. */
int file_write(struct cli *c, const char *path, struct bytes b, unsigned mode, bool replace);
/* A JSON file; the caller's; NULL after a message with line and column. */
json_t *file_read_json(struct cli *c, const char *path);
/* A message of a JSON file, in the command's arena; NULL after a message that says where it is wrong. */
void *file_read_message(struct cli *c, const ProtobufCMessageDescriptor *d, const char *path);
