/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* identity: who an address is, and how an identity crosses the host's stack in skb->mark. */
#ifndef WEFT_IDENTITY_H
#define WEFT_IDENTITY_H

#include "event.h"

#define MARK_IDENTITY_BITS 0xffff00ffu

static __always_inline __u32 mark_of(__u32 identity, __u32 kind)
{
	return identity << 16 | ((identity >> 16) & 0xff) | kind;
}

static __always_inline __u32 mark_identity(__u32 mark)
{
	return mark >> 16 | (mark & 0xff) << 16;
}

static __always_inline void mark_set(struct __sk_buff *skb, __u32 identity, __u32 kind)
{
	skb->mark = (skb->mark & ~MARK_MASK) | mark_of(identity, kind);
}

static __always_inline void mark_clear(struct __sk_buff *skb)
{
	skb->mark = skb->mark & ~MARK_MASK;
}

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
	return v6 ? config_world6 : config_world4;
}

static __always_inline int host_is_pod_here(const struct host *h)
{
	return h && h->ifindex && (h->flags & HOST_LOCAL);
}

static __always_inline int host_is_this_node(const struct host *h)
{
	return h && (h->flags & (HOST_LOCAL | HOST_NODE)) == (HOST_LOCAL | HOST_NODE);
}

/* Who sent what leaves the host's stack: the mark says, or it is a socket of this node; an address alone never
 * makes anyone `host`. */
static __always_inline __u32 identity_from_stack(struct __sk_buff *skb, const struct packet *p)
{
	__u32 identity;

	if ((skb->mark & MARK_KIND_MASK) == MARK_IDENTITY)
		return mark_identity(skb->mark);
	if (!skb->ingress_ifindex)
		return IDENTITY_HOST;
	identity = host_identity(host_of(&p->src, 0), p->v6);
	if (identity == IDENTITY_HOST)
		return p->v6 ? config_world6 : config_world4;
	return identity;
}

#endif
