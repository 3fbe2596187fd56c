package attachment

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Segment is a wire: NICs of one reach each other without a router. The zero value: it is not known from the definition.
type Segment struct {
	Uplink string // a device of the node
	Bridge string // … or a bridge of it
	VLAN   int    // tag; 0: none
	Net    string // … or an overlay network; PodNetwork: that of pods
}

// DefaultBridge is what plugin bridge takes where its configuration names none (containernetworking/plugins).
const DefaultBridge = "cni0"

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
var tagged = regexp.MustCompile(`^([^/\s]{1,13})\.([1-9]\d{0,3})$`)

// VLANDevice reads the name of a VLAN device: the device that it lies on, and its tag. Not ok: it is none by its name.
func VLANDevice(name string) (parent string, tag int, ok bool) {
	m := tagged.FindStringSubmatch(name)
	if m == nil || len(name) > maxDevice {
		return "", 0, false
	}
	tag, err := strconv.Atoi(m[2])
	return m[1], tag, err == nil && tag < 4095
}

// maxDevice is how long the kernel lets names of devices be (IFNAMSIZ, with a byte for its end).
const maxDevice = 15

// On is the segment of a device of the node, which may be a VLAN device.
func On(uplink string) Segment { return on(uplink, 0) }

// on is the segment of an uplink, which may be a VLAN device.
func on(uplink string, vlan int) Segment {
	if parent, tag, ok := VLANDevice(uplink); ok && vlan == 0 {
		return Segment{Uplink: parent, VLAN: tag}
	}
	return Segment{Uplink: uplink, VLAN: vlan}
}

// Uplink is the device of the node that a definition's NICs lie on; empty: there is none, or the plugin finds it.
func (d *Definition) Uplink() string {
	if p := d.Main(); p != nil && !p.Inside && slices.Contains([]string{"macvlan", "ipvlan", "vlan"}, p.Type) {
		return p.Master
	}
	return ""
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
			return Segment{Bridge: DefaultBridge, VLAN: p.VLAN}
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
