// Package attach says what a NIC of a workload is made of: names, MAC addresses, gateways, MTU. It computes and never
// acts.
//
// # The world it models
//
// An attachment is one interface of one container: the pair (container ID, interface name) of a CNI ADD. It becomes a
// veth pair. The workload's side lies in the container's network namespace under the name it asked for. The host's
// side lies on the node under a name made from a hash of the pair, so it is the same whenever it is computed and tells
// nothing of its owner; the tables do.
//
//	  container                                          node
//	+---------------------------------+                +--------------------------+
//	| eth0 10.244.1.7/32 fd00::7/128  |----- veth -----| weft3f9a0c1b2d           |
//	| default via 169.254.1.1, fe80::1|                | route 10.244.1.7/32 here |
//	+---------------------------------+                +--------------------------+
//
// A workload's addresses are single ones (/32, /128): it shares a link with its gateway alone, and everything it
// sends passes the programs on the host's side. Its gateways are the same on every node and belong to no subnet:
// 169.254.1.1 (RFC 3927) and fe80::1 (RFC 4291). No host owns them; the MAC address of the host's side is entered as
// their neighbour for good.
//
// # Invariants
//
//   - HostName and MAC are functions of their arguments alone, and two salts give different results.
//   - MAC addresses are unicast and locally administered (IEEE 802c: second-least significant bit of the first octet).
//   - A workload's MTU leaves room for the tunnel header on the device that carries the tunnel: a packet that a
//     workload may send fits into one underlay packet.
//
// # Example
//
//	attach.HostName("4f1c…", "eth0", 0)  // weft3f9a0c1b2d
//	attach.MTU(1500, true, false)        // 1450
package attach

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Gateways of every workload: what its default routes point to.
var (
	Gateway4 = netip.AddrFrom4([4]byte{169, 254, 1, 1})
	Gateway6 = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: 1})
)

// TunnelDevice is the name of the node's overlay device.
const TunnelDevice = "weft_vxlan"

// GeneveDevice is the name of the device for calls of services in an overlay of their own (DSR), GenevePort its UDP port (RFC 8926 3.3).
const (
	GeneveDevice = "weft_geneve"
	GenevePort   = 6081
)

// Bytes that VXLAN, or Geneve without options, adds in front of a workload's IP packet: outer IP, UDP (8), VXLAN (8), inner Ethernet (14); RFC 7348.
const (
	overhead4 = 20 + 8 + 8 + 14
	overhead6 = 40 + 8 + 8 + 14
)

// Overlay is what an attachment in an overlay network has of that. Its number is the attachment's network.
type Overlay struct {
	Name    string         `json:"name"`
	Subnets []netip.Prefix `json:"subnets"`
	Terms   string         `json:"terms,omitempty"` // by which its addresses were granted, in JSON; empty: nothing grants them
}

const hostPrefix = "weft"

// Gateway is the gateway of a workload for the family of an address.
func Gateway(a netip.Addr) netip.Addr {
	if a.Is4() {
		return Gateway4
	}
	return Gateway6
}

// Single is the prefix that holds one address only.
func Single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// HostName is the name of the host's side of an attachment: 14 characters, of 15 that Linux allows. Salt 0 is the name
// that is meant; the others are for the day when two hashes agree.
func HostName(containerID, ifname string, salt int) string {
	return hostPrefix + hex.EncodeToString(sum("name", containerID, ifname, salt)[:5])
}

// IsHostName tells whether a device name has the form of HostName.
func IsHostName(name string) bool {
	digits, ok := strings.CutPrefix(name, hostPrefix)
	return ok && len(digits) == 10 && strings.Trim(digits, "0123456789abcdef") == ""
}

// MAC is the MAC address of the workload's side, and HostMAC that of the host's side.
func MAC(containerID, ifname string) string { return mac(sum("mac", containerID, ifname, 0)) }

// HostMAC is the MAC address of the host's side, which is that of the workload's gateways.
func HostMAC(containerID, ifname string) string { return mac(sum("host mac", containerID, ifname, 0)) }

func mac(hash []byte) string {
	m := net.HardwareAddr(hash[:6])
	m[0] = m[0]&^1 | 2
	return m.String()
}

// sum hashes a thing of an attachment. Interface names hold no slash (CNI), so no two attachments look alike.
func sum(what, containerID, ifname string, salt int) []byte {
	text := containerID + "/" + ifname
	if what != "name" || salt > 0 {
		text = fmt.Sprintf("%s/%d/%s", what, salt, text)
	}
	hash := sha256.Sum256([]byte(text))
	return hash[:]
}

// MTU is what a workload may send at once, in bytes of IP packet, when its packets leave on a device with an MTU of
// device: as much, or less the tunnel's header. 0 if device is 0: not known.
func MTU(device int, tunnel, underlay6 bool) int {
	switch {
	case device == 0 || !tunnel:
		return device
	case underlay6:
		return device - overhead6
	}
	return device - overhead4
}
