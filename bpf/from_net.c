/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_net: what enters the node, at its physical NICs (tcx ingress): undoes masquerade, takes packets for local
 * workloads straight in, and names the sender of the rest for the host's stack. */
#include "lib/host.h"
#include "lib/lb.h"
#include "lib/nat.h"

/* Whether a frame came from the machine with this address: the host's routes reach it on the frame's device, without a
 * router between, and the frame has its MAC address. */
GLOBAL is_from(struct __sk_buff *skb, const struct addr *machine)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	__u8 mac[6];
	int same;

	if (!machine)
		return 0;
	if (addr_is4(machine)) {
		fib.family = AF_INET;
		fib.ipv4_dst = addr_4(machine);
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, machine, 16);
	}
	if (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) || fib.ifindex != skb->ifindex ||
	    bpf_skb_load_bytes(skb, 6, mac, sizeof(mac)))
		return 0;
	/* With a router between, the lookup has put the router's address here. */
	if (addr_is4(machine))
		same = fib.ipv4_dst == addr_4(machine);
	else
		same = !__builtin_memcmp(fib.ipv6_dst, machine, 16);
	return same && !__builtin_memcmp(mac, fib.dmac, sizeof(mac));
}

/* Who a packet off the wire is from. This node's own addresses never come by wire. Workloads that this node reaches by
 * the overlay come by the overlay, or plainly from their node if that sends natively already, or still. */
static __always_inline __u32 source_of(struct __sk_buff *skb, const struct packet *p)
{
	struct host *from = host_of(&p->src, 0);

	if (from && (from->flags & HOST_LOCAL))
		from = NULL;
	else if (from && config_overlay_ifindex && !(from->flags & (HOST_NODE | HOST_DIRECT)) &&
		 !addr_is_zero(&from->tunnel) && !is_from(skb, &from->tunnel))
		from = NULL;
	return host_identity(from, p->v6);
}

static __always_inline int judge(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct host *h = host_of(&p->dst, 0);
	struct flow f = {};
	int mine, reason;

	if (host_is_this_node(h) && p->protocol == IPPROTO_UDP && config_tunnel_port && p->dst_port == bpf_htons(config_tunnel_port))
		return TC_ACT_OK; /* from_overlay sees what is inside */
	c->source = source_of(skb, p);
	if (host_is_this_node(h)) {
		mine = nat_in(skb, c);
		if (mine < 0)
			return drop(skb, c, -mine);
		if (mine)
			h = host_of(&p->dst, 0);
	}
	c->destination = host_identity(h, p->v6);
	if (host_is_this_node(h) && host_nic() && !lb_service(p, 0)) {
		reason = host_judge(skb, HOST_GETS);
		if (reason)
			return drop(skb, c, reason);
	}
	if (!host_is_pod_here(h)) {
		mark_set(skb, c->source, MARK_IDENTITY);
		return TC_ACT_OK;
	}
	ct_find(c, p, 0, &f);
	if (f.entry && (f.entry->flags & CT_STACK)) {
		mark_set(skb, c->source, MARK_IDENTITY);
		return TC_ACT_OK;
	}
	return forward_deliver(skb, c, &f, h->ifindex);
}

SEC("tc")
int from_net(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_NET);
	int reason;

	if (!c)
		return TC_ACT_SHOT;
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	reason = parse(skb, &c->packet);
	if (reason == DROP_FRAGMENT_NOT_FOUND)
		return TC_ACT_OK; /* the host reassembles its own */
	if (reason)
		return drop(skb, c, reason);
	if (addr_is_multicast(&c->packet.dst))
		return TC_ACT_OK;
	return counted(skb, c, judge(skb, c));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
