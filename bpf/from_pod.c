/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_pod: what a workload sends, at the host side of its NIC (ingress). docs/packet-path.md follows a packet. */
#include "lib/clash.h"
#include "lib/neighbor.h"
#include "lib/netkit.h"
#include "lib/node.h"
#include "lib/reject.h"
#include "lib/route.h"
#include "lib/workload.h"

static __always_inline int open(struct context *c, struct flow *f, int loops)
{
	return ct_open(c, f, (c->event_flags & EVENT_SERVICE ? CT_SERVICE : 0) | (loops ? CT_LOOPBACK : 0));
}

static __always_inline int to_stack(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	if (f->is_new)
		__sync_fetch_and_or(&f->entry->flags, CT_STACK);
	forward_report(skb, c, f, EVENT_TO_STACK);
	mark_set(skb, c->source, MARK_IDENTITY);
	return TC_ACT_OK;
}

static __always_inline int by_overlay(const struct host *h)
{
	return h && config.overlay_ifindex && !(h->flags & HOST_DIRECT) && !addr_is_zero(&h->tunnel);
}

/* To another node or the outside, past the host's stack. */
static __noinline int leave(struct __sk_buff *skb, struct context *c, const struct host *h)
{
	int reason, action;

	if (by_overlay(h)) {
		reason = overlay_wrap(skb, h, c->source);
		if (reason)
			return drop(skb, c, reason);
		mark_set(skb, 0, MARK_ENCAPSULATED);
		return bpf_redirect(config.overlay_ifindex, 0);
	}
	mark_set(skb, c->source, MARK_IDENTITY);
	action = forward_route(skb, c);
	if (action == TC_ACT_REDIRECT && h && (h->flags & HOST_CLUSTER))
		mark_set(skb, 0, MARK_DELIVERED); /* to_net would only find that nothing is to be masqueraded */
	return action;
}

/* Where an allowed packet goes that is not for a workload of this node. */
static __noinline int send(struct __sk_buff *skb, struct context *c, struct flow *f, const struct host *h)
{
	int reason = host_is_this_node(h) ? host_verdict(skb, c, f, 0) : 0;

	if (reason)
		return forward_refuse(skb, c, f, reason);
	reason = ct_touch(c, f);
	if (reason)
		return drop(skb, c, reason);
	if ((f->entry->flags & CT_STACK) || host_is_this_node(h))
		return to_stack(skb, c, f);
	if (h && (h->flags & HOST_LOCAL))
		return drop(skb, c, DROP_STALE);
	forward_report(skb, c, f, by_overlay(h) ? EVENT_TO_OVERLAY : EVENT_TO_NETWORK);
	return leave(skb, c, h);
}

static __always_inline int judge(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	struct packet *p = &c->packet;
	struct flow f = {};
	struct host *h;
	int reason = 0, loops = 0;

	h = host_at(&p->dst, n->net);
	if (!host_is_workload(h)) {
		reason = lb_translate(skb, c);
		loops = addr_equal(&p->src, &p->dst) && (c->event_flags & EVENT_SERVICE);
		if (!reason && loops)
			reason = forward_loopback(skb, c);
		h = host_of(&p->dst, n->net);
	}
	c->destination = host_identity(h, p->v6);
	if (!reason)
		reason = workload_check_target(p, h);
	if (reason)
		return reject(skb, c, n, reason);
	if (icmp_is_special(p)) {
		struct nic *to = host_is_pod_here(h) ? nic_at(h->ifindex) : NULL;

		reason = related(skb, !!to); /* it goes the way of the connection that it is about */
		if (reason)
			return drop(skb, c, reason);
		if (!(c->event_flags & EVENT_TO_STACK) && !host_is_this_node(h))
			return to ? forward_into(skb, to, h->ifindex) : leave(skb, c, h);
		mark_set(skb, c->source, MARK_IDENTITY);
		return TC_ACT_OK;
	}
	reason = clash_find(skb, c, &f, n->net, loops);
	if (!reason && !f.entry)
		reason = !host_is_workload(h) && lb_refuses(c, n->net) ? DROP_NO_BACKEND : open(c, &f, loops);
	if (reason || !f.entry)
		return reject(skb, c, n, reason);
	if (f.reply && (f.entry->flags & CT_LOOPBACK)) {
		reason = forward_loopback_reply(skb, c, &f);
		return reason ? drop(skb, c, reason) : forward_into(skb, n, skb->ifindex);
	}
	if (f.entry->flags & CT_LOOPBACK)
		return forward_into(skb, n, skb->ifindex);
	reason = verdict_at(skb, c, &f, n, !f.reply);
	if (reason)
		return forward_refuse(skb, c, &f, reason);
	/* Not from send(): its frame would be one too many for kernels that round each up to 32 bytes (before 6.8). */
	if (host_is_pod_here(h) && !(f.entry->flags & CT_STACK))
		return forward_deliver(skb, c, &f, h->ifindex);
	return send(skb, c, &f, h);
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_POD);
	struct nic *n = nic_at(skb->ifindex);
	int reason, action;

	if (!c)
		return TC_ACT_SHOT;
	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	c->source = n->identity;
	if (netkit_frame_lies(skb))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	c->packet.owner = n->incarnation;
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return neighbor_arp(skb, c, n);
	reason = parse(skb, &c->packet);
	if (!reason && neighbor_is_talk(&c->packet)) {
		action = neighbor_hear(skb, c, n);
		if (action != NEIGHBOR_JUDGE)
			return action;
	}
	if (!reason)
		reason = workload_check_source(&c->packet, n);
	if (!reason)
		reason = fragment_learn(c, n->incarnation);
	if (reason)
		return drop(skb, c, reason);
	return counted(skb, c, judge(skb, c, n));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
