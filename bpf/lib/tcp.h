/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* tcp: what the numbers of TCP prove about a connection (RFC 9293 3.4, 3.10).
 *
 * Any host can send a SYN with a forged source, and the callee answers it. A connection is open once each end has
 * acknowledged the number that the other began with: only an end that gets the other's packets knows it. Where the beginning was
 * not seen, the numbers of both directions must fit together. A RST is believed by its exact number (RFC 5961 3.2): what its
 * receiver has acknowledged, or, for what is still under way, what its sender has sent without a gap.
 */
#ifndef WEFT_TCP_H
#define WEFT_TCP_H

#include "packet.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* How far numbers of a connection whose beginning was not seen may lie apart: what may be under way (RFC 7323 allows 1 GiB,
 * Linux' tcp_rmem 6 MiB). Of two numbers the later one is *behind* the other: tcp_behind(x, y) is x > y. */
#define TCP_NEAR (16u << 20)

static __always_inline int tcp_behind(__u32 x, __u32 y)
{
	return (__s32)(x - y) > 0;
}

static __always_inline int tcp_opens(const struct packet *p)
{
	return p->protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline int tcp_answers(const struct packet *p)
{
	return p->protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

static __always_inline int tcp_near(__u32 x, __u32 y)
{
	return x - y + TCP_NEAR < 2 * TCP_NEAR;
}

/* The number at which the next packet of an open connection should begin: after what came in order, or, after a gap, after what the
 * peer has acknowledged, if its packets come by here. A forged packet moves neither. */
static __always_inline __u32 tcp_next(const struct packet *p, const struct ct_way *own, const struct ct_way *peer, __u32 flags)
{
	if (!(flags & CT_ONE_WAY) && p->seq != own->next && tcp_behind(peer->acked, own->next) && tcp_near(peer->acked, own->next))
		return peer->acked;
	return own->next;
}

/* Whether a RST of the one end, whose other end is `peer`, ends the connection. */
static __always_inline int tcp_resets(const struct packet *p, const struct ct_way *own, const struct ct_way *peer, __u32 flags, int from_b)
{
	if ((flags & CT_OPEN) && p->seq == tcp_next(p, own, peer, flags))
		return 1;
	if ((flags & (from_b ? CT_ACKED_A : CT_ACKED_B)) && p->seq == peer->acked)
		return 1;
	return (p->tcp_flags & TCP_ACK) && (flags & CT_SYN) && !(flags & CT_OPEN) &&
	       (flags & (from_b ? CT_BEGUN_A : CT_BEGUN_B)) && p->ack == peer->next;
}

/* What a packet that is no RST adds to the flags of a connection that is not open yet. */
static __always_inline __u32 tcp_proves(const struct packet *p, struct ct_way *own, const struct ct_way *peer, __u32 flags, int from_b, int reply)
{
	__u32 begun = from_b ? CT_BEGUN_B : CT_BEGUN_A, hears = from_b ? CT_HEARS_B : CT_HEARS_A;
	__u32 peer_begun = from_b ? CT_BEGUN_A : CT_BEGUN_B, peer_hears = from_b ? CT_HEARS_A : CT_HEARS_B;
	__u32 peer_acked = from_b ? CT_ACKED_A : CT_ACKED_B;
	int syn = p->tcp_flags & TCP_SYN;

	if (syn ? reply || !(flags & peer_acked) : !(flags & CT_SYN)) {
		__u32 next = syn ? p->seq + 1 : p->seq;

		if (syn && (flags & begun) && own->next != next)
			flags &= ~peer_hears;
		own->next = next;
		flags |= begun;
	}
	if (!(p->tcp_flags & TCP_ACK) || !(flags & peer_begun))
		return flags;
	if (!(flags & CT_SYN)) {
		if (tcp_near(p->ack, peer->next))
			flags |= hears;
	} else if (p->ack == peer->next) {
		flags |= hears;
	} else if (reply && !syn && p->ack - peer->next < TCP_NEAR) {
		flags |= hears | peer_hears; /* it has taken data, which it does once it is open */
	}
	if ((flags & hears) && (flags & peer_hears))
		flags |= CT_OPEN;
	return flags;
}

/* A FIN in order counts at once. Another one may be forged, with any number: it counts once the other end has acknowledged it. */
static __always_inline __u32 tcp_closes(const struct packet *p, struct ct_way *own, const struct ct_way *peer, __u32 flags, int from_b, int in_order)
{
	if ((p->tcp_flags & TCP_ACK) && (flags & (from_b ? CT_FIN_A : CT_FIN_B)) && p->ack == peer->fin)
		flags |= from_b ? CT_CLOSING_A : CT_CLOSING_B;
	if (!(p->tcp_flags & TCP_FIN))
		return flags;
	if (in_order)
		return flags | (from_b ? CT_CLOSING_B : CT_CLOSING_A);
	own->fin = p->seq_end;
	return flags | (from_b ? CT_FIN_B : CT_FIN_A);
}

/* The flags of a connection after this packet. */
static __always_inline __u32 tcp_follow(const struct packet *p, struct ct *e, __u32 flags, int from_b, int reply)
{
	int in_order = 0;
	struct ct_way *own = from_b ? &e->way_b : &e->way_a, *peer = from_b ? &e->way_a : &e->way_b;

	if (p->tcp_flags & TCP_RST)
		return tcp_resets(p, own, peer, flags, from_b) ? flags | CT_RESET : flags;
	flags &= ~CT_RESET;
	if (!(flags & CT_OPEN))
		flags = tcp_proves(p, own, peer, flags, from_b, reply);
	if ((flags & CT_ONE_WAY) && !(p->tcp_flags & TCP_SYN))
		flags |= CT_OPEN; /* as far as one way can tell: see ct_follow */
	if ((flags & CT_OPEN) && !(p->tcp_flags & TCP_SYN)) {
		__u32 next = tcp_next(p, own, peer, flags);

		/* Where one way alone is seen, nothing tells of what filled a gap. */
		if (p->seq == next || ((flags & CT_ONE_WAY) && tcp_behind(p->seq_end, next))) {
			in_order = 1;
			next = p->seq_end;
		}
		if (own->next != next)
			own->next = next;
	}
	if (p->tcp_flags & TCP_ACK) {
		flags |= from_b ? CT_ACKED_B : CT_ACKED_A;
		if (own->acked != p->ack)
			own->acked = p->ack;
	}
	return tcp_closes(p, own, peer, flags, from_b, in_order);
}

#endif
