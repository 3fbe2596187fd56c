/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_pod: what a workload sends, at the host side of its NIC (ingress). docs/packet-path.md follows a packet. */
#include "lib/clash.h"
#include "lib/dsr.h"
#include "lib/named.h"
#include "lib/neighbor.h"
#include "lib/netkit.h"
#include "lib/node.h"
#include "lib/path.h"
#include "lib/reject.h"
#include "lib/workload.h"

static __always_inline int create_connection(struct __sk_buff *skb, struct context *c, struct flow *f, int loops)
{
	__u32 called = c->event_flags & EVENT_SERVICE ? 0 : named_service(skb);

	return open_call(f, called | (loops ? CT_LOOPBACK : 0) | config_plain(c->packet.v6));
}

/* An ICMP error goes the way of the connection that it is about. */
static __always_inline int pass_error(struct __sk_buff *skb, struct context *c, const struct ipcache *h)
{
	struct nic *to = ipcache_is_local_pod(h) ? nic_at(h->ifindex) : NULL;
	int reason = related(skb, 1), by_stack = c->event_flags & EVENT_TO_STACK;

	if (!reason && !to && (c->event_flags & EVENT_SERVICE))
		reason = rewrite(skb, &c->packet, SIDE_SOURCE, &c->service, c->packet.src_port); /* the client knows no other */
	if (reason)
		return drop(skb, c, reason);
	if (to && !by_stack)
		return deliver_into(skb, to, h->ifindex);
	path_choose(c, h, by_stack ? CT_STACK : 0);
	if (c->hop.path == PATH_STACK) {
		mark_set(skb, c->source, MARK_IDENTITY);
		return TC_ACT_OK;
	}
	/* Its receiver was a pod of this node, and is gone: by the node's routes the error would leave the node. */
	return c->hop.path == PATH_POD || c->hop.path == PATH_NONE ? drop(skb, c, DROP_STALE) : path_out(skb, c);
}

/* Takes a packet that is not for a pod of this node; if it is for the node, the node's own policy is asked first. */
static __noinline int leave_pod(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	int reason = c->hop.node ? policy_reason(node_verdict(skb, c, f, 0)) : 0;

	return reason ? deliver_refuse(skb, c, f, reason) : path_take(skb, c, f);
}

/* Finds the connection of a packet, or opens it, and its path: by the row of its target, once services are translated. */
static __always_inline int find_path(struct __sk_buff *skb, struct context *c, struct nic *n, struct flow *f)
{
	struct packet *p = &c->packet;
	struct ipcache *h = ipcache_exact(&p->dst, c->net);
	int reason = 0, loops = 0;

	if (c->net && !ipcache_is_workload(h)) { /* there is nothing but pods: no node, no service, no world */
		c->destination = ipcache_identity(NULL, p->v6);
		return drop(skb, c, DROP_UNKNOWN_TARGET);
	}
	if (!ipcache_is_workload(h)) {
		reason = f->reply ? 0 : service_lead(skb);
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
	if (icmp_is_special(p))
		return pass_error(skb, c, h);
	reason = clash_find(skb, c, f, loops);
	if (!reason && !f->entry)
		reason = !ipcache_is_workload(h) && service_refuses(c) ? DROP_NO_BACKEND : create_connection(skb, c, f, loops);
	if (reason || !f->entry)
		return reject(skb, c, n, reason);
	if (f->entry->flags & CT_LOOPBACK) {
		reason = f->reply ? reply_loopback(skb, c) : 0;
		if (reason)
			return drop(skb, c, reason);
		c->destination = c->source;
		c->hop.path = PATH_POD;
		c->hop.ifindex = skb->ifindex;
		return GO_ON;
	}
	path_choose(c, h, f->entry->flags);
	if (ipcache_is_workload(h))
		path_remember(c, f);
	return GO_ON;
}

static __always_inline int handle_from_pod(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	struct flow f = { .key = &c->key };
	int reason, action;

	if (!icmp_is_special(&c->packet))
		ct_find(c, &c->packet, &f);
	if (!f.entry || !clash_owns(c, &f) || !path_recall(c, &f)) {
		action = find_path(skb, c, n, &f);
		if (action != GO_ON || !f.entry) /* the latter for the verifier */
			return action;
	}
	reason = policy_reason(verdict_at(skb, c, &f, n, !f.reply));
	if (reason)
		return deliver_refuse(skb, c, &f, reason);
	/* Not in leave_pod(): that would be one stack frame too many where the verifier rounds each up to 32 bytes (before 6.8). */
	return c->hop.path == PATH_POD ? deliver_local(skb, c, &f, c->hop.ifindex) : leave_pod(skb, c, &f);
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
		reason = dsr_forged(skb, &c->packet);
	if (!reason)
		reason = workload_check_source(&c->packet, n);
	if (!reason)
		reason = fragment_learn(c, n->incarnation);
	if (reason)
		return drop(skb, c, reason);
	return counted(skb, c, handle_from_pod(skb, c, n));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
