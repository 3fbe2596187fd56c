/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ipcache: who lives at an address, and how it is reached. */
#ifndef WEFT_IPCACHE_H
#define WEFT_IPCACHE_H

#include "config.h"

/* The row of exactly this address. */
static __always_inline struct ipcache *ipcache_exact(const struct addr *a, __u32 net)
{
	struct ipcache_key key = { .addr = *a, .net = net };

	return bpf_map_lookup_elem(&ipcache, &key);
}

/* The row of an address: an exact one first, then the longest prefix. NULL: not even 0.0.0.0/0 or ::/0 is there yet. */
static __always_inline struct ipcache *ipcache_lookup(const struct addr *a, __u32 net)
{
	struct prefix_key prefix = { .bits = 32 + 128, .net = net, .addr = *a };
	struct ipcache *h = ipcache_exact(a, net);

	return h ? h : bpf_map_lookup_elem(&prefixes, &prefix);
}

/* The address of a workload: no service is offered there but its own. */
static __always_inline int ipcache_is_workload(const struct ipcache *h)
{
	return h && !(h->flags & IPCACHE_NODE) && (h->flags & IPCACHE_CLUSTER) && h->identity > IDENTITY_RESERVED;
}

static __always_inline __u32 ipcache_identity(const struct ipcache *h, int v6)
{
	if (h && h->identity)
		return h->identity;
	return v6 ? config.world6 : config.world4;
}

static __always_inline int ipcache_is_local_pod(const struct ipcache *h)
{
	return h && h->ifindex && (h->flags & IPCACHE_LOCAL);
}

static __always_inline int ipcache_is_this_node(const struct ipcache *h)
{
	return h && (h->flags & (IPCACHE_LOCAL | IPCACHE_NODE)) == (IPCACHE_LOCAL | IPCACHE_NODE);
}

static __always_inline __u32 ipcache_place(__u32 identity)
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
