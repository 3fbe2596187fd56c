package settings

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/settings/key"
)

// VTEP is where a tunnel of others ends: a machine that is no node, and the addresses that lie behind it.
type VTEP struct {
	Endpoint netip.Addr   // to which packets of the tunnel go, and from which they come
	Prefix   netip.Prefix // what lies behind it
	MAC      MAC          // for which packets in the tunnel are
}

// MAC is a link-layer address (EUI-48).
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// routing, continued: the keys of VTEPs are read together, once the first of them is on.
var vteps = []Key{
	{
		Name: "enable-vtep", Default: "false", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "pods and machines behind VTEPs, which are no nodes, reach each other by the tunnel. VTEPs speak with VNI 2 and are `world`",
		Read: func(r *key.Reader, c *Config, name string) {
			if r.Flag(name) {
				c.VTEPs = vtepsOf(r)
			}
		},
	},
	{Name: "vtep-endpoint", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Addresses4, Needs: "`enable-vtep: true`", Text: "where the tunnels of VTEPs end", Read: byOthers},
	{
		Name: "vtep-cidr", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Prefixes4, Needs: "`enable-vtep: true`", Read: byOthers,
		Text: "what lies behind each VTEP, in the order of `vtep-endpoint`",
	},
	{
		Name: "vtep-mask", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Netmask, Needs: "`enable-vtep: true`", Read: byOthers,
		Text: "that of all `vtep-cidr`; one with another is left out",
	},
	{
		Name: "vtep-mac", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.MACs, Needs: "`enable-vtep: true`", Read: byOthers,
		Text: "MAC address of each VTEP's device, in the order of `vtep-endpoint`",
	},
}

// vteps puts the lists together. One of another length than the others says that all may be paired wrongly: none counts then.
func vtepsOf(r *key.Reader) (out []VTEP) {
	endpoints := r.Text("vtep-endpoint")
	ends := key.Words(endpoints)
	if len(ends) == 0 {
		r.Problem("vtep-endpoint", endpoints, "names no VTEP, and enable-vtep is true: give the address of one, or leave enable-vtep out")
		return nil
	}
	same := func(name string) []string {
		value := r.Text(name)
		list := key.Words(value)
		if len(list) == len(ends) {
			return list
		}
		r.Problem(name, value, fmt.Sprintf("has %d entries, and vtep-endpoint %q has %d: each VTEP has one in each list, in the same order; none is used until they agree", len(list), endpoints, len(ends)))
		return nil
	}
	ranges, devices := same("vtep-cidr"), same("vtep-mac")
	if ranges == nil || devices == nil {
		return nil
	}
	mask := r.Text("vtep-mask")
	for i, end := range ends {
		v := VTEP{Endpoint: netip.MustParseAddr(end), Prefix: netip.MustParsePrefix(ranges[i]).Masked()} // their syntax was checked
		mac, _ := net.ParseMAC(devices[i])
		copy(v.MAC[:], mac)
		if vtepFits(r, v, mask, out) {
			out = append(out, v)
		}
	}
	return out
}

// vtepFits tells whether a VTEP can be told from those before it.
func vtepFits(r *key.Reader, v VTEP, mask string, before []VTEP) bool {
	if bits, ok := key.MaskBits(mask); ok && bits != v.Prefix.Bits() {
		r.Problem("vtep-cidr", v.Prefix.String(), fmt.Sprintf("has not the length of vtep-mask %q, which is /%d; that VTEP is left out", mask, bits))
		return false
	}
	if i := slices.IndexFunc(before, func(b VTEP) bool { return b.Prefix.Overlaps(v.Prefix) }); i >= 0 {
		r.Problem("vtep-cidr", v.Prefix.String(), fmt.Sprintf("overlaps %s of another VTEP; the later one is left out", before[i].Prefix))
		return false
	}
	return true
}
