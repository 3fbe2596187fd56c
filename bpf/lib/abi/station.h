/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/station: who has a MAC address behind an uplink, a device of the node that NICs of workloads lie on (macvlan). */
#ifndef WEFT_ABI_STATION_H
#define WEFT_ABI_STATION_H

#include "map.h"

struct station_key {
	__u32 uplink; /* ifindex */
	__u8 mac[6];  /* zero: the uplink itself; without that row its programs let everything pass */
	__u16 pad;
};

enum station_flag {
	STATION_NODE = 1,  /* of the node itself */
	STATION_APART = 2, /* mode private or vepa: what it says to others behind this uplink goes by the wire */
	STATION_AUDITED = 4, /* what would be dropped of it, or for it, passes and is told; of the uplink: what is of no NIC */
};

struct station {
	__u32 nic;   /* key of nics; 0: STATION_NODE */
	__u32 flags; /* enum station_flag */
	/* What skb->hash of its frames is, from the NIC's own program to the uplink's: see station.h. */
	__u32 sign;
	__u32 group_sign; /* of those to many; in the row of the uplink: of those that came by the wire */
};

/* What the programs of one NIC are told when they are loaded. */
struct nic_config {
	__u32 nic; /* key of nics */
	__u32 uplink;
	__u32 sign;
	__u32 group_sign;
	__u32 wire_sign; /* group_sign of the uplink */
};

/* Keys of nics for NICs that have no device in the node's own namespace: no ifindex is as high. */
#define NIC_INSIDE 0x80000000

MAP(BPF_MAP_TYPE_HASH, stations, struct station_key, struct station, 8192, BPF_F_NO_PREALLOC);

#endif
