/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* progress: what a connection that goes on has carried so far is told, by the sweep, and how much of it is new.
 *
 * Its end may come in the same moment, by a packet at another CPU. So that nothing is told twice, each exchanges `half` of the row in map
 * progress: the sweep fills the half that does not count, and lets it count if the end has not come; the end takes what counts then. */
#ifndef WEFT_PROGRESS_H
#define WEFT_PROGRESS_H

#include "account.h"

static const struct progress progress_none; /* all zero */

/* Makes the row of a connection of which nothing is told yet. Returns whether there is one: not if its end came meanwhile. */
static __always_inline int progress_begins(const struct ct_key *key, struct ct *e)
{
	if (bpf_map_update_elem(&progress, key, &progress_none, BPF_ANY))
		return 0;
	if (!(__sync_fetch_and_or(&e->flags, CT_PROGRESS) & CT_ENDED))
		return 1;
	bpf_map_delete_elem(&progress, key);
	return 0;
}

static __always_inline int progress_same(const struct carried *a, const struct carried *b)
{
	return a->packets == b->packets && a->bytes == b->bytes;
}

/* Tells what a connection has carried, if that is more than has been told, and there is room: else it is told the next time. Returns
 * whether it did. */
GLOBAL progress_tell(const struct ct_key *at)
{
	struct close_event *x;
	struct ct_key key;
	struct progress *p;
	struct ct *e;
	__u32 have, next;
	int from_b;

	if (!at)
		return 0;
	key = *at;
	e = bpf_map_lookup_elem(&connections, &key);
	if (!e || (e->flags & CT_ENDED) || e->expires < bpf_ktime_get_ns())
		return 0;
	p = bpf_map_lookup_elem(&progress, &key);
	if (!p || !(e->flags & CT_PROGRESS)) {
		if (!progress_begins(&key, e))
			return 0;
		p = bpf_map_lookup_elem(&progress, &key);
	}
	if (!p)
		return 0;
	have = *(volatile __u32 *)&p->half;
	if (have >= PROGRESS_OVER)
		return 0;
	have &= 1;
	next = have ^ 1;
	p->way_a[next] = e->way_a.carried;
	p->way_b[next] = e->way_b.carried;
	if (progress_same(&p->way_a[next], &p->way_a[have]) && progress_same(&p->way_b[next], &p->way_b[have]))
		return 0;
	x = account_event(e, 1);
	if (!x)
		return 0;
	from_b = account_who(x, &key, e, EVENT_PROGRESS);
	x->sent = from_b ? p->way_b[next] : p->way_a[next];
	x->received = from_b ? p->way_a[next] : p->way_b[next];
	x->told_sent = from_b ? p->way_b[have] : p->way_a[have];
	x->told_received = from_b ? p->way_a[have] : p->way_b[have];
	if (__sync_val_compare_and_swap(&p->half, have, next) != have) {
		bpf_ringbuf_discard(x, 0);
		return 0;
	}
	bpf_ringbuf_submit(x, 0);
	return 1;
}

#endif
