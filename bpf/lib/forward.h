/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* forward: verdicts of the NICs on both ends, and the last step of a packet: into a local workload, the overlay, the
 * network, or the host's stack. */
#ifndef WEFT_FORWARD_H
#define WEFT_FORWARD_H

#include "fragment.h"
#include "related.h"
#include "verdict.h"

#define AF_INET 2
#define AF_INET6 10

static __always_inline struct nic *nic_at(__u32 ifindex)
{
	return bpf_map_lookup_elem(&nics, &ifindex);
}

/* Of a connection that may not be nothing is kept. */
static __always_inline int forward_refuse(struct __sk_buff *skb, struct context *c, struct flow *f, int reason)
{
	if (f->is_new)
		ct_remove(f->key);
	return drop(skb, c, reason);
}

/* Towards the client of a service its replies come from the service, to the port that it called from. */
static __always_inline int forward_service_reply(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct ct *e = f->entry;
	int reason;

	if (!f->reply)
		return 0;
	if (e->client_port) {
		reason = rewrite(skb, p, SIDE_DESTINATION, &p->dst, e->client_port);
		if (reason)
			return reason;
	}
	if (!(e->flags & CT_SERVICE))
		return 0;
	c->event_flags |= EVENT_SERVICE;
	c->service = e->service;
	c->service_port = e->service_port;
	return rewrite(skb, p, SIDE_SOURCE, &c->service, c->service_port);
}

/* A workload that called itself through a service must see somebody else call. */
static __always_inline int forward_loopback(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct addr from = p->v6 ? config_addr(&config.loopback6) : config_addr(&config.loopback4);

	return rewrite(skb, p, SIDE_SOURCE, &from, p->src_port);
}

static __always_inline int forward_loopback_reply(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct addr self = p->src;
	int reason = forward_service_reply(skb, c, f);

	return reason ? reason : rewrite(skb, p, SIDE_DESTINATION, &self, p->dst_port);
}

/* Tells people of a beginning, a first answer, an end. */
static __always_inline void forward_report(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 way)
{
	__u32 kept = c->event_flags;

	if (!f->is_new && !c->touched)
		return;
	c->event_flags |= way | c->touched | (f->is_new ? EVENT_NEW : 0) | (f->reply ? EVENT_REPLY : 0);
	c->direction = f->reply ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	event_emit(skb, c, EVENT_TRACE, 0);
	c->event_flags = kept;
}

/* Into a workload of this node, past its host side (bpf_redirect_peer). From a netkit hook, which transmits, the kernel
 * knows no such way: there it goes through the host side, where to_pod sees that it has been judged. */
static __always_inline int forward_into(struct __sk_buff *skb, const struct nic *n, __u32 ifindex)
{
	if (rewrite_macs(skb, n->mac, n->host_mac))
		return TC_ACT_SHOT;
	if (config.at_netkit) {
		mark_set(skb, 0, MARK_DELIVERED);
		return bpf_redirect(ifindex, 0);
	}
	mark_clear(skb);
	return bpf_redirect_peer(ifindex, 0);
}

static __always_inline int forward_ttl(struct __sk_buff *skb, struct packet *p)
{
	__u8 ttl = p->ttl - 1;

	if (p->v6)
		return bpf_skb_store_bytes(skb, p->l3 + 7, &ttl, 1, 0) ? DROP_WRITE : 0;
	/* The checksum covers (ttl, protocol) as one big-endian word. */
	__be16 from = bpf_htons(p->ttl << 8 | p->protocol), to = bpf_htons(ttl << 8 | p->protocol);

	if (bpf_l3_csum_replace(skb, p->l3 + 10, from, to, 2) || bpf_skb_store_bytes(skb, p->l3 + 8, &ttl, 1, 0))
		return DROP_WRITE;
	return 0;
}

/* Out of the device that the host's own routes name. What they cannot answer is the stack's to answer (ICMP). */
GLOBAL forward_route(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return TC_ACT_SHOT;
	struct packet *p = &c->packet;
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	struct bpf_redir_neigh hop = {};
	int found;

	if (p->ttl <= 1)
		return TC_ACT_OK;
	if (p->v6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &p->src, 16);
		__builtin_memcpy(fib.ipv6_dst, &p->dst, 16);
	} else {
		fib.family = AF_INET;
		fib.ipv4_src = addr_4(&p->src);
		fib.ipv4_dst = addr_4(&p->dst);
	}
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return TC_ACT_OK;
	if (forward_ttl(skb, p))
		return TC_ACT_SHOT;
	if (found == BPF_FIB_LKUP_RET_SUCCESS) {
		if (rewrite_macs(skb, fib.dmac, fib.smac))
			return TC_ACT_SHOT;
		return bpf_redirect(fib.ifindex, 0);
	}
	hop.nh_family = fib.family;
	if (fib.family == AF_INET)
		hop.ipv4_nh = fib.ipv4_dst;
	else
		__builtin_memcpy(hop.ipv6_nh, fib.ipv6_dst, 16);
	return bpf_redirect_neigh(fib.ifindex, &hop, sizeof(hop), 0);
}

/* Ingress of a local workload for a packet that came past the host's stack. `f` is found already. TC_ACT_OK: it is an error
 * about a connection that passes the stack, and goes that way, too. */
static __noinline int forward_deliver(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 ifindex)
{
	struct nic *n = nic_at(ifindex);
	int reason;

	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	if (icmp_is_special(&c->packet)) {
		reason = related(skb, 1);
		if (reason)
			return drop(skb, c, reason);
		return c->event_flags & EVENT_TO_STACK ? TC_ACT_OK : forward_into(skb, n, ifindex);
	}
	if (!f->entry) {
		c->packet.owner = n->incarnation;
		reason = ct_open(c, f, CT_CALLED);
		if (reason)
			return drop(skb, c, reason);
	}
	reason = verdict_at(skb, c, f, n, f->reply);
	if (reason)
		return forward_refuse(skb, c, f, reason);
	reason = ct_touch(c, f);
	if (!reason)
		reason = forward_service_reply(skb, c, f);
	if (reason)
		return drop(skb, c, reason);
	forward_report(skb, c, f, 0);
	return forward_into(skb, n, ifindex);
}

/* The rest of a datagram follows its first fragment where that may go, at the cost of the NIC it goes to. */
GLOBAL forward_lead(struct __sk_buff *skb, int action, __u32 ifindex)
{
	struct context *c = context_here();
	struct nic *n = ifindex ? nic_at(ifindex) : NULL;
	int reason;

	if (!c || action == TC_ACT_SHOT)
		return TC_ACT_SHOT;
	reason = fragment_keep(n ? n->incarnation : 0);
	return reason ? drop(skb, c, reason) : action;
}

/* 0: it goes to the node. */
static __always_inline int forward_rest(struct __sk_buff *skb, struct context *c, int action, __u32 ifindex)
{
	return c->packet.first_fragment ? forward_lead(skb, action, ifindex) : action;
}

#endif
