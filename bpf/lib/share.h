/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* share: nobody holds more than a quarter of a table that all use. Near its limit an owner's short-lived entries live
 * shorter, so that a busy server goes on while a flood starves itself alone. */
#ifndef WEFT_SHARE_H
#define WEFT_SHARE_H

#include "abi/event.h"
#include "abi/quota.h"
#include "config.h"

static const struct share share_none; /* all zero */

static __always_inline struct share *share_of(__u32 owner)
{
	struct share *s = bpf_map_lookup_elem(&shares, &owner);

	if (s)
		return s;
	bpf_map_update_elem(&shares, &owner, &share_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&shares, &owner);
}

/* How long an entry may live that would live `life` ns: all of it up to half the share, then less and less, one second
 * at least. */
static __always_inline __u64 share_scaled(__s64 held, __u32 limit, __u64 life)
{
	__u32 half = limit / 2;

	if (held <= half || !half)
		return life;
	if (held < limit)
		life = life / half * (__u64)(limit - held);
	else
		life = 0;
	return life < SECOND ? SECOND : life;
}

static __always_inline __u64 share_life(__u32 owner, enum shared kind, __u32 limit, __u64 life)
{
	struct share *s = bpf_map_lookup_elem(&shares, &owner);

	return s ? share_scaled(*(volatile __s64 *)&s->held[kind], limit, life) : life;
}

/* Whether the owner may have one more. Returns 0 or a drop reason. */
static __always_inline int share_check(__u32 owner, enum shared kind, __u32 limit)
{
	struct share *s = bpf_map_lookup_elem(&shares, &owner);

	if (!s || *(volatile __s64 *)&s->held[kind] < limit)
		return 0;
	__sync_fetch_and_add(&s->refused[kind], 1);
	return DROP_SHARE;
}

/* Takes `n` entries of this kind from the owner's share; `life`, if it is asked, becomes how long they may live. Returns 0 or a
 * drop reason. */
static __always_inline int share_take_some(__u32 owner, enum shared kind, __u32 n, __u32 limit, __u64 *life)
{
	struct share *s = share_of(owner);
	__s64 held;

	if (!s)
		return DROP_SHARE;
	held = *(volatile __s64 *)&s->held[kind] + n;
	if (held > limit) {
		__sync_fetch_and_add(&s->refused[kind], 1);
		return DROP_SHARE;
	}
	__sync_fetch_and_add(&s->held[kind], n);
	if (life)
		*life = share_scaled(held, limit, *life);
	return 0;
}

static __always_inline int share_take(__u32 owner, enum shared kind, __u32 limit, __u64 *life)
{
	return share_take_some(owner, kind, 1, limit, life);
}

/* How many entries of this kind an owner has. */
static __always_inline __s64 share_held(__u32 owner, enum shared kind)
{
	struct share *s = bpf_map_lookup_elem(&shares, &owner);

	return s ? *(volatile __s64 *)&s->held[kind] : 0;
}

/* Gives `n` back. An owner that is forgotten has nothing to get. */
static __always_inline void share_give_some(__u32 owner, enum shared kind, __s64 n)
{
	struct share *s = bpf_map_lookup_elem(&shares, &owner);

	if (s)
		__sync_fetch_and_add(&s->held[kind], -n);
}

static __always_inline void share_give(__u32 owner, enum shared kind)
{
	share_give_some(owner, kind, 1);
}

/* Takes out what lies at a key, and gives it back: whoever deletes it first does. */
static __always_inline int share_remove(void *table, const void *key, __u32 owner, enum shared kind)
{
	if (bpf_map_delete_elem(table, key))
		return 0;
	share_give(owner, kind);
	return 1;
}

#endif
