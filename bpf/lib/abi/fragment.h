/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/fragment: the header of a datagram, as far as it is asked about, learnt from its first fragment. */
#ifndef WEFT_ABI_FRAGMENT_H
#define WEFT_ABI_FRAGMENT_H

#include "addr.h"
#include "map.h"

struct fragment_key {
	struct addr src;
	struct addr dst;
	__u32 id;
	__u8 protocol; /* next protocol by the fragment's own header; of IPv6 perhaps options */
	__u8 pad;
	__u16 net;
};

struct fragment {
	__be16 src_port;
	__be16 dst_port;
	__u32 owner;   /* whose quota holds it */
	__u64 expires; /* ns, CLOCK_MONOTONIC */
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_request;
	__u16 headers; /* bytes of headers: a later fragment that begins within them is dropped */
	__u16 pad;
};

#define FRAGMENTS 8192

MAP(BPF_MAP_TYPE_HASH, fragments, struct fragment_key, struct fragment, FRAGMENTS, BPF_F_NO_PREALLOC);

#endif
