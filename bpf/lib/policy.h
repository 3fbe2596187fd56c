/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* policy: the verdict of one NIC on one connection, and what a connection remembers of it.
 *
 * Within one peer the longest (protocol, port) prefix answers; between (peer), (class of its address) and (any peer) the
 * higher precedence does; a tier that passes leaves it to the next. internal/policy builds sets for which this equals what
 * the rules mean.
 */
#ifndef WEFT_POLICY_H
#define WEFT_POLICY_H

#include "addr.h"
#include "event.h"
#include "ipcache.h"

static __always_inline __u32 revision_bucket(const struct addr *a, __u32 net)
{
	return addr_mixed(a, net) % REVISION_BUCKETS;
}

/* The revision that a remembered verdict must have reached to count. */
static __always_inline __u64 revision_needed(const struct context *c, const struct question *q)
{
	__u32 at = q->set, bucket = revision_bucket(&q->peer_addr, c->net);
	struct set *set = bpf_map_lookup_elem(&sets, &at);
	__u64 *changed = bpf_map_lookup_elem(&peer_revisions, &bucket);
	__u64 needed = set ? set->revision : ~0ULL >> 8;

	if (changed && *changed > needed)
		needed = *changed;
	return q->revision > needed ? q->revision : needed;
}

/* A hash of who asks: the NIC, the connection, and whether the peer is a workload, a node or outside. So a frame with the address of
 * a workload that is not from there is asked about anew. A workload whose identity changes stays a workload: the revision of its
 * address tells of that. By the hash a verdict that was written as another CPU gave the row to another connection does not
 * count. */
static __always_inline __u32 policy_asker(const struct question *q)
{
	__u32 ports = (__u32)q->here_port << 16 | q->there_port;

	return addr_mixed(&q->peer_addr, ports * ADDR_MIX_0 ^ q->incarnation * ADDR_MIX_1 ^ q->protocol) + ipcache_place(q->peer);
}

/* The class that a generation puts the peer's address in, 0: none. */
static __always_inline __u32 policy_class(__u32 generation, const struct question *q)
{
	struct range_key key = {
		.bits = RANGE_BITS_FIXED + 128,
		.generation = generation,
		.place = ipcache_place(q->peer),
		.addr = q->peer_addr,
	};
	__u32 *class = bpf_map_lookup_elem(&ranges, &key);

	return class ? *class : 0;
}

/* What a verdict means for a packet that would pass or not: 0, or a drop reason. VERDICT_NONE: there is no set to ask. */
static __always_inline int policy_reason(__u32 verdict)
{
	switch (verdict) {
	case VERDICT_ALLOW:
	case VERDICT_AUDIT:
		return 0;
	case VERDICT_DENY:
		return DROP_POLICY_DENY;
	case VERDICT_DENY_IMPLICIT:
		return DROP_POLICY;
	default:
		return DROP_NO_CONFIG;
	}
}

static __always_inline int policy_denies(__u32 verdict)
{
	return verdict == VERDICT_DENY || verdict == VERDICT_DENY_IMPLICIT;
}

static __always_inline struct policy *policy_find(struct policy_key *key, __u32 peer)
{
	key->peer = peer;
	return bpf_map_lookup_elem(&policies, key);
}

/* What one tier says; NULL: the generation is being removed, and its any-peer rows have gone first. */
static __always_inline struct policy *policy_tier(struct policy_key *key, __u64 generation, __u32 peer, __u32 class)
{
	struct policy *any = policy_find(key, 0), *by_class = class ? policy_find(key, class) : NULL;
	struct policy *one = generation & SET_NAMES_NO_PEER ? NULL : policy_find(key, peer), *best;

	if (!any)
		return NULL;
	best = by_class && by_class->precedence >= any->precedence ? by_class : any;
	return one && one->precedence >= best->precedence ? one : best;
}

/* Leaves in the context what a view of a generation says: verdict, rules and match; VERDICT_NONE if it is not there any more. */
GLOBAL policy_view(struct context *c, const struct question *q, __u64 generation, __u32 class, __u32 view)
{
	static const __u8 order[] = { TIER_ADMIN, TIER_NORMAL, TIER_BASELINE };

	if (!c || !q)
		return 0;
	c->verdict = VERDICT_NONE;
	for (int i = 0; i < 3; i++) {
		struct policy_key key = {
			.bits = POLICY_BITS_FIXED + 24,
			.generation = generation,
			.layer = q->direction | order[i] << LAYER_TIER | view << LAYER_VIEW,
			.protocol = q->protocol,
			.port = q->port,
		};
		struct policy *best;

		if ((order[i] == TIER_ADMIN && !(generation & SET_HAS_ADMIN)) ||
		    (order[i] == TIER_BASELINE && !(generation & SET_HAS_BASELINE)))
			continue;
		best = policy_tier(&key, generation, q->peer, class);
		if (!best)
			return 0;
		if (best->verdict == VERDICT_PASS)
			continue;
		c->rules = best->rules;
		c->match = best->match;
		c->verdict = best->verdict;
		return 0;
	}
	return 0;
}

