/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* vtep: a machine that is no node and speaks VXLAN, and a range of addresses behind it (keys vtep-* of the configuration). It
 * sends with the VNI of the world, from its range only, to pods only, and asks by ARP which node has a pod's address.
 */
#ifndef WEFT_VTEP_H
#define WEFT_VTEP_H

#include "arp.h"
#include "drop.h"
#include "ipcache.h"
#include "mark.h"
#include "overlay.h"

/* The row of an address, if it lies behind the VTEP at `end`. */
static __always_inline struct ipcache *vtep_row(const struct addr *a, const struct addr *end, __u32 net)
{
	struct ipcache *h = ipcache_lookup(a, net);

	return h && (h->flags & IPCACHE_VTEP) && addr_equal(&h->tunnel, end) ? h : NULL;
}

/* Checks what the VTEP at `end` has sent, and sets the sender's identity. Returns 0 or a drop reason. */
static __always_inline int vtep_check(struct context *c, const struct addr *end)
{
	const struct packet *p = &c->packet;
	struct ipcache *from = vtep_row(&p->src, end, c->net);

	if (!from)
		return DROP_INVALID_SOURCE_IP;
	c->source = from->identity;
	c->sender = from->identity;
	return ipcache_is_local_pod(ipcache_lookup(&p->dst, c->net)) ? 0 : DROP_STALE;
}

/* Answers ARP for the pods of this node, with one MAC for all: VTEPs learn from it at which node a MAC is, so each node has its own. */
static __noinline int vtep_arp(struct __sk_buff *skb, struct context *c, const struct addr *end)
{
	struct addr own = config_addr(&config.tunnel), sender = {}, target = {};
	__u8 mac[6] = { 0x0a, 0x0a, own.b[12], own.b[13], own.b[14], own.b[15] };
	struct arp a;
	int reason;

	if (bpf_skb_load_bytes(skb, ETH_HEADER, &a, sizeof(a)) || a.hardware != bpf_htons(ARP_ETHERNET))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	addr_from4(&sender, arp_address(a.sender));
	addr_from4(&target, arp_address(a.target));
	if (!vtep_row(&sender, end, c->net))
		return drop(skb, c, DROP_INVALID_SOURCE_IP);
	/* The VTEP asks all nodes, and only the one that has the pod answers. */
	if (a.operation != bpf_htons(ARP_REQUEST) || !ipcache_is_local_pod(ipcache_exact(&target, c->net)))
		return TC_ACT_SHOT;
	reason = arp_turn(skb, &a, mac);
	if (!reason)
		reason = overlay_encap(skb, end, IDENTITY_WORLD);
	if (reason)
		return drop(skb, c, reason);
	mark_set(skb, 0, MARK_ENCAPSULATED);
	return bpf_redirect(skb->ifindex, 0);
}

#endif
