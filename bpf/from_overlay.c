/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_overlay: what comes out of the tunnel device (tcx ingress). The sender's node vouches for the identity in the
 * VNI, so the outer source must be a node that the cluster knows, or a VTEP, which vouches for its range alone. */
#include <linux/if_packet.h>
#include "lib/outside.h"
#include "lib/vtep.h"

/* Reads the tunnel's header; `node` becomes the address that the sender's overlay packets are sent from and to. What is sent
 * to another address of this node is no node's: nodes know where its tunnel ends. `foreign`: it is a VTEP's. Returns 0 or a drop reason. */
static __noinline int unwrap(struct __sk_buff *skb, struct context *c, struct addr *node, int *foreign)
{
	struct bpf_tunnel_key key = {};
	struct addr outer = {}, here = {};
	struct ipcache *h;

	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) {
		addr_from4(&outer, bpf_htonl(key.remote_ipv4));
		addr_from4(&here, bpf_htonl(key.local_ipv4));
	} else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6)) {
		__builtin_memcpy(&outer, key.remote_ipv6, 16);
		__builtin_memcpy(&here, key.local_ipv6, 16);
	} else {
		return DROP_TUNNEL_KEY;
	}
	h = ipcache_lookup(&outer, c->net);
	if (mark_kind(skb) == MARK_IDENTITY) /* by another network than the nodes' */
		return DROP_UNKNOWN_SENDER;
	if (!h || !(h->flags & (IPCACHE_NODE | IPCACHE_VTEP)) || (h->flags & IPCACHE_LOCAL) || !overlay_is_here(&here))
		return DROP_UNKNOWN_SENDER;
	c->source = key.tunnel_id;
	*foreign = !(h->flags & IPCACHE_NODE);
	if (*foreign) {
		*node = outer;
		return c->source == IDENTITY_WORLD ? 0 : DROP_INVALID_VNI;
	}
	*node = h->tunnel;
	if (c->source == IDENTITY_HOST)
		c->source = IDENTITY_REMOTE_NODE;
	return c->source ? 0 : DROP_INVALID_IDENTITY;
}

/* A node speaks for itself, for what is known to live there, and for what it carries: the outside, its own other addresses.
 * Who lives at an address there it knows best. */
static __always_inline int check_source(struct context *c, const struct addr *node)
{
	const struct ipcache *from = ipcache_lookup(&c->packet.src, c->net);

	c->sender = from ? from->identity : 0;
	if (addr_is_loopback(&c->packet.src) || addr_is_hairpin(&c->packet.src))
		return DROP_INVALID_SOURCE_IP;
	if (from && (from->flags & IPCACHE_VTEP)) /* it is no VTEP that says so */
		return DROP_INVALID_SOURCE_IP;
	if (from && !addr_is_zero(&from->tunnel))
		return addr_equal(&from->tunnel, node) ? 0 : DROP_INVALID_SOURCE_IP;
	if (from && (from->flags & IPCACHE_LOCAL))
		return DROP_INVALID_SOURCE_IP;
	return ipcache_place(c->source) == PLACE_POD ? DROP_INVALID_SOURCE_IP : 0;
}

/* To the host's stack. While this node routes plainly to who sends through the tunnel, the packet arrives there as if by
 * the device that the routes name: the stack would not expect it from a device without an address (fib_validate_source). */
GLOBAL overlay_to_stack(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	struct ipcache *from;
	struct packet *p;

	if (!c)
		return TC_ACT_SHOT;
	p = &c->packet;
	from = ipcache_lookup(&p->src, c->net);
	if (from && (from->flags & IPCACHE_DIRECT)) {
		route_ask(&fib, p->v6, NULL, &p->src);
		if (!bpf_fib_lookup(skb, &fib, sizeof(fib), 0) && !rewrite_macs(skb, fib.smac, fib.dmac))
			return bpf_redirect(fib.ifindex, BPF_F_INGRESS);
	}
	bpf_skb_change_type(skb, PACKET_HOST);
	mark_set(skb, c->source, MARK_IDENTITY);
	return TC_ACT_OK;
}

static __always_inline int handle_from_overlay(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct ipcache *h = ipcache_lookup(&p->dst, c->net);
	struct flow f = {};
	int reason, action;

	c->destination = ipcache_identity(h, p->v6);
	if (!h || !(h->flags & IPCACHE_LOCAL) || !(ipcache_is_local_pod(h) || ipcache_is_this_node(h)))
		return drop(skb, c, DROP_STALE);
	reason = fragment_meet(c);
	if (ipcache_is_this_node(h)) {
		action = reason ? GO_ON : outside_back(skb, c);
		if (action == GO_ON && !reason)
			action = outside_enter(skb);
		if (action != GO_ON)
			return deliver_rest(skb, c, action, 0);
		h = ipcache_lookup(&p->dst, c->net);
	}
	if (ipcache_is_this_node(h)) {
		if (!reason && (reason = outside_here(skb)))
			return drop(skb, c, reason);
		if (!node_nic())
			return overlay_to_stack(skb);
	}
	if (!reason && ipcache_is_this_node(h)) {
		reason = node_enforce(skb, NODE_GETS);
		if (!reason)
			return deliver_rest(skb, c, overlay_to_stack(skb), 0);
	}
	if (reason)
		return drop(skb, c, reason);
	reason = clash_meet(skb, c, &f);
	if (!reason)
		reason = outside_keeps(c);
	if (reason)
		return drop(skb, c, reason);
	action = path_in(skb, c, &f, h);
	if (action == TC_ACT_OK)
		action = overlay_to_stack(skb);
	return deliver_rest(skb, c, action, c->hop.ifindex);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_OVERLAY);
	struct addr node = {};
	int reason, foreign = 0;

	if (!c)
		return TC_ACT_SHOT;
	c->net = net_of_device();
	reason = unwrap(skb, c, &node, &foreign);
	if (!reason && foreign && skb->protocol == bpf_htons(ETH_P_ARP))
		return vtep_arp(skb, c, &node);
	if (!reason)
		reason = parse(skb, &c->packet);
	if (!reason && dsr_may_be(&c->packet))
		reason = foreign ? dsr_refuse(skb) : dsr_take(skb);
	if (!reason)
		reason = foreign ? vtep_check(c, &node) : check_source(c, &node);
	if (reason)
		return drop(skb, c, reason);
	return counted(skb, c, handle_from_overlay(skb, c));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
