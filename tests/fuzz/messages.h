/* messages: all message types there are; a byte of input chooses one. */
#pragma once
#include "common/macro.h"
#include "proto/audit.pb-c.h"
#include "proto/bundle.pb-c.h"
#include "proto/catalog.pb-c.h"
#include "proto/envelope.pb-c.h"
#include "proto/identity.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/request.pb-c.h"
#include "proto/session.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"

static const ProtobufCMessageDescriptor *const messages[] = {
#include "messages.inc"
};
