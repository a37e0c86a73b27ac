/* tile_path: paths of C2SP tlog-tiles: tile/<L>/<N>[.p/<W>].
 *
 * N is written in groups of three digits, all but the last behind an x: 1234067 is x001/x234/067.  One spelling only.  Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define TILE_PATH_GROUPS 6                      /* of N: below 10^18 */

struct tile_path { unsigned level; uint64_t n; unsigned width; };      /* width 256: the full tile */

/* `path` begins behind "/tile/".  Any text is safe; false if it is no such path. */
bool tile_path_parse(const char *path, struct tile_path *ret);
