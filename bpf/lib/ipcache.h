/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ipcache: who lives at an address, and how it is reached. */
#ifndef WEFT_IPCACHE_H
#define WEFT_IPCACHE_H

#include "config.h"

/* The row of exactly this address. */
static __always_inline struct host *host_at(const struct addr *a, __u32 net)
{
	struct host_key key = { .addr = *a, .net = net };

	return bpf_map_lookup_elem(&hosts, &key);
}

/* The place of an address: an exact row first, then the longest prefix. NULL: nothing is known, not even a default. */
static __always_inline struct host *host_of(const struct addr *a, __u32 net)
{
	struct prefix_key prefix = { .bits = 32 + 128, .net = net, .addr = *a };
	struct host *h = host_at(a, net);

	return h ? h : bpf_map_lookup_elem(&prefixes, &prefix);
}

/* The address of a workload: nobody offers a service there but itself. */
static __always_inline int host_is_workload(const struct host *h)
{
	return h && !(h->flags & HOST_NODE) && (h->flags & HOST_CLUSTER) && h->identity > IDENTITY_RESERVED;
}

static __always_inline __u32 host_identity(const struct host *h, int v6)
{
	if (h && h->identity)
		return h->identity;
	return v6 ? config.world6 : config.world4;
}

static __always_inline int host_is_pod_here(const struct host *h)
{
	return h && h->ifindex && (h->flags & HOST_LOCAL);
}

static __always_inline int host_is_this_node(const struct host *h)
{
	return h && (h->flags & (HOST_LOCAL | HOST_NODE)) == (HOST_LOCAL | HOST_NODE);
}

static __always_inline __u32 place_of(__u32 identity)
{
	switch (identity) {
	case IDENTITY_WORLD:
	case IDENTITY_WORLD_IPV4:
	case IDENTITY_WORLD_IPV6:
		return PLACE_OUTSIDE;
	case IDENTITY_HOST:
	case IDENTITY_REMOTE_NODE:
	case IDENTITY_KUBE_APISERVER:
		return PLACE_NODE;
	default:
		return PLACE_POD;
	}
}

#endif
