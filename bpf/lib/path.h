/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* path: how a packet goes on. It is chosen once for each way of a connection, from the row of its target and the node's
 * configuration, and remembered there; chosen again when the row has changed (the revision by which verdicts grow old, too) or
 * the configuration has. What stays for a connection's life is that both directions pass the host's netfilter, or neither. */
#ifndef WEFT_PATH_H
#define WEFT_PATH_H

#include "deliver.h"
#include "overlay.h"
#include "route.h"

/* A hash of what a path was chosen for. By it a path that was written as another CPU gave the row to another connection does not count. */
static __always_inline __u32 path_of(const struct context *c)
{
	return addr_mixed(&c->packet.dst, c->net * ADDR_MIX_0 ^ config.path_epoch);
}

static __always_inline struct ct_way *path_way(const struct flow *f)
{
	return f->from_b ? &f->entry->way_b : &f->entry->way_a;
}

/* Chooses the path of a packet to `h`, whose connection has these flags. PATH_NONE: an address of this node's pod prefix that no pod
 * has; or, in a network beside that of pods, what is at no pod: neither the host's stack nor the wire knows such a network. */
static __always_inline void path_choose(struct context *c, const struct ipcache *h, __u32 flags)
{
	struct hop *hop = &c->hop;

	hop->path = PATH_DIRECT;
	hop->plain = h && (h->flags & IPCACHE_CLUSTER);
	hop->node = ipcache_is_this_node(h);
	hop->ifindex = ipcache_is_local_pod(h) ? h->ifindex : 0;
	if ((flags & CT_STACK) || hop->node) {
		hop->path = PATH_STACK;
	} else if (ipcache_is_local_pod(h)) {
		hop->path = PATH_POD;
	} else if (h && (h->flags & IPCACHE_LOCAL)) {
		hop->path = PATH_NONE;
	} else if (h && config.overlay_ifindex && !(h->flags & IPCACHE_DIRECT) && !addr_is_zero(&h->tunnel)) {
		hop->path = h->flags & IPCACHE_VTEP ? PATH_VTEP : PATH_OVERLAY;
		hop->tunnel = h->tunnel;
		__builtin_memcpy(hop->mac, h->mac, sizeof(hop->mac));
	}
	if (c->net && hop->path != PATH_POD && hop->path != PATH_OVERLAY)
		hop->path = PATH_NONE;
}

/* The path of a packet that this node leads on, out of a device, to a backend or a client `h`: with addresses that to_net has nothing to
 * do with. */
static __always_inline void path_lead(struct context *c, const struct ipcache *h)
{
	path_choose(c, h, 0);
	if (h && (h->flags & IPCACHE_NODE)) /* from node to node */
		c->hop.path = PATH_DIRECT;
	c->hop.plain = 1;
}

/* Remembers the path of a packet to a pod. Other targets are looked up for each packet: a Service may claim such an address later. */
static __always_inline void path_remember(const struct context *c, const struct flow *f)
{
	struct ct_way *way = path_way(f);

	way->path.of = path_of(c);
	way->path.ifindex = c->hop.ifindex;
	way->path.tunnel = c->hop.tunnel;
	way->target = c->destination;
	*(volatile __u64 *)&way->path.revision_path = c->revision << 8 | c->hop.path;
}

/* Whether the path of this packet is remembered, and nothing that it rests on has changed: then it and the target's identity are
 * in the context. */
static __always_inline int path_recall(struct context *c, const struct flow *f)
{
	__u32 bucket = revision_bucket(&c->packet.dst, c->net);
	struct ct_way *way = path_way(f);
	__u64 known = *(volatile __u64 *)&way->path.revision_path, *changed;

	if (!(known & 0xff) || way->path.of != path_of(c))
		return 0;
	changed = bpf_map_lookup_elem(&peer_revisions, &bucket);
	if (!changed || (known >> 8) < *changed)
		return 0;
	c->hop.path = known & 0xff;
	c->hop.ifindex = way->path.ifindex;
	c->hop.tunnel = way->path.tunnel;
	c->hop.plain = 1;
	c->hop.node = 0;
	c->destination = way->target;
	return known == *(volatile __u64 *)&way->path.revision_path;
}

static __always_inline int path_to_stack(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	if (f->is_new)
		__sync_fetch_and_or(&f->entry->flags, CT_STACK);
	deliver_report(skb, c, f, EVENT_TO_STACK);
	mark_set(skb, c->source, MARK_IDENTITY);
	return TC_ACT_OK;
}

/* To another node or the outside, past the host's stack. */
static __noinline int path_out(struct __sk_buff *skb, struct context *c)
{
	int reason, action;

	if (c->hop.path == PATH_OVERLAY || c->hop.path == PATH_VTEP) {
		if (c->hop.path == PATH_VTEP)
			reason = overlay_wrap_foreign(skb, &c->hop.tunnel, c->hop.mac);
		else
			reason = overlay_encap(skb, &c->hop.tunnel, overlay_vni(c->net, c->source));
		if (reason)
			return drop(skb, c, reason);
		mark_set(skb, 0, MARK_ENCAPSULATED);
		return bpf_redirect(config.overlay_ifindex, 0);
	}
	mark_set(skb, c->source, MARK_IDENTITY);
	action = route_out(skb, c);
	if (action == TC_ACT_REDIRECT && c->hop.plain)
		mark_set(skb, 0, MARK_DELIVERED); /* to_net would only find that nothing is to be masqueraded */
	return action;
}

/* Delivers a packet from elsewhere to a pod of this node; `f` is found already. TC_ACT_OK: it has to go through the host's stack. */
static __always_inline int path_in(struct __sk_buff *skb, struct context *c, struct flow *f, const struct ipcache *h)
{
	path_choose(c, h, f->entry ? f->entry->flags : 0);
	return c->hop.path == PATH_POD ? deliver_local(skb, c, f, c->hop.ifindex) : TC_ACT_OK;
}

/* Takes the path of an allowed packet that is not for a pod of this node. */
static __always_inline int path_take(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	/* What goes to a pod of this node by the stack is counted in to_pod. */
	int again = c->hop.path == PATH_STACK && c->hop.ifindex ? FLOW_AGAIN : 0, reason = ct_follow(c, f->entry, flow_how(f) | again);

	if (reason)
		return drop(skb, c, reason);
	if (c->hop.path == PATH_STACK)
		return path_to_stack(skb, c, f);
	reason = reply_service(skb, c, f);
	if (reason)
		return drop(skb, c, reason);
	if (f->reply && (f->entry->flags & CT_SERVICE)) { /* to a client outside, which has called by this node's devices */
		if (ipcache_place(c->destination) == PLACE_NODE)
			c->hop.path = PATH_DIRECT;
		c->hop.plain = 1;
	}
	switch (c->hop.path) {
	case PATH_OVERLAY:
	case PATH_VTEP:
		deliver_report(skb, c, f, EVENT_TO_OVERLAY);
		return path_out(skb, c);
	case PATH_DIRECT:
		deliver_report(skb, c, f, EVENT_TO_NETWORK);
		return path_out(skb, c);
	default:
		return drop(skb, c, DROP_STALE);
	}
}

#endif
