/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sweep: whether an entry of a shared table is finished, and its end. Each step returns how many entries it took out. */
#ifndef WEFT_SWEEP_H
#define WEFT_SWEEP_H

#include "ct.h"

/* How long an entry is past its time, or a translation old, before it goes: no program holds it any more. */
#define GRACE (1 * SECOND)

static __always_inline int over(__u64 expires)
{
	return expires + GRACE < bpf_ktime_get_ns();
}

GLOBAL sweep_connection(const struct ct_key *at)
{
	struct ct_key key;
	struct ct *e;

	if (!at)
		return 0;
	key = *at;
	e = bpf_map_lookup_elem(&connections, &key);
	if (!e || !over(e->expires))
		return 0;
	return ct_remove(&key);
}

GLOBAL sweep_fragment(const struct fragment_key *at)
{
	struct fragment_key key;
	struct fragment *f;

	if (!at)
		return 0;
	key = *at;
	f = bpf_map_lookup_elem(&fragments, &key);
	return f && over(f->expires) ? share_remove(&fragments, &key, f->owner, SHARED_FRAGMENTS) : 0;
}

/* Whether conntrack knows a connection between these ends. */
GLOBAL sweep_lives(const struct nat_key *k)
{
	struct packet p = {};
	struct ct_key key;
	struct flow f = { .key = &key };
	struct ct *e;

	if (!k)
		return 0;
	p.src = k->src;
	p.dst = k->dst;
	p.src_port = k->src_port;
	p.dst_port = k->dst_port;
	p.protocol = k->protocol;
	ct_key_of(&p, 0, &f);
	e = bpf_map_lookup_elem(&connections, &key);
	return e && !over(e->expires);
}

/* A client's connection runs between it, or who stands for it when it called itself, and the backend. */
static __always_inline int serves(const struct nat_key *key, const struct addr *backend, __be16 port)
{
	struct nat_key inside = *key;

	inside.dst = *backend;
	inside.dst_port = port;
	if (addr_equal(&inside.src, backend))
		inside.src = addr_is4(backend) ? config_addr(&config_loopback4) : config_addr(&config_loopback6);
	return sweep_lives(&inside);
}

GLOBAL sweep_translation(const struct nat_key *at)
{
	struct nat_key own, other = {}, *key = &own;
	struct nat *n;
	struct addr to;
	__be16 port;
	__u32 owner;

	if (!at)
		return 0;
	own = *at;
	n = bpf_map_lookup_elem(&translations, key);
	if (!n || !over(n->opened))
		return 0;
	to = n->addr;
	port = n->port;
	owner = n->owner;
	other.protocol = key->protocol;
	other.src_port = key->dst_port;
	other.dst_port = port;
	other.src = key->dst;
	other.dst = to;
	if (key->kind == NAT_BACK) { /* goes with its way out */
		other.src = to;
		other.src_port = port;
		other.dst = key->src;
		other.dst_port = key->src_port;
		other.kind = NAT_OUT;
		if (bpf_map_lookup_elem(&translations, &other))
			return 0;
		return !bpf_map_delete_elem(&translations, key);
	}
	if (key->kind == NAT_SERVICE ? serves(key, &to, port) : sweep_lives(key))
		return 0;
	if (!share_remove(&translations, key, owner, SHARED_TRANSLATIONS))
		return 0;
	other.kind = NAT_BACK;
	return key->kind == NAT_OUT && !bpf_map_delete_elem(&translations, &other) ? 2 : 1;
}

#endif
