/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* open: a connection begins: its first packet, who pays for it, and what has to go for one that may be forged. Its steps are verified
 * once each, whatever the many callers know. */
#ifndef WEFT_OPEN_H
#define WEFT_OPEN_H

#include "abi/outside.h"
#include "ct.h"
#include "nat.h"
#include "spare.h"

/* A random place of openings. */
static __always_inline struct ct_key *open_place(void)
{
	__u32 limit = config.openings_limit, at = bpf_get_prandom_u32() % (limit ? limit : 1);

	return bpf_map_lookup_elem(&openings, &at);
}

/* A connection that a forged SYN may have opened takes a random index of openings, and what is still opening there goes: a flood
 * mostly evicts its own, and a caller that answers within the time of some thousand calls stays. Returns whether
 * one has to go: its key is in c->evicted. */
GLOBAL open_evicts(void)
{
	struct context *c = context_here(); /* kernels before 6.2 take no key from an argument's memory */
	struct ct_key *opening;
	struct ct *e;

	if (!c)
		return 0;
	opening = open_place();
	if (!opening)
		return 0;
	c->evicted = *opening;
	*opening = c->key;
	e = bpf_map_lookup_elem(&connections, &c->evicted);
	if (!e || !(e->flags & CT_OPENING) || !__builtin_memcmp(&c->evicted, &c->key, sizeof(c->key)))
		return 0;
	if (e->flags & CT_SERVICE)
		nat_forget();
	account_end(&c->evicted, e, ENDING_EVICTED, 0);
	return 1;
}

#define OPEN_YIELDS 16

/* Where an owner's share of `translations` is used up, a call of a service that it pays for and that is still opening gives way to a new one: a
 * flood of forged calls mostly takes the place of its own; else one that is finished. Returns whether there is room now. */
GLOBAL open_yields(__u32 owner)
{
	struct context *c = context_here();
	struct ct_key *opening;
	struct nat *n;
	struct ct *e;

	if (!c)
		return 0;
	for (int i = 0; i < OPEN_YIELDS; i++) {
		opening = open_place();
		if (!opening)
			break;
		c->evicted = *opening;
		e = bpf_map_lookup_elem(&connections, &c->evicted);
		if (!e || (e->flags & (CT_OPENING | CT_SERVICE)) != (CT_OPENING | CT_SERVICE))
			continue;
		n = bpf_map_lookup_elem(&translations, nat_key_of_call(c, e));
		if (!n || n->owner != owner || !nat_forget())
			continue;
		account_end(&c->evicted, e, ENDING_EVICTED, 0);
		ct_remove(&c->evicted);
		return 1;
	}
	return spare_yields(c, owner, QUOTA_CALLED);
}

/* Returns 0 or a drop reason. */
static __always_inline int open_pays(__u32 owner, __u32 flags, __u64 *life)
{
	if (flags & CT_OPENING)
		return quota_check(owner, QUOTA_CALLED, config.connections_limit, life);
	return quota_try(owner, account_quota(flags), 1, config.connections_limit, life);
}

/* Takes a new connection, c->fresh, from its owner's quota and counts it for its caller; says how long it lives until it is
 * answered. Returns 0 or a drop reason. */
GLOBAL open_affords(struct context *c)
{
	if (!c)
		return DROP_INVALID;
	struct ct *e = &c->fresh;
	__u32 flags = e->flags, owner = e->owner, kind = account_quota(flags);
	__u64 all = lives_for(c->packet.protocol, flags), life = all;
	int reason = open_pays(owner, flags, &life);

	if (reason)
		return reason;
	c->crowded = life < all;
	e->expires = c->now + (flags & CT_OPENING ? all : life);
	if (caller_take(e->caller, flags & CT_OPENING))
		return 0;
	if (!(flags & CT_OPENING))
		quota_give(owner, kind);
	return DROP_QUOTA;
}

