/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sweep: whether an entry of a shared table is finished, and its end. Each step returns how many entries it took out. */
#ifndef WEFT_SWEEP_H
#define WEFT_SWEEP_H

#include "abi/sweep.h"
#include "nat.h"
#include "progress.h"

static __always_inline int sweep_is_over(__u64 expires)
{
	return expires + SWEEP_GRACE_SECONDS * SECOND < bpf_ktime_get_ns();
}

GLOBAL sweep_connection(const struct ct_key *at)
{
	struct ct_key key;
	struct ct *e;

	if (!at)
		return 0;
	key = *at;
	e = bpf_map_lookup_elem(&connections, &key);
	if (!e || !sweep_is_over(e->expires))
		return 0;
	ct_silent(&key, e, 1);
	return ct_remove(&key);
}

/* Counts a connection that the agent has put in, which no workload owns. */
static __always_inline int sweep_made(void)
{
	struct quota *none = quota_of(0), *all = quota_of(OWNER_ALL);

	if (!none || !all)
		return 0;
	__sync_fetch_and_add(&none->held[QUOTA_CONNECTIONS], 1);
	__sync_fetch_and_add(&all->held[QUOTA_CONNECTIONS], 1);
	return 1;
}

/* Does to a connection what the agent asks: see enum sweep_what. One that is past its time goes, and counts as not found. */
GLOBAL sweep_mark(const struct ct_key *at, __u32 what)
{
	struct ct_key key;
	struct ct *e;

	if (!at)
		return 0;
	if (what == SWEEP_MADE)
		return sweep_made();
	if (what == SWEEP_PROGRESS)
		return progress_tell(at);
	key = *at;
	e = bpf_map_lookup_elem(&connections, &key);
	if (!e)
		return 0;
	if (e->expires < bpf_ktime_get_ns()) {
		ct_silent(&key, e, 1);
		ct_remove(&key);
		return 0;
	}
	__sync_fetch_and_or(&e->flags, CT_EXEMPT);
	return 1;
}

GLOBAL sweep_fragment(const struct fragment_key *at)
{
	struct fragment_key key;
	struct fragment *f;

	if (!at)
		return 0;
	key = *at;
	f = bpf_map_lookup_elem(&fragments, &key);
	return f && sweep_is_over(f->expires) ? quota_remove(&fragments, &key, f->owner, QUOTA_FRAGMENTS) : 0;
}

/* Whether the connection between these ends still lives. */
GLOBAL sweep_lives(const struct nat_key *k)
{
	struct packet p;
	struct ct_key key;

	if (!k)
		return 0;
	return (nat_until(k, &p, &key) + 2) * SECOND > bpf_ktime_get_ns(); /* whole seconds, and what sweep_is_over() adds */
}

/* The same for a call of a service: its connection is between the client, or the hairpin source, and the backend. */
static __always_inline int sweep_serves(const struct nat_key *key, const struct addr *backend, __be16 port, __be16 source_port)
{
	struct nat_key inside = *key;

	inside.dst = *backend;
	inside.dst_port = port;
	if (source_port)
		inside.src_port = source_port;
	if (addr_equal(&inside.src, backend))
		inside.src = config_loopback(!addr_is4(backend));
	return sweep_lives(&inside);
}

GLOBAL sweep_translation(const struct nat_key *at)
{
	struct nat_key key, other;
	struct nat *n;
	struct addr to;
	__be16 port, source_port;

	if (!at)
		return 0;
	key = *at;
	n = bpf_map_lookup_elem(&translations, &key);
	if (!n || !sweep_is_over(n->opened))
		return 0;
	to = n->addr;
	port = n->port;
	source_port = n->source_port;
	if (key.kind == NAT_BACK) { /* goes with its way out */
		nat_turn(&key, n, &other);
		n = bpf_map_lookup_elem(&translations, &other);
		return n && nat_answers(&key, n) ? 0 : nat_remove(&key);
	}
	if (key.kind == NAT_SERVICE ? sweep_serves(&key, &to, port, source_port) : sweep_lives(&key))
		return 0;
	return nat_remove(&key);
}

#endif
