/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_net: what leaves the node, at its physical NICs (tcx egress): masquerades what workloads say to the outside. */
#include "lib/identity.h"
#include "lib/outside.h"
#include "lib/vlan.h"

/* Whether it is a workload's packet that leaves the cluster and is no answer; or a negated drop reason. */
static __always_inline int is_masqueraded(struct context *c)
{
	struct packet *p = &c->packet;
	struct ipcache *from = ipcache_lookup(&p->src, c->net), *to;
	struct addr as = config_masquerade(p->v6);
	struct flow f = {};
	struct nic *n;
	int reason, off = addr_is_zero(&as), kept;

	if (!ipcache_is_local_pod(from))
		return 0;
	if (off && !p->icmp_error && !fragment_is(p) && !nat_known(c))
		return 0;
	to = ipcache_lookup(&p->dst, c->net);
	c->source = from->identity;
	c->destination = ipcache_identity(to, p->v6);
	if (to && (to->flags & IPCACHE_CLUSTER))
		return 0;
	n = nic_at(from->ifindex);
	p->owner = n ? n->incarnation : 0;
	reason = fragment_learn(c, p->owner);
	if (reason)
		return off && !nat_known(c) ? 0 : -reason;
	ct_find(c, p, &f);
	if (f.entry && (f.reply || (f.entry->flags & CT_PLAIN)))
		return 0;
	kept = masquerade_kept(c, f.entry, &as);
	return !off || kept || p->icmp_error;
}

/* What is not a workload's to be masqueraded. */
static __always_inline int node_sends(struct __sk_buff *skb, struct context *c)
{
	struct ipcache *to;
	int reason;

	if (!node_nic())
		goto reply;
	to = ipcache_lookup(&c->packet.dst, c->net);
	c->source = identity_from_stack(skb, c);
	/* What leaves by a device is not for this node: an address of it is a broadcast's, or belongs to another link. */
	c->destination = ipcache_identity(ipcache_is_this_node(to) ? NULL : to, c->packet.v6);
	reason = node_leaves(skb, c);
	if (reason)
		return drop(skb, c, reason);
reply:
	reason = outside_reply(skb, c);
	return reason ? drop(skb, c, reason) : TC_ACT_OK;
}

SEC("tc")
int to_net(struct __sk_buff *skb)
{
	__u32 kind = mark_kind(skb);
	struct context *c;
	struct addr as;
	int reason, out;

	if (kind == MARK_ENCAPSULATED || kind == MARK_DELIVERED) {
		mark_clear(skb);
		return TC_ACT_OK;
	}
	if (vlan_is_other(skb) > 0) /* of the VLAN device */
		return TC_ACT_OK;
	c = context_of(HOOK_TO_NET);
	if (!c)
		return TC_ACT_SHOT;
	c->net = net_of_device();
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	reason = parse(skb, &c->packet);
	if (reason) /* nothing but what a process of the node makes up */
		return node_nic() ? drop(skb, c, reason) : TC_ACT_OK;
	reason = dsr_forged(skb, &c->packet);
	if (reason)
		return drop(skb, c, reason);
	if (addr_is_multicast(&c->packet.dst) && !addr_is_broadcast(&c->packet.dst))
		return TC_ACT_OK;
	as = config_masquerade(c->packet.v6);
	out = is_masqueraded(c);
	if (!out)
		return node_sends(skb, c);
	if (out < 0)
		reason = -out;
	else if (c->packet.icmp_error)
		reason = masquerade_error(skb, c);
	else
		reason = masquerade_leave(skb, c, &as);
	return counted(skb, c, reason ? drop(skb, c, reason) : TC_ACT_OK);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
