/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* quota: no owner holds more than a quarter of a table that all use, nor more than what is left of it. Near its limit an owner's
 * short-lived entries live shorter, so that a busy server goes on while a flood starves itself alone. */
#ifndef WEFT_QUOTA_H
#define WEFT_QUOTA_H

#include "abi/event.h"
#include "config.h"

static const struct quota quota_none; /* all zero */

static __always_inline struct quota *quota_of(__u32 owner)
{
	struct quota *s = bpf_map_lookup_elem(&quota, &owner);

	if (s)
		return s;
	bpf_map_update_elem(&quota, &owner, &quota_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&quota, &owner);
}

static __always_inline __s64 quota_read(const __s64 *n)
{
	return *(volatile const __s64 *)n;
}

/* How much an owner may hold: a quarter of the table, not more than what is left for all, and a little in any case. */
static __always_inline __s64 quota_limit(const struct quota *all, enum quota_kind kind, __u32 limit)
{
	__s64 size = (__s64)limit * QUOTA_PARTS, least = size / QUOTA_LEAST + 1, left = size - size / QUOTA_KEPT;

	if (kind == QUOTA_CONNECTIONS || kind == QUOTA_CALLED) /* one table, and openings of no owner lie in it */
		left -= config.openings_limit + quota_read(&all->held[QUOTA_CONNECTIONS]) + quota_read(&all->held[QUOTA_CALLED]);
	else
		left -= quota_read(&all->held[kind]);
	if (left < least)
		left = least;
	return left < limit ? left : limit;
}

/* How long an entry may live that would live `life` ns: all of it up to a quarter of the quota, then less and less, one second
 * at least. */
static __always_inline __u64 quota_scaled(__s64 held, __u32 limit, __u64 life)
{
	__u32 calm = limit / 4;

	if (held <= calm || !calm)
		return life;
	if (held < limit)
		life = life / (limit - calm) * (__u64)(limit - held);
	else
		life = 0;
	return life < SECOND ? SECOND : life;
}

/* How many entries of this kind an owner has. */
static __always_inline __s64 quota_held(__u32 owner, enum quota_kind kind)
{
	struct quota *s = bpf_map_lookup_elem(&quota, &owner);

	return s ? quota_read(&s->held[kind]) : 0;
}

static __always_inline __u64 quota_life(__u32 owner, enum quota_kind kind, __u32 limit, __u64 life)
{
	return quota_scaled(quota_held(owner, kind), limit, life);
}

/* Counts what the owner was refused. */
static __always_inline void quota_refuse(__u32 owner, enum quota_kind kind)
{
	struct quota *s = bpf_map_lookup_elem(&quota, &owner);

	if (s)
		__sync_fetch_and_add(&s->refused[kind], 1);
}

/* Whether the owner may have one more; `life`, of which nothing is taken, says how crowded it is. Returns 0 or a drop reason, which
 * is not counted yet. */
static __always_inline int quota_check(__u32 owner, enum quota_kind kind, __u32 limit, __u64 *life)
{
	struct quota *s = bpf_map_lookup_elem(&quota, &owner), *all = quota_of(OWNER_ALL);
	__s64 held;

	if (!s || !all)
		return 0;
	held = quota_read(&s->held[kind]);
	if (held >= quota_limit(all, kind, limit))
		return DROP_QUOTA;
	*life = quota_scaled(held, limit, *life);
	return 0;
}

/* Takes `n` entries of this kind from the owner's quota; `life`, if it is asked, becomes how long they may live. Returns 0 or a
 * drop reason, which is not counted yet. */
static __always_inline int quota_try(__u32 owner, enum quota_kind kind, __u32 n, __u32 limit, __u64 *life)
{
	struct quota *s = quota_of(owner), *all = quota_of(OWNER_ALL);
	__s64 held;

	if (!s || !all)
		return DROP_QUOTA;
	held = quota_read(&s->held[kind]) + n;
	if (held > quota_limit(all, kind, limit))
		return DROP_QUOTA;
	__sync_fetch_and_add(&s->held[kind], n);
	__sync_fetch_and_add(&all->held[kind], n);
	if (life)
		*life = quota_scaled(held, limit, *life);
	return 0;
}

/* Counts a refusal to which nothing has given way. Returns the reason of what was tried. */
static __always_inline int quota_stands(int reason, __u32 owner, enum quota_kind kind)
{
	if (reason == DROP_QUOTA)
		quota_refuse(owner, kind);
	return reason;
}

/* The same as quota_try for one entry, where nothing could give way. */
static __always_inline int quota_take(__u32 owner, enum quota_kind kind, __u32 limit, __u64 *life)
{
	return quota_stands(quota_try(owner, kind, 1, limit, life), owner, kind);
}

/* Gives `n` back. An owner that is forgotten has nothing to get. */
static __always_inline void quota_give_some(__u32 owner, enum quota_kind kind, __s64 n)
{
	struct quota *s = bpf_map_lookup_elem(&quota, &owner), *all = quota_of(OWNER_ALL);

	if (s)
		__sync_fetch_and_add(&s->held[kind], -n);
	if (s && all)
		__sync_fetch_and_add(&all->held[kind], -n);
}

static __always_inline void quota_give(__u32 owner, enum quota_kind kind)
{
	quota_give_some(owner, kind, 1);
}

/* Takes out what lies at a key, and gives it back, if no other CPU has done so. */
static __always_inline int quota_remove(void *table, const void *key, __u32 owner, enum quota_kind kind)
{
	if (bpf_map_delete_elem(table, key))
		return 0;
	quota_give(owner, kind);
	return 1;
}

/* Puts in an entry that has been taken from its owner's quota, or gives it back: the table is full, or another CPU was
 * faster. Returns 0 if it is in. */
static __always_inline int quota_insert(void *table, const void *key, const void *value, __u32 owner, enum quota_kind kind)
{
	if (!bpf_map_update_elem(table, key, value, BPF_NOEXIST))
		return 0;
	quota_give(owner, kind);
	return 1;
}

#endif
