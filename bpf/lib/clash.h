/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* clash: two connections of one workload that would have the same addresses and ports towards a backend: from one port to two
 * services, or to a service and to the backend itself. The later one gets another source port, which its row of kind NAT_SERVICE
 * keeps; the connection's row keeps the port that the client knows. So it is with a connection that is over, for as long as its row stays: the
 * backend, if it closed first, would take a SYN from the same port for a late packet, since the client numbers each of its peers anew. */
#ifndef WEFT_CLASH_H
#define WEFT_CLASH_H

#include "service.h"

#define CLASH_TRIES 8
#define PORT_PRIVILEGED 1024 /* some servers take calls from ports below this only (rlogin, NFS) */
#define PORT_PRIVILEGED_MIN 512

/* Whether this packet belongs to the connection that was found between its ends: same service, same port of the client. */
static __always_inline int clash_owns(const struct context *c, const struct flow *f)
{
	const struct ct *e = f->entry;

	if (f->reply)
		return !(c->event_flags & EVENT_SERVICE);
	if ((e->flags & CT_TOLD) && !(c->event_flags & EVENT_SERVICE) && !tcp_opens(&c->packet))
		return 1; /* its later packets do not say what was called */
	if (e->client_port != c->client_port)
		return 0;
	if (!(e->flags & CT_SERVICE))
		return !(c->event_flags & EVENT_SERVICE);
	return (c->event_flags & EVENT_SERVICE) && e->service_port == c->service_port && addr_equal(&e->service, &c->service);
}

/* Whether the connection between the packet's ends that is over was another call than this one. */
GLOBAL clash_rests(void)
{
	struct context *c = context_here();
	struct flow f = {};

	if (!c)
		return 0;
	f.entry = bpf_map_lookup_elem(&connections, &c->key);
	return f.entry && !clash_owns(c, &f);
}

#define CLASH_NONE 0
#define CLASH_OWN 1
#define CLASH_OTHER 2
#define CLASH_RESTS 3

/* What is known between the packet's ends if its source has this port: nothing, its own connection, another, or one that is over. */
GLOBAL clash_at(__u32 port)
{
	struct context *c = context_here();
	struct flow f = {};

	if (!c)
		return CLASH_OTHER;
	c->quoted = c->packet;
	c->quoted.src_port = port;
	ct_find(c, &c->quoted, &f);
	if (!f.entry)
		return f.rests ? CLASH_RESTS : CLASH_NONE;
	return clash_owns(c, &f) ? CLASH_OWN : CLASH_OTHER;
}

static __always_inline __be16 clash_port(__be16 from, __u32 random)
{
	if (bpf_ntohs(from) < PORT_PRIVILEGED)
		return bpf_htons(PORT_PRIVILEGED_MIN + random % (PORT_PRIVILEGED - PORT_PRIVILEGED_MIN));
	return bpf_htons(PORT_PRIVILEGED + random % (65536 - PORT_PRIVILEGED));
}

/* Whether any connection of this node ever had to take another source port: else none has a row that says so. */
static __always_inline __u32 *clash_ever(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&clashed, &zero);
}

#define CLASH_MUST 1
#define CLASH_PREFER 2 /* another port if one is found soon, else its own */

/* Gives the packet the source port that its connection has towards the backend, if it has another than the client knows, or
 * takes one: when its own is `taken`, by CLASH_MUST or CLASH_PREFER. Returns 1 if the packet has another port now, 0 if not, or a negated drop reason. */
