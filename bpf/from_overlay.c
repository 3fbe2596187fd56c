/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_overlay: what comes out of the tunnel device (tcx ingress): to pods of this node, to the node itself, or on to where a service leads. Who
 * may send it: unwrap.h. */
#include <linux/if_packet.h>
#include "lib/outside.h"
#include "lib/unwrap.h"

/* To the host's stack. While this node routes plainly to who sends through the tunnel, or that is a machine outside which another node has led
 * here, the packet arrives there as if by the device that the routes name: the stack would not expect it from a device without an
 * address (fib_validate_source). The latter is judged already, and from_net only lets it pass. */
GLOBAL overlay_to_stack(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	struct ipcache *from;
	struct packet *p;
	int found, outside;

	if (!c)
		return TC_ACT_SHOT;
	p = &c->packet;
	from = ipcache_lookup(&p->src, c->net);
	outside = !from || (!(from->flags & (IPCACHE_LOCAL | IPCACHE_NODE | IPCACHE_VTEP | IPCACHE_DIRECT)) && addr_is_zero(&from->tunnel));
	if (outside || (from->flags & IPCACHE_DIRECT)) {
		route_ask(&fib, p->v6, NULL, &p->src);
		found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
		if (outside && (!found || found == BPF_FIB_LKUP_RET_NO_NEIGH)) {
			mark_set(skb, 0, MARK_DELIVERED);
			return bpf_redirect(fib.ifindex, BPF_F_INGRESS);
		}
		if (!found && !rewrite_macs(skb, fib.smac, fib.dmac))
			return bpf_redirect(fib.ifindex, BPF_F_INGRESS);
	}
	bpf_skb_change_type(skb, PACKET_HOST);
	mark_set(skb, c->source, MARK_IDENTITY);
	return TC_ACT_OK;
}

/* An answer to a call that this node has led on, or a call or an error that it leads to a backend. GO_ON: it stays, as it is or translated;
 * else the action. */
GLOBAL overlay_lead(struct __sk_buff *skb)
{
	struct context *c = context_here();
	int action;

	if (!c)
		return TC_ACT_SHOT;
	action = outside_back(skb, c);
	if (action == GO_ON)
		action = outside_enter(skb);
	return action == GO_ON ? GO_ON : deliver_rest(skb, c, action, 0);
}

/* To this node. lost: why it is not known what the packet is, or 0. */
GLOBAL overlay_to_node(struct __sk_buff *skb, int lost)
{
	struct context *c = context_here();
	int reason;

	if (!c)
		return TC_ACT_SHOT;
	reason = lost ? 0 : outside_here(skb);
	if (!reason && !node_nic())
		return overlay_to_stack(skb);
	if (!reason)
		reason = lost ? lost : node_enforce(skb, NODE_GETS);
	return reason ? drop(skb, c, reason) : deliver_rest(skb, c, overlay_to_stack(skb), 0);
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
	if (ipcache_is_this_node(h) && !reason) {
		action = overlay_lead(skb);
		if (action != GO_ON)
			return action;
		h = ipcache_lookup(&p->dst, c->net);
	}
	if (ipcache_is_this_node(h))
		return overlay_to_node(skb, reason);
	if (!reason)
		reason = clash_meet(skb, c, &f);
	if (!reason)
		reason = outside_keeps(c);
	if (reason)
		return drop(skb, c, reason);
	action = path_in(skb, c, &f, h);
	if (action == TC_ACT_OK && c->net)
		return drop(skb, c, DROP_STALE);
	if (action == TC_ACT_OK)
		action = overlay_to_stack(skb);
	return deliver_rest(skb, c, action, c->hop.ifindex);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_OVERLAY);
	int action;

	if (!c)
		return TC_ACT_SHOT;
	c->net = net_of_device();
	action = unwrap_admit(skb);
	return action == GO_ON ? counted(skb, c, handle_from_overlay(skb, c)) : action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
