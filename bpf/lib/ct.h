/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ct: connections. One entry for both directions; see struct ct. An entry past its time does not count. */
#ifndef WEFT_CT_H
#define WEFT_CT_H

#include "account.h"
#include "caller.h"
#include "lives.h"
#include "quota.h"
#include "tcp.h"

struct flow {
	struct ct_key *key; /* in the context: the stack is small */
	struct ct *entry; /* NULL: none, or expired */
	__u8 from_b;	  /* this packet's source is key.b */
	__u8 reply;	  /* it goes against the direction that opened the connection */
	__u8 is_new;
	__u8 stale; /* a row lies at the key that does not count: expired, closed, or opened by an answer */
	__u8 rests; /* that one was closed by FIN, and the packet is a SYN: the end that closed first remembers it for a while (TIME-WAIT) */
};

#define FLOW_REPLY 1
#define FLOW_FROM_B 2
#define FLOW_AGAIN 4 /* another hook will follow the connection by the same packet: that counts it */

static __always_inline int flow_how(const struct flow *f)
{
	return (f->reply ? FLOW_REPLY : 0) | (f->from_b ? FLOW_FROM_B : 0);
}

static __always_inline void ct_key_of(const struct packet *p, __u32 net, struct flow *f)
{
	f->key->net = net;
	f->key->protocol = p->protocol;
	f->from_b = !addr_less(&p->src, &p->dst, p->src_port, p->dst_port);
	if (f->from_b) {
		f->key->a = p->dst;
		f->key->b = p->src;
		f->key->a_port = p->dst_port;
		f->key->b_port = p->src_port;
		f->key->asks = p->asks >> 4;
	} else {
		f->key->a = p->src;
		f->key->b = p->dst;
		f->key->a_port = p->src_port;
		f->key->b_port = p->dst_port;
		f->key->asks = p->asks & 15;
	}
}

static __always_inline void ct_find(struct context *c, const struct packet *p, struct flow *f)
{
	struct ct *e;

	f->key = p == &c->packet ? &c->key : &c->quoted_key;
	ct_key_of(p, c->net, f);
	f->is_new = 0;
	f->reply = 0;
	f->stale = 0;
	f->rests = 0;
	f->entry = NULL;
	e = bpf_map_lookup_elem(&connections, f->key);
	if (!e)
		return;
	f->stale = 1;
	if (e->expires < c->now)
		return;
	/* A SYN on a closed connection opens a new one: the workload reuses its port. */
	if (tcp_opens(p) && (lives_are_over(e->flags) || lives_half(e->flags))) {
		f->rests = !(e->flags & CT_RESET);
		return;
	}
	f->reply = !!(e->flags & CT_FROM_B) != f->from_b;
	/* An ICMP answer to no known request has opened this one: a request the other way is not its answer, and opens its own. */
	if (f->reply && icmp_is_request(p)) {
		f->reply = 0;
		return;
	}
	f->stale = 0;
	f->entry = e;
}

/* Tells the end of a connection that was silent for all its life: by RST, if no later packet showed that it was not believed, else
 * idle. */
static __always_inline void ct_silent(const struct ct_key *key, struct ct *e, int swept)
{
	if (e)
		account_end(key, e, e->flags & CT_RESET ? ENDING_RESET : ENDING_IDLE, swept);
}

/* Takes an entry out, and gives it back to its owner's quota. */
GLOBAL ct_remove(const struct ct_key *key)
{
	struct ct_key own;
	struct ct *e;
	__u32 owner, flags, caller;

	if (!key)
		return 0;
	own = *key;
	e = bpf_map_lookup_elem(&connections, &own);
	if (!e)
		return 0;
	owner = e->owner;
	flags = e->flags;
	caller = e->caller;
	if (bpf_map_delete_elem(&connections, &own))
		return 0; /* another CPU was faster */
	if (flags & CT_OPENING)
		return 1; /* it counted nowhere */
	quota_give(owner, account_quota(flags));
	caller_give(caller);
	return 1;
}

/* Other CPUs change other flags of the row meanwhile. */
static __always_inline void ct_flags(struct ct *e, __u32 before, __u32 flags)
{
	if (flags & ~before)
		__sync_fetch_and_or(&e->flags, flags & ~before);
	if (before & ~flags)
		__sync_fetch_and_and(&e->flags, ~(before & ~flags));
}

/* From now on the connection is open, and counts for its owner: once, by the CPU that clears CT_OPENING. Returns 0 or a drop
 * reason. */
static __always_inline int ct_settle(struct ct *e)
{
	int reason = quota_take(e->owner, QUOTA_CALLED, config.connections_limit, NULL);

	if (reason)
		return reason;
	if (!caller_take(e->caller, 0)) {
		quota_give(e->owner, QUOTA_CALLED);
		return DROP_QUOTA;
	}
	if (!(__sync_fetch_and_and(&e->flags, ~CT_OPENING) & CT_OPENING)) {
		quota_give(e->owner, QUOTA_CALLED);
		caller_give(e->caller);
	}
	return 0;
}

/* Life goes on: expiry follows what TCP proves, or traffic for the rest. c->touched becomes the event flags to report.
 * Returns 0 or a drop reason; the connection is gone then. */
GLOBAL ct_follow(struct context *c, struct ct *e, int how)
{
	if (!c || !e)
		return DROP_INVALID;
	const struct packet *p = &c->packet;
	__u64 now = c->now, until;
	__u32 before = e->flags, flags = before;
	int reason, ends;

	c->touched = 0;
	c->payer = e->owner;
	if (!(how & FLOW_AGAIN))
		account_packet(e, p, how & FLOW_FROM_B);
	if ((how & FLOW_REPLY) && !(flags & CT_REPLIED)) {
		flags |= CT_REPLIED;
		c->touched = EVENT_REPLY;
	}
	if (p->protocol == IPPROTO_TCP && !p->later_fragment)
		flags = tcp_follow(p, e, flags, !!(how & FLOW_FROM_B), !!(how & FLOW_REPLY));
	if ((flags & CT_OPENING) && (flags & CT_OPEN)) {
		reason = ct_settle(e);
		if (reason) {
			e->last = now;
			account_end(&c->key, e, ENDING_EVICTED, 0);
			ct_remove(&c->key);
			return reason;
		}
		flags &= ~CT_OPENING;
		before &= ~CT_OPENING;
	}
	ends = lives_are_over(flags);
	until = lives_for(p->protocol, flags);
	if (flags != before)
		ct_flags(e, before, flags);
	/* Its end is told already. What is still under way may pass; if the ends go on after that, they open another connection. */
	if ((flags & CT_ENDED) && (__s64)(now + until - e->last) > (__s64)(CT_TCP_ENDED_SECONDS * SECOND))
		return 0;
	/* Written at most once a second: the cache line is shared by CPUs, and a write takes it from the others. */
	if (!(flags & CT_ENDED) && (ends || now - e->last > SECOND))
		e->last = now;
	if (ends && !(flags & (CT_RESET | CT_ENDED)) && !(how & FLOW_AGAIN))
		account_end(&c->key, e, ENDING_FIN, 0);
	if (e->expires < now + until - SECOND || e->expires > now + until)
		e->expires = now + (!ends && (flags & (CT_OPEN | CT_OPENING)) && !(flags & CT_ONE_WAY) ? until : quota_life(e->owner, account_quota(flags), config.connections_limit, until));
	return 0;
}

static __always_inline int ct_update(struct context *c, struct flow *f)
{
	return ct_follow(c, f->entry, flow_how(f));
}

#endif
