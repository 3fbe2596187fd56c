/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* outside_here: calls of services by machines outside whose backend is this node itself. Its sockets may exchange packets with the same
 * client without the service, and what they answer there keeps its address. */
#ifndef WEFT_OUTSIDE_HERE_H
#define WEFT_OUTSIDE_HERE_H

#include "clash.h"
#include "dsr.h"
#include "masquerade.h"
#include "node.h"

static __always_inline int outside_is_here(const struct context *c)
{
	return ipcache_is_this_node(ipcache_lookup(&c->packet.dst, c->net));
}

/* Whether a socket of this node has the connection that a call would be towards it. It has no row, for it called the backend itself, and
 * its answers would get the address of a service. */
GLOBAL outside_meets(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct bpf_sock_tuple t = {};
	struct bpf_sock *socket;
	struct nat_key *key;
	int met;

	if (!c || !tcp_opens(&c->packet) || !outside_is_here(c))
		return 0;
	key = &c->other_way;
	key->src = c->packet.src;
	key->dst = c->packet.dst;
	key->src_port = c->packet.src_port;
	key->dst_port = c->packet.dst_port;
	socket = bpf_sk_lookup_tcp(skb, &t, port_tuple(key, &t), BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	met = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return met;
}

/* A new call takes another source port where this node is its backend, and may exchange packets with the client's own port beside it. Of
 * TCP sockets tell; of UDP nothing does, so each call takes one. Returns 1 if it has another port now, 0 if not, or a negated drop reason. */
GLOBAL outside_part(struct __sk_buff *skb)
{
	struct context *c = context_here();

	if (!c || (c->packet.protocol == IPPROTO_UDP ? c->client_port || !outside_is_here(c) : !outside_meets(skb)))
		return 0;
	return clash_resolve(skb, 0, 1);
}

/* Keeps the source port that a call by DSR has here, for datagrams that do not say what they call. Returns 0 or a drop reason. */
GLOBAL outside_keep(void)
{
	struct context *c = context_here();
	const struct packet *p;
	struct nat_key *key;
	struct nat *known;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	key = nat_key_of(c, NAT_SERVICE);
	key->src_port = c->client_port;
	known = bpf_map_lookup_elem(&translations, key);
	if (known && known->source_port == p->src_port)
		return 0;
	__builtin_memset(&c->nat, 0, sizeof(c->nat));
	c->nat.addr = p->dst;
	c->nat.port = p->dst_port;
	c->nat.source_port = p->src_port;
	c->nat.opened = c->now;
	c->nat.owner = p->owner;
	return quota_stands(service_keep(), p->owner, QUOTA_TRANSLATIONS);
}

/* The same where it has any: a call of a pod. */
static __always_inline int outside_keeps(const struct context *c)
{
	return c->told && c->client_port ? outside_keep() : 0;
}

/* The same for a datagram of a call by DSR, whether it says so or may have had no room to (outside_tells). What says nothing and is shorter
 * is no call of a service. Returns 0 or a drop reason. */
GLOBAL outside_apart(struct __sk_buff *skb)
{
	struct context *c = context_here();
	const struct packet *p;
	int resolved;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	if ((!c->told && !(lb_led() & LED_HERE)) || !outside_is_here(c) || (!c->told && !p->later_fragment && !dsr_may_be(p) && p->end - p->l3 < DSR_ALWAYS_FITS))
		return 0;
	resolved = clash_resolve(skb, 0, c->told);
	if (resolved < 0)
		return -resolved;
	return c->told && resolved ? outside_keep() : 0;
}

/* A call whose backend is this node itself: its connection is known, so that its answer leaves with the address that was called. Where
 * the node has a policy of its own, that follows it. Returns 0 or a drop reason. */
static __always_inline int outside_stay(struct context *c, struct flow *f)
{
	int reason;

	lb_note(LED_HERE);
	if (node_nic())
		return 0;
	reason = f->entry ? 0 : open_call(f, CT_STACK | CT_CALLED);
	return f->entry ? ct_update(c, f) : reason;
}

/* Whether a packet that calls no service shows that its ends have a connection without one: a SYN, where that of the service is still
 * opening; any datagram, since calls have another source port. */
static __always_inline int outside_is_anothers(const struct context *c, const struct flow *f)
{
	if (!f->entry || f->reply || !(f->entry->flags & CT_SERVICE) || c->client_port)
		return 0;
	return c->packet.protocol == IPPROTO_UDP || (tcp_opens(&c->packet) && (f->entry->flags & CT_OPENING));
}

/* What comes for this node itself. By the overlay: a call that this node has translated; outside_call does the same for what comes off the
 * wire. Else it is none: one that another node led here, whose later packets do not say so, or what is between the same ends as a call.
 * That ends then: it may be forged. Returns 0 or a drop reason. */
GLOBAL outside_here(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct flow f = {};

	if (!c || c->packet.icmp_error || (c->hook == HOOK_FROM_NET && !c->told && (c->event_flags & EVENT_SERVICE)))
		return 0;
	if (!c->told && !(c->event_flags & EVENT_SERVICE) && !(lb_led() & LED_HERE))
		return 0;
	ct_find(c, &c->packet, &f);
	if (!c->told && (c->event_flags & EVENT_SERVICE))
		return outside_stay(c, &f);
	if (!c->told && outside_is_anothers(c, &f)) {
		c->evicted = c->key;
		nat_forget();
		ct_silent(f.key, f.entry, 0);
		ct_remove(f.key);
		return 0;
	}
	if (!c->told && (!f.entry || !(f.entry->flags & CT_TOLD)))
		return 0;
	if (!f.entry && outside_meets(skb))
		return DROP_NAT_NO_MAPPING;
	return outside_stay(c, &f);
}

#endif
