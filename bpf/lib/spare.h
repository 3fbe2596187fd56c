/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* spare: an owner at its limit goes on with the places of its own connections that are finished and only remembered: a name server
 * that is asked from ever new ports loses no question, however rarely sweeps come. */
#ifndef WEFT_SPARE_H
#define WEFT_SPARE_H

#include "ct.h"
#include "nat.h"

#define SPARE_TRIES 32
#define SPARE_FEW 4 /* packets of a question and its answer, asked twice */

/* A random place. As many are in use as an owner fills between a quarter of its quota and half of it. */
static __always_inline __u32 spare_place(void)
{
	__u32 limit = config.connections_limit / 4;

	if (limit > SPARES)
		limit = SPARES;
	return bpf_get_prandom_u32() % (limit ? limit : 1);
}

/* Whether nothing is lost with a row: TCP has closed; of the rest a question is answered, or a second has passed without a packet. */
static __always_inline int spare_is(const struct ct *e, __u32 protocol, __u64 now)
{
	if (protocol == IPPROTO_TCP)
		return lives_are_over(e->flags);
	if (e->last + SECOND < now)
		return 1;
	return (e->flags & CT_REPLIED) && e->way_a.carried.packets + e->way_b.carried.packets <= SPARE_FEW;
}

/* Notes the connection at the key of the context, whose owner holds more than a quarter of its quota: where one has left. */
static __always_inline void spare_note(const struct context *c)
{
	__u32 at = c->spare ? c->spare - 1 : spare_place();
	struct ct_key *place = bpf_map_lookup_elem(&spares, &at);

	if (place)
		*place = c->key;
}

struct spare_wanted {
	__u32 owner;
	__u32 kind; /* enum quota_kind */
	int found;
};

/* One try, for bpf_loop: the verifier looks at it once. Returns 1 when the search is over. */
static long spare_try(__u32 i, void *data)
{
	struct spare_wanted *wanted = data;
	struct context *c = context_here();
	__u32 at = spare_place();
	struct ct_key *place;
	struct ct *e;

	place = bpf_map_lookup_elem(&spares, &at);
	if (!c || !place)
		return 1;
	c->evicted = *place;
	e = bpf_map_lookup_elem(&connections, &c->evicted);
	if (!e || e->owner != wanted->owner || !__builtin_memcmp(&c->evicted, &c->key, sizeof(c->key)) || (e->flags & CT_OPENING) ||
	    account_quota(e->flags) != wanted->kind || !spare_is(e, c->evicted.protocol, c->now))
		return 0;
	*place = c->key;
	c->spare = at + 1;
	account_end(&c->evicted, e, ENDING_EVICTED, 0);
	wanted->found = 1;
	return 1;
}

/* Looks for a finished connection that counts as `kind` of the owner's quota. Returns whether there is one: its key is in
 * c->evicted, and its place for the connection of this packet. */
GLOBAL spare_found(__u32 owner, __u32 kind)
{
	struct spare_wanted wanted = { .owner = owner, .kind = kind };

	bpf_loop(SPARE_TRIES, spare_try, &wanted, 0);
	return wanted.found;
}

/* Takes out a finished connection of the owner, with its translations. Returns whether there was one. */
static __always_inline int spare_yields(struct context *c, __u32 owner, __u32 kind)
{
	if (!spare_found(owner, kind))
		return 0;
	nat_forget();
	return ct_remove(&c->evicted);
}

#endif
