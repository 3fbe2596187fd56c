/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_net: what enters the node, at its physical NICs (tcx ingress): undoes masquerade, takes packets for local
 * workloads straight in, and names the sender of the rest for the host's stack. */
#include <linux/if_packet.h>
#include "lib/outside.h"
#include "lib/vlan.h"

/* Who a packet off the wire is from. Workloads that this node reaches by the overlay come by the overlay, or plainly from
 * their node if that sends natively already, or still; from behind a router they are the world's, but for connections
 * that are open. Where all that workloads say to the outside is masqueraded, none of them comes by any other way, nor do
 * this node's own. Returns 0 or a drop reason. */
static __noinline int source_of(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct ipcache *from = ipcache_lookup(&p->src, c->net);
	struct addr as = config_masquerade(p->v6);
	int sender = SENDER_MACHINE, masquerades = !addr_is_zero(&as);

	c->claimed = 0;
	c->source = ipcache_identity(NULL, p->v6);
	if (addr_is_loopback(&p->src) || addr_is_hairpin(&p->src))
		return DROP_INVALID_SOURCE_IP;
	if (addr_is_loopback(&p->dst))
		return DROP_UNKNOWN_TARGET;
	if (!from)
		return 0;
	if (from->flags & IPCACHE_LOCAL)
		return config.overlay_ifindex && masquerades && ipcache_is_local_pod(from) && !(from->flags & IPCACHE_DIRECT) ? DROP_INVALID_SOURCE_IP : 0;
	if (!sender_is_any(from))
		sender = sender_of(skb, &from->tunnel);
	if (sender == SENDER_MACHINE)
		c->source = ipcache_identity(from, p->v6);
	else if (sender == SENDER_ROUTER)
		c->claimed = from->identity;
	else if (masquerades)
		return DROP_INVALID_SOURCE_IP;
	return 0;
}

/* To the host's stack. Where the node's policy is asked, the rest of a datagram is to follow. */
static __always_inline int net_to_stack(struct __sk_buff *skb, struct context *c, int asks)
{
	if (overlay_is(&c->packet))
		mark_clear(skb);
	else
		mark_set(skb, c->source, MARK_IDENTITY);
	return asks ? deliver_rest(skb, c, TC_ACT_OK, 0) : TC_ACT_OK;
}

static __always_inline int handle_from_net(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct ipcache *h = ipcache_lookup(&p->dst, c->net);
	struct flow f = {};
	int mine = 0, reason, lost = fragment_meet(c), asks = ipcache_is_this_node(h) && node_nic(), action;

	if (ipcache_is_this_node(h) && overlay_is(p)) /* from_overlay sees what is inside */
		return overlay_is_here(&p->dst) ? net_to_stack(skb, c, asks) : drop(skb, c, DROP_ENCAP_PROHIBITED);
	reason = source_of(skb, c);
	if (!reason && (asks || ipcache_is_local_pod(h)))
		reason = lost;
	if (reason)
		return drop(skb, c, reason);
	if (lost) /* the host may be collecting its own */
		return net_to_stack(skb, c, 0);
	if (ipcache_is_this_node(h)) {
		mine = c->told ? 0 : masquerade_in(skb, c);
		if (mine < 0)
			return drop(skb, c, -mine);
		if (mine)
			h = ipcache_lookup(&p->dst, c->net);
	}
	if (!ipcache_is_local_pod(h) && (mine || !ipcache_is_workload(h))) { /* no service is offered at the address of a pod elsewhere */
		action = mine ? outside_answer(skb) : outside_call(skb);
		if (action != GO_ON)
			return deliver_rest(skb, c, action, 0);
		h = ipcache_lookup(&p->dst, c->net);
	}
	c->destination = ipcache_identity(h, p->v6);
	asks = 0;
	if (ipcache_is_this_node(h)) {
		reason = outside_here(skb);
		asks = node_nic() != NULL;
		if (!reason && asks && !service_is_anothers())
			reason = node_enforce(skb, NODE_GETS);
	}
	if (reason)
		return drop(skb, c, reason);
	if (!ipcache_is_local_pod(h))
		return net_to_stack(skb, c, asks);
	reason = clash_meet(skb, c, &f);
	if (!reason)
		reason = outside_keeps(c);
	if (reason)
		return drop(skb, c, reason);
	if (f.entry && c->claimed)
		c->source = c->claimed;
	action = path_in(skb, c, &f, h);
	if (action == TC_ACT_OK)
		action = net_to_stack(skb, c, 0);
	return deliver_rest(skb, c, action, c->hop.ifindex);
}

SEC("tc")
int from_net(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_NET);
	int reason, other = vlan_is_other(skb);

	if (!c)
		return TC_ACT_SHOT;
	if (mark_kind(skb) == MARK_DELIVERED) { /* from_overlay has judged it, whose device is none to the stack */
		mark_clear(skb);
		bpf_skb_change_type(skb, PACKET_HOST);
		return TC_ACT_OK;
	}
	c->net = net_of_device();
	if (other)
		return other > 0 ? vlan_pass(skb) : drop(skb, c, DROP_UNSUPPORTED_L2);
	if (skb->pkt_type == PACKET_OTHERHOST) /* sent to another machine: the stack drops it, but what lies on the device may want it */
		return TC_ACT_OK;
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	reason = parse(skb, &c->packet);
	if (!reason && dsr_may_be(&c->packet))
		reason = dsr_take(skb);
	if (reason)
		return drop(skb, c, reason);
	if (addr_is_multicast(&c->packet.dst) && !addr_is_broadcast(&c->packet.dst))
		return TC_ACT_OK;
	return counted(skb, c, handle_from_net(skb, c));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
