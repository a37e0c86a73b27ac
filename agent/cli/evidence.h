/* evidence: `audit export` and `audit check`: a bundle from the center, and its check anywhere (PROTOCOL.md 17). */
#pragma once
#include "agent/cli/asker.h"

#define EVIDENCE_EXPORT_OPTIONS \
        { "seq", "N", "an act by its place in the log", false }, { "act", "DIGEST", "an act by its id: application, reply, filing, catalog matter, ...", false }, \
        { "grant", "ID", "a transfer under this grant, with --stream-seq or --id", false }, { "stream-seq", "N", "link of the grant's stream", false }, \
        { "id", "RECORD_ID", "header digest of the UPDATE, as `audit search` shows it", false }, \
        { "record", "KEY", "open the transfer at this agent and show the records with this key", false }, \
        { "out", "FILE", "the bundle", true }

int evidence_export(struct cli *c);
int evidence_check(struct cli *c);