GLOBAL clash_resolve(struct __sk_buff *skb, int loops, int taken)
{
	struct context *c = context_here();
	struct nat_key *key;
	struct packet *p;
	struct nat *known;
	__u32 *ever;
	__be16 own, port = 0;
	int reason, yields = taken == CLASH_PREFER;

	if (!c)
		return 0;
	p = &c->packet;
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return taken && p->protocol == IPPROTO_SCTP ? -DROP_NAT_PROTOCOL : 0;
	own = c->client_port ? c->client_port : p->src_port;
	key = &c->way_out;
	__builtin_memset(key, 0, sizeof(*key));
	key->src = loops ? p->dst : p->src;
	key->dst = p->dst;
	key->src_port = own;
	key->dst_port = p->dst_port;
	key->protocol = p->protocol;
	key->kind = NAT_SERVICE;
	key->net = c->net;
	if (c->event_flags & EVENT_SERVICE) {
		key->dst = c->service;
		key->dst_port = c->service_port;
	}
	known = bpf_map_lookup_elem(&translations, key);
	if (known && known->source_port && !c->client_port) {
		port = known->source_port;
		c->client_port = own;
		taken = clash_at(port) == CLASH_OTHER;
	} else if (!taken) {
		return 0;
	}
	for (int try = 0; taken && try < CLASH_TRIES; try++) {
		port = clash_port(own, bpf_get_prandom_u32());
		taken = port == own || clash_at(port) != CLASH_NONE;
	}
	if (taken)
		return yields ? 0 : -DROP_NAT_NO_MAPPING;
	c->client_port = own;
	ever = clash_ever();
	if (ever)
		*(volatile __u32 *)ever = 1;
	if (known) {
		known->source_port = port;
		known->opened = c->now;
	} else {
		__builtin_memset(&c->nat, 0, sizeof(c->nat));
		c->nat.addr = p->dst;
		c->nat.port = p->dst_port;
		c->nat.source_port = port;
		c->nat.opened = c->now;
		c->nat.owner = p->owner;
		reason = quota_stands(service_keep(), p->owner, QUOTA_TRANSLATIONS);
		if (reason)
			return -reason;
	}
	reason = rewrite(skb, p, SIDE_SOURCE, &p->src, port);
	return reason ? -reason : 1;
}

/* Takes out the connection that the packet's own port has, where nothing is lost with it. Returns whether the port is free. */
GLOBAL clash_evicts(void)
{
	struct context *c = context_here();
	struct ct *e;

	if (!c)
		return 0;
	c->evicted = c->key;
	e = bpf_map_lookup_elem(&connections, &c->evicted);
	if (!e || (e->flags & CT_OPENING) || !spare_is(e, c->evicted.protocol, c->now))
		return 0;
	account_end(&c->evicted, e, ENDING_EVICTED, 0);
	nat_forget();
	if (c->client_port == c->packet.src_port)
		c->client_port = 0;
	return ct_remove(&c->evicted);
}

/* A call meets another connection, and can have no other port: its client waits for the answer at this one. What is still opening gives
 * way, for it may be forged, and would keep the call out for all its life. Returns 0 or a drop reason. */
static __always_inline int clash_gives_way(const struct context *c, struct flow *f)
{
	if (!tcp_opens(&c->packet) || !(f->entry->flags & CT_OPENING))
		return DROP_NAT_NO_MAPPING;
	f->entry = NULL;
	f->stale = 1;
	return 0;
}

/* Finds the packet's connection among those that a workload may have with one backend; what was found for the packet as it
 * came is in `f`. Where another node has led it here, only a row of `translations` tells whether it has another port. Returns 0 or a drop
 * reason. */
static __always_inline int clash_find(struct __sk_buff *skb, struct context *c, struct flow *f, int loops)
{
	__u32 *ever = clash_ever();
	int resolved, rests;

	if (c->event_flags & EVENT_SERVICE)
		ct_find(c, &c->packet, f);
	rests = f->rests && clash_rests();
	if (rests)
		ever = NULL;
	else if (f->entry ? clash_owns(c, f) : ((c->event_flags & EVENT_SERVICE) && !c->told) || (ever && !*(volatile __u32 *)ever))
		return 0;
	resolved = clash_resolve(skb, loops, f->entry ? CLASH_MUST : rests ? CLASH_PREFER : 0);
	if (resolved == -DROP_NAT_NO_MAPPING && clash_evicts())
		resolved = 1;
	if (resolved > 0)
		ct_find(c, &c->packet, f);
	return resolved < 0 ? -resolved : 0;
}

/* Whether what a packet calls is in its first packet alone: later ones could not be told from those of another connection, so it has no
 * other source port here. Each datagram of UDP says it. */
static __always_inline int clash_says_once(const struct context *c, const struct flow *f)
{
	return c->told ? c->packet.protocol != IPPROTO_UDP : f->entry && (f->entry->flags & CT_TOLD);
}

/* The same for a packet that comes from elsewhere, and whose connection is not looked for yet: `f` is empty. */
static __always_inline int clash_meet(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	if (c->told || !(c->event_flags & EVENT_SERVICE))
		ct_find(c, &c->packet, f);
	else
		f->key = &c->key; /* the verifier does not see that clash_find sets it */
	if (!clash_says_once(c, f))
		return clash_find(skb, c, f, 0);
	return f->entry && !clash_owns(c, f) ? clash_gives_way(c, f) : 0;
}

#endif
