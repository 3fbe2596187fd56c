/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* dsr (direct server return): a call from outside goes to its backend's node with the client's address, and an option that says what was
 * called; the answer leaves there for the client, from that address, and does not come by here. The first packet of a TCP connection
 * has the option, and each of UDP that has room for it. Only nodes are believed: what others send with it is dropped. */
#ifndef WEFT_DSR_H
#define WEFT_DSR_H

#include "abi/dsr.h"
#include "lb.h"
#include "sender.h"

#define DSR_ALWAYS_FITS 1200 /* bytes of an IP packet: with the option it is no longer than each link of IPv6 takes (RFC 8200 5) */

/* struct dsr6 in whole words */
_Static_assert(sizeof(struct dsr4) == 12 && sizeof(struct dsr6) == 40, "options are read in whole words");

/* Whether there is anything between a packet's IP header and its transport's. */
static __always_inline int dsr_may_be(const struct packet *p)
{
	return p->l4 - p->l3 != (p->v6 ? (int)sizeof(struct ipv6hdr) : (int)sizeof(struct iphdr));
}

/* Makes room for the option after the IP header, or, with a negative size, takes it away. Returns 0 or a drop reason. */
static __always_inline int dsr_room(struct __sk_buff *skb, struct packet *p, int size)
{
	if (bpf_skb_adjust_room(skb, size, BPF_ADJ_ROOM_NET, 0))
		return DROP_WRITE;
	p->l4 += size;
	p->data += size;
	p->end += size;
	return 0;
}

/* The IPv4 header of a packet with `size` bytes more. */
static __always_inline int dsr_header4(struct __sk_buff *skb, struct packet *p, int size)
{
	struct iphdr h;

	if (bpf_skb_load_bytes(skb, p->l3, &h, sizeof(h)))
		return DROP_WRITE;
	__be16 length = h.tot_len, grown = bpf_htons(bpf_ntohs(h.tot_len) + size);
	__u8 words = h.ihl + size / 4, old = *(__u8 *)&h, now = (old & 0xf0) | words;

	/* Version and header length are one 16-bit word of the checksum with the type of service. */
	if (bpf_l3_csum_replace(skb, p->l3 + 10, length, grown, 2) ||
	    bpf_l3_csum_replace(skb, p->l3 + 10, bpf_htons(old << 8), bpf_htons(now << 8), 2) ||
	    bpf_skb_store_bytes(skb, p->l3 + 2, &grown, 2, 0) || bpf_skb_store_bytes(skb, p->l3, &now, 1, 0))
		return DROP_WRITE;
	return 0;
}

/* The same for the option's own words. A header's checksum covers its options. */
static __always_inline int dsr_sum4(struct __sk_buff *skb, struct packet *p, const struct dsr4 *o, int there)
{
	__s64 diff = there ? bpf_csum_diff(NULL, 0, (__be32 *)o, sizeof(*o), 0) : bpf_csum_diff((__be32 *)o, sizeof(*o), NULL, 0, 0);

	return bpf_l3_csum_replace(skb, p->l3 + 10, 0, diff, 0) ? DROP_WRITE : 0;
}

/* The IPv6 header of a packet with `size` bytes more, that `next` follows. */
static __always_inline int dsr_header6(struct __sk_buff *skb, struct packet *p, int size, __u8 next)
{
	struct ipv6hdr h;

	if (bpf_skb_load_bytes(skb, p->l3, &h, sizeof(h)))
		return DROP_WRITE;
	h.payload_len = bpf_htons(bpf_ntohs(h.payload_len) + size);
	if (bpf_skb_store_bytes(skb, p->l3 + 4, &h.payload_len, 2, 0) || bpf_skb_store_bytes(skb, p->l3 + 6, &next, 1, 0))
		return DROP_WRITE;
	return 0;
}

/* Writes the option into a call of c->service, from this node. Returns 0 or a drop reason. */
GLOBAL dsr_write(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct packet *p;
	struct addr node;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	node = lb_node(p->v6);
	if (p->v6) {
		struct dsr6 o = { .length = sizeof(o) / 8 - 1, .type = DSR6_TYPE, .size = sizeof(o) - 4, .port = c->service_port };

		__builtin_memcpy(o.service, &c->service, 16);
		__builtin_memcpy(o.node, &node, 16);
		if (bpf_skb_load_bytes(skb, p->l3 + 6, &o.next, 1) || dsr_room(skb, p, sizeof(o)) ||
		    dsr_header6(skb, p, sizeof(o), IPPROTO_DSTOPTS))
			return DROP_WRITE;
		return bpf_skb_store_bytes(skb, p->l3 + sizeof(struct ipv6hdr), &o, sizeof(o), 0) ? DROP_WRITE : 0;
	}
	struct dsr4 o = { .type = DSR4_TYPE, .size = sizeof(o), .port = c->service_port, .service = addr_4(&c->service), .node = addr_4(&node) };

	if (dsr_room(skb, p, sizeof(o)) || dsr_header4(skb, p, sizeof(o)) || dsr_sum4(skb, p, &o, 1))
		return DROP_WRITE;
	return bpf_skb_store_bytes(skb, p->l3 + sizeof(struct iphdr), &o, sizeof(o), 0) ? DROP_WRITE : 0;
}

