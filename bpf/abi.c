/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* No program: makes each shape of lib/abi.h visible in BTF, from which tools/abigen writes internal/bpf/abi. */
#include "lib/abi.h"
#include "lib/abi/config.h"

#define SHOW_STRUCT(name) struct name show_##name __attribute__((used))
#define SHOW_ENUM(name) enum name show_enum_##name __attribute__((used))

SHOW_STRUCT(node_config);
SHOW_STRUCT(host_key);
SHOW_STRUCT(prefix_key);
SHOW_STRUCT(host);
SHOW_STRUCT(nic);
SHOW_STRUCT(set);
SHOW_STRUCT(policy_key);
SHOW_STRUCT(policy);
SHOW_STRUCT(range_key);
SHOW_STRUCT(ct_key);
SHOW_STRUCT(ct_slot);
SHOW_STRUCT(ct_way);
SHOW_STRUCT(ct);
SHOW_STRUCT(service_key);
SHOW_STRUCT(service);
SHOW_STRUCT(slot_key);
SHOW_STRUCT(backend);
SHOW_STRUCT(affinity_key);
SHOW_STRUCT(affinity);
SHOW_STRUCT(share);
SHOW_STRUCT(nat_key);
SHOW_STRUCT(nat);
SHOW_STRUCT(fragment_key);
SHOW_STRUCT(fragment);
SHOW_STRUCT(event);
SHOW_STRUCT(counter);
SHOW_ENUM(identity);
SHOW_ENUM(host_flag);
SHOW_ENUM(place);
SHOW_ENUM(direction);
SHOW_ENUM(tier);
SHOW_ENUM(view);
SHOW_ENUM(verdict);
SHOW_ENUM(match);
SHOW_ENUM(ct_flag);
SHOW_ENUM(shared);
SHOW_ENUM(nat_kind);
SHOW_ENUM(service_flag);
SHOW_ENUM(hook);
SHOW_ENUM(event_type);
SHOW_ENUM(event_flag);
SHOW_ENUM(drop_reason);
SHOW_ENUM(mark_kind);
