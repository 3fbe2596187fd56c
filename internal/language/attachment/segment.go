package attachment

import (
	"fmt"
	"regexp"
	"strconv"
)

// Segment is a wire: NICs of one reach each other without a router. The zero value: it is not known from the definition.
type Segment struct {
	Uplink string // a device of the node
	Bridge string // … or a bridge of it
	VLAN   int    // tag; 0: none
	Net    string // … or an overlay network; PodNetwork: that of pods
}

// PodNetwork is the network that each pod's first NIC is in.
const PodNetwork = "pods"

func (s Segment) String() string {
	switch {
	case s == Segment{}:
		return "not known"
	case s.Net == PodNetwork:
		return "the pod network"
	case s.Net != "":
		return "overlay network " + s.Net
	}
	text := s.Uplink
	if s.Bridge != "" {
		text = "bridge " + s.Bridge
	}
	if s.VLAN != 0 {
		text += fmt.Sprintf(", VLAN %d", s.VLAN)
	}
	return text
}

// tagged is a VLAN device by the name that it has by custom: ens192.100.
var tagged = regexp.MustCompile(`^(.{1,10})\.(\d{1,4})$`)

// on is the segment of an uplink, which may be a VLAN device.
func on(uplink string, vlan int) Segment {
	if m := tagged.FindStringSubmatch(uplink); m != nil && vlan == 0 {
		if tag, _ := strconv.Atoi(m[2]); tag > 0 && tag < 4095 {
			return Segment{Uplink: m[1], VLAN: tag}
		}
	}
	return Segment{Uplink: uplink, VLAN: vlan}
}

// Segment is where a definition's NICs are.
func (d *Definition) Segment() Segment {
	p := d.Main()
	if p == nil {
		return Segment{}
	}
	switch p.Type {
	case "macvlan", "ipvlan", "vlan", "macvtap":
		if p.Master == "" {
			return Segment{} // the device of the node's default route
		}
		return on(p.Master, p.VLAN)
	case "bridge", "cnv-bridge":
		if p.Bridge == "" {
			return Segment{Bridge: "cni0", VLAN: p.VLAN} // what the plugin takes (containernetworking/plugins)
		}
		return Segment{Bridge: p.Bridge, VLAN: p.VLAN}
	case "ovs":
		return Segment{Bridge: p.Bridge, VLAN: p.VLAN}
	case "cilium-cni":
		if p.Network == "" {
			return Segment{Net: PodNetwork}
		}
		return Segment{Net: p.Network}
	}
	return Segment{}
}