/* Counts a connection that a call from outside has opened, by how it is led on. */
static __always_inline void open_counts(__u32 hook, __u32 flags)
{
	__u32 way = flags & CT_ONE_WAY ? OUTSIDE_DSR : flags & CT_CARRIED ? OUTSIDE_SNAT : flags & CT_TOLD ? OUTSIDE_TOLD : OUTSIDE_LOCAL;
	__u64 *calls;

	if (!(flags & CT_SERVICE) || (hook != HOOK_FROM_NET && hook != HOOK_FROM_OVERLAY))
		return;
	calls = bpf_map_lookup_elem(&outside_calls, &way);
	if (calls)
		(*calls)++;
}

#define OPEN_NEW 0
#define OPEN_THERE (-1) /* another CPU was faster, or there is no room */

/* Opens a connection at the key of the context; `stale`: one that is as good as none lies there. Returns OPEN_NEW, OPEN_THERE, or
 * a drop reason. */
GLOBAL open_row(__u32 flags, int stale)
{
	struct context *c = context_here();

	if (!c)
		return DROP_INVALID;
	const struct packet *p = &c->packet;
	struct ct *e = &c->fresh;
	int reason, answers = tcp_answers(p);

	/* An answer would look like a call, and what comes back like the answer. The node's own may be to a call that came by
	 * another device, or was translated on its way in. */
	if (answers && (!(flags & CT_STACK) || (flags & (CT_CALLED | CT_EXEMPT)) == CT_CALLED))
		return DROP_NO_CONNECTION;
	if (stale) {
		ct_silent(&c->key, bpf_map_lookup_elem(&connections, &c->key), 0);
		ct_remove(&c->key);
	}
	flags |= (c->event_flags & EVENT_SERVICE ? CT_SERVICE : 0) | (c->told ? CT_TOLD : 0);
	if (p->protocol == IPPROTO_TCP)
		flags |= (tcp_opens(p) ? CT_SYN : answers ? 0 : CT_ADOPTED) | (flags & CT_CALLED ? CT_OPENING : 0);
	__builtin_memset(e, 0, sizeof(*e));
	e->owner = p->owner;
	e->flags = flags;
	e->source = c->source;
	e->destination = c->destination;
	e->client_port = c->client_port;
	if (flags & (CT_SERVICE | CT_NAMED)) {
		e->service = c->service;
		e->service_port = c->service_port;
	}
	if ((flags & CT_CALLED) && !(flags & CT_ONE_WAY)) /* one way proves no caller: who forges one must not count as it */
		e->caller = caller_of(c, p->owner);
	reason = open_affords(c);
	if (reason && spare_yields(c, e->owner, account_quota(flags)))
		reason = open_affords(c);
	if (!reason && c->crowded)
		spare_note(c);
	if (reason) {
		quota_refuse(e->owner, account_quota(flags));
		return reason;
	}
	e->opened = context_time(c);
	e->last = e->opened;
	if (!bpf_map_update_elem(&connections, &c->key, e, BPF_NOEXIST)) {
		if ((flags & CT_OPENING) && open_evicts())
			ct_remove(&c->evicted);
		open_counts(c->hook, flags);
		return OPEN_NEW;
	}
	if (!(flags & CT_OPENING)) {
		quota_give(e->owner, account_quota(flags));
		caller_give(e->caller);
	}
	return OPEN_THERE;
}

/* Opens a connection in the direction of this packet, at the cost of its owner. Returns 0, and there is an entry, or a drop reason. It
 * is the entry that callers ask for: the verifier of 6.1 does not see that one goes with the other. */
static __noinline int open_connection(struct flow *f, __u32 flags)
{
	int opened = open_row(flags | (f->from_b ? CT_FROM_B : 0), f->stale);

	if (opened > 0)
		return opened;
	f->is_new = opened == OPEN_NEW;
	f->entry = bpf_map_lookup_elem(&connections, f->key);
	return f->entry ? 0 : DROP_CT_FULL;
}

/* The same for what may be a call of a service: where there is no place for it, its translation goes. */
static __always_inline int open_call(struct flow *f, __u32 flags)
{
	int reason = open_connection(f, flags);

	if (!f->entry)
		nat_refused();
	return reason;
}

#endif
