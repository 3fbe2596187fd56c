/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* station: which NIC has sent a frame, where many share an uplink.
 *
 * A MAC address says who one claims to be. Who it is says the program on the NIC itself (from_nic), which knows its NIC as a constant: it
 * writes a number into skb->hash that is known to the agent alone. The hash stays with the frame, also between namespaces, where the
 * kernel clears the mark, and no socket and no tc action writes it. What a workload makes up beside its NIC (another macvlan on the same
 * uplink) has no such program, and its frames no such number.
 */
#ifndef WEFT_STATION_H
#define WEFT_STATION_H

#include "abi/station.h"
#include "drop.h"
#include "ipcache.h"
#include "parse.h"

/* What every frame begins with. */
struct frame {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
};

static __always_inline int frame_read(struct __sk_buff *skb, struct frame *e)
{
	return bpf_skb_load_bytes(skb, 0, e, sizeof(*e));
}

static __always_inline int frame_is_group(const struct frame *e)
{
	return e->dst[0] & 1;
}

static __always_inline struct station *station_of(__u32 uplink, const __u8 *mac)
{
	struct station_key key = { .uplink = uplink };

	__builtin_memcpy(key.mac, mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&stations, &key);
}

/* The row of an uplink itself; NULL: it is not watched. */
static __always_inline struct station *station_uplink(__u32 uplink)
{
	struct station_key key = { .uplink = uplink };

	return bpf_map_lookup_elem(&stations, &key);
}

static __always_inline int station_signed(struct __sk_buff *skb, const struct station *s, int group)
{
	return skb->hash == (group ? s->group_sign : s->sign);
}

static __always_inline int station_audits(const struct station *s)
{
	return s && (s->flags & STATION_AUDITED);
}

/* Drops a frame of no NIC that is known, or that claims to be of another. What is known of its packet is told. */
static __always_inline int station_refuse(struct __sk_buff *skb, struct context *c)
{
	if (parse(skb, &c->packet))
		__builtin_memset(&c->packet, 0, sizeof(c->packet));
	c->source = ipcache_identity(NULL, c->packet.v6);
	c->destination = c->source;
	return drop(skb, c, DROP_INVALID_SOURCE_MAC);
}

#endif
