/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_pod: what the host's stack sends into a workload, at the host side of its NIC (egress). */
#include "lib/identity.h"
#include "lib/neighbor.h"
#include "lib/node.h"

static __always_inline int handle_to_pod(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	struct packet *p = &c->packet;
	struct flow f = {};
	int reason;

	if (icmp_is_special(p)) {
		reason = related(skb, 1);
		if (reason)
			return drop(skb, c, reason);
		goto pass;
	}
	ct_find(c, p, &f);
	if (!f.entry) {
		/* The node's own calls, kubelet's probes among them, count for the node, not for the pod. */
		if (c->source == IDENTITY_HOST)
			p->owner = 0;
		reason = open_connection(&f, CT_STACK | (c->source == IDENTITY_HOST ? 0 : CT_CALLED));
		if (!f.entry)
			return drop(skb, c, reason);
	}
	if (f.reply)
		c->sender = ipcache_identity(ipcache_lookup(&p->src, c->net), p->v6);
	reason = c->source == IDENTITY_HOST ? policy_reason(node_verdict(skb, c, &f, 1)) : 0;
	if (!reason)
		reason = policy_reason(verdict_at(skb, c, &f, n, f.reply));
	if (reason)
		return deliver_refuse(skb, c, &f, reason);
	reason = ct_update(c, &f);
	if (!reason)
		reason = reply_service(skb, c, &f);
	if (reason)
		return drop(skb, c, reason);
	deliver_report(skb, c, &f, 0);
pass:
	mark_clear(skb);
	return TC_ACT_OK;
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct context *c;
	struct nic *n;
	int reason, action;

	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return TC_ACT_OK;
	if (mark_kind(skb) == MARK_DELIVERED) {
		mark_clear(skb);
		return TC_ACT_OK;
	}
	c = context_of(HOOK_TO_POD);
	n = nic_at(skb->ifindex);
	if (!c)
		return TC_ACT_SHOT;
	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	c->packet.owner = n->incarnation;
	c->net = n->net;
	reason = parse(skb, &c->packet);
	if (!reason && c->net)
		reason = DROP_UNKNOWN_SENDER; /* the host's stack is in no network beside that of pods */
	if (!reason && addr_is_hairpin(&c->packet.src))
		reason = DROP_INVALID_SOURCE_IP;
	if (!reason)
		reason = fragment_meet(c);
	if (reason)
		return drop(skb, c, reason);
	c->source = identity_from_stack(skb, c);
	c->destination = n->identity;
	if (neighbor_is_talk(&c->packet)) {
		action = neighbor_speak(skb, c);
		if (action != NEIGHBOR_JUDGE)
			return action;
	}
	return counted(skb, c, deliver_rest(skb, c, handle_to_pod(skb, c, n), skb->ifindex));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