/* What policies that are not enforced would do: what audited ones would deny becomes VERDICT_AUDIT, what staged ones would do is in
 * the event. */
static __always_inline void policy_foresee(struct context *c, const struct question *q, __u64 generation, __u32 class)
{
	__u32 rules = c->rules;
	__u8 match = c->match, verdict = c->verdict;

	if ((generation & SET_HAS_MEANT) && !policy_denies(verdict)) {
		policy_view(c, q, generation, class, VIEW_AS_MEANT);
		if (policy_denies(c->verdict)) {
			rules = c->rules;
			match = c->match;
			verdict = VERDICT_AUDIT;
		}
	}
	if (generation & SET_HAS_STAGED) {
		policy_view(c, q, generation, class, VIEW_AS_STAGED);
		c->staged = c->verdict;
		c->staged_rules = c->rules;
	}
	c->rules = rules;
	c->match = match;
	c->verdict = verdict;
}

static __always_inline struct ct_verdict *policy_remembered(struct ct *e, __u32 of)
{
	switch (of) {
	case REMEMBERED_EGRESS:
		return &e->egress;
	case REMEMBERED_INGRESS:
		return &e->ingress;
	case REMEMBERED_BACK_A:
		return &e->back_a;
	default:
		return &e->back_b;
	}
}

/* The identity of the caller is remembered with the ingress verdict on it. */
static __always_inline void policy_source(struct ct *e, const struct question *q)
{
	if (q->of == REMEMBERED_INGRESS && e->source != q->peer)
		e->source = q->peer;
}

/* Counts a verdict, on this CPU. */
static __always_inline void policy_count(const struct context *c, __u32 *at)
{
	__u64 *n;

	*at = c->direction << VERDICTS_DIRECTION | (c->verdict & 7) << VERDICTS_VERDICT | (c->match & 7);
	n = bpf_map_lookup_elem(&policy_verdicts, at);
	if (n)
		(*n)++;
}

/* Asks the set the question of the context, counts the verdict, emits an event, and remembers the answer. Returns enum verdict, and
 * leaves verdict and rules in the context; VERDICT_NONE: there is no set to ask. */
GLOBAL policy_ask(struct __sk_buff *skb, struct context *c, struct ct *e)
{
	if (!c || !e)
		return VERDICT_NONE;
	const struct question *q = &c->question;
	__u32 at = q->set, class = 0;
	struct set *set = bpf_map_lookup_elem(&sets, &at);
	struct ct_verdict *memory;
	__u64 generation = 0;
	int reason;

	c->direction = q->direction;
	c->incarnation = q->incarnation;
	c->rules = 0;
	c->match = 0;
	c->verdict = VERDICT_NONE;
	c->staged = VERDICT_NONE;
	c->staged_rules = 0;
	if (!set)
		return VERDICT_NONE;
	for (int try = 0; try < 2 && c->verdict == VERDICT_NONE; try++) {
		generation = *(volatile __u64 *)&set->generation;
		class = generation & SET_HAS_RANGES ? policy_class(generation, q) : 0;
		policy_view(c, q, generation, class, VIEW_IN_FORCE);
	}
	if (c->verdict == VERDICT_NONE)
		return VERDICT_NONE;
	if (generation & (SET_HAS_MEANT | SET_HAS_STAGED))
		policy_foresee(c, q, generation, class);
	memory = policy_remembered(e, q->of);
	memory->rules = c->rules;
	memory->asker = policy_asker(q);
	*(volatile __u64 *)&memory->verdict_revision = c->revision << 8 | c->verdict;
	reason = policy_reason(c->verdict);
	if (!reason)
		policy_source(e, q);
	policy_count(c, &at);
	event_name(c, e);
	event_emit(skb, c, EVENT_VERDICT, reason);
	return c->verdict;
}

/* The verdict that is remembered for this question, while nothing it rests on has changed, else VERDICT_NONE. One that denies
 * is in the context, too, with its rules. */
static __always_inline int policy_known(struct context *c, const struct question *q, struct ct *e)
{
	struct ct_verdict *memory = policy_remembered(e, q->of);
	__u64 known = *(volatile __u64 *)&memory->verdict_revision;

	if (memory->asker != policy_asker(q) || (known >> 8) < revision_needed(c, q))
		return VERDICT_NONE;
	if (!policy_reason(known & 0xff)) {
		policy_source(e, q);
		return known & 0xff;
	}
	c->direction = q->direction;
	c->incarnation = q->incarnation;
	c->rules = memory->rules;
	c->verdict = known & 0xff;
	return c->verdict;
}

/* Port that the policy is about: the side that was called; ICMP: type and code. */
static __always_inline __be16 policy_port(const struct packet *p, int reply)
{
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6) {
		/* The answer to a request belongs to it. */
		if (reply && p->icmp_request)
			return bpf_htons(p->icmp_request << 8);
		return bpf_htons(p->icmp_type << 8 | p->icmp_code);
	}
	return reply ? p->src_port : p->dst_port;
}

#endif
