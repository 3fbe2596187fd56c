/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_pod: what a workload sends, at the host side of its NIC (ingress). docs/packet-path.md follows a packet. */
#include "lib/clash.h"
#include "lib/neighbor.h"
#include "lib/netkit.h"
#include "lib/node.h"
#include "lib/reject.h"
#include "lib/route.h"
#include "lib/workload.h"

static __always_inline int create_connection(struct context *c, struct flow *f, int loops)
{
	return ct_create(c, f, (c->event_flags & EVENT_SERVICE ? CT_SERVICE : 0) | (loops ? CT_LOOPBACK : 0) | config_plain(c->packet.v6));
}

static __always_inline int pod_to_stack(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	if (f->is_new)
		__sync_fetch_and_or(&f->entry->flags, CT_STACK);
	deliver_report(skb, c, f, EVENT_TO_STACK);
	mark_set(skb, c->source, MARK_IDENTITY);
	return TC_ACT_OK;
}

static __always_inline int by_overlay(const struct ipcache *h)
{
	return h && config.overlay_ifindex && !(h->flags & IPCACHE_DIRECT) && !addr_is_zero(&h->tunnel);
}

/* To another node or the outside, past the host's stack. */
static __noinline int leave_node(struct __sk_buff *skb, struct context *c, const struct ipcache *h)
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
	action = route_out(skb, c);
	if (action == TC_ACT_REDIRECT && h && (h->flags & IPCACHE_CLUSTER))
		mark_set(skb, 0, MARK_DELIVERED); /* to_net would only find that nothing is to be masqueraded */
	return action;
}

/* Where an allowed packet goes that is not for a workload of this node. */
static __noinline int leave_or_stack(struct __sk_buff *skb, struct context *c, struct flow *f, const struct ipcache *h)
{
	int reason = ipcache_is_this_node(h) ? node_verdict(skb, c, f, 0) : 0;

	if (reason)
		return deliver_refuse(skb, c, f, reason);
	reason = ct_update(c, f);
	if (reason)
		return drop(skb, c, reason);
	if ((f->entry->flags & CT_STACK) || ipcache_is_this_node(h))
		return pod_to_stack(skb, c, f);
	if (h && (h->flags & IPCACHE_LOCAL))
		return drop(skb, c, DROP_STALE);
	deliver_report(skb, c, f, by_overlay(h) ? EVENT_TO_OVERLAY : EVENT_TO_NETWORK);
	return leave_node(skb, c, h);
}

static __always_inline int handle_from_pod(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	struct packet *p = &c->packet;
	struct flow f = {};
	struct ipcache *h = ipcache_exact(&p->dst, c->net);
	int reason = 0, loops = 0;

	if (!ipcache_is_workload(h)) {
		reason = lb_translate(skb, c);
		loops = addr_equal(&p->src, &p->dst) && (c->event_flags & EVENT_SERVICE);
		if (!reason && loops)
			reason = reply_loopback_source(skb, c);
		h = ipcache_lookup(&p->dst, c->net);
	}
	c->destination = ipcache_identity(h, p->v6);
	if (!reason)
		reason = workload_check_target(p, h);
	if (reason)
		return reject(skb, c, n, reason);
	if (icmp_is_special(p)) {
		struct nic *to = ipcache_is_local_pod(h) ? nic_at(h->ifindex) : NULL;

		reason = related(skb, !!to); /* it goes the way of the connection that it is about */
		if (reason)
			return drop(skb, c, reason);
		if (!(c->event_flags & EVENT_TO_STACK) && !ipcache_is_this_node(h))
			return to ? deliver_into(skb, to, h->ifindex) : leave_node(skb, c, h);
		mark_set(skb, c->source, MARK_IDENTITY);
		return TC_ACT_OK;
	}
	reason = clash_find(skb, c, &f, loops);
	if (!reason && !f.entry)
		reason = !ipcache_is_workload(h) && lb_refuses(c) ? DROP_NO_BACKEND : create_connection(c, &f, loops);
	if (reason || !f.entry)
		return reject(skb, c, n, reason);
	if (f.reply && (f.entry->flags & CT_LOOPBACK)) {
		reason = reply_loopback(skb, c, &f);
		return reason ? drop(skb, c, reason) : deliver_into(skb, n, skb->ifindex);
	}
	if (f.entry->flags & CT_LOOPBACK)
		return deliver_into(skb, n, skb->ifindex);
	reason = verdict_at(skb, c, &f, n, !f.reply);
	if (reason)
		return deliver_refuse(skb, c, &f, reason);
	/* Not from leave_or_stack(): its frame would be one too many for kernels that round each up to 32 bytes (before 6.8). */
	if (ipcache_is_local_pod(h) && !(f.entry->flags & CT_STACK))
		return deliver_local(skb, c, &f, h->ifindex);
	return leave_or_stack(skb, c, &f, h);
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
	c->net = n->net;
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
	return counted(skb, c, handle_from_pod(skb, c, n));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
