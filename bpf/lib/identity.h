/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* identity: who an address is, and how an identity crosses the host's stack in skb->mark. */
#ifndef WEFT_IDENTITY_H
#define WEFT_IDENTITY_H

#include "abi/mark.h"
#include "packet.h"

static __always_inline __u32 mark_of(__u32 identity, __u32 kind)
{
	return identity << 16 | ((identity >> 16) & 0xff) | kind;
}

static __always_inline __u32 mark_identity(__u32 mark)
{
	return mark >> 16 | (mark & 0xff) << 16;
}

/* A local socket may give its packets any mark (SO_MARK, capability NET_RAW), but no tc_index. A hook that passes a packet on
 * has the kernel set that to tc_classid (tcx_action_code, tc_run); one that redirects leaves it alone. Both stay with a
 * packet through the host's stack and the tunnel. */
static __always_inline void mark_write(struct __sk_buff *skb, __u32 mark, __u32 sign)
{
	skb->mark = (skb->mark & ~MARK_MASK) | mark;
	skb->tc_index = sign;
	skb->tc_classid = sign;
}

static __always_inline void mark_set(struct __sk_buff *skb, __u32 identity, __u32 kind)
{
	mark_write(skb, mark_of(identity, kind), MARK_SIGN);
}

static __always_inline void mark_clear(struct __sk_buff *skb)
{
	mark_write(skb, 0, 0);
}

/* The mark, if a program of ours wrote it as the packet came in; else none. */
static __always_inline __u32 mark_read(const struct __sk_buff *skb)
{
	return skb->tc_index == MARK_SIGN ? skb->mark & MARK_MASK : 0;
}

static __always_inline __u32 mark_kind(const struct __sk_buff *skb)
{
	return mark_read(skb) & MARK_KIND_MASK;
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

#define LOOPBACK_IFINDEX 1 /* include/net/flow.h of the kernel */

/* Who sent what leaves the host's stack: the mark says, or it is a socket of this node, perhaps by way of the loopback
 * device; an address alone never makes anyone `host`. */
static __always_inline __u32 identity_from_stack(struct __sk_buff *skb, const struct packet *p)
{
	__u32 mark = mark_read(skb), identity;

	if ((mark & MARK_KIND_MASK) == MARK_IDENTITY)
		return mark_identity(mark);
	if (!skb->ingress_ifindex || skb->ingress_ifindex == LOOPBACK_IFINDEX)
		return IDENTITY_HOST;
	identity = host_identity(host_of(&p->src, 0), p->v6);
	if (identity == IDENTITY_HOST)
		return p->v6 ? config.world6 : config.world4;
	return identity;
}

#endif
