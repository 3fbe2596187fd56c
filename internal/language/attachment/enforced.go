package attachment

// Enforceable tells whether policies hold at NICs of a type with policy-networks: all.
func Enforceable(kind string) bool {
	return kind == "macvlan" || kind == "bridge" || kind == "cnv-bridge"
}

// Unenforced says why policies do not hold at a NIC of a type, where none is enforced there now. docs/networks.md has the same in a table.
func Unenforced(kind string) string {
	const unseen = ": what passes here is neither judged nor seen"
	switch kind {
	case "macvlan":
		return "policies hold at NICs of this type with policy-networks: all, where their uplink is known" + unseen
	case "bridge", "cnv-bridge":
		return "policies hold at NICs of this type with policy-networks: all, where their bridge is one of the node" + unseen
	case "ipvlan":
		return "NICs of type ipvlan have the MAC address of their uplink, and give packets to each other past it" + unseen
	case "vlan":
		return "a VLAN device in the pod has the MAC address of its uplink, and no side on the node; macvlan on a VLAN device of the node does" + unseen
	case "host-device", "sriov":
		return "the device itself is in the pod, and nothing of it is left on the node" + unseen
	case "ptp", "veth":
		return "it is not known which wire a pair leads to: the node routes what it sends" + unseen
	case "tap", "dummy":
		return "it has no side on the node" + unseen
	}
	return "NICs of type " + kind + " are not told apart on the node" + unseen
}