/* Reads the option into c->service and c->told, and the node that says so into c->quoted.src. Returns whether there is one. */
static __always_inline int dsr_read(struct __sk_buff *skb, struct context *c, __u8 *next)
{
	struct packet *p = &c->packet;
	struct addr *node = &c->quoted.src;

	if (p->v6) {
		struct dsr6 o;

		if (bpf_skb_load_bytes(skb, p->l3 + 6, next, 1) || *next != IPPROTO_DSTOPTS ||
		    packet_load(skb, p, p->l3 + sizeof(struct ipv6hdr), &o, sizeof(o)) || o.type != DSR6_TYPE)
			return 0;
		*next = o.next;
		__builtin_memcpy(&c->service, o.service, 16);
		__builtin_memcpy(node, o.node, 16);
		c->service_port = o.port;
		c->told = o.length == sizeof(o) / 8 - 1 && o.size == sizeof(o) - 4 && !addr_is4(&c->service) && !addr_is4(node);
		return 1;
	}
	struct dsr4 o;

	if (packet_load(skb, p, p->l3 + sizeof(struct iphdr), &o, sizeof(o)) || o.type != DSR4_TYPE)
		return 0;
	addr_from4(&c->service, o.service);
	addr_from4(node, o.node);
	c->service_port = o.port;
	c->told = o.size == sizeof(o) && p->l4 - p->l3 == sizeof(struct iphdr) + sizeof(o);
	return 1;
}

/* Refuses a packet with the option, well formed or not, of who is no node. Returns 0 or a drop reason. */
GLOBAL dsr_refuse(struct __sk_buff *skb)
{
	struct context *c = context_here();
	__u8 next = 0;
	int is;

	if (!c)
		return DROP_INVALID;
	is = dsr_read(skb, c, &next);
	c->told = 0;
	return is ? DROP_UNKNOWN_SENDER : 0;
}

static __always_inline int dsr_forged(struct __sk_buff *skb, const struct packet *p)
{
	return dsr_may_be(p) ? dsr_refuse(skb) : 0;
}

/* The quota of what a packet opens that is led here: that of the service, as this node numbers it; one for all that are not offered here. */
GLOBAL dsr_owner(void)
{
	struct context *c = context_here();
	struct lb_call call = {};
	struct service *s;

	if (!c)
		return 0;
	call.dst = c->service;
	call.port = c->service_port;
	call.protocol = c->packet.protocol;
	call.scope = SCOPE_OUTSIDE;
	call.net = c->net;
	s = lb_frontend(&call);
	c->packet.owner = OWNER_SERVICE | (s ? s->id : 0);
	return 0;
}

/* Takes the option out of a packet that another node has sent; what it says is in the context then. Off the wire, a frame must have
 * come straight from the node that it names; out of the overlay the node is known already. Returns 0 or a drop reason. */
GLOBAL dsr_take(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct ipcache *from;
	struct packet *p;
	__u8 next = 0;
	int reason;

	if (!c || !dsr_read(skb, c, &next))
		return 0;
	p = &c->packet;
	if (!c->told || !lb_leads())
		return DROP_INVALID;
	c->told = 0;
	if (c->hook == HOOK_FROM_NET) {
		from = ipcache_lookup(&c->quoted.src, c->net);
		if (!from || !(from->flags & IPCACHE_NODE) || (from->flags & IPCACHE_LOCAL) || sender_of(skb, &c->quoted.src) != SENDER_MACHINE)
			return DROP_UNKNOWN_SENDER;
	}
	if (p->v6) {
		reason = dsr_room(skb, p, -(int)sizeof(struct dsr6));
		if (!reason)
			reason = dsr_header6(skb, p, -(int)sizeof(struct dsr6), next);
	} else {
		struct dsr4 o;

		if (bpf_skb_load_bytes(skb, p->l3 + sizeof(struct iphdr), &o, sizeof(o)))
			return DROP_WRITE;
		reason = dsr_sum4(skb, p, &o, 0);
		if (!reason)
			reason = dsr_header4(skb, p, -(int)sizeof(o));
		if (!reason)
			reason = dsr_room(skb, p, -(int)sizeof(o));
	}
	if (reason)
		return reason;
	c->told = 1;
	c->event_flags |= EVENT_SERVICE;
	return dsr_owner();
}

static __always_inline int dsr_size(const struct packet *p)
{
	return p->v6 ? sizeof(struct dsr6) : sizeof(struct dsr4);
}

/* Whether the packet has room for the option, and the node of its target would believe it: without overlay the frame must go to a node at
 * once, for with a router between it would have the router's MAC address. */
GLOBAL dsr_reaches(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	struct ipcache *hop;
	struct addr next;
	int found, v6;

	if (!c)
		return 0;
	v6 = c->packet.v6;
	fib.tot_len = c->packet.end - c->packet.l3 + dsr_size(&c->packet);
	route_ask(&fib, v6, NULL, &c->packet.dst);
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	if (v6)
		__builtin_memcpy(&next, fib.ipv6_dst, 16);
	else
		addr_from4(&next, fib.ipv4_dst);
	hop = ipcache_lookup(&next, c->net);
	return hop && (hop->flags & IPCACHE_NODE);
}

#endif
