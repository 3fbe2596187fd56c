/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/station: who has a MAC address behind an uplink, a device of the node that NICs of workloads lie on (macvlan); and whose a port of a
 * bridge is, a device of the node that is the other side of one NIC. */
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
	STATION_PORT = 8, /* the device is a port of a bridge: `nic` is its NIC; 0: its MAC addresses alone are looked at, which have rows */
	STATION_TRUNK = 16, /* … whose frames may have tags (IEEE 802.1Q): these are the bridge's to filter */
};

struct station {
	__u32 nic;   /* key of nics; 0: STATION_NODE */
	__u32 flags; /* enum station_flag */
	/* What skb->hash of its frames is, from the NIC's own program to the uplink's: see station.h. Ports have the same `sign`, see bridged.h. */
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
