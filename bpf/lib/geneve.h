/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* geneve: calls by DSR in an overlay of their own (abi/geneve.h). All their packets go in it, so none leaves this node with a client's address as
 * its source, and the first of a TCP connection, and each of UDP, has the option in the header of the tunnel: however long it is, it has room. Who
 * may send in it: unwrap.h. */
#ifndef WEFT_GENEVE_H
#define WEFT_GENEVE_H

#include "drop.h"
#include "dsr.h"
#include "mark.h"
#include "overlay.h"

#define ENOENT 2

/* geneve4 and geneve6 in whole words, the unit of options, and the room for one */
_Static_assert(sizeof(struct geneve4) == 12 && sizeof(struct geneve6) == 24, "options are read in whole words");
_Static_assert(sizeof(struct geneve6) <= sizeof(((struct context *)0)->quote), "an option is made and read in c->quote");

/* Whether a packet by DSR goes in the overlay to the node of its target: that is its way then. */
GLOBAL geneve_leads(void)
{
	struct context *c = context_here();
	struct ipcache *h;

	if (!c || !geneve.ifindex)
		return 0;
	h = ipcache_lookup(&c->packet.dst, c->net);
	if (!h || (h->flags & (IPCACHE_LOCAL | IPCACHE_VTEP)) || addr_is_zero(&h->tunnel))
		return 0;
	c->hop.path = PATH_GENEVE;
	c->hop.tunnel = h->tunnel;
	return 1;
}

static __always_inline int geneve_size(const struct packet *p)
{
	return p->v6 ? sizeof(struct geneve6) : sizeof(struct geneve4);
}

/* Of several segments in one packet the length of the first, which is that of all but the last. */
static __always_inline __u32 geneve_length(const struct __sk_buff *skb, const struct packet *p)
{
	__u32 all = p->end - p->l3, headers = p->l4 - p->l3 + 8;

	if (!skb->gso_size)
		return all;
	if (p->protocol == IPPROTO_TCP)
		headers = all - (p->seq_end - p->seq - (p->tcp_flags & 1) - (p->tcp_flags >> 1 & 1));
	return headers + skb->gso_size;
}

#define IPV6_LEAST 1280 /* each link takes as much (RFC 8200 5) */

/* How long a packet may be in the overlay, if this one is longer and its sender wants no node to send it in pieces; 0: it may go. What is a piece
 * already goes in two. tells: as in geneve_out. */
GLOBAL geneve_narrow(struct __sk_buff *skb, int tells)
{
	struct context *c = context_here();
	const struct packet *p;
	__u32 mtu = 0, length;
	__be16 frag = 0;

	if (!c)
		return 0;
	p = &c->packet;
	if (p->first_fragment || p->later_fragment)
		return 0;
	if (!p->v6 && (bpf_skb_load_bytes(skb, p->l3 + 6, &frag, sizeof(frag)) || !(frag & bpf_htons(0x4000))))
		return 0;
	bpf_check_mtu(skb, geneve.ifindex, &mtu, 0, 0); /* whatever it says of the packet */
	length = geneve_length(skb, p);
	if (tells)
		mtu -= geneve_size(p);
	return length > mtu && mtu >= (p->v6 ? IPV6_LEAST : 68) && mtu <= 0xffff ? mtu : 0;
}

/* Writes what was called, c->service, into the header of the tunnel, whose key is set. Returns 0 or a drop reason. */
static __always_inline int geneve_write(struct __sk_buff *skb, struct context *c)
{
	__u32 size = geneve_size(&c->packet);
	struct geneve6 *o6 = (struct geneve6 *)c->quote;
	struct geneve4 *o4 = (struct geneve4 *)c->quote;

	__builtin_memset(o6, 0, sizeof(*o6));
	o6->class = bpf_htons(GENEVE_CLASS);
	o6->type = GENEVE_TYPE;
	o6->words = (size - 4) / 4;
	if (c->packet.v6) {
		__builtin_memcpy(o6->service, &c->service, 16);
		o6->port = c->service_port;
	} else {
		o4->service = addr_4(&c->service);
		o4->port = c->service_port;
	}
	return bpf_skb_set_tunnel_opt(skb, c->quote, size) ? DROP_TUNNEL_KEY : 0;
}

/* Sends a packet into the overlay, by the way that geneve_leads has found. tells: it says what was called. Returns the action. */
GLOBAL geneve_out(struct __sk_buff *skb, int tells)
{
	struct context *c = context_here();
	int reason;

	if (!c)
		return TC_ACT_SHOT;
	reason = overlay_encap(skb, &c->hop.tunnel, c->source);
	if (!reason && tells)
		reason = geneve_write(skb, c);
	if (reason)
		return drop(skb, c, reason);
	mark_set(skb, 0, MARK_ENCAPSULATED);
	return bpf_redirect(geneve.ifindex, 0);
}

/* Whether the option that was read is well formed, and of the family of its packet. What it says is in the context then. */
static __always_inline int geneve_read(struct context *c, int size)
{
	const struct geneve6 *o6 = (const struct geneve6 *)c->quote;
	const struct geneve4 *o4 = (const struct geneve4 *)c->quote;
	int want = c->packet.v6 ? sizeof(*o6) : sizeof(*o4);

	if (size != want || o6->class != bpf_htons(GENEVE_CLASS) || o6->type != GENEVE_TYPE || (o6->words & 31) != (want - 4) / 4)
		return 0;
	if (!c->packet.v6) {
		addr_from4(&c->service, o4->service);
		c->service_port = o4->port;
		return 1;
	}
	__builtin_memcpy(&c->service, o6->service, 16);
	c->service_port = o6->port;
	return !addr_is4(&c->service);
}

/* Reads the option of a packet out of the tunnel, which a node has sent; that of VXLAN has none. Returns 0 or a drop reason. */
GLOBAL geneve_take(struct __sk_buff *skb)
{
	struct context *c = context_here();
	int size;

	if (!c || !geneve.on)
		return 0;
	size = bpf_skb_get_tunnel_opt(skb, c->quote, sizeof(struct geneve6));
	if (!size || size == -ENOENT)
		return 0;
	if (!geneve_read(c, size) || !lb_leads())
		return DROP_GENEVE_OPTION;
	c->told = 1;
	c->event_flags |= EVENT_SERVICE;
	return dsr_owner();
}

#endif
