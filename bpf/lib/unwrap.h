/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* unwrap: who sent what comes out of the tunnel. The sender's node vouches for the identity in the VNI, so the outer source must be a node that
 * the cluster knows, or a VTEP, which vouches for its range alone. Where the VNI says a network, the sender is who has its address there. */
#ifndef WEFT_UNWRAP_H
#define WEFT_UNWRAP_H

#include "dsr.h"
#include "geneve.h"
#include "overlay.h"
#include "vtep.h"

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
	if (overlay_is_network(key.tunnel_id)) {
		c->net = key.tunnel_id & 0xffff;
		c->source = 0; /* see unwrap_check_source */
		return c->net && c->net <= OVERLAY_LAST ? 0 : DROP_INVALID_VNI;
	}
	if (c->source == IDENTITY_HOST)
		c->source = IDENTITY_REMOTE_NODE;
	return c->source ? 0 : DROP_INVALID_IDENTITY;
}

/* A node speaks for itself, for what is known to live there, and for what it carries: the outside, its own other addresses.
 * Who lives at an address there it knows best. In a network beside that of pods it speaks for what lives there alone. */
static __always_inline int unwrap_check_source(struct context *c, const struct addr *node)
{
	const struct ipcache *from = ipcache_lookup(&c->packet.src, c->net);

	c->sender = from ? from->identity : 0;
	if (addr_is_loopback(&c->packet.src) || addr_is_hairpin(&c->packet.src))
		return DROP_INVALID_SOURCE_IP;
	if (from && (from->flags & IPCACHE_VTEP)) /* it is no VTEP that says so */
		return DROP_INVALID_SOURCE_IP;
	if (c->net)
		c->source = c->sender;
	if (from && !addr_is_zero(&from->tunnel))
		return addr_equal(&from->tunnel, node) ? 0 : DROP_INVALID_SOURCE_IP;
	if (c->net || (from && (from->flags & IPCACHE_LOCAL)))
		return DROP_INVALID_SOURCE_IP;
	return ipcache_place(c->source) == PLACE_POD ? DROP_INVALID_SOURCE_IP : 0;
}

/* Who speaks, and whether its node may say so. GO_ON: it may; else the action. On its own, as what follows it, for the stack is full. */
GLOBAL unwrap_admit(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct addr node = {};
	int reason, foreign = 0;

	if (!c)
		return TC_ACT_SHOT;
	reason = unwrap(skb, c, &node, &foreign);
	if (!reason && foreign && skb->protocol == bpf_htons(ETH_P_ARP))
		return vtep_arp(skb, c, &node);
	if (!reason)
		reason = parse(skb, &c->packet);
	if (!reason && dsr_may_be(&c->packet))
		reason = foreign || c->net ? dsr_refuse(skb) : dsr_take(skb);
	if (!reason && geneve.on && !foreign && !c->net && !c->told)
		reason = geneve_take(skb);
	if (!reason)
		reason = foreign ? vtep_check(c, &node) : unwrap_check_source(c, &node);
	return reason ? drop(skb, c, reason) : GO_ON;
}

#endif
