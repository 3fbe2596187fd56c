/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* maps: every map, pinned by name under /sys/fs/bpf/weft, so that all programs and the next agent share them.
 * Sizes are defaults; the loader may set others. */
#ifndef WEFT_MAPS_H
#define WEFT_MAPS_H

#include "config.h"

#define MAP(kind, name, k, v, size, bits)                     \
	struct {                                              \
		__uint(type, kind);                           \
		__type(key, k);                               \
		__type(value, v);                             \
		__uint(max_entries, size);                    \
		__uint(map_flags, bits);                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);          \
	} name SEC(".maps")

struct bucket { __u64 tokens; __u64 filled; __u64 lost; };

MAP(BPF_MAP_TYPE_HASH, hosts, struct host_key, struct host, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LPM_TRIE, prefixes, struct prefix_key, struct host, 65536, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, nics, __u32, struct nic, 4096, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_ARRAY, sets, __u32, struct set, 16384, 0);
MAP(BPF_MAP_TYPE_LPM_TRIE, policies, struct policy_key, struct policy, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LPM_TRIE, ranges, struct range_key, __u32, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_ARRAY, revision, __u32, __u64, 1, 0); /* of the node: only grows */
MAP(BPF_MAP_TYPE_ARRAY, peer_revisions, __u32, __u64, REVISION_BUCKETS, 0);
MAP(BPF_MAP_TYPE_HASH, connections, struct ct_key, struct ct, CONNECTIONS, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_ARRAY, openings, __u32, struct ct_key, OPENINGS, 0);
MAP(BPF_MAP_TYPE_ARRAY, callers, __u32, __u32, CALLERS, 0);
MAP(BPF_MAP_TYPE_HASH, services, struct service_key, struct service, 65536, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, slots, struct slot_key, __u32, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, backends, __u32, struct backend, 131072, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LRU_HASH, affinities, struct affinity_key, struct affinity, 65536, 0);
MAP(BPF_MAP_TYPE_HASH, translations, struct nat_key, struct nat, TRANSLATIONS, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, fragments, struct fragment_key, struct fragment, FRAGMENTS, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, shares, __u32, struct share, 16384, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, counters, __u32, struct counter, COUNTERS, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, event_budget, __u32, struct bucket, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

#endif
