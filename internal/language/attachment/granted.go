package attachment

import (
	"cmp"
	"encoding/json"
	"net/netip"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/grant"
)

// Types of ipam whose addresses are granted before a plugin is called. All others are the plugins' own business.
const (
	ClusterIPAM = "weft"        // ranges of the whole cluster, in the words of whereabouts
	Whereabouts = "whereabouts" // the same, and the plugin's own books are kept
)

// grants tells of each type of ipam that the agent grants what is wrong with a configuration.
var grants = map[string]func(config []byte) []gap.Gap{
	ClusterIPAM: ranges,
	Whereabouts: func(config []byte) []gap.Gap {
		if whereabouts.Rangeless(config) {
			_, gaps := whereabouts.FlatFile(config) // it may have the range
			return gaps
		}
		return ranges(config)
	},
}

func ranges(config []byte) []gap.Gap {
	_, gaps := whereabouts.Parse(config, nil)
	return address.Invalid(gaps)
}

// Granted tells whether addresses are granted before the plugins of a definition are called.
func (d *Definition) Granted() bool {
	p := d.Main()
	if p == nil || p.Type != OwnType {
		return p != nil && grants[p.IPAM.Type] != nil
	}
	return p.Network != "" && (p.IPAM.Type == "" || p.IPAM.Type == ClusterIPAM)
}

// ungrantable says why nothing can be granted by a definition.
func (d *Definition) ungrantable() []gap.Gap {
	if !d.Granted() || d.Overlay() != "" && whereabouts.Rangeless(d.Main().Raw) { // the latter has the ranges of its network, see In
		return nil
	}
	gaps := grants[cmp.Or(d.Main().IPAM.Type, ClusterIPAM)](d.Main().Raw)
	for i := range gaps {
		if len(d.Plugins) > 1 {
			gaps[i].Field = under("plugins[0]", gaps[i].Field)
		}
	}
	return gaps
}

// Terms are what is to be granted for one request of a workload.
func (d *Definition) Terms(q Request, owner address.Owner) grant.Terms {
	conf := map[string]json.RawMessage{}
	_ = json.Unmarshal(d.Main().Raw, &conf) // Define has read it
	set(conf, "name", d.Network)
	t := grant.Terms{Type: d.Main().IPAM.Type, Config: string(encode(conf)), Asked: q.Addresses, Claim: q.IPAMClaim, Owner: owner}
	if name := d.Claim(q, owner); name != "" {
		t.Claim, t.Made = name, true
	}
	if t.Type != ClusterIPAM && t.Claim == "" {
		t.Owner = address.Owner{} // ranges that fit today would run short
	}
	return t
}

// With is the definition for a NIC that has been granted addresses: they stand in it, as a list.
func (d *Definition) With(g address.Grant) Definition {
	out := *d
	out.Plugins = append([]Plugin{}, d.Plugins...)
	p := &out.Plugins[0]
	p.IPAM = IPAM{Type: "static"}
	for _, a := range g.Addresses {
		p.IPAM.Addresses = append(p.IPAM.Addresses, Address{Prefix: a.Prefix, Gateway: a.Gateway})
	}
	type route struct {
		Dst      string `json:"dst"`
		GW       string `json:"gw,omitempty"`
		MTU      int    `json:"mtu,omitempty"`
		AdvMSS   int    `json:"advmss,omitempty"`
		Priority int    `json:"priority,omitempty"`
		Table    *int   `json:"table,omitempty"`
		Scope    *int   `json:"scope,omitempty"`
	}
	var routes []route
	for _, r := range g.Routes {
		one := route{Dst: r.Destination.String(), GW: text(r.Gateway), MTU: r.MTU, AdvMSS: r.AdvMSS, Priority: r.Priority}
		if r.Table != 0 {
			one.Table = &r.Table
		}
		if r.Scope != 0 {
			one.Scope = &r.Scope
		}
		routes = append(routes, one)
	}
	conf, list := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(p.Raw, &conf) // as above
	set(list, "type", "static")
	if len(routes) > 0 {
		set(list, "routes", routes)
	}
	set(list, "dns", g.DNS)
	set(conf, "ipam", list)
	p.Raw = encode(conf)
	return out
}

// text is an address; empty: none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
