/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* fragment: later fragments of a datagram have no header but IP's. They are judged and translated by that of the first one,
 * which has all of it (RFC 7112), as long as the receiver may wait for them.
 */
#ifndef WEFT_FRAGMENT_H
#define WEFT_FRAGMENT_H

#include "context.h"
#include "parse.h"
#include "quota.h"

#define FRAGMENT_LIFE (30 * SECOND) /* RFC 8200 4.5 gives up after 60 s, Linux after 30 s (ip_frag_time) */

/* Gives a later fragment the ports of its first one. Of a first one it notes in the context what fragment_keep needs, since
 * later steps may change its addresses. Returns 0 or a drop reason. */
GLOBAL fragment_join(void)
{
	struct context *c = context_here();
	struct fragment *f;
	struct packet *p;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	c->fragment_key.src = p->src;
	c->fragment_key.dst = p->dst;
	c->fragment_key.id = p->fragment;
	c->fragment_key.protocol = p->fragment_protocol;
	c->fragment_key.pad = 0;
	c->fragment_key.net = c->net;
	if (p->first_fragment) {
		c->fragment.src_port = p->src_port;
		c->fragment.dst_port = p->dst_port;
		c->fragment.protocol = p->protocol;
		c->fragment.icmp_type = p->icmp_type;
		c->fragment.icmp_code = p->icmp_code;
		c->fragment.icmp_request = p->icmp_request;
		c->fragment.headers = p->l4 + parse_least(p->protocol) - p->data;
		c->fragment.pad = 0;
		return 0;
	}
	f = bpf_map_lookup_elem(&fragments, &c->fragment_key);
	if (!f || f->expires < c->now) /* the wire may have put them into another order */
		return c->hook == HOOK_FROM_NET || c->hook == HOOK_FROM_OVERLAY ? DROP_FRAGMENT_FROM_WORLD : DROP_FRAGMENT_NOT_FOUND;
	if (p->offset < f->headers) /* options are among them: it would write over what policy was asked about (RFC 5722) */
		return DROP_INVALID;
	p->src_port = f->src_port;
	p->dst_port = f->dst_port;
	p->protocol = f->protocol;
	p->icmp_type = f->icmp_type;
	p->icmp_code = f->icmp_code;
	p->icmp_request = f->icmp_request;
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		p->asks = icmp_asks(p);
	return 0;
}

/* Remembers the first fragment that fragment_join has noted, in its owner's quota, unless an earlier hook has done so. Returns 0
 * or a drop reason. */
GLOBAL fragment_keep(__u32 owner)
{
	struct context *c = context_here();
	__u64 life = FRAGMENT_LIFE;
	struct fragment *f;
	int reason;

	if (!c || !c->packet.first_fragment)
		return 0;
	f = bpf_map_lookup_elem(&fragments, &c->fragment_key);
	/* Of two first fragments the receiver may take either: the longer headers bound what follows. */
	if (f && f->expires >= c->now && f->headers > c->fragment.headers)
		c->fragment.headers = f->headers;
	if (f && f->expires >= c->now && f->headers == c->fragment.headers && f->src_port == c->fragment.src_port && f->dst_port == c->fragment.dst_port &&
	    f->protocol == c->fragment.protocol && f->icmp_type == c->fragment.icmp_type) {
		f->expires = c->now + quota_life(f->owner, QUOTA_FRAGMENTS, config.fragments_limit, life);
		return 0;
	}
	if (f)
		quota_remove(&fragments, &c->fragment_key, f->owner, QUOTA_FRAGMENTS);
	reason = quota_take(owner, QUOTA_FRAGMENTS, config.fragments_limit, &life);
	if (reason)
		return reason;
	c->fragment.owner = owner;
	c->fragment.expires = c->now + life;
	return quota_insert(&fragments, &c->fragment_key, &c->fragment, owner, QUOTA_FRAGMENTS) ? DROP_FRAGMENTS_FULL : 0;
}

static __always_inline int fragment_is(const struct packet *p)
{
	return p->first_fragment || p->later_fragment;
}

static __always_inline int fragment_meet(const struct context *c)
{
	return fragment_is(&c->packet) ? fragment_join() : 0;
}

/* Joins and keeps, where the sender is certain and pays from its own quota. Other first fragments are kept once they may pass,
 * in the quota of the NIC that gets them: deliver_rest. */
static __always_inline int fragment_learn(const struct context *c, __u32 owner)
{
	int reason = fragment_meet(c);

	return reason || !c->packet.first_fragment ? reason : fragment_keep(owner);
}

#endif
